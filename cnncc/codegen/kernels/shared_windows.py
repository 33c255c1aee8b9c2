"""Windows over a row of values in registers, each reduced with what its neighbours have reduced already.

`plan/kernels/overlaps.py` says which partial results they share. What is joined is in order: where a maximum is 0, it
is the last zero of its window, whichever windows shared it, so that its sign does not depend on them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

from ...plan.kernels.overlaps import longer_part, overlapping
from ..registers import Ssa

Read = Callable[[int], Ssa]
Join = Callable[[Ssa, Ssa], Ssa]
"""Of a result and that of what follows: their sum, or the larger one, and of equal ones the second."""


def maxima(join: Join, read: Read, starts: Sequence[int], taps: int) -> Iterator[tuple[int, Ssa]]:
    """(start, maximum of the values from it on) for each of the ascending `starts`, as they are ready."""
    for group in overlapping(starts, taps):
        total = functools.reduce(join, map(read, range(group[-1], group[0] + taps)))
        before = {group[-1]: total}
        for start, later in zip(group[-2::-1], group[:0:-1], strict=True):
            for place in range(later - 1, start - 1, -1):
                total = join(read(place), total)
            before[start] = total
        yield group[0], total
        behind: Ssa | None = None
        for start, earlier in zip(group[1:], group, strict=False):
            for place in range(earlier + taps, start + taps):
                behind = read(place) if behind is None else join(behind, read(place))
            assert behind is not None
            yield start, join(before[start], behind)


def sums(join: Join, read: Read, starts: Sequence[int], taps: int) -> Iterator[tuple[int, Ssa]]:
    """(start, sum of the values from it on) for each of the ascending `starts`, as they are ready."""

    @functools.cache
    def total(start: int, count: int) -> Ssa:
        if count == 1:
            return read(start)
        part = longer_part(count)
        return join(total(start, part), total(start + part, count - part))

    for start in starts:
        yield start, total(start, taps)
