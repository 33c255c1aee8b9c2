"""A reduction over images and positions of each is one over positions, then one over images.

A sum over a whole batch has few results, often one vector of channels, and shards divide results: one shard computed it
while the others waited. The sums of single images are as many as there are images, which shards divide, and what is
left to one shard is an addition for each image. The bound of a sum holds in any order; this one is the plan's, and the
same for any number of shards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..computation import Reduction, replaced
from .cost.parallel import LONG_SUM
from .jobs import Layout, PlannedOp
from .lower import LoweredOp
from .plan import most_shards
from .sweeps import as_one
from .tensors import Tensor

COMBINED = ("add", "maximum", "minimum")  # in any order, within the bound


def images_last(layout: Layout) -> Layout:
    """The layout in which long sums over images add up the sums of single images."""
    if most_shards(layout.target) == 1:
        return layout
    jobs, types, orders = list[PlannedOp](), dict(layout.types), dict(layout.orders)
    for job in layout.jobs:
        place = long_sum(layout, job)
        if place is None:
            jobs.append(job)
            continue
        total = job.members[place]
        each = Tensor("each image", (total.result,))
        (source,), kept = total.operands, types[total.result]
        types[each] = kept.shaped(replaced(kept.shape, 0, types[source].shape[0]))
        orders[each] = orders[total.result]
        jobs += divided(job, place, each)
    return replace(layout, jobs=jobs, types=types, orders=orders)


def long_sum(layout: Layout, job: PlannedOp) -> int | None:
    """Which member of a job is such a sum: the only reduction, which no value of all elements follows.

    Sweeps with lanes along a fibre have a unit for each few fibres; they stay as they are.
    """
    reductions = [n for n, member in enumerate(job.members) if isinstance(member.work.computation, Reduction)]
    if len(reductions) != 1:
        return None
    total = job.members[reductions[0]]
    c, source = total.work.computation, total.operands[0]
    assert isinstance(c, Reduction)
    if layout.types[job.result].shape != layout.types[total.result].shape or not is_long(c, layout.types[source].shape):
        return None
    along = layout.orders[source][-1] in c.axes
    return None if along and job.parts else reductions[0]


def is_long(c: Reduction, shape: Sequence[int]) -> bool:
    """Whether it reduces many elements, of several images and several positions of each, to several results."""
    positions = math.prod(shape[axis] for axis in c.axes if axis)
    results = math.prod(size for axis, size in enumerate(shape) if axis not in c.axes)
    several = 0 in c.axes and min(shape[0], positions, results) > 1
    return c.combine in COMBINED and several and math.prod(shape) >= LONG_SUM


def divided(job: PlannedOp, place: int, each: Tensor) -> Iterator[PlannedOp]:
    """The sum of each image, with the expressions before it; the sum over images; what follows."""
    *before, total = job.members[: place + 1]
    c, work = total.work.computation, total.work
    assert isinstance(c, Reduction)
    inner = replace(c, axes=tuple(axis for axis in c.axes if axis))
    first = replace(total, work=replace(work, computation=inner, result=each))
    yield from as_one([*before, first]) if before else [first]
    yield PlannedOp(LoweredOp(work.name, replace(c, axes=(0,)), [each], work.result), [each])
    yield from job.members[place + 1 :]
