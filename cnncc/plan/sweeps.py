"""Which jobs one kernel computes fibre by fibre: reductions over the same axes, and the expressions around them.

Softmax is four lowered ops, a normalisation six; each by itself reads a tensor and writes one. A group of them that
reduce the same axes of the same shape, and whose intermediate results nothing else reads, becomes one job: a *fibre*
(the elements of one position of the kept axes) passes through all of them while it lies in the first cache. With k
such ops over t bytes beyond it, this saves up to 2·(k − 1)·t bytes of traffic and k − 1 calls.

`fibres` has what one such kernel computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..computation import Arrangement, Pointwise
from .fibres import FibreProgram, Fibres, fibres_of
from .jobs import Layout, PlannedOp
from .tensors import Tensor

FARTHEST = 16  # jobs before and after a reduction among which its group is looked for


def swept(layout: Layout) -> Layout:
    """The layout with each group of jobs that pass over the same fibres as one job."""
    readers: dict[Tensor, set[Tensor]] = {}
    for job in layout.jobs:
        for tensor in job.reads:
            readers.setdefault(tensor, set()).add(job.result)
    jobs, at = list(layout.jobs), 0
    while at < len(jobs):
        fibres = fibres_of(jobs[at], layout.types)
        found = widest(layout, readers, jobs, at, fibres) if fibres else None
        if found:
            begin, end = found
            jobs[begin:end] = as_one(jobs[begin:end])
            at = begin
        at += 1
    return replace(layout, jobs=jobs)


def widest(
    layout: Layout, readers: Mapping[Tensor, set[Tensor]], jobs: Sequence[PlannedOp], at: int, fibres: Fibres
) -> tuple[int, int] | None:
    """The most jobs around number `at`, [begin, end), that can be one; arrangements may stand among them."""

    def passes(number: int) -> bool:
        near = 0 <= number < len(jobs) and abs(number - at) <= FARTHEST
        return near and (is_arrangement(jobs[number]) or fibres.hold(jobs[number], layout.types))

    begin = next(number for number in range(at, -2, -1) if not passes(number - 1))
    end = next(number for number in range(at, len(jobs) + 1) if not passes(number + 1)) + 1
    spans = ((first, last) for last in range(end, at, -1) for first in range(begin, at + 1))
    return next(((a, b) for a, b in spans if is_group(layout, readers, jobs[a:b], fibres)), None)


def is_arrangement(job: PlannedOp) -> bool:
    return isinstance(job.work.computation, Arrangement)


def is_group(layout: Layout, readers: Mapping[Tensor, set[Tensor]], run: Sequence[PlannedOp], fibres: Fibres) -> bool:
    """Whether only the last result of the jobs is read elsewhere, and they pass over whole fibres more than once.

    What is expensive and used in several sweeps has to find room in the target.
    """
    members = [job for job in run if not is_arrangement(job)]
    made = {job.result for job in members}
    if is_arrangement(run[0]) or is_arrangement(run[-1]):
        return False
    if not any(isinstance(j.work.computation, Pointwise) and layout.types[j.result].shape == fibres.shape for j in run):
        return False
    inner = made - {members[-1].result}
    if not all(tensor not in layout.leaving and readers[tensor] <= made for tensor in inner):
        return False
    return (
        all(aligned(job, inner) for job in members)
        and FibreProgram(members, layout.types, layout.target.core).holds_all
    )


def aligned(job: PlannedOp, inner: set[Tensor]) -> bool:
    """Whether a job reads results of its group axis by axis."""
    computation = job.work.computation
    if not isinstance(computation, Pointwise):
        return True
    pairs = zip(job.operands, computation.dims, strict=True)
    return all(tensor not in inner or dims == tuple(range(len(dims))) for tensor, dims in pairs)


def as_one(run: Sequence[PlannedOp]) -> Iterator[PlannedOp]:
    """The arrangements of a run, and then one job for all others."""
    members = [job for job in run if not is_arrangement(job)]
    yield from (job for job in run if is_arrangement(job))
    made = {job.result for job in members}
    reads = dict.fromkeys(tensor for job in members for tensor in job.reads if tensor not in made)
    yield PlannedOp(members[-1].work, list(reads), parts=tuple(members))
