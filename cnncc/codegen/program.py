"""The program of a plan: one function for each kernel and the entry points of the ABI (`cnncc/abi.py`).

`NAME_run` checks its arguments (equally in every shard, before the first barrier), then runs the schedule
once for each image: each shard computes its share of the rows of every step, and dependent steps are parted
by barriers. Nothing in it allocates, locks or calls anything that is not in the module.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import abi
from ..abi import ErrorCode
from ..alignment import rounded_up
from ..plan.plan import Interface, Plan, Stage, Step
from ..types import DType
from . import barrier, cpu, ticks
from .emitter import Emitter, Index, Ssa
from .kernels import KERNELS, Tensors
from .memory import Access

SEGMENT = 32  # stages in one function


def generate(plan: Plan, symbol: str, *, checked: bool = False, profiled: bool = False) -> str:
    """The LLVM module of a plan. `symbol` prefixes its three functions.

    `profiled` adds up the cycles of each step in the shard's own memory (see `tick_bytes`).
    """
    e = Emitter(plan.target, checked=checked)
    names = step_functions(e, plan)
    if plan.target.atomics:
        barrier.emit(e)
    program = Program(e, plan, symbol, names, profiled)
    program.emit()
    workspace_bytes(e, plan, symbol, program.shard_bytes)
    cpu.emit_check(e, f"@{symbol}_check")
    return e.module()


def tick_bytes(plan: Plan) -> int:
    """What a profiled program appends to the memory of each shard: a 64-bit count of cycles for each step."""
    return rounded_up(8 * len(plan.steps))


def step_functions(e: Emitter, plan: Plan) -> list[str]:
    """A function for each step; equal kernels are emitted once."""
    known: dict[str, str] = {}
    names = []
    for number, step in enumerate(plan.steps):
        views = step.views
        tables = step.tables
        parameters = [("ptr", f"b{index}") for index in range(len(views))]
        parameters += [("ptr", f"t{index}") for index in range(len(tables))]
        parameters += [(e.index_type, "a"), (e.index_type, "b")]
        if e.checked:
            parameters.append(("ptr", "fault"))
        with e.function("void", "@KERNEL", parameters, "internal") as values:
            bases, (*pointers, a, b) = values[: len(views)], values[len(views) : len(views) + len(tables) + 2]
            fault = values[-1] if e.checked else None
            named = dict(zip(tables, pointers, strict=True))
            accesses = []
            for view, base in zip(views, bases, strict=True):
                looked_up = {axis: named[table] for axis, table in view.lookups}
                accesses.append(Access(e, view, base, plan.buffer(view), looked_up, fault, number))
            own, operands = accesses[: step.kernel.sources], accesses[step.kernel.sources : len(step.sources)]
            target, *scratch = accesses[len(step.sources) :]
            KERNELS[type(step.kernel)](e, step.kernel, Tensors(own, operands, target, scratch)).emit(a, b)
            e.ret()
        text = e.functions.pop()
        if text not in known:
            known[text] = f"@kernel{len(known)}"
            e.functions.append(text.replace("@KERNEL", known[text], 1))
        names.append(known[text])
    return names


def workspace_bytes(e: Emitter, plan: Plan, symbol: str, shard_bytes: int) -> None:
    with e.function(e.index_type, f"@{symbol}_workspace_bytes", [("i32", "shards")]) as (shards,):
        count: Index = shards
        if e.index_type != "i32":
            count = e.assign(e.index_type, f"zext i32 {shards} to {e.index_type}")
        total = e.add(e.mul(count, shard_bytes), plan.workspace_base)
        e.ret(total if isinstance(total, Ssa) else Ssa(e.index_type, str(total)))


@dataclass
class Call:
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


def _llvm_type(field: abi.Field) -> str:
    return "ptr" if field.is_pointer else "i32"


class Program:
    """Emits `NAME_run`."""

    def __init__(self, e: Emitter, plan: Plan, symbol: str, names: Sequence[str], profiled: bool = False):
        self.e, self.plan, self.symbol, self.names, self.profiled = e, plan, symbol, names, profiled
        self.shard_bytes = plan.shard_bytes + (tick_bytes(plan) if profiled else 0)
        self.alone = True  # the code at hand is that of a single shard

    def emit(self) -> None:
        """All segments, once for a shard that is alone (no shares, no barriers) and once for several; then `run`."""
        e, plan = self.e, self.plan
        for self.alone in (True, False) if plan.target.atomics else (True,):
            for number, stages in enumerate(self.segments()):
                self.segment(number, stages)
        with e.function("i32", f"@{self.symbol}_run", [("ptr", "call")]) as (pointer,):
            call = self.arguments(pointer)
            images: Index = self.widen(call.images) if plan.batchable else 1
            self.ways(call, images)
            if not e.checked:
                e.ret(Ssa("i32", str(ErrorCode.OK.value)))
            else:
                noted = e.load_type("i32", e.address(call.workspace, abi.FAULT_STEP, "i8"), 4)
                bad = e.compare("ne", noted, Ssa("i32", "0"))
                e.ret(
                    e.assign("i32", f"select i1 {bad}, i32 {ErrorCode.OUT_OF_BOUNDS.value}, i32 {ErrorCode.OK.value}")
                )

    def ways(self, call: Call, images: Index) -> None:
        """All images, by a shard that is alone or by one of several."""
        e = self.e
        self.alone = not self.plan.target.atomics
        if self.alone:
            self.images(call, images)
            return
        one, several, after = (e.fresh_label(hint) for hint in ("one", "several", "after"))
        e.branch_if(e.compare("eq", call.shards, 1), one, several)
        for label, self.alone in ((one, True), (several, False)):
            e.label(label)
            self.images(call, images)
            e.branch(after)
        e.label(after)

    def images(self, call: Call, images: Index) -> None:
        """Every segment for every image."""
        e = self.e
        with e.loop(0, images) as image:
            if self.plan.batchable and not self.alone:
                with e.when(e.compare("ne", image.index, 0)):
                    self.barrier(call)  # this image reuses the arena
            arguments = [f"{value.type} {value}" for value in vars(call).values()]
            arguments.append(e.typed(image.index))
            for number in range(len(self.segments())):
                e.emit(f"call void {self.segment_name(number)}({', '.join(arguments)})")
        if e.checked:
            self.barrier(call)  # every shard returns the same code

    def segment_name(self, number: int) -> str:
        return f"@segment{number}{'_alone' if self.alone else ''}"

    def segments(self) -> list[tuple[Stage, ...]]:
        """The schedule in pieces: LLVM takes more than twice as long for a function of twice the length."""
        stages = self.plan.stages
        return [stages[first : first + SEGMENT] for first in range(0, len(stages), SEGMENT)]

    def segment(self, number: int, stages: Sequence[Stage]) -> None:
        """A function that runs some stages for one image and shard."""
        e = self.e
        parameters = [(_llvm_type(field), field.name) for field in abi.CALL[1:]]
        parameters.append((e.index_type, "image"))
        with e.function("void", self.segment_name(number), parameters, "internal") as (*values, image):
            call = Call(*values)
            memory = Memory(self, call, image)
            fault = e.address(call.workspace, abi.FAULT_STEP, "i8")
            for stage in stages:
                if stage.barrier:
                    self.barrier(call)
                self.stage(stage, memory, call, fault)
            e.ret()

    # Arguments

    def arguments(self, pointer: Ssa) -> Call:
        """Load and test the call: a wrong one returns an error code from every shard alike."""
        e, plan = self.e, self.plan
        self.refuse_if(e.compare("eq", pointer, Ssa("ptr", "null")), ErrorCode.NULL_POINTER)
        version, *values = self.fields(pointer)
        call = Call(*values)
        self.refuse_if(e.compare("ne", version, abi.VERSION), ErrorCode.WRONG_ABI)
        if plan.batchable:
            self.refuse_if(e.compare("eq", call.images, 0), ErrorCode.WRONG_IMAGES)
        else:
            self.refuse_if(e.compare("ne", call.images, plan.images), ErrorCode.WRONG_IMAGES)
        self.refuse_if(e.compare("uge", call.shard, call.shards), ErrorCode.WRONG_SHARDS)
        self.refuse_if(e.compare("ugt", call.shards, plan.max_shards), ErrorCode.WRONG_SHARDS)
        self.refuse_null([call.inputs, call.outputs, call.workspace])
        if plan.weights:
            self.refuse_null([call.weights])
        arrays = [(call.inputs, len(plan.inputs)), (call.outputs, len(plan.outputs))]
        for array, count in arrays:
            self.refuse_null([self.element(array, index) for index in range(count)])
        for pointer in (call.workspace, call.weights):
            number = e.assign(e.index_type, f"ptrtoint ptr {pointer} to {e.index_type}")
            self.refuse_if(e.compare("ne", e.mask(number, abi.ALIGNMENT - 1), 0), ErrorCode.MISALIGNED)
        return call

    def fields(self, pointer: Ssa) -> Iterator[Ssa]:
        """Load the fields of a cnncc_call, in order."""
        e, pointer_bytes = self.e, self.plan.target.pointer_bits // 8
        offsets = abi.offsets(pointer_bytes)
        for field in abi.CALL:
            size = pointer_bytes if field.is_pointer else abi.WORD_BYTES
            yield e.load_type(_llvm_type(field), e.address(pointer, offsets[field.name], "i8"), size)

    def element(self, array: Ssa, index: int) -> Ssa:
        size = self.plan.target.pointer_bits // 8
        return self.e.load_type("ptr", self.e.address(array, index * size, "i8"), size)

    def refuse_null(self, pointers: Sequence[Ssa]) -> None:
        for pointer in pointers:
            self.refuse_if(self.e.compare("eq", pointer, Ssa("ptr", "null")), ErrorCode.NULL_POINTER)

    def refuse_if(self, condition: Ssa, code: ErrorCode) -> None:
        e = self.e
        refuse, proceed = e.fresh_label("refuse"), e.fresh_label("proceed")
        e.branch_if(condition, refuse, proceed)
        e.label(refuse)
        e.ret(Ssa("i32", str(code.value)))
        e.label(proceed)

    # Memory

    def widen(self, value: Ssa) -> Ssa:
        type = self.e.index_type
        return value if type == "i32" else self.e.assign(type, f"zext i32 {value} to {type}")

    # Schedule

    def barrier(self, call: Call) -> None:
        if not self.alone:
            barrier.call(self.e, call.workspace, call.shard, call.shards, call.wait, call.wait_argument)

    def share(self, units: int, grain: int, call: Call) -> tuple[Index, Index]:
        """This shard's units: of n = units / grain pieces [n·shard / shards, n·(shard + 1) / shards)."""
        e = self.e
        if self.alone:
            return 0, units
        shard, shards, pieces = self.widen(call.shard), self.widen(call.shards), -(-units // grain)
        ends = [e.mul(e.div(e.mul(at, pieces), shards), grain) for at in (shard, e.add(shard, 1))]
        return (ends[0], ends[1]) if units % grain == 0 else (e.least(ends[0], units), e.least(ends[1], units))

    def stage(self, stage: Stage, memory: Memory, call: Call, fault: Ssa) -> None:
        steps = [self.plan.steps[number] for number in stage.steps]
        if stage.alone and not self.alone:
            with self.e.when(self.e.compare("eq", call.shard, 0)):
                self.rows(stage, steps, 0, steps[-1].units, memory, fault)
        elif stage.each:
            self.rows(stage, steps, 0, steps[-1].units, memory, fault)
        else:
            self.rows(stage, steps, *self.share(steps[-1].units, steps[-1].grain, call), memory, fault)

    def rows(self, stage: Stage, steps: Sequence[Step], a: Index, b: Index, memory: Memory, fault: Ssa) -> None:
        """Rows (or whatever shards share) [a, b) of a stage."""
        if len(steps) == 1:
            self.run(stage.steps[0], a, b, memory, fault)
        else:
            self.stream(stage, steps, a, b, memory, fault)

    def run(self, number: int, a: Index, b: Index, memory: Memory, fault: Ssa) -> None:
        e, step = self.e, self.plan.steps[number]
        names = [view.buffer for view in step.views]
        arguments = [f"ptr {memory.base(name)}" for name in (*names, *step.tables)]
        arguments += [e.typed(a), e.typed(b)]
        if e.checked:
            arguments.append(f"ptr {fault}")
        call = f"call void {self.names[number]}({', '.join(arguments)})"
        if self.profiled:
            ticks.timed(e, call, memory.ticks(number))
        else:
            e.emit(call)

    def stream(self, stage: Stage, steps: Sequence[Step], a: Index, b: Index, memory: Memory, fault: Ssa) -> None:
        """Blocks of rows of the last step; the others keep just ahead of what is asked of them."""
        e = self.e
        begins: list[Index] = [a]
        pairs = list(itertools.pairwise(steps))
        for producer, step in reversed(pairs):
            stride, low, _, rows = step.row_need()
            begin = e.least(e.largest(e.sub(e.mul(begins[0], stride), low), 0), rows)
            begins.insert(0, e.mul(e.div(begin, producer.grain), producer.grain))
        done = [self.as_value(begin) for begin in begins[:-1]]
        with e.loop(a, b, stage.block, carry=done) as loop:
            ends: list[Index] = [e.least(e.add(loop.index, stage.block), b)]
            for producer, step in reversed(pairs):
                stride, low, extent, rows = step.row_need()
                last = e.largest(e.add(e.mul(e.sub(ends[0], 1), stride), extent - low), 0)
                whole = e.mul(e.div(e.add(last, producer.grain - 1), producer.grain), producer.grain)
                ends.insert(0, e.least(whole, rows))
            following = []
            for position, number in enumerate(stage.steps[:-1]):
                end = e.largest(ends[position], loop.values[position])
                self.run(number, loop.values[position], end, memory, fault)
                following.append(self.as_value(end))
            self.run(stage.steps[-1], loop.index, ends[-1], memory, fault)
            loop.next(following)

    def as_value(self, index: Index) -> Ssa:
        return index if isinstance(index, Ssa) else Ssa(self.e.index_type, str(index))


@dataclass
class Memory:
    """Where buffers begin, for one image and this shard.

    Addresses are computed at each use: keeping those of a whole network alive would cost registers and,
    with thousands of steps, minutes of register allocation.
    """

    program: Program
    call: Call
    image: Index

    def base(self, name: str) -> Ssa:
        """The first element of a buffer."""
        e, plan, call = self.program.e, self.program.plan, self.call
        buffer = plan.buffers[name]
        if buffer.space == "input":
            return self.of_image(self.program.element(call.inputs, buffer.place), plan.inputs[buffer.place])
        if buffer.space == "output":
            return self.of_image(self.program.element(call.outputs, buffer.place), plan.outputs[buffer.place])
        if buffer.space == "weights":
            return e.address(call.weights, buffer.place, "i8")
        if buffer.space == "arena":
            return e.address(call.workspace, plan.header_bytes + buffer.place, "i8")
        return self.own(buffer.place)

    def own(self, place: int) -> Ssa:
        """An address in the shard's own memory."""
        e, program = self.program.e, self.program
        begin = e.mul(program.widen(self.call.shard), program.shard_bytes)
        return e.address(self.call.workspace, e.add(begin, program.plan.workspace_base + place), "i8")

    def ticks(self, number: int) -> Ssa:
        """The cycle counter of a step."""
        return self.own(self.program.plan.shard_bytes + 8 * number)

    def of_image(self, base: Ssa, port: Interface) -> Ssa:
        """Inputs and outputs advance from image to image."""
        if not (self.program.plan.batchable and port.batched):
            return base
        element = "i8" if port.type.dtype is DType.uint8 else "float"
        return self.program.e.address(base, self.program.e.mul(self.image, port.elements(True)), element)
