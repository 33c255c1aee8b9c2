"""The order within rows: each row by the mean place of its neighbours, downwards and upwards in turns.

Of all orders the one with the fewest crossings stays; the way there and back ends when it gets no better.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise

from .ranks import Rows

ROUNDS = 12


def ordered(rows: Rows) -> list[list[int]]:
    """The vertices of each row from left to right."""
    current = [list(row) for row in rows.rows]
    best, least = current, crossings(rows, current)
    for number in range(ROUNDS):
        if not least:
            break
        current = _downwards(current, rows.above) if number % 2 == 0 else _upwards(current, rows.below)
        found = crossings(rows, current)
        if found < least:
            best, least = current, found
    return best


def crossings(rows: Rows, order: Sequence[Sequence[int]]) -> int:
    """How many pairs of edges cross."""
    return sum(_crossings(upper, lower, rows.below) for upper, lower in pairwise(order))


def _crossings(upper: Sequence[int], lower: Sequence[int], below: Mapping[int, Sequence[int]]) -> int:
    """Edges by their upper end: each crosses those before it that end further right."""
    place = {vertex: number for number, vertex in enumerate(lower)}
    ends: list[int] = []
    total = 0
    for vertex in upper:
        own = sorted(place[other] for other in below.get(vertex, ()))
        total += sum(len(ends) - bisect_right(ends, end) for end in own)
        for end in own:
            insort(ends, end)
    return total


def _downwards(order: Sequence[Sequence[int]], above: Mapping[int, Sequence[int]]) -> list[list[int]]:
    result = [list(order[0])]
    for row in order[1:]:
        result.append(_by_neighbours(row, result[-1], above))
    return result


def _upwards(order: Sequence[Sequence[int]], below: Mapping[int, Sequence[int]]) -> list[list[int]]:
    result = [list(order[-1])]
    for row in reversed(order[:-1]):
        result.append(_by_neighbours(row, result[-1], below))
    return result[::-1]


def _by_neighbours(row: Sequence[int], known: Sequence[int], neighbours: Mapping[int, Sequence[int]]) -> list[int]:
    """`row` by the mean place of its neighbours; who has none keeps its own place."""
    place = {vertex: number / max(1, len(known) - 1) for number, vertex in enumerate(known)}
    wanted: dict[int, float] = {}
    for number, vertex in enumerate(row):
        near = [place[other] for other in neighbours.get(vertex, ())]
        wanted[vertex] = sum(near) / len(near) if near else number / max(1, len(row) - 1)
    return sorted(row, key=lambda vertex: wanted[vertex])
