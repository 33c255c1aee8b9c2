"""A reduction over images and positions of each is one over positions, then one over images.

A sum over a whole batch has few results, often one vector of channels, and shards divide results: one shard computed it
while the others waited. The sums of single images are as many as there are images, which shards divide, and what is
left to one shard is an addition for each image. The bound of a sum holds in any order; this one is the plan's, and the
same for any number of shards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from ..computation import Reduction
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
        total = (job.parts or [job])[place]
        each = Tensor("each image", (total.result,))
        (source,), kept = total.operands, types[total.result]
        types[each], orders[each] = kept.shaped((types[source].shape[0], *kept.shape[1:])), orders[total.result]
        jobs += divided(job, place, each)
    return replace(layout, jobs=jobs, types=types, orders=orders)


def long_sum(layout: Layout, job: PlannedOp) -> int | None:
    """Which part of a job is such a sum, if nothing follows it that has more than its results.

    Sweeps with lanes along a fibre have a unit for each few fibres; they stay as they are.
    """
    parts = job.parts or [job]
    sums = [number for number, part in enumerate(parts) if isinstance(part.work.computation, Reduction)]
    if len(sums) != 1:
        return None
    total = parts[sums[0]]
    c, shape = total.work.computation, layout.types[total.operands[0]].shape
    assert isinstance(c, Reduction)
    positions = math.prod(shape[axis] for axis in c.axes if axis)
    results = math.prod(size for axis, size in enumerate(shape) if axis not in c.axes)
    if (
        c.combine not in COMBINED
        or 0 not in c.axes
        or 1 in (shape[0], positions, results)
        or math.prod(shape) < LONG_SUM
    ):
        return None
    across = layout.orders[total.operands[0]][-1] not in c.axes
    same = layout.types[job.result].shape == layout.types[total.result].shape
    return sums[0] if same and (across or not job.parts) else None


def divided(job: PlannedOp, place: int, each: Tensor) -> Iterator[PlannedOp]:
    """The sum of each image, with the expressions before it; the sum over images; what follows."""
    *before, total = (job.parts or [job])[: place + 1]
    c, work = total.work.computation, total.work
    assert isinstance(c, Reduction)
    inner = replace(c, axes=tuple(axis for axis in c.axes if axis))
    first = replace(total, work=replace(work, computation=inner, result=each))
    yield from as_one([*before, first]) if before else [first]
    yield PlannedOp(LoweredOp(work.name, replace(c, axes=(0,)), [each], work.result), [each])
    yield from (job.parts or [job])[place + 1 :]
