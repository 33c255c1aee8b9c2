"""In which row a layer stands: below all that it reads, and edges as chains of points through the rows between.

All readers of a value share one chain: a value that is read far below (a skip connection, what a gradient reads of the
forward pass) takes one lane, however many read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Edge = tuple[int, int]


@dataclass
class Rows:
    """Vertices by row, and edges between neighbouring rows.

    The first `real` vertices are boxes, the others points of chains. `wires` has each edge of the drawing once: from a
    box or a point to one of the next row.
    """

    real: int
    rows: list[list[int]]
    above: dict[int, list[int]] = field(default_factory=dict)
    below: dict[int, list[int]] = field(default_factory=dict)

    @property
    def wires(self) -> list[Edge]:
        return [(vertex, other) for row in self.rows for vertex in row for other in self.below.get(vertex, ())]


def ranks_of(count: int, readers: Mapping[int, Sequence[int]]) -> list[int]:
    """The row of each of `count` vertices, which are numbered in a topological order.

    Each stands as high as it can (longest path), but one that reads nothing directly above its first reader.
    """
    ranks, reads = [0] * count, [False] * count
    for vertex in range(count):
        for reader in readers.get(vertex, ()):
            ranks[reader], reads[reader] = max(ranks[reader], ranks[vertex] + 1), True
    for vertex in range(count):
        if not reads[vertex] and readers.get(vertex):
            ranks[vertex] = min(ranks[reader] for reader in readers[vertex]) - 1
    return ranks


def rows_of(count: int, values: Iterable[tuple[int, Sequence[int]]], ranks: Sequence[int]) -> Rows:
    """Rows with the chains of all values: each is (who makes it, who reads it)."""
    result = Rows(count, [[] for _ in range(max(ranks, default=-1) + 1)])
    for vertex in range(count):
        result.rows[ranks[vertex]].append(vertex)
    made = count
    for maker, readers in values:
        at, row = maker, ranks[maker]
        for reader in sorted(set(readers), key=lambda vertex: (ranks[vertex], vertex)):
            while row < ranks[reader] - 1:
                row, before, at, made = row + 1, at, made, made + 1
                result.rows[row].append(at)
                _join(result, before, at)
            _join(result, at, reader)
    return result


def _join(rows: Rows, upper: int, lower: int) -> None:
    rows.below.setdefault(upper, []).append(lower)
    rows.above.setdefault(lower, []).append(upper)
