"""A search for NaN before maxima: without one, each maximum is one instruction and not three.

x · 0 is 0 or −0 unless x is NaN or infinite, and then it is NaN, and so is every sum with it. That is one multiply-add
for each vector. An infinity that is found does no harm: then the maxima that respect NaN are taken.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ..emitter import Emitter
from ..memory import Access
from ..nest import Carry, reduce_nest
from ..registers import Index, Ssa

CHAINS = 4  # sums side by side: each addition waits for the one before
UNROLLED = 32  # vectors in the code of a row


def all_finite(
    e: Emitter,
    source: Access,
    first: Sequence[Index],
    channels: int,
    rows: tuple[Index, Index],
    lane_axis: int,
    lanes: int,
) -> Ssa:
    """Whether all elements of some rows of an image are finite, of `channels` from (image, channel) `first` on."""
    sizes = [channels, 1, *source.view.shape[3:]]  # of what is searched in each row
    axis = lane_axis - 1
    counts = [-(-size // lanes) if at == axis else size for at, size in enumerate(sizes)]
    order = [at for at in range(len(sizes)) if at != axis] + [axis]
    zero = e.number(0.0, lanes)
    image, channel = first
    with e.loop(*rows, carry=[zero] * CHAINS) as row:

        def look(indices: list[Index], carry: Carry) -> Carry:
            place = [index for _, index in sorted(zip(order, indices, strict=True))]
            vector = e.mul(place[axis], lanes)
            place[axis] = e.least(vector, sizes[axis] - lanes) if sizes[axis] % lanes else vector
            at = source.offset([image, e.add(channel, place[0]), row.index, *place[2:]])
            return [*carry[1:], e.multiply_add(source.load(at, lane_axis, lanes), zero, carry[0])]

        row.next(reduce_nest(e, [counts[at] for at in order], row.values, 1, look, budget=UNROLLED))
    total = functools.reduce(functools.partial(e.binary, "add"), row.results)
    while (size := total.lanes) > 1:
        half = -(-size // 2)
        parts = e.shuffle(total, None, range(half)), e.shuffle(total, None, range(size - half, size))
        total = e.binary("add", *parts)
    return e.compare("==", total, e.number(0.0, 1))
