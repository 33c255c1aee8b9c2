"""Which partial results windows along an axis share, and how many operations that takes.

A maximum may count a value twice, and in any order. So windows that overlap share what lies in all of them; before it
maxima grow from right to left, behind it from left to right, and each window joins one of either: three operations a
window, whatever its length (van Herk, *A fast algorithm for local minimum and maximum filters on rectangular and
octagonal kernels*, 1992; Gil and Werman, *Computing 2-D min, median, and max filters*, 1993).

A sum counts each value once, and where a range of windows begins must not decide how one of them is rounded. So it is
a sum of sums over 1, 2, 4, 8… neighbours, the same for every window: over 13 it is one over 8, one over 4 and one
value more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..cost.pooling import SHORT


def longer_part(taps: int) -> int:
    """The largest power of two below `taps`: the first part of a window of two taps or more."""
    return 1 << (taps - 1).bit_length() - 1


def overlapping(starts: Sequence[int], taps: int) -> Iterator[list[int]]:
    """Runs of ascending starts whose windows have a value in common: as many as overlap, or pairs of short windows."""
    group: list[int] = []
    for start in starts:
        if group and (start >= group[0] + taps or (taps < SHORT and len(group) == 2)):
            yield group
            group = []
        group.append(start)
    yield group


def maxima(starts: Sequence[int], taps: int) -> int:
    """Operations for the maxima of windows.

    Of g windows, the last d places behind the first, k − d values lie in all; d come before and d behind, and g − 1
    join both: k + d + g − 3 operations, or k − 1 for a single one.
    """
    groups = ((group[-1] - group[0], len(group)) for group in overlapping(starts, taps))
    return sum(taps - 1 if count == 1 else taps + distance + count - 3 for distance, count in groups)


def sums(starts: Sequence[int], taps: int) -> int:
    """Additions for the sums of windows."""
    found: set[tuple[int, int]] = set()

    def add(start: int, count: int) -> None:
        if count > 1 and (start, count) not in found:
            found.add((start, count))
            part = longer_part(count)
            add(start, part)
            add(start + part, count - part)

    for start in starts:
        add(start, taps)
    return len(found)


def doublings(taps: int, repeats: bool) -> int:
    """Operations a vector for windows along its lanes; where values may count twice, the last two parts overlap."""
    return (taps - 1).bit_length() if repeats else taps.bit_length() + taps.bit_count() - 2
