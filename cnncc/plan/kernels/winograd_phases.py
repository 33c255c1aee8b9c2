"""The phases of the windows of a Winograd convolution, the points of their transforms, and which phases meet at which.

With a stride of s, every s-th pixel of an axis is an image of its own, on which windows are neighbours (see
`cook_toom.phases`). Over several axes a phase is one for each axis. Products at a point are summed over the
channels of all phases that have it, one phase after the other.

Images of few channels would leave lanes empty. So a vector may hold the channels of several phases, `joined` ones:
these need the same matrices, and phases with a tap less then have the point ∞ as well, with a weight of 0.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ...cook_toom import Matrix, Transforms, operations, phases

Spot = tuple[int, ...]  # an index inside a tile: of one of its pixels, points or outputs
Phase = tuple[int, ...]  # one for each axis


@dataclass(frozen=True)
class Run:
    """Successive points with equally many phases: the first one, their number, their phases.

    `before` counts the phases at all points before.
    """

    first: int
    points: int
    phases: int
    before: int


@dataclass(frozen=True)
class Phases:
    """The transforms of each phase, for each axis; `joined` phases are transformed in one vector."""

    axes: tuple[tuple[Transforms, ...], ...]
    joined: int

    @cached_property
    def all(self) -> list[Phase]:
        """The phases, those of the last axis side by side."""
        return list(itertools.product(*(range(len(axis)) for axis in self.axes)))

    @cached_property
    def points(self) -> tuple[int, ...]:
        """Points on each axis."""
        return tuple(len(axis[0].inputs) for axis in self.axes)

    @cached_property
    def groups(self) -> list[list[Phase]]:
        """The phases of each vector."""
        return [self.all[first : first + self.joined] for first in range(0, len(self.all), self.joined)]

    @property
    def outputs(self) -> tuple[Matrix, ...]:
        """The transform back, for each axis."""
        return tuple(axis[0].outputs for axis in self.axes)

    def inputs(self, phase: Phase) -> tuple[Matrix, ...]:
        """The transform of the pixels of a phase, for each axis."""
        return tuple(axis[p].inputs for axis, p in zip(self.axes, phase, strict=True))

    @cached_property
    def input_work(self) -> list[tuple[int, int]]:
        """Operations and points of the transform of each group."""
        kinds = [self.inputs(group[0]) for group in self.groups]
        return [(operations_along(kind), math.prod(map(len, kind))) for kind in kinds]

    @cached_property
    def output_work(self) -> tuple[int, int]:
        """The same of the transform back."""
        return operations_along(self.outputs), math.prod(self.points)

    def present(self, spot: Spot) -> list[Phase]:
        """The phases that have a point."""
        return [phase for phase in self.all if all(at < len(t) for at, t in zip(spot, self.inputs(phase), strict=True))]

    @cached_property
    def order(self) -> dict[Spot, list[Phase]]:
        """The points in the order of memory, with their phases: those with the most phases first."""
        spots = itertools.product(*map(range, self.points))
        return dict(sorted(((spot, self.present(spot)) for spot in spots), key=lambda item: -len(item[1])))

    @cached_property
    def numbers(self) -> dict[Spot, int]:
        """The number of each point."""
        return {spot: number for number, spot in enumerate(self.order)}

    @cached_property
    def pairs(self) -> int:
        """Points and phases that meet: products for a channel of each phase."""
        return math.prod(sum(len(t.inputs) for t in axis) for axis in self.axes)

    @cached_property
    def runs(self) -> list[Run]:
        """All points, as few runs."""
        found, first, before = [], 0, 0
        for count, spots in itertools.groupby(self.order.values(), len):
            run = Run(first, len(list(spots)), count, before)
            found.append(run)
            first, before = first + run.points, before + run.points * count
        return found


@functools.cache
def phases_of(steps: tuple[int, ...], taps: tuple[int, ...], strides: tuple[int, ...], joined: int) -> Phases:
    """The phases of tiles of `steps` outputs."""
    axes = [phases(m, r, s) for m, r, s in zip(steps, taps, strides, strict=True)]
    return Phases(tuple((axis[0],) * len(axis) if joined > 1 else axis for axis in axes), joined)


def operations_along(matrices: Sequence[Matrix]) -> int:
    """Operations of a transform along every axis, the last one first."""
    shape, count = [len(matrix[0]) for matrix in matrices], 0
    for axis in reversed(range(len(shape))):
        count += operations(matrices[axis]) * math.prod(shape) // shape[axis]
        shape[axis] = len(matrices[axis])
    return count
