"""Updates of states, in place where that is safe: as soon as nothing else reads what a state was before.

All updates of a call happen at once, when everything has been computed from the states as they were. So the job that
computes an update writes to the state's own memory only if every other job that reads the state runs before it. It is
moved behind them, if what it computes is not read before that. Of the state it may itself read only the element that it
writes. Any other update is computed into a buffer of its own, and copied at the end. So gradients need not be kept
until all of them are known (as in Lin and others, *On-device training under 256KB memory*, 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..computation import Concatenate, Pointwise
from ..types import TensorType
from .jobs import IN_PLACE_ARRANGEMENTS, VIEW_ARRANGEMENTS, Layout, PlannedOp
from .lower import LoweredOp
from .tensors import Tensor
from .views import Order, planar


def updated_in_place(layout: Layout) -> Layout:
    """The layout with its updates in an order in which none changes what another job still reads."""
    return Updates(layout).ordered() if layout.direct_updates else layout


class Updates:
    """Decides update by update; `jobs` are in the order found so far, `written` the states with a final writer."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.jobs = list(layout.jobs)
        self.types: dict[Tensor, TensorType] = dict(layout.types)
        self.orders: dict[Tensor, Order] = dict(layout.orders)
        self.written: dict[str, Tensor] = {}
        self.state_of = states_behind(layout)

    def ordered(self) -> Layout:
        """The layout; copies of what could not be updated in place come last."""
        copies: list[PlannedOp] = []
        found: dict[Tensor, str] = {}
        for tensor, name in self.layout.direct_updates.items():
            written = tensor
            if self.in_place(tensor, name):
                self.written[name] = tensor
            else:
                copies.append(self.stored(tensor, name))
                written = copies[-1].result
            found[written] = name
        jobs = [*self.jobs, *copies]
        return replace(self.layout, jobs=jobs, types=self.types, orders=self.orders, direct_updates=found)

    def in_place(self, tensor: Tensor, name: str) -> bool:
        """Whether the job that computes an update writes to the state's memory; it then stands where it may."""
        at = next(number for number, job in enumerate(self.jobs) if job.result == tensor)
        job = self.jobs[at]
        readers = [number for number, other in enumerate(self.jobs) if number != at and self.reads(other, name)]
        behind = max((at, *readers))
        if not self.writes_where_it_reads(job, name) or not self.may_move(at, behind):
            return False
        self.jobs.insert(behind, self.jobs.pop(at))
        return True

    def reads(self, job: PlannedOp, name: str) -> bool:
        return any(self.state_of.get(tensor) == name for tensor in job.reads)

    def writes_where_it_reads(self, job: PlannedOp, name: str) -> bool:
        """Whether a job reads of a state nothing but the element that it writes, and writes nothing before it runs."""
        computation, shape = job.work.computation, self.types[job.result].shape
        if isinstance(computation, IN_PLACE_ARRANGEMENTS) and not job.is_copy:
            return False  # their operands are computed at their places, earlier
        if not self.reads(job, name):
            return True
        if not isinstance(computation, Pointwise) or job.parts:
            return False
        own = [
            (tensor, dims)
            for tensor, dims in zip(job.operands, computation.dims, strict=True)
            if self.state_of.get(tensor) == name
        ]
        state = self.layout.works.states[name]
        return all((tensor, self.types[tensor].shape) == (state, shape) and is_plain(dims) for tensor, dims in own)

    def may_move(self, at: int, behind: int) -> bool:
        """Whether the job at one place may stand at a later one.

        Nothing between may read its result, nor write a state that it reads.
        """
        job, between = self.jobs[at], self.jobs[at + 1 : behind + 1]
        held = {self.written[name] for tensor in job.reads if (name := self.state_of.get(tensor)) in self.written}
        return all(other.result not in held and job.result not in other.reads for other in between)

    def stored(self, tensor: Tensor, name: str) -> PlannedOp:
        """The copy of an update into the state."""
        copy = Tensor("stored", (name,))
        self.types[copy], self.orders[copy] = self.types[tensor], planar(self.types[tensor].rank)
        return PlannedOp(LoweredOp(str(copy), Concatenate(0), [tensor], copy), [tensor])


def states_behind(layout: Layout) -> Mapping[Tensor, str]:
    """For each tensor that may be a view of a state's memory, which one."""
    found = {tensor: name for name, tensor in layout.works.states.items()}
    for job in layout.jobs:
        if isinstance(job.work.computation, VIEW_ARRANGEMENTS) and job.operands[0] in found:
            found[job.result] = found[job.operands[0]]
    return found


def is_plain(dims: tuple[int, ...]) -> bool:
    """Whether an operand runs along the axes of the result in their order."""
    return dims == tuple(range(len(dims)))
