"""Planned ops: the lowered ops of a program, each with its algorithm, and the memory order of every tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..computation import (
    Broadcast,
    Concatenate,
    ConstantPad,
    Contraction,
    Interleave,
    Permute,
    RowMajorReshape,
    StridedSlice,
    Take,
)
from ..machine.target import Target
from ..types import TensorType
from .candidates import Chosen, Split
from .kernels import Candidate, Convolution
from .lower import LoweredGraph, LoweredOp, Operand
from .tensors import Tensor, node_of
from .views import Order

VIEW_ARRANGEMENTS = (RowMajorReshape, Permute, StridedSlice, Take, Broadcast)
"""Arrangements whose result is a view of their operand, where strides and tables can express it."""
IN_PLACE_ARRANGEMENTS = (Concatenate, Interleave, ConstantPad)
"""Arrangements whose operands may be computed at their place in the result."""


@dataclass(frozen=True)
class PlannedOp:
    """A lowered op with its algorithm (contractions only) and the tensors that it reads, copies considered.

    A copy into another order is a concatenation of one operand. `chosen` tells how `kernel` was chosen, if there was a
    choice; `merged` is the kernel over spatial axes merged into one. `split` tells why it is not in the epilogue of the
    op before it, of which it is a part. `parts` are the jobs that one kernel computes fibre by fibre (see `sweeps`), of
    which `work` is the last.
    """

    work: LoweredOp
    operands: Sequence[Tensor]
    extras: Sequence[Operand] = ()
    kernel: Convolution | None = None
    merged: Chosen | None = None
    contraction: Contraction | None = None
    chosen: Chosen | None = None
    split: Split | None = None
    parts: Sequence[PlannedOp] = ()

    @property
    def result(self) -> Tensor:
        return self.work.result

    @property
    def members(self) -> Sequence[PlannedOp]:
        """The jobs that one kernel computes: its parts, or itself."""
        return self.parts or (self,)

    @property
    def reads(self) -> list[Tensor]:
        """Its operands, and those of its epilogue."""
        return [*self.operands, *(extra.tensor for extra in self.extras)]

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy: a concatenation of one operand has no other use."""
        return isinstance(self.work.computation, Concatenate) and len(self.operands) == 1


@dataclass(frozen=True)
class Layout:
    """The jobs of a program in order, with type and memory order of every tensor (those of `works`, and copies).

    `direct_outputs` maps a tensor to the output whose buffer it is computed into, `direct_updates` to the state.
    `offers` are the candidates of the kernels, by signature.
    """

    works: LoweredGraph
    target: Target
    jobs: Sequence[PlannedOp]
    types: Mapping[Tensor, TensorType]
    orders: Mapping[Tensor, Order]
    direct_outputs: Mapping[Tensor, str]
    offers: Mapping[str, tuple[Candidate, ...]]
    direct_updates: Mapping[Tensor, str] = field(default_factory=dict)

    @property
    def leaving(self) -> set[Tensor]:
        """The tensors that are computed in the caller's memory."""
        return {*self.direct_outputs, *self.direct_updates}

    def is_planar(self, tensor: Tensor) -> bool:
        """Whether a tensor lies in the logical order in memory."""
        return is_planar(self.types[tensor].shape, self.orders[tensor])


def layers_of(jobs: Sequence[PlannedOp]) -> list[tuple[str, ...]]:
    """For each job the nodes of the graph that it computes, the one that it belongs to first.

    A copy belongs to the first job that reads it, and to the node whose value it copies if none does.
    """
    first: dict[Tensor, PlannedOp] = {}
    for job in jobs:
        for tensor in job.reads:
            first.setdefault(tensor, job)
    return [_layers(job, first) for job in jobs]


def _layers(job: PlannedOp, readers: Mapping[Tensor, PlannedOp]) -> tuple[str, ...]:
    while job.is_copy and job.result in readers:
        job = readers[job.result]
    parts = [part.result for part in job.parts if part.result != job.result]
    own = job.operands[0] if job.is_copy else job.result
    return tuple(dict.fromkeys(map(node_of, (own, *parts))))


def is_planar(shape: Sequence[int], order: Order) -> bool:
    """Whether memory follows the logical order (as it also does where only one axis has a size)."""
    real = [axis for axis in order if shape[axis] > 1]
    return real == sorted(real)


def one_image(type: TensorType) -> TensorType:
    """The type of one of the images that a tensor has: the cycles of a layer are those of one as well."""
    return type.shaped((1, *type.shape[1:]))


def needed(layout: Layout) -> Layout:
    """The layout without the jobs that no output or update needs: jobs are in order, so one pass from the back does."""
    tensors = layout.leaving
    kept: list[PlannedOp] = []
    for job in reversed(layout.jobs):
        if job.result in tensors:
            kept.append(job)
            tensors.update(job.reads)
    return replace(layout, jobs=kept[::-1])
