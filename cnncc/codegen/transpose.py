"""Vectors transposed in registers, by shuffles of two vectors."""

from __future__ import annotations

from collections.abc import Sequence

from .emitter import Emitter
from .registers import Ssa


def transpose(e: Emitter, rows: Sequence[Ssa]) -> list[Ssa]:
    """A square of n vectors of n lanes (n a power of two) transposed by log2 n rounds of shuffles.

    The round with distance d exchanges lanes that differ in bit d between rows that differ in bit d.
    """
    rows = list(rows)
    n = len(rows)
    distance = n // 2
    while distance:
        following = list(rows)
        low = [lane if not lane & distance else n + lane - distance for lane in range(n)]
        high = [lane + distance if not lane & distance else n + lane for lane in range(n)]
        for row in range(n):
            if not row & distance:
                a, b = rows[row], rows[row + distance]
                following[row] = e.shuffle(a, b, low)
                following[row + distance] = e.shuffle(a, b, high)
        rows = following
        distance //= 2
    return rows


def dealt_out(e: Emitter, rows: Sequence[Ssa]) -> list[Ssa]:
    """The first lanes of all n vectors, then the second ones…: n vectors again.

    An even n takes two halves by themselves and then pairs, so 2, 4 and 8 vectors take 1, 2 and 3 shuffles each; an odd
    one n − 1.
    """
    n, lanes = len(rows), rows[0].lanes
    if n % 2 == 0 and n > 2:
        pairs = zip(dealt_out(e, rows[::2]), dealt_out(e, rows[1::2]), strict=True)
        return [vector for pair in pairs for vector in dealt_out(e, pair)]
    return [picked(e, rows, [(at % n, at // n) for at in range(begin, begin + lanes)]) for begin in _begins(n, lanes)]


def collected(e: Emitter, vectors: Sequence[Ssa]) -> list[Ssa]:
    """Every n-th lane of n vectors in a row, from the first on, from the second on…: the inverse of `dealt_out`."""
    n, lanes = len(vectors), vectors[0].lanes
    if n % 2 == 0 and n > 2:
        halves = [collected(e, vectors[at : at + 2]) for at in range(0, n, 2)]
        evens, odds = (collected(e, [half[odd] for half in halves]) for odd in (0, 1))
        return [vector for pair in zip(evens, odds, strict=True) for vector in pair]
    return [picked(e, vectors, [divmod(first + n * lane, lanes) for lane in range(lanes)]) for first in range(n)]


def _begins(n: int, lanes: int) -> range:
    return range(0, n * lanes, lanes)


def picked(e: Emitter, vectors: Sequence[Ssa], places: Sequence[tuple[int, int]]) -> Ssa:
    """The lanes (vector, lane) of equally long vectors, by one shuffle for each vector but the first of those named."""
    lanes = vectors[0].lanes
    first, *others = sorted({vector for vector, _ in places})
    if not others:
        return e.shuffle(vectors[first], None, [lane for _, lane in places])
    known, found = vectors[first], [lane if vector == first else -1 for vector, lane in places]
    for second in others:
        order = [
            lanes + lane if vector == second else place for place, (vector, lane) in zip(found, places, strict=True)
        ]
        known, found = (
            e.shuffle(known, vectors[second], order),
            [at if place >= 0 else -1 for at, place in enumerate(order)],
        )
    return known
