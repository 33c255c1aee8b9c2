"""What kernels of fibres have in common: axes in the order of memory, merged where it has no gap between them.

A *fibre* is what one position of the kept axes has along the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..views import View
from .base import Kernel


class OverFibres(Kernel):
    """A kernel that computes each fibre, along the `reduced` axes of `shape`, by itself.

    The last axis is that of the lanes. So many `fibres` along the last kept axis are a unit, of those that shards
    divide.
    """

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    fibres: int

    @property
    def lane_axis(self) -> int:
        return len(self.shape) - 1

    @property
    def lanes_in_fibre(self) -> bool:
        """Whether lanes lie along the fibre."""
        return self.lane_axis in self.reduced

    @property
    def kept(self) -> list[int]:
        """The axes whose positions have fibres."""
        return [axis for axis in range(len(self.shape)) if axis not in self.reduced]

    @property
    def beside(self) -> int:
        """The axis along which the fibres of a unit lie side by side."""
        return self.kept[-1] if self.kept else self.lane_axis

    @property
    def counts(self) -> list[int]:
        """Units along each kept axis."""
        *outer, last = self.kept or [0]
        return [*(self.shape[axis] for axis in outer), -(-self.shape[last] // self.fibres)] if self.kept else []

    def units(self, result: View) -> int:
        """Fibres, or a few of them."""
        return math.prod(self.counts)

    @property
    def writes_own_rows(self) -> bool:
        return False

    @property
    def of_each_position(self) -> int:
        """Units of each position of the first axis; 0 if it is no axis of units."""
        return math.prod(self.counts[1:]) if len(self.kept) > 1 and self.kept[0] == 0 else 0

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        """Where images are the first axis, as it is of a view of all that has no gap between them and what follows."""
        outermost = all(view.rank and view.shape[0] == self.shape[0] for view in (result, *sources))
        return self.of_each_position > 0 and outermost

    def follows_tables(self, number: int, source: View) -> bool:
        return True

    @property
    def vector_axis(self) -> int:
        return self.lane_axis


class OverLines(OverFibres):
    """One whose fibres lie along one axis of its only source."""

    @property
    def sources(self) -> int:
        return 1

    @property
    def axis(self) -> int:
        """The axis of the fibres."""
        (axis,) = self.reduced
        return axis

    @property
    def size(self) -> int:
        """The elements of a fibre."""
        return self.shape[self.axis]


Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class FibreAxes:
    """Groups of axes of a shape, the outermost in memory first; each group is one axis of the loops.

    The result may have a gap within the last group: `stored` are the groups that it allows.
    """

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    groups: Groups
    stored: Groups

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the merged axes."""
        return tuple(math.prod(self.shape[axis] for axis in group) for group in self.groups)

    @property
    def reduced_groups(self) -> tuple[int, ...]:
        """The merged axes along which fibres lie."""
        return tuple(number for number, group in enumerate(self.groups) if group[0] in self.reduced)

    def read(self, source: View) -> View:
        """A source with the merged axes."""
        return _merged(source, self.groups)

    def written(self, result: View) -> View:
        """The result with those that it allows."""
        return _merged(result, self.stored)


def _merged(view: View, groups: Groups) -> View:
    """A view with each group as one axis. An axis of one element, such as a reduced one of values, has no stride."""
    sizes = tuple(math.prod(view.shape[axis] for axis in group) for group in groups)
    strides = tuple(view.strides[group[-1]] if size > 1 else 0 for group, size in zip(groups, sizes, strict=True))
    lookups = tuple(
        (number, table) for axis, table in view.lookups for number, group in enumerate(groups) if axis in group
    )
    return replace(view, shape=sizes, strides=strides, border=(), lookups=lookups)


def fibre_axes(
    shape: Sequence[int], reduced: Sequence[int], sources: Sequence[View], result: View, *, reads_result: bool = False
) -> FibreAxes:
    """The axes of `shape` for views of it, and for a result that has one element on the reduced axes, or all.

    The order is that of the result, if it has all elements, else that of the source with most of them. The last group
    decides in which order lanes are added, so a gap of the result counts there only if sums read it.
    """
    whole = result if result.shape == tuple(shape) else max(sources, key=_elements)
    real = [axis for axis, size in enumerate(shape) if size > 1]
    order = sorted(real, key=lambda axis: -abs(whole.strides[axis]) if whole.strides[axis] else -math.inf)
    stored = _groups(order, reduced, [*sources, result])
    groups = stored
    for last in (stored if reads_result else _groups(order, reduced, sources))[-1:]:
        if last[0] in reduced:
            groups = (*(group for group in stored if group[0] not in last), last)
    return FibreAxes(tuple(shape), tuple(reduced), groups, stored)


def _groups(order: Sequence[int], reduced: Sequence[int], views: Sequence[View]) -> Groups:
    """Runs of axes, all reduced or all kept, over which each view steps as over one."""
    found: list[tuple[int, ...]] = []
    for axis in order:
        alike = found and (found[-1][-1] in reduced) == (axis in reduced)
        if alike and all(_adjacent(view, found[-1][-1], axis) for view in views):
            found[-1] = (*found[-1], axis)
        else:
            found.append((axis,))
    return tuple(found)


def _elements(view: View) -> int:
    return math.prod(size for size, stride in zip(view.shape, view.strides, strict=True) if stride)


def _adjacent(view: View, outer: int, inner: int) -> bool:
    """Whether a view steps over both axes as over one."""
    if view.looks_up(outer) or view.looks_up(inner):
        return False
    return view.shape[outer] == 1 or view.strides[outer] == view.strides[inner] * view.shape[inner]
