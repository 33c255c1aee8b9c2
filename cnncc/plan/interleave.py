"""Interleaved parts that are computed apart: one move makes whole vectors of them.

The phases of a transposed convolution are parts that alternate along the spatial axes of its result (`Interleave`).
Computed at their place, every s-th element along the innermost axis of memory is stored by itself. Here the parts lie
one after the other instead, in the same order as before, and one move, which interleaves vectors in registers, brings
all of them to their places: at the bandwidth of a copy, for any stride and any kernel. Their own positions then follow
each other without a gap, so that rows that are no multiple of a vector waste no lanes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..computation import Computation, Concatenate, Interleave, Permute, RowMajorReshape
from ..machine.target import Target
from .cost import step, transfer
from .jobs import IN_PLACE_ARRANGEMENTS, VIEW_ARRANGEMENTS, Layout, PlannedOp
from .lower import LoweredOp
from .nests import Nest, nested
from .options import PlanOptions
from .tensors import Tensor
from .views import planar


def interleaved_apart(layout: Layout, options: PlanOptions) -> Layout:
    """The layout with such parts one after the other, where that is cheaper and memory need not be saved."""
    return layout if options.save_memory else Rewriting(layout).layout()


class Rewriting:
    """A layout with its tensors in `types` and `orders`, to which those of the rewritten one are added."""

    def __init__(self, given: Layout):
        self.given, self.types, self.orders = given, dict(given.types), dict(given.orders)
        self.makers = {job.result: job for job in given.jobs}
        self.readers = readers_of(given.jobs)

    def layout(self) -> Layout:
        """The layout with all nests that pay as one move each."""
        nests = {job.result: nest for job in self.given.jobs if (nest := self.nest_of(job)) and self.pays(job, nest)}
        gone = {tensor for nest in nests.values() for tensor in nest.joins}
        jobs: list[PlannedOp] = []
        for job in self.given.jobs:
            if job.result in nests:
                jobs += self.moved_together(job, nests[job.result])
            elif job.result not in gone:
                jobs.append(job)
        return replace(self.given, jobs=jobs, types=self.types, orders=self.orders)

    # Which parts

    def nest_of(self, job: PlannedOp) -> Nest | None:
        """The parts of a planar result, all of one shape, that would alternate along its innermost axis."""
        nest = nested(job.result, self.interleaved)
        if nest is None or not nest.axes or self.orders[job.result] != planar(self.types[job.result].rank):
            return None
        last = nest.axes[-1] == self.types[job.result].rank - 1
        own = all(map(self.is_own, nest.parts)) and len(set(nest.parts)) == len(nest.parts)
        alike = len({(self.types[part].shape, self.orders[part]) for part in nest.parts}) == 1
        return (
            nest
            if last and own and alike and not any(map(self.needs_place, self.readers.get(job.result, [])))
            else None
        )

    def interleaved(self, tensor: Tensor) -> tuple[int, Sequence[Tensor]] | None:
        job = self.makers.get(tensor)
        if job is None or not isinstance(job.work.computation, Interleave):
            return None
        return job.work.computation.axis, job.operands

    def is_own(self, part: Tensor) -> bool:
        """Whether a part is known, or computed by a job of its own for its place alone."""
        if part in self.given.works.constants:
            return True
        maker = self.makers.get(part)
        free = maker is not None and not isinstance(maker.work.computation, VIEW_ARRANGEMENTS)
        return free and part not in self.given.leaving and len(self.readers[part]) == 1

    def needs_place(self, reader: PlannedOp) -> bool:
        """Whether a reader wants the result inside of its own, or with a border: a moved tensor can have neither."""
        if isinstance(reader.work.computation, Interleave):
            return True
        if reader.kernel is not None:
            return reader.kernel.prefers_border and any(axis.reach != (0, 0) for axis in reader.kernel.window)
        return isinstance(reader.work.computation, IN_PLACE_ARRANGEMENTS) and not reader.is_copy

    def pays(self, job: PlannedOp, nest: Nest) -> bool:
        target, type = self.given.target, self.types[job.result]
        return dealt_out(target, type.size) < stored_one_by_one(target, type.size)

    # As one move

    def moved_together(self, job: PlannedOp, nest: Nest) -> Iterator[PlannedOp]:
        """The parts one after the other, (phases…, N, C, spatial…), and the phase of each axis moved behind it."""
        type, part = self.types[job.result], self.types[nest.parts[0]].shape
        phases = tuple(type.shape[axis] // part[axis] for axis in nest.axes)
        places = nest.behind(type.rank, first=0)
        split = (*phases, *part)
        steps: Sequence[tuple[Computation, tuple[int, ...]]] = (
            (Concatenate(0), (math.prod(phases) * part[0], *part[1:])),
            (RowMajorReshape(), split),
            (Permute(places), tuple(split[place] for place in places)),
        )
        operands = list(nest.parts)
        for number, (computation, shape) in enumerate(steps):
            made = Tensor("phases", (job.result,), (number,))
            self.types[made], self.orders[made] = type.shaped(shape), planar(len(shape))
            if isinstance(computation, Permute):
                self.orders[made] = tuple(places.index(axis) for axis in range(len(shape)))
            yield PlannedOp(LoweredOp(job.work.name, computation, operands, made), operands)
            operands = [made]
        yield replace(job, work=LoweredOp(job.work.name, RowMajorReshape(), operands, job.result), operands=operands)


def readers_of(jobs: Sequence[PlannedOp]) -> dict[Tensor, list[PlannedOp]]:
    """The jobs that read each tensor."""
    found: dict[Tensor, list[PlannedOp]] = {}
    for job in jobs:
        for tensor in dict.fromkeys(job.reads):
            found.setdefault(tensor, []).append(job)
    return found


def stored_one_by_one(target: Target, elements: int) -> float:
    """Cycles that elements cost beyond stores of whole vectors, if each is stored by itself."""
    return transfer.reordered(target.core, elements) * (1 - 1 / target.lanes)


def dealt_out(target: Target, elements: int) -> float:
    """Cycles of the move that interleaves them, to the second cache and beyond."""
    return step.moved(target.core, elements, target.lanes)
