"""A graph as boxes and wires with places: everything that a drawing needs but its spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..ir import Graph, Value
from .boxes import Box, box_of, port_box
from .columns import apart, columns
from .order import ordered
from .ranks import Rows, ranks_of, rows_of

GAP = 16
"""Pixels between what stands side by side."""
LANE = 2
"""Pixels of a lane, beside which `GAP` is free on both sides."""
ROOM, STEEP = 26, 10
"""Pixels between rows, at least; a tenth of the way that an edge goes to the side, if that is more."""
MOST_ROOM = 90
NEAR = 12
"""Pixels between two edges that enter one box."""


@dataclass(frozen=True)
class Placed:
    """A box with its left upper corner."""

    box: Box
    x: float
    y: float


@dataclass(frozen=True)
class Wire:
    """A piece of an edge from (x, y) down to (x, y): straight in a row, or the way between two rows.

    `between` are the y at which it leaves its row and enters the next. A wire to a box has an arrow; to an update
    it is dashed.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    between: tuple[float, float]
    arrow: bool


@dataclass(frozen=True)
class Layout:
    """All boxes and wires, and the size of the whole in pixels."""

    boxes: tuple[Placed, ...]
    wires: tuple[Wire, ...]
    width: float
    height: float


def layout(graph: Graph, marks: Mapping[str, str] | None = None) -> Layout:
    """Places for the layers of a graph without its constants; `marks` are lines that boxes get besides their own."""
    boxes, values = _vertices(graph, marks or {})
    readers: dict[int, list[int]] = {}
    for maker, own in values:
        readers.setdefault(maker, []).extend(own)
    rows = rows_of(len(boxes), values, ranks_of(len(boxes), readers))

    def width(vertex: int) -> float:
        return boxes[vertex].width if vertex < len(boxes) else LANE

    order = ordered(rows)
    x = columns(rows, order, width, GAP)
    bands = _bands(rows, order, boxes, x)
    placed = tuple(
        Placed(boxes[vertex], x[vertex] - boxes[vertex].width / 2, (top + bottom - boxes[vertex].height) / 2)
        for row, (top, bottom) in zip(order, bands, strict=True)
        for vertex in row
        if vertex < len(boxes)
    )
    right = max((x[vertex] + width(vertex) / 2 for vertex in x), default=0.0)
    return Layout(placed, tuple(_wires(rows, order, boxes, x, bands)), right, bands[-1][1] if bands else 0.0)


def _vertices(graph: Graph, marks: Mapping[str, str]) -> tuple[list[Box], list[tuple[int, list[int]]]]:
    """Boxes in a topological order, and for each value who makes it and who reads it.

    A state stands beside each of its readers: one that is read in many places would be a web of edges.
    """
    boxes: list[Box] = []
    made: dict[Value, int] = {}
    readers: dict[Value, list[int]] = {}
    copies: list[tuple[int, list[int]]] = []

    def read(value: Value, reader: int) -> None:
        if value in made:
            readers.setdefault(value, []).append(reader)

    for node in graph:
        if node.op.source in ("constant", "state"):
            continue
        states = [value.node for value in dict.fromkeys(node.inputs) if graph[value.node].op.source == "state"]
        for state in states:
            copies.append((len(boxes), [len(boxes) + len(states) - states.index(state)]))
            boxes.append(box_of(graph, graph[state], marks.get(state, "")))
        number = len(boxes)
        boxes.append(box_of(graph, node, marks.get(node.name, "")))
        made |= dict.fromkeys(node.values, number)
        for value in dict.fromkeys(node.inputs):
            read(value, number)
    for kind, ports in (("output", graph.outputs), ("update", graph.updates)):
        for name, value in ports.items():
            read(value, len(boxes))
            boxes.append(port_box(name, "output" if kind == "output" else "update", graph.type(value), value.node))
    return boxes, [*copies, *((made[value], found) for value, found in readers.items())]


def _bands(
    rows: Rows, order: Sequence[Sequence[int]], boxes: Sequence[Box], x: Mapping[int, float]
) -> list[tuple[float, float]]:
    """The top and the bottom of each row; rows stand further apart where edges between them go far to the side."""
    bands: list[tuple[float, float]] = []
    for number, row in enumerate(order):
        ways = [abs(x[vertex] - x[other]) for vertex in row for other in rows.above.get(vertex, ())]
        room = min(max(ROOM, int(max(ways, default=0.0)) // STEEP), MOST_ROOM) if number else 0
        top = bands[-1][1] + room if bands else 0.0
        height = max((boxes[vertex].height for vertex in row if vertex < len(boxes)), default=0)
        bands.append((top, top + height))
    return bands


def _wires(
    rows: Rows,
    order: Sequence[Sequence[int]],
    boxes: Sequence[Box],
    x: Mapping[int, float],
    bands: Sequence[tuple[float, float]],
) -> list[Wire]:
    wires = []
    for row, ((top, bottom), (next_top, next_bottom)) in zip(order, pairwise(bands), strict=False):
        entries = {
            (upper, vertex): place
            for vertex in {other for upper in row for other in rows.below.get(upper, ())}
            for upper, place in _entries(vertex, rows, boxes, x).items()
        }
        for vertex in row:
            begin = (top + bottom + boxes[vertex].height) / 2 if vertex < len(boxes) else top
            for other in rows.below.get(vertex, ()):
                box = other < len(boxes)
                end = (next_top + next_bottom - boxes[other].height) / 2 if box else next_top
                wires.append(Wire((x[vertex], begin), (entries[vertex, other], end), (bottom, next_top), box))
    return wires


def _entries(vertex: int, rows: Rows, boxes: Sequence[Box], x: Mapping[int, float]) -> dict[int, float]:
    """Where each edge from above enters: right below where it comes from, as far as the box is wide."""
    upper = sorted(set(rows.above.get(vertex, ())), key=lambda other: x[other])
    if vertex >= len(boxes):
        return dict.fromkeys(upper, x[vertex])
    half = max(boxes[vertex].width / 2 - NEAR, 0.0)
    near = min(float(NEAR), 2 * half / max(1, len(upper) - 1))
    offsets = [near * number for number in range(len(upper))]
    places = apart([x[other] for other in upper], [1.0] * len(upper), offsets)
    first, last = x[vertex] - half, x[vertex] + half - offsets[-1]  # within which all of them fit
    kept = (min(max(place - offset, first), last) + offset for place, offset in zip(places, offsets, strict=True))
    return {other: round(place, 1) for other, place in zip(upper, kept, strict=True)}
