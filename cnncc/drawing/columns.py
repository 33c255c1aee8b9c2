"""Where in its row a vertex stands: below and above its neighbours, as far as the boxes beside it let it.

The best places of one row are those with the smallest sum of squared distances to what each vertex wishes, in their
order and apart from each other. That is an isotonic regression, which pooling adjacent violators solves exactly (Ayer
et al., An Empirical Distribution Function for Sampling with Incomplete Information, 1955). Rows take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from .ranks import Rows

LANE, BOXES, TURN = 64.0, 32.0, 1.0
"""How much an edge is to be straight: between points of a chain, between boxes, where a chain begins or ends."""
ROUNDS = 5


def columns(rows: Rows, order: Sequence[Sequence[int]], width: Callable[[int], float], gap: float) -> dict[int, float]:
    """The middle of each vertex; the leftmost edge of all is at 0."""
    spaced = [(row, _offsets([width(vertex) for vertex in row], gap)) for row in order]
    x: dict[int, float] = {}
    for row, offsets in spaced:
        x.update((vertex, offset - offsets[-1] / 2) for vertex, offset in zip(row, offsets, strict=True))
    for _ in range(ROUNDS):
        for row, offsets in spaced:
            _settle(row, offsets, x, rows.real, [rows.above])
        for row, offsets in reversed(spaced):
            _settle(row, offsets, x, rows.real, [rows.below])
    for row, offsets in (*spaced, *reversed(spaced)):
        _settle(row, offsets, x, rows.real, [rows.above, rows.below])
    left = min((x[vertex] - width(vertex) / 2 for vertex in x), default=0.0)
    return {vertex: round(place - left, 1) for vertex, place in x.items()}


def _offsets(widths: Sequence[float], gap: float) -> list[float]:
    """The least distance of each vertex of a row from the first one."""
    result = [0.0]
    for before, width in pairwise(widths):
        result.append(result[-1] + (before + width) / 2 + gap)
    return result[: len(widths)]


def _settle(
    row: Sequence[int],
    offsets: Sequence[float],
    x: dict[int, float],
    real: int,
    ways: Sequence[Mapping[int, Sequence[int]]],
) -> None:
    """Move the vertices of a row towards the weighted mean of their neighbours; who has none stays where it is."""
    wished, weights = [], []
    for vertex in row:
        near = [other for way in ways for other in way.get(vertex, ())]
        pulls = [_pull(vertex, other, real) for other in near]
        total = sum(pulls)
        wished.append(
            sum(x[other] * pull for other, pull in zip(near, pulls, strict=True)) / total if near else x[vertex]
        )
        weights.append(total or 0.01)
    x.update(zip(row, apart(wished, weights, offsets), strict=True))


def _pull(one: int, other: int, real: int) -> float:
    return (BOXES, TURN, LANE)[(one >= real) + (other >= real)]


def apart(wished: Sequence[float], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The places nearest to the wished ones whose distances are at least those of `offsets`."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for wish, weight, offset in zip(wished, weights, offsets, strict=True):
        pool = (wish - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, heavy, members = pools.pop()
            both = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / both, both, members + pool[2])
        pools.append(pool)
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
