"""Slices: elements at even distances along axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..computation import LoweringBuilder
from ..errors import ShapeError
from ..op import Sample
from ..types import Array, TensorType
from .arrangement import Arranging
from .axes import axes_of


@dataclass(frozen=True)
class Slice(Arranging):
    """Elements starts, starts + steps, … before ends along each of `axes` (default: the first ones), as in ONNX.

    Starts and ends below 0 count from the back and are cut to the axis; a negative step goes back.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    axes: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None

    def ranges(self, shape: Sequence[int]) -> dict[int, range]:
        """The indices chosen along each sliced axis; raises ShapeError if there are none."""
        count = len(self.starts)
        axes = axes_of(range(count) if self.axes is None else self.axes, len(shape))
        steps = (1,) * count if self.steps is None else self.steps
        if not len(self.ends) == len(axes) == len(steps) == count:
            raise ShapeError(f"starts {self.starts}, ends {self.ends}, axes {axes}, steps {steps} differ in length")
        if 0 in steps:
            raise ShapeError(f"steps {steps} must not be 0")
        chosen = {}
        for start, end, axis, step in zip(self.starts, self.ends, axes, steps, strict=True):
            chosen[axis] = range(*slice(start, end, step).indices(shape[axis]))
            if not chosen[axis]:
                raise ShapeError(f"slice {start}:{end}:{step} takes none of the {shape[axis]} elements of axis {axis}")
        return chosen

    def shape(self, x: TensorType) -> tuple[int, ...]:
        ranges = self.ranges(x.shape)
        return tuple(len(ranges.get(axis, range(size))) for axis, size in enumerate(x.shape))

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        for axis, indices in self.ranges(x.shape).items():
            x = x.take(indices, axis)
        return (x,)

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        for axis, indices in self.ranges(pieces.shape(x)).items():
            x = pieces.part(x, axis, indices[0], len(indices), indices.step)
        return x

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        axes = range(len(self.starts)) if self.axes is None else self.axes
        return (True,) if all(axis % ranks[0] for axis in axes) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((0, 0), (3, -1), (1, 3), (1, 3)), ((2, 4, 3, 5),))
        yield Sample(cls((0, 1), (2, 9)), ((2, 7, 3),))
        yield Sample(cls((1,), (3,), (1,)), ((2, 4, 3, 5),))
        yield Sample(cls((-1, -2), (-99, 0), (-1, 2), (-2, -1)), ((2, 20, 6, 7),))
        yield Sample(cls((5,), (-(2**63),), (0,), (-1,)), ((4, 3),))
