"""Bufferization: for every tensor of a layout a buffer of its own, a subview of another tensor, or a view of one.

A slice of a tensor, a reshaped tensor and the operands of a concatenation are views of one buffer
wherever strides and tables can express them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..alignment import rounded_up
from ..computation import Concatenate, ConstantPad, Interleave, Reduction, RowMajorReshape, StridedSlice
from ..elements import FLOAT32, WIDEST_BYTES
from ..machine.target import Target
from ..types import TensorType
from .fibres import FibreProgram
from .jobs import IN_PLACE_ARRANGEMENTS, VIEW_ARRANGEMENTS, Layout, PlannedOp
from .tensors import Tensor
from .views import Border, Buffer, Order, same_axes


@dataclass(frozen=True)
class Subview:
    """A tensor that lies inside another one: from `begins` on, every `steps`-th element of each axis."""

    tensor: Tensor
    begins: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Bufferization:
    """The decisions about the buffers of a layout; the views follow from them.

    `callers` are the tensors in the caller's buffers. `inside` are those computed at their place inside another
    tensor, `reshaped` those whose buffer is read under other axes, `summed` those along whose merged axes sums are
    taken. `borders` are the borders of the arena's buffers. `links` will become rings of rows.
    """

    layout: Layout
    links: frozenset[Tensor]
    callers: Mapping[Tensor, Buffer]
    inside: Mapping[Tensor, Subview]
    reshaped: frozenset[Tensor] = frozenset()
    summed: frozenset[Tensor] = frozenset()
    borders: Mapping[Tensor, Border] = field(default_factory=dict)

    @property
    def types(self) -> Mapping[Tensor, TensorType]:
        return self.layout.types

    @property
    def orders(self) -> Mapping[Tensor, Order]:
        return self.layout.orders

    @cached_property
    def makers(self) -> dict[Tensor, PlannedOp]:
        """The job that computes each tensor."""
        return {job.result: job for job in self.layout.jobs}

    def root(self, tensor: Tensor) -> tuple[Tensor, bool]:
        """The tensor whose buffer holds `tensor`, and whether its spatial axes are the same."""
        if tensor in self.inside:
            root, same = self.root(self.inside[tensor].tensor)
            return root, same and self.types[tensor].shape[2:] == self.types[root].shape[2:]
        maker = self.makers.get(tensor)
        if maker and isinstance(maker.work.computation, VIEW_ARRANGEMENTS) and tensor not in self.callers:
            root, same = self.root(maker.operands[0])
            plain = isinstance(maker.work.computation, StridedSlice) and maker.work.computation.axis < 2
            return root, same and plain
        return tensor, True


def bufferize(layout: Layout, links: frozenset[Tensor]) -> Bufferization:
    """The buffers of all tensors, without borders (see `borders`)."""
    callers = callers_buffers(layout)
    bufferization = Bufferization(layout, links, callers, joined_in_place(layout, callers))
    shapes = (
        job
        for job in layout.jobs
        if isinstance(job.work.computation, RowMajorReshape)
        and not same_axes(layout.types[job.operands[0]].shape, layout.types[job.result].shape)
    )
    return replace(
        bufferization,
        reshaped=frozenset(bufferization.root(job.result)[0] for job in shapes),
        summed=frozenset(bufferization.root(tensor)[0] for tensor in summed_along_merged_axes(layout)),
    )


def callers_buffers(layout: Layout) -> dict[Tensor, Buffer]:
    """The caller's buffers, by the tensors that lie there: inputs, outputs computed in place, old and new states."""
    works, types = layout.works, layout.types
    found = {
        tensor: Buffer(name, "input", types[tensor].size, place, dtype=types[tensor].dtype)
        for place, (name, tensor) in enumerate(works.inputs.items())
        if tensor in types
    }
    produced = {output: tensor for tensor, output in layout.direct_outputs.items()}
    for output in works.outputs:
        tensor, place = produced[output], works.places[output]
        found[tensor] = Buffer(f"{output} (output)", "output", types[tensor].size, place, dtype=types[tensor].dtype)
    held = {name: types[tensor] for name, tensor in works.states.items()}
    offsets, _ = state_offsets(held, layout.target)
    states = [(tensor, name) for name, tensor in works.states.items()] + list(layout.direct_updates.items())
    for tensor, name in states:
        found[tensor] = Buffer(f"{name} (state)", "state", held[name].size, offsets[name], dtype=held[name].dtype)
    return found


def state_offsets(types: Mapping[str, TensorType], target: Target) -> tuple[dict[str, int], int]:
    """Where each state begins in the block of all states, in bytes, and the size of the block.

    Each begins at a multiple of a vector, so that a load of one meets one line of the cache.
    """
    offsets: dict[str, int] = {}
    end = 0
    for name, type in types.items():
        offsets[name] = rounded_up(end, max(target.lanes * FLOAT32.bytes, WIDEST_BYTES))
        end = offsets[name] + type.nbytes
    return offsets, end


def joined_in_place(layout: Layout, callers: Mapping[Tensor, Buffer]) -> dict[Tensor, Subview]:
    """Operands of concatenations, and the like, that can be computed at their place in the result."""
    makers = {job.result: job for job in layout.jobs}
    free = {
        name for name, job in makers.items() if not isinstance(job.work.computation, VIEW_ARRANGEMENTS)
    } - callers.keys()
    found: dict[Tensor, Subview] = {}
    for job in layout.jobs:
        if isinstance(job.work.computation, IN_PLACE_ARRANGEMENTS) and not job.is_copy:
            for tensor, place in zip(job.operands, places(job, layout.types), strict=True):
                if tensor in free and layout.orders[tensor] == layout.orders[job.result]:
                    found.setdefault(tensor, place)
    return found


def places(job: PlannedOp, types: Mapping[Tensor, TensorType]) -> list[Subview]:
    """Where each operand of a job lies in its result."""
    computation, rank = job.work.computation, types[job.result].rank
    every = (1,) * rank
    if isinstance(computation, ConstantPad):
        return [Subview(job.result, computation.begins, every)]
    assert isinstance(computation, Concatenate | Interleave)
    axis, found, begin = computation.axis, [], 0
    for number, tensor in enumerate(job.operands):
        if isinstance(computation, Interleave):
            begins, steps = _on_axis(rank, axis, number, 0), _on_axis(rank, axis, len(job.operands), 1)
        else:
            begins, steps = _on_axis(rank, axis, begin, 0), every
            begin += types[tensor].shape[axis] if rank else 1
        found.append(Subview(job.result, begins, steps))
    return found


def _on_axis(rank: int, axis: int, value: int, others: int) -> tuple[int, ...]:
    """`value` on one axis, `others` on the rest."""
    return tuple(value if each == axis else others for each in range(rank))


def summed_along_merged_axes(layout: Layout) -> Iterator[Tensor]:
    """What jobs read that reduce the two innermost axes of memory: their lanes lie along both as along one.

    A border would part the axes, and the sum would be added in another order.
    """
    for job in layout.jobs:
        reductions = (part for part in job.members if isinstance(part.work.computation, Reduction))
        if any(reduces_innermost(layout, part) for part in reductions):
            yield from job.reads
            if job.parts and FibreProgram(job.parts, layout.types, layout.target.core).held:
                yield job.result


def reduces_innermost(layout: Layout, job: PlannedOp) -> bool:
    """Whether a reduction reduces the two innermost axes of its source, those of one element left out."""
    assert isinstance(job.work.computation, Reduction)
    shape, order = layout.types[job.operands[0]].shape, layout.orders[job.operands[0]]
    innermost = [axis for axis in order if shape[axis] > 1][-2:]
    return len(innermost) > 1 and set(innermost) <= set(job.work.computation.axes)
