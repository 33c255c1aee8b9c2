"""Reads and writes at indices that arrive, as plain loops over the axes that their views have in common.

As in copies (`moves`), axes of one element are left out, and neighbours that follow each other without a gap in every
view become one. An operand that is indexed has the axis that the indices count behind these, whole: so its view covers
whatever they may say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .cost.transfer import LEAST_RUN
from .views import View


@dataclass(frozen=True)
class CommonAxis:
    """An axis that several views have in common: its size, and its stride in each of them."""

    size: int
    strides: tuple[int, ...]

    def follows(self, outer: CommonAxis) -> bool:
        """Whether `outer` continues in every view where this axis ends."""
        return all(far == self.size * near for far, near in zip(outer.strides, self.strides, strict=True))

    def in_runs(self, size: int) -> list[CommonAxis]:
        """Runs of so many elements, and the axis of one run."""
        return [
            CommonAxis(self.size // size, tuple(size * stride for stride in self.strides)),
            CommonAxis(size, self.strides),
        ]


def lookup_views(x: View, indices: View, result: View, axis: int) -> tuple[View, View, View]:
    """The operand, the indices and the result of a lookup along `axis`, of the shape (1, 1, rows, …).

    Along the axis itself, as far as it is one of the result, the operand stays where it is.
    """
    still = tuple(0 if number == axis else stride for number, stride in enumerate(x.strides))
    chosen = indices.broadcast(range(x.rank), result.shape)
    axes = rows_first(common_axes(result.shape, (still, chosen.strides, result.strides)))
    return (
        _over(x, axes, 0, (x.shape[axis], x.strides[axis])),
        _over(chosen, axes, 1),
        _over(result, axes, 2),
    )


def scatter_views(x: View, indices: View, updates: View, result: View, axis: int) -> tuple[View, View, View, View]:
    """The views of a scatter along `axis`, of the shape (1, 1, rows, …, `axis`).

    The last axis counts the elements of operand and result, and the indices and updates.
    """
    chosen = indices.broadcast(range(x.rank), updates.shape)
    views = (x, chosen, updates, result)
    others = [number for number in range(x.rank) if number != axis]
    strides = [[view.strides[number] for number in others] for view in views]
    axes = rows_first(common_axes([x.shape[number] for number in others], strides))
    x, chosen, updates, result = (
        _over(view, axes, number, (view.shape[axis], view.strides[axis])) for number, view in enumerate(views)
    )
    return x, chosen, updates, result


def common_axes(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> list[CommonAxis]:
    """The axes of more than one element, merged; the outermost in the memory of the last view first."""
    axes = [CommonAxis(size, each) for size, *each in zip(shape, *strides, strict=True) if size > 1]  # type: ignore
    merged: list[CommonAxis] = []
    for axis in sorted(axes, key=lambda axis: -abs(axis.strides[-1])):
        if merged and axis.follows(merged[-1]):
            axis = CommonAxis(merged.pop().size * axis.size, axis.strides)
        merged.append(axis)
    return merged


def rows_first(axes: Sequence[CommonAxis]) -> list[CommonAxis]:
    """At least two axes: the rows, which shards divide, and one that vectors may lie along, in runs that are long."""
    none = CommonAxis(1, axes[0].strides if axes else ())
    match list(axes):
        case []:
            return [none, none]
        case [only] if abs(only.strides[-1]) > 1:
            return [only, none]
        case [only]:
            runs = (size for size in range(LEAST_RUN, only.size) if only.size % size == 0)
            return only.in_runs(next(runs, only.size))
        case several:
            return several


def _over(view: View, axes: Iterable[CommonAxis], number: int, last: tuple[int, int] | None = None) -> View:
    """View number `number` over these axes, and a last one of its own: (size, stride)."""
    pairs = [(1, 0), (1, 0), *((axis.size, axis.strides[number] if axis.strides else 0) for axis in axes)]
    shape, strides = zip(*pairs, *([last] if last else []), strict=True)
    return View(view.buffer, shape, strides, view.offset)
