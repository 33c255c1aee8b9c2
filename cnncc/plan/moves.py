"""Copies as plain loops: which axes a copy from one view to another really has.

A copy does not care what its axes mean. So they are put into the order of the target's memory, axes of one element are
left out, and neighbours that follow each other without a gap on both sides become one: a copy of a whole tensor is one
run, a change from planar to channels last a matrix. An axis that is read through a table becomes several axes without a
table where the table counts: elements repeated k times, or a whole axis repeated, are axes with a stride of 0.
(Compare Springer, Su and Bientinesi, *HPTT: a high-performance tensor transposition C++ library*, 2017.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .cost.transfer import LEAST_RUN, LINE
from .views import View


@dataclass(frozen=True)
class MovedAxis:
    """An axis of a copy: its size, and from one element to the next the distance in the source and in the target.

    Through `table`, if there is one, element i is read where element table[i] lies.
    """

    size: int
    read: int
    write: int
    table: str | None = None

    def follows(self, outer: MovedAxis) -> bool:
        """Whether `outer` continues where this axis ends, on both sides."""
        plain = self.table is None and outer.table is None
        return plain and outer.read == self.size * self.read and outer.write == self.size * self.write


def as_loops(source: View, target: View, tables: Mapping[str, Sequence[int]]) -> tuple[View, View]:
    """The same copy between views of the shape (1, 1, rows, …), whose axes are in the order of the target's memory.

    The rows, which shards divide, are the outermost axis, or as much of it as leaves runs that are long enough.
    """
    axes = merged_but_rows(moved_axes(source, target, tables))
    if len(axes) == 1:
        axes.append(MovedAxis(1, 1, 1))
    return _view(source, axes, [axis.read for axis in axes]), _view(target, axes, [axis.write for axis in axes])


def merged_but_rows(axes: Sequence[MovedAxis]) -> list[MovedAxis]:
    """The rows first, then all other axes, merged; vectors do not lie along the rows, if there is another axis."""

    def vectors(at: int) -> tuple[bool, int]:
        lie_along = 1 in (axes[at].read, axes[at].write)
        return lie_along, -axes[at].size if lie_along else at

    for at in sorted(range(len(axes)), key=vectors):
        axis = axes[at]
        size = row_size(axis, merged(axes[at + 1 :]))
        if size < axis.size:
            rows = MovedAxis(axis.size // size, size * axis.read, size * axis.write, axis.table)
            part = [replace(axis, size=size)] if size > 1 else []
            return [rows, *merged([*axes[:at], *part, *axes[at + 1 :]])]
    return [MovedAxis(1, 0, 0), *merged(axes)]


def _view(view: View, axes: Sequence[MovedAxis], strides: Sequence[int]) -> View:
    lookups = ((number, axis.table) for number, axis in enumerate(axes, start=2) if view.lookups and axis.table)
    shape = (1, 1, *(axis.size for axis in axes))
    return View(view.buffer, shape, (0, 0, *strides), view.offset, lookups=tuple(lookups), read_as=view.read_as)


def moved_axes(source: View, target: View, tables: Mapping[str, Sequence[int]]) -> list[MovedAxis]:
    """The axes of more than one element, the outermost in the target's memory first; one of one element if none."""
    table_of = dict(source.lookups)
    found: list[MovedAxis] = []
    for number, (size, read, write) in enumerate(zip(target.shape, source.strides, target.strides, strict=True)):
        if number in table_of:
            found += counted(MovedAxis(size, read, write, table_of[number]), tables[table_of[number]])
        elif size > 1:
            found.append(MovedAxis(size, read, write))
    return sorted(found, key=lambda axis: -abs(axis.write)) or [MovedAxis(1, 1, 1)]


def counted(axis: MovedAxis, table: Sequence[int]) -> list[MovedAxis]:
    """An axis with a table as axes without one: inner runs of one step that begin at one distance; else itself."""
    size = axis.size
    step = table[1] - table[0] if size > 1 else 0
    inner = next((at for at in range(1, size) if table[at] - table[at - 1] != step), size)
    if size % inner:
        return [axis]
    outer = table[inner] - table[0] if inner < size else 0
    places = [number // inner * outer + number % inner * step for number in range(size)]
    if any(place + table[0] != entry for place, entry in zip(places, table, strict=True)):
        return [axis]
    parts = (
        MovedAxis(size // inner, outer * axis.read, inner * axis.write),
        MovedAxis(inner, step * axis.read, axis.write),
    )
    return [part for part in parts if part.size > 1]


def merged(axes: Sequence[MovedAxis]) -> list[MovedAxis]:
    """Neighbours that follow each other without a gap as one axis."""
    found: list[MovedAxis] = []
    for axis in axes:
        if found and axis.follows(found[-1]):
            found[-1] = replace(axis, size=found[-1].size * axis.size)
        else:
            found.append(axis)
    return found


def row_size(first: MovedAxis, rest: Sequence[MovedAxis]) -> int:
    """How much of an axis belongs to one row, before the axes behind it: 1, unless runs or squares became too short."""
    follows = bool(rest) and rest[0].follows(first)
    inner, behind = (rest[0], rest[0].size) if follows else (first, 1)

    def enough(size: int) -> bool:
        if inner.write == 1 or (inner.read == 1 and follows):
            return size * behind >= LEAST_RUN
        return inner.read != 1 or size % LINE == 0

    if first.table:
        return first.size if first.write == 1 else 1
    return next((size for size in range(1, first.size) if first.size % size == 0 and enough(size)), first.size)
