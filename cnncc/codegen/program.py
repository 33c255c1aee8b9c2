"""The program of a plan: one function for each kernel and the entry points of the ABI (`cnncc/abi.py`).

`NAME_run` checks its arguments (equally in every shard, before the first barrier), then runs the schedule
once for each image: each shard computes its range of the rows of every step, and barriers stand between dependent
steps. It does not allocate, lock or call functions outside of the module, other than the caller's `wait`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from .. import abi
from ..abi import ErrorCode
from ..alignment import rounded_up
from ..plan.plan import Interface, Plan, Stage, Step
from . import barrier, cpu, ticks
from .emitter import Emitter
from .kernels import KERNELS, Tensors
from .memory import Access
from .registers import BYTE, INT32, POINTER, Index, RegisterType, Ssa, memory_type

SEGMENT = 32  # most stages in one function


def generate(e: Emitter, plan: Plan, symbol: str, *, profiled: bool = False) -> str:
    """The module of a plan, in the text of `e`'s back end. `symbol` prefixes its three functions.

    With `profiled`, the program adds up the cycles of each step in the shard's own memory (see `tick_bytes`).
    """
    names = step_functions(e, plan)
    if plan.target.atomics:
        barrier.emit(e)
    program = Program(e, plan, symbol, names, profiled)
    program.emit()
    workspace_bytes(e, plan, symbol, program.shard_bytes)
    cpu.emit_check(e, f"{symbol}_check")
    return e.module()


def tick_bytes(plan: Plan) -> int:
    """Bytes that a profiled program appends to the memory of each shard: a 64-bit count of cycles for each step."""
    return rounded_up(8 * len(plan.steps))


def step_functions(e: Emitter, plan: Plan) -> list[str]:
    """A function for each step; equal kernels are emitted once."""
    names = []
    for number, step in enumerate(plan.steps):
        views = step.views
        tables = step.tables
        parameters = [(POINTER, f"b{index}") for index in range(len(views))]
        parameters += [(POINTER, f"t{index}") for index in range(len(tables))]
        parameters += [(e.index_type, "a"), (e.index_type, "b")]
        if e.checked:
            parameters.append((POINTER, "fault"))
        with e.function("kernel", parameters, internal=True) as values:
            bases, (*pointers, a, b) = values[: len(views)], values[len(views) : len(views) + len(tables) + 2]
            fault = values[-1] if e.checked else None
            named = dict(zip(tables, pointers, strict=True))
            accesses = []
            for view, base in zip(views, bases, strict=True):
                looked_up = {axis: named[table] for axis, table in view.lookups}
                entries = {axis: plan.entries(table) for axis, table in view.lookups}
                accesses.append(Access(e, view, base, plan.buffer(view), looked_up, fault, number, entries))
            own, operands = accesses[: step.kernel.sources], accesses[step.kernel.sources : len(step.sources)]
            target, *scratch = accesses[len(step.sources) :]
            KERNELS[type(step.kernel)](e, step.kernel, Tensors(own, operands, target, scratch)).emit(a, b)
            e.ret()
        names.append(e.share_function("kernel"))
    return names


def workspace_bytes(e: Emitter, plan: Plan, symbol: str, shard_bytes: int) -> None:
    with e.function(f"{symbol}_workspace_bytes", [(INT32, "shards")], e.index_type) as (shards,):
        count = e.convert(shards, e.index_type, signed=False)
        e.ret(e.value(e.add(e.mul(count, shard_bytes), plan.workspace_base)))


@dataclass
class CallFields:
    """The fields of a cnncc_call (`abi.CALL`) after the first, loaded."""

    images: Ssa
    shard: Ssa
    shards: Ssa
    inputs: Ssa
    outputs: Ssa
    workspace: Ssa
    weights: Ssa
    wait: Ssa
    wait_argument: Ssa


def _register(field: abi.Field) -> RegisterType:
    return POINTER if field.is_pointer else INT32


class Program:
    """Emits `NAME_run`."""

    def __init__(self, e: Emitter, plan: Plan, symbol: str, names: Sequence[str], profiled: bool = False):
        self.e, self.plan, self.symbol, self.names, self.profiled = e, plan, symbol, names, profiled
        self.shard_bytes = plan.shard_bytes + (tick_bytes(plan) if profiled else 0)
        self.single_shard = True  # the code being emitted is that of a single shard

    def emit(self) -> None:
        """All segments, once for a single shard (no partition, no barriers) and once for several; then `run`."""
        e, plan = self.e, self.plan
        for self.single_shard in (True, False) if plan.target.atomics else (True,):
            for number, stages in enumerate(self.segments()):
                self.segment(number, stages)
        with e.function(f"{self.symbol}_run", [(POINTER, "call")], INT32) as (pointer,):
            call = self.arguments(pointer)
            images: Index = self.widen(call.images) if plan.batchable else 1
            self.ways(call, images)
            if not e.checked:
                e.ret(e.constant(ErrorCode.OK.value, INT32))
            else:
                noted = e.load(INT32, e.address(call.workspace, abi.FAULT_STEP, BYTE))
                bad = e.compare("!=", noted, 0)
                e.ret(
                    e.select(
                        bad, e.constant(ErrorCode.OUT_OF_BOUNDS.value, INT32), e.constant(ErrorCode.OK.value, INT32)
                    )
                )

    def ways(self, call: CallFields, images: Index) -> None:
        """All images, by a single shard or by one of several."""
        e = self.e
        self.single_shard = not self.plan.target.atomics
        if self.single_shard:
            self.images(call, images)
            return
        one, several, after = (e.fresh_label(hint) for hint in ("one", "several", "after"))
        e.branch_if(e.compare("==", call.shards, 1), one, several)
        for label, self.single_shard in ((one, True), (several, False)):
            e.label(label)
            self.images(call, images)
            e.branch(after)
        e.label(after)

    def images(self, call: CallFields, images: Index) -> None:
        """Every segment for every image."""
        e = self.e
        with e.loop(0, images) as image:
            if self.plan.batchable and not self.single_shard:
                with e.when(e.compare("!=", image.index, 0)):
                    self.barrier(call)  # this image reuses the arena
            arguments = [*vars(call).values(), e.value(image.index)]
            for number in range(len(self.segments())):
                e.call(self.segment_name(number), arguments)
        if e.checked:
            self.barrier(call)  # every shard returns the same code

    def segment_name(self, number: int) -> str:
        return f"segment{number}{'_alone' if self.single_shard else ''}"

    def segments(self) -> list[tuple[Stage, ...]]:
        """The schedule in segments: LLVM takes more than twice as long for a function of twice the length."""
        stages = self.plan.stages
        return [stages[first : first + SEGMENT] for first in range(0, len(stages), SEGMENT)]

    def segment(self, number: int, stages: Sequence[Stage]) -> None:
        """A function that runs some stages for one image and shard."""
        e = self.e
        parameters = [(_register(field), field.name) for field in abi.CALL[1:]]
        parameters.append((e.index_type, "image"))
        with e.function(self.segment_name(number), parameters, internal=True) as (*values, image):
            call = CallFields(*values)
            memory = BufferAddresses(self, call, image)
            fault = e.address(call.workspace, abi.FAULT_STEP, BYTE)
            for stage in stages:
                if stage.barrier:
                    self.barrier(call)
                self.stage(stage, memory, call, fault)
            e.ret()

    # Arguments

    def arguments(self, pointer: Ssa) -> CallFields:
        """Load and test the call: for a wrong one every shard returns the same error code."""
        e, plan = self.e, self.plan
        self.refuse_if(e.compare("==", pointer, e.null()), ErrorCode.NULL_POINTER)
        version, *values = self.fields(pointer)
        call = CallFields(*values)
        self.refuse_if(e.compare("!=", version, abi.VERSION), ErrorCode.WRONG_ABI)
        if plan.batchable:
            self.refuse_if(e.compare("==", call.images, 0), ErrorCode.WRONG_IMAGES)
        else:
            self.refuse_if(e.compare("!=", call.images, plan.images), ErrorCode.WRONG_IMAGES)
        self.refuse_if(e.compare(">=", call.shard, call.shards, unsigned=True), ErrorCode.WRONG_SHARDS)
        self.refuse_if(e.compare(">", call.shards, plan.max_shards, unsigned=True), ErrorCode.WRONG_SHARDS)
        self.refuse_null([call.inputs, call.outputs, call.workspace])
        if plan.weights:
            self.refuse_null([call.weights])
        arrays = [(call.inputs, len(plan.inputs)), (call.outputs, len(plan.outputs))]
        for array, count in arrays:
            self.refuse_null([self.element(array, index) for index in range(count)])
        for pointer in (call.workspace, call.weights):
            self.refuse_if(
                e.compare("!=", e.mask(e.address_number(pointer), abi.ALIGNMENT - 1), 0), ErrorCode.MISALIGNED
            )
        return call

    def fields(self, pointer: Ssa) -> Iterator[Ssa]:
        """Load the fields of a cnncc_call, in order."""
        e, pointer_bytes = self.e, self.plan.target.pointer_bits // 8
        offsets = abi.offsets(pointer_bytes)
        for field in abi.CALL:
            yield e.load(_register(field), e.address(pointer, offsets[field.name], BYTE))

    def element(self, array: Ssa, index: int) -> Ssa:
        size = self.plan.target.pointer_bits // 8
        return self.e.load(POINTER, self.e.address(array, index * size, BYTE))

    def refuse_null(self, pointers: Sequence[Ssa]) -> None:
        for pointer in pointers:
            self.refuse_if(self.e.compare("==", pointer, self.e.null()), ErrorCode.NULL_POINTER)

    def refuse_if(self, condition: Ssa, code: ErrorCode) -> None:
        e = self.e
        refuse, proceed = e.fresh_label("refuse"), e.fresh_label("proceed")
        e.branch_if(condition, refuse, proceed)
        e.label(refuse)
        e.ret(e.constant(code.value, INT32))
        e.label(proceed)

    # Memory

    def widen(self, value: Ssa) -> Ssa:
        return self.e.convert(value, self.e.index_type, signed=False)

    # Schedule

    def barrier(self, call: CallFields) -> None:
        if not self.single_shard:
            barrier.call(self.e, call.workspace, call.shard, call.shards, call.wait, call.wait_argument)

    def share(self, units: int, granularity: int, call: CallFields) -> tuple[Index, Index]:
        """This shard's units: of n = units / grain partitions [n·shard / shards, n·(shard + 1) / shards)."""
        e = self.e
        if self.single_shard:
            return 0, units
        shard, shards, pieces = self.widen(call.shard), self.widen(call.shards), -(-units // granularity)
        ends = [e.mul(e.div(e.mul(at, pieces), shards), granularity) for at in (shard, e.add(shard, 1))]
        return (ends[0], ends[1]) if units % granularity == 0 else (e.least(ends[0], units), e.least(ends[1], units))

    def stage(self, stage: Stage, memory: BufferAddresses, call: CallFields, fault: Ssa) -> None:
        steps = [self.plan.steps[number] for number in stage.steps]
        if stage.single_shard and not self.single_shard:
            with self.e.when(self.e.compare("==", call.shard, 0)):
                self.rows(stage, steps, 0, steps[-1].units, memory, fault)
        elif stage.replicated:
            self.rows(stage, steps, 0, steps[-1].units, memory, fault)
        else:
            self.rows(stage, steps, *self.share(steps[-1].units, steps[-1].granularity, call), memory, fault)

    def rows(
        self, stage: Stage, steps: Sequence[Step], a: Index, b: Index, memory: BufferAddresses, fault: Ssa
    ) -> None:
        """Rows (or other units that shards divide) [a, b) of a stage."""
        if len(steps) == 1:
            self.run(stage.steps[0], a, b, memory, fault)
        else:
            self.stream(stage, steps, a, b, memory, fault)

    def run(self, number: int, a: Index, b: Index, memory: BufferAddresses, fault: Ssa) -> None:
        e, step = self.e, self.plan.steps[number]
        names = [view.buffer for view in step.views]
        arguments = [memory.base(name) for name in (*names, *step.tables)]
        arguments += [e.value(a), e.value(b)]
        if e.checked:
            arguments.append(fault)
        with ticks.timed(e, memory.ticks(number)) if self.profiled else nullcontext():
            e.call(self.names[number], arguments)

    def stream(
        self, stage: Stage, steps: Sequence[Step], a: Index, b: Index, memory: BufferAddresses, fault: Ssa
    ) -> None:
        """Blocks of rows of the last step; before each, every other step computes the rows that the next one reads."""
        e = self.e
        begins: list[Index] = [a]
        pairs = list(itertools.pairwise(steps))
        for producer, step in reversed(pairs):
            need, rows = step.row_need, step.sources[0].rows
            begin = e.least(e.largest(e.sub(e.mul(begins[0], need.stride), need.low), 0), rows)
            begins.insert(0, e.mul(e.div(begin, producer.granularity), producer.granularity))
        done = [e.value(begin) for begin in begins[:-1]]
        with e.loop(a, b, stage.block, carry=done) as loop:
            ends: list[Index] = [e.least(e.add(loop.index, stage.block), b)]
            for producer, step in reversed(pairs):
                need, rows = step.row_need, step.sources[0].rows
                last = e.largest(e.add(e.mul(e.sub(ends[0], 1), need.stride), need.extent - need.low), 0)
                whole = e.mul(e.div(e.add(last, producer.granularity - 1), producer.granularity), producer.granularity)
                ends.insert(0, e.least(whole, rows))
            following = []
            for position, number in enumerate(stage.steps[:-1]):
                end = e.largest(ends[position], loop.values[position])
                self.run(number, loop.values[position], end, memory, fault)
                following.append(e.value(end))
            self.run(stage.steps[-1], loop.index, ends[-1], memory, fault)
            loop.next(following)


@dataclass
class BufferAddresses:
    """The addresses of buffers, for one image and this shard.

    They are computed at each use: keeping the addresses of a whole network alive would cost registers and,
    with thousands of steps, minutes of register allocation.
    """

    program: Program
    call: CallFields
    image: Index

    def base(self, name: str) -> Ssa:
        """The address of the first element of a buffer."""
        e, plan, call = self.program.e, self.program.plan, self.call
        buffer = plan.buffers[name]
        if buffer.space == "input":
            return self.of_image(self.program.element(call.inputs, buffer.place), plan.inputs[buffer.place])
        if buffer.space == "output":
            return self.of_image(self.program.element(call.outputs, buffer.place), plan.outputs[buffer.place])
        if buffer.space == "weights":
            return e.address(call.weights, buffer.place, BYTE)
        if buffer.space == "arena":
            return e.address(call.workspace, plan.header_bytes + buffer.place, BYTE)
        return self.own(buffer.place)

    def own(self, place: int) -> Ssa:
        """An address in the shard's own memory."""
        e, program = self.program.e, self.program
        begin = e.mul(program.widen(self.call.shard), program.shard_bytes)
        return e.address(self.call.workspace, e.add(begin, program.plan.workspace_base + place), BYTE)

    def ticks(self, number: int) -> Ssa:
        """The cycle counter of a step."""
        return self.own(self.program.plan.shard_bytes + 8 * number)

    def of_image(self, base: Ssa, port: Interface) -> Ssa:
        """The address in an input or output for the current image."""
        if not (self.program.plan.batchable and port.batched):
            return base
        e, element = self.program.e, memory_type(port.type.dtype)
        return e.address(base, e.mul(self.image, port.elements(True)), element)
