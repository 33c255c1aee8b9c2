"""The program of a plan: one function for each kernel and the entry points of the ABI (`cnncc/abi.py`).

`NAME_run` checks its arguments (equally in every shard, before the first barrier), then runs the schedule once for each
image, or for blocks of images (`Plan.block`): each shard computes its range of the rows of every step, and barriers
stand between dependent steps. It does not allocate, lock or call functions outside of the module, other than the
caller's `wait`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .. import abi
from ..abi import ErrorCode
from ..alignment import rounded_up
from ..plan.identity import Identity
from ..plan.image_tiles import tiled
from ..plan.plan import ImageBlock, ImageTile, Plan, Stage, Step
from . import barrier, cpu, ticks
from .call import BufferAddresses, CallFields, element, register
from .chain import Chain
from .emitter import Emitter
from .registers import BYTE, INT32, POINTER, Index, Ssa
from .segment import Segment, segments_of
from .step_function import step_function


def generate(e: Emitter, plan: Plan, identity: Identity, *, profiled: bool = False) -> str:
    """The module of a plan, in the text of `e`'s back end.

    With `profiled`, the program adds up the cycles of each step in the shard's own memory (see `tick_bytes`).
    """
    names = [step_function(e, plan, number, step) for number, step in enumerate(plan.steps)]
    together = {}
    if plan.block:
        images = plan.block.images
        together = {at: step_function(e, plan, at, step, images) for at, step in plan.block.steps.items()}
    if plan.target.atomics:
        barrier.emit(e)
    program = Program(e, plan, identity, names, together, profiled)
    program.emit()
    workspace_bytes(e, plan, identity.symbol, program.shard_bytes)
    cpu.emit_check(e, f"{identity.symbol}_check")
    return e.module()


def tick_bytes(plan: Plan) -> int:
    """Bytes that a profiled program appends to the memory of each shard: a 64-bit count of cycles for each step."""
    return rounded_up(8 * len(plan.steps))


def workspace_bytes(e: Emitter, plan: Plan, symbol: str, shard_bytes: int) -> None:
    """The function of that name: 0 for a number of shards that is not possible."""
    with e.function(f"{symbol}_workspace_bytes", [(INT32, "shards")], e.index_type) as (shards,):
        count = e.convert(shards, e.index_type, signed=False)
        size = e.value(e.add(e.mul(count, shard_bytes), plan.workspace_base))
        before = e.binary("subtract", shards, e.constant(1, INT32))  # of none, the largest number
        possible = e.compare("<", before, plan.max_shards, unsigned=True)
        e.ret(e.select(possible, size, e.constant(0, e.index_type)))


class Program:
    """Emits `NAME_run`. `names` are the functions of the steps, `together` those for a block of images."""

    def __init__(
        self,
        e: Emitter,
        plan: Plan,
        identity: Identity,
        names: Sequence[str],
        together: Mapping[int, str],
        profiled: bool = False,
    ):
        self.e, self.plan, self.identity, self.profiled = e, plan, identity, profiled
        self.names, self.together, self.segments = names, together, segments_of(plan)
        self.of_images = [segment for segment in self.segments if not segment.once]
        self.shard_bytes = plan.shard_bytes + (tick_bytes(plan) if profiled else 0)
        self.single_shard = True  # the code being emitted is that of a single shard

    def emit(self) -> None:
        """All segments, once for a single shard (no partition, no barriers) and once for several; then `run`."""
        e, plan = self.e, self.plan
        for self.single_shard in (True, False) if plan.target.atomics else (True,):
            for segment in self.segments:
                self.segment(segment)
                if segment.together:
                    self.block_segment(segment)
        with e.function(f"{self.identity.symbol}_run", [(POINTER, "call")], INT32) as (pointer,):
            call = self.arguments(pointer)
            images: Index = self.widen(call.images) if plan.batchable else 1
            self.ways(call, images)
            if plan.target.atomics:
                self.meet(call, self.field(pointer, "apart"))
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

    def meet(self, call: CallFields, apart: Ssa) -> None:
        """The shards end together, so the next call may begin as soon as one of them returns.

        With checks they always do: all return the same code. A caller that waits for all by itself, as the runtime
        does, spares them a barrier, which takes long where there are more shards than processors.
        """
        e, self.single_shard = self.e, False
        several, together = e.compare(">", call.shards, 1, unsigned=True), e.compare("==", apart, 0)
        with e.when(several if e.checked else e.binary("and", several, together)):
            self.barrier(call)

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
        """What runs once, then every other segment for every image; first the blocks of images, if there are any."""
        e = self.e
        for segment in self.segments:
            if segment.once:
                self.call_segment(segment, call, 0, 0)
        first: Index = self.blocks(call, images, self.plan.block) if self.plan.block else 0
        with e.loop(first, images) as image:
            if self.plan.batchable:
                self.barrier_unless_first(call, image.index)
            for segment in self.of_images:
                self.call_segment(segment, call, image.index, 0)

    def barrier_unless_first(self, call: CallFields, image: Index) -> None:
        """A barrier before an image, or a block of them, that reuses the arena."""
        if not self.single_shard:
            with self.e.when(self.e.compare("!=", image, 0)):
                self.barrier(call)

    def blocks(self, call: CallFields, images: Index, block: ImageBlock) -> Index:
        """All blocks of images that are large enough; returns the number of images in them."""
        e = self.e
        count = e.div(e.add(images, block.images - block.least), block.images)
        with e.loop(0, count) as number:
            self.barrier_unless_first(call, number.index)
            first = e.mul(number.index, block.images)
            members = e.least(e.sub(images, first), block.images)
            for together, segments in itertools.groupby(self.of_images, lambda segment: segment.together):
                if together:
                    for segment in segments:
                        e.call(self.block_name(segment), [*vars(call).values(), e.value(first), e.value(members)])
                else:
                    self.one_by_one(list(segments), call, first, members)
        return e.least(e.mul(count, block.images), images)

    def one_by_one(self, segments: Sequence[Segment], call: CallFields, first: Index, members: Index) -> None:
        """Some segments for each image of a block."""
        e = self.e
        with e.loop(0, members) as member:
            self.barrier_unless_first(call, member.index)
            for segment in segments:
                self.call_segment(segment, call, e.add(first, member.index), member.index)

    def call_segment(self, segment: Segment, call: CallFields, image: Index, member: Index) -> None:
        """Call the function of a segment for an image, which is number `member` of its block."""
        e, arguments = self.e, [*vars(call).values(), self.e.value(image)]
        if self.counts_members(segment):
            arguments.append(e.value(member))
        e.call(self.segment_name(segment), arguments)

    def counts_members(self, segment: Segment) -> bool:
        """Whether the function of a segment is called for several images of a block."""
        return self.plan.block is not None and not segment.together

    def segment_name(self, segment: Segment) -> str:
        return f"segment{segment.number}{'_alone' if self.single_shard else ''}"

    def block_name(self, segment: Segment) -> str:
        return f"block{segment.number}{'_alone' if self.single_shard else ''}"

    @contextmanager
    def segment_function(self, name: str, *numbers: str) -> Iterator[tuple[CallFields, list[Ssa], Ssa]]:
        """A function of a call and some numbers; yields them, and the address of the fault word."""
        e = self.e
        parameters = [(register(field), field.name) for field in abi.CALL[3:]]
        parameters += [(e.index_type, number) for number in numbers]
        with e.function(name, parameters, internal=True) as values:
            call = CallFields(*values[: len(values) - len(numbers)])
            yield call, list(values[len(values) - len(numbers) :]), e.address(call.workspace, abi.FAULT_STEP, BYTE)
            e.ret()

    def segment(self, segment: Segment) -> None:
        """A function that runs some stages for one image and shard."""
        numbers = ("image", "member") if self.counts_members(segment) else ("image",)
        with self.segment_function(self.segment_name(segment), *numbers) as (call, (image, *member), fault):
            memory = self.memory(call, image, *member)
            for first, *others in tiled(segment.stages):
                if first.barrier:
                    self.barrier(call)
                if others and first.tile:
                    self.tiles([first, *others], first.tile, memory, call, fault)
                else:
                    self.stage(first, memory, call, fault)

    def block_segment(self, segment: Segment) -> None:
        """A function that runs some stages for a block of images and a shard.

        Barriers were found for stages that divide one image. Where shards divide the images, others are around.
        """
        with self.segment_function(self.block_name(segment), "first", "members") as (call, (first, members), fault):
            memory = self.memory(call, first)
            for stage in segment.stages:
                if stage.barrier or stage.shared:
                    self.barrier(call)
                self.stage_of_block(stage.steps[0], stage, memory, call, fault, members)
                if stage.shared:
                    self.barrier(call)

    # Arguments

    def arguments(self, pointer: Ssa) -> CallFields:
        """Load and test the call: for a wrong one every shard returns the same error code."""
        e, plan = self.e, self.plan
        self.refuse_if(e.compare("==", pointer, e.null()), ErrorCode.NULL_POINTER)
        self.refuse_unless(self.field(pointer, "abi"), abi.VERSION, ErrorCode.WRONG_ABI)
        fingerprint = self.identity.fingerprint
        self.refuse_unless(self.field(pointer, "fingerprint"), fingerprint, ErrorCode.WRONG_FINGERPRINT)
        call = CallFields(**{field.name: self.field(pointer, field.name) for field in abi.CALL[3:]})
        if plan.batchable:
            self.refuse_if(e.compare("==", call.images, 0), ErrorCode.WRONG_IMAGES)
        else:
            self.refuse_if(e.compare("!=", call.images, plan.images), ErrorCode.WRONG_IMAGES)
        self.refuse_if(e.compare(">=", call.shard, call.shards, unsigned=True), ErrorCode.WRONG_SHARDS)
        self.refuse_if(e.compare(">", call.shards, plan.max_shards, unsigned=True), ErrorCode.WRONG_SHARDS)
        self.refuse_null([call.inputs, call.outputs, call.workspace])
        if plan.weights:
            self.refuse_null([call.weights])
        states = len(plan.outputs) if plan.states else None
        arrays = [(call.inputs, len(plan.inputs)), (call.outputs, len(plan.outputs) + (states is not None))]
        for array, count in arrays:
            self.refuse_null([element(self.e, plan, array, index) for index in range(count)])
        blocks = [] if states is None else [element(e, plan, call.outputs, states)]
        for pointer in (call.workspace, call.weights, *blocks):
            self.refuse_if(
                e.compare("!=", e.mask(e.address_number(pointer), plan.target.alignment - 1), 0), ErrorCode.MISALIGNED
            )
        if plan.weights:
            word = e.load(INT32, e.address(call.weights, self.identity.number * abi.WORD_BYTES, BYTE))
            self.refuse_unless(word, fingerprint, ErrorCode.WRONG_FINGERPRINT)
        return call

    def field(self, pointer: Ssa, name: str) -> Ssa:
        """Load a field of a cnncc_call."""
        place = abi.offsets(self.plan.target.pointer_bits // 8)[name]
        return self.e.load(register(abi.CALL_FIELDS[name]), self.e.address(pointer, place, BYTE))

    def refuse_unless(self, value: Ssa, expected: int, code: ErrorCode) -> None:
        self.refuse_if(self.e.compare("!=", value, self.e.constant(expected, INT32)), code)

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

    def memory(self, call: CallFields, image: Index, member: Index = 0) -> BufferAddresses:
        return BufferAddresses(self.e, self.plan, self.shard_bytes, call, image, member)

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
        ends = self.divided(-(-units // granularity), granularity, call)
        return (ends[0], ends[1]) if units % granularity == 0 else (e.least(ends[0], units), e.least(ends[1], units))

    def share_of_block(self, rows: Index, grain: int, call: CallFields) -> tuple[Index, Index]:
        """This shard's rows of a block of images: as `share`, but the last shard takes the rows of no whole partition.

        So no shard has fewer rows than the lowest tile, unless it has none.
        """
        e = self.e
        if self.single_shard:
            return 0, rows
        begin, end = self.divided(e.largest(e.div(rows, grain), 1), grain, call)
        last = e.compare("==", e.add(self.widen(call.shard), 1), self.widen(call.shards))
        return begin, e.choose(last, rows, end)

    def divided(self, pieces: Index, granularity: int, call: CallFields) -> list[Index]:
        """Where this shard's partitions begin and end, in units."""
        e, shard, shards = self.e, self.widen(call.shard), self.widen(call.shards)
        return [e.mul(e.div(e.mul(at, pieces), shards), granularity) for at in (shard, e.add(shard, 1))]

    def stage(self, stage: Stage, memory: BufferAddresses, call: CallFields, fault: Ssa) -> None:
        """A stage for one image."""
        steps = [self.plan.steps[number] for number in stage.steps]
        with self.computing(stage, call):
            units, granularity = steps[-1].units, steps[-1].granularity
            a, b = self.share(units, granularity, call) if stage.shared else (0, units)
            self.rows(stage, steps, a, b, memory, fault)

    def tiles(
        self, stages: Sequence[Stage], tile: ImageTile, memory: BufferAddresses, call: CallFields, fault: Ssa
    ) -> None:
        """Stages that divide images, for a few of this shard's images at a time."""
        e = self.e
        a, b = self.share(self.plan.steps[tile.first].units, 1, call)
        with e.loop(a, b, tile.images) as loop:
            end = e.least(e.add(loop.index, tile.images), b)
            for stage in stages:
                self.run_step(stage.steps[0], loop.index, end, memory, fault)

    def stage_of_block(
        self, number: int, stage: Stage, memory: BufferAddresses, call: CallFields, fault: Ssa, members: Index
    ) -> None:
        """The only step of a stage for a block of images: its rows are the positions of all of them."""
        assert self.plan.block is not None, "only a plan with blocks has such stages"
        step = self.plan.block.steps[number]
        with self.computing(stage, call):
            rows = self.e.mul(members, self.plan.block.positions(number))
            a, b = self.share_of_block(rows, step.granularity, call) if stage.shared else (0, rows)
            self.run(number, step, self.together[number], a, b, memory, fault)

    def computing(self, stage: Stage, call: CallFields) -> AbstractContextManager[None]:
        """Code that only the shards run which compute a stage."""
        if stage.single_shard and not self.single_shard:
            return self.e.when(self.e.compare("==", call.shard, 0))
        return nullcontext()

    def rows(
        self, stage: Stage, steps: Sequence[Step], a: Index, b: Index, memory: BufferAddresses, fault: Ssa
    ) -> None:
        """Rows (or other units that shards divide) [a, b) of a stage."""
        if len(steps) == 1:
            self.run_step(stage.steps[0], a, b, memory, fault)
        else:
            Chain(self.e, stage, steps, lambda number, a, b: self.run_step(number, a, b, memory, fault)).rows(a, b)

    def run_step(self, number: int, a: Index, b: Index, memory: BufferAddresses, fault: Ssa) -> None:
        self.run(number, self.plan.steps[number], self.names[number], a, b, memory, fault)

    def run(
        self, number: int, step: Step, function: str, a: Index, b: Index, memory: BufferAddresses, fault: Ssa
    ) -> None:
        """Call the function of a step."""
        e = self.e
        names = [view.buffer for view in step.views]
        arguments = [memory.base(name) for name in (*names, *step.tables)]
        arguments += [e.value(a), e.value(b)]
        if e.checked:
            arguments.append(fault)
        with ticks.timed(e, memory.ticks(number)) if self.profiled else nullcontext():
            e.call(function, arguments)
