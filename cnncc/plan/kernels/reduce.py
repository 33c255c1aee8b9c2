"""Reduction over whole axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...computation import Combine, Reduction
from ...machine.target import Target
from ..cost.sweep import COMBINED_CODE, fold_cycles, folded_together
from ..cost.transfer import LARGE_IMAGE
from ..views import ROW_AXIS, View, elements
from .base import AlongAxis, lanes_on


@dataclass(frozen=True)
class Reduce(AlongAxis):
    """Maximum, minimum, sum or product over whole `axes`; `lane_axis` is a kept axis, or the innermost reduced one.

    In the second case so many results as `together` says, neighbours on the axis `beside`, are folded together.
    """

    axes: tuple[int, ...]
    combine: Combine
    lane_axis: int
    lanes: int
    together: int = 1
    beside: int | None = None

    @property
    def sources(self) -> int:
        return 1

    @property
    def writes_own_rows(self) -> bool:
        return ROW_AXIS not in self.axes

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        return 0 not in (*self.axes, self.lane_axis, self.beside)

    def follows_tables(self, number: int, source: View) -> bool:
        return True

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """With lanes along the reduced axis each vector is combined, and the lanes of each result are folded."""
        if self.lane_axis not in self.axes:
            return super().cycles(target, sources, result)
        core, width = target.core, min(target.lanes, sources[0].shape[self.lane_axis])
        each = elements(sources[0].shape) / width * COMBINED_CODE / core.vector_pipes
        folds = elements(result.shape) / self.together * fold_cycles(core, width, self.together)
        return core.call_cycles + each + folds

    def describe(self) -> str:
        return f"reduce {self.combine} over axes {self.axes}; {lanes_on(self.lanes, self.lane_axis)}"


def kernel(target: Target, computation: Reduction, source: View) -> Reduce:
    """The kernel that reduces `source`."""
    axes, axis = computation.axes, reduction_axis(source, computation.axes)
    made = Reduce(axes, computation.combine, axis, reduction_lanes(target, source, axis, axes))
    kept = [other for other, size in enumerate(source.shape) if other not in axes and size > 1]
    if axis not in axes or not kept or made.lanes < target.lanes or target.lanes == 1:
        return made
    beside = min(kept, key=lambda other: abs(source.strides[other]))
    lines = math.prod(source.shape[other] for other in axes if other != axis)
    vectors = lines * -(-source.shape[axis] // target.lanes)
    fibres = folded_together(target.lanes, source.shape[beside], vectors, COMBINED_CODE)
    return replace(made, together=fibres, beside=beside)


def merged(source: View, axes: Sequence[int]) -> View:
    """A view whose reduced axes are one, the innermost of them in memory, if memory has no gaps between them."""
    long = sorted((axis for axis in axes if source.shape[axis] > 1), key=lambda axis: -abs(source.strides[axis]))
    gaps = any(source.strides[a] != source.strides[b] * source.shape[b] for a, b in itertools.pairwise(long))
    if len(long) < 2 or gaps or any(map(source.looks_up, long)):
        return source
    size = math.prod(source.shape[axis] for axis in long)
    return replace(
        source,
        shape=tuple(size if axis == long[-1] else 1 if axis in long else own for axis, own in enumerate(source.shape)),
        strides=tuple(0 if axis in long[:-1] else own for axis, own in enumerate(source.strides)),
        border=(),
    )


def by_rows_first(kernel: Reduce, source: View) -> bool:
    """Whether a reduction over all positions of an image first reduces each row, and then the results."""
    over_positions = kernel.axes == tuple(range(ROW_AXIS, source.rank)) and source.rank > 3
    alone = source.shape[0] == 1 and source.rows > 1
    return over_positions and alone and kernel.lane_axis == 1 and math.prod(source.shape) >= LARGE_IMAGE


def reduction_axis(source: View, axes: Sequence[int]) -> int:
    """The axis, kept or reduced, with the smallest stride.

    An axis of one element is left out: its stride depends on borders, and these must not decide the order of a sum.
    """
    long = [axis for axis, stride in enumerate(source.strides) if stride and source.shape[axis] > 1]
    return min(long, key=lambda axis: (abs(source.strides[axis]), axis), default=axes[0])


def reduction_lanes(target: Target, source: View, axis: int, axes: Sequence[int]) -> int:
    """The lanes of several adjacent vectors, if memory has them: a single one would wait for each former sum.

    Along a kept axis there are as many as the registers hold: with so many loads in a loop the stride prefetcher
    stops, and the loop is faster (see `depthwise`).
    """
    size = source.shape[axis]
    if size < target.lanes or source.strides[axis] != 1:
        return min(target.lanes, size)
    most = target.registers // 4 * (1 if axis in axes else 3)
    return min(most, size // target.lanes) * target.lanes
