"""The same elements in the same order under another shape: flatten, reshape, squeeze, unsqueeze."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..computation import LoweringBuilder
from ..errors import ShapeError
from ..op import Op, Sample
from ..types import Array, TensorType
from .arrangement import Arranging
from .axes import axes_of, axis_of


@dataclass(frozen=True)
class Reshaping(Arranging, abstract=True):
    """Only the shape changes."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (inputs[0].reshape(self.shape(TensorType.of(inputs[0]))),)

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        return pieces.reshape(x, self.shape(pieces.types[x]))


@dataclass(frozen=True)
class Flatten(Reshaping):
    """Two axes: those before `axis` joined, and those from `axis` on joined, in row-major order."""

    axis: int = 1

    def shape(self, x: TensorType) -> tuple[int, ...]:
        axis = self.axis if self.axis == x.rank else axis_of(self.axis, x.rank)
        return math.prod(x.shape[:axis]), math.prod(x.shape[axis:])

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        second = self.axis if self.axis >= 0 else self.axis + ranks[0]
        return (True,) if second == 1 else None

    def each_image(self) -> Op:
        return Flatten(1) if self.axis == 0 else self

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5),))
        yield Sample(cls(2), ((2, 3, 4, 5),))
        yield Sample(cls(0), ((2, 3),))


@dataclass(frozen=True)
class Reshape(Reshaping):
    """Another shape: 0 copies the size of the input's axis in that place, one −1 takes what is left (as in ONNX)."""

    sizes: tuple[int, ...]

    def shape(self, x: TensorType) -> tuple[int, ...]:
        sizes = list(self.sizes)
        for place, size in enumerate(sizes):
            if type(size) is not int or size < -1 or (size == 0 and place >= x.rank):
                raise ShapeError(f"shape {self.sizes}: {size!r} in place {place} does not fit {x}")
            sizes[place] = size or x.shape[place]
        if sizes.count(-1) > 1:
            raise ShapeError(f"shape {self.sizes} leaves more than one size open")
        given = math.prod(size for size in sizes if size > 0)
        left = x.size // given
        if given * left != x.size or (left != 1 and -1 not in sizes):
            raise ShapeError(f"the {x.size} elements of {x} do not fill the shape {self.sizes}")
        return tuple(left if size == -1 else size for size in sizes)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        """With −1 in front, N stays N where the type rule says so for every N (asked by `batching`)."""
        return (True,) if self.sizes[:1] in ((0,), (-1,)) else None

    def each_image(self) -> Op:
        return Reshape((0, *self.sizes[1:])) if self.sizes[:1] == (1,) else self

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((0, -1, 2)), ((2, 3, 4),))
        yield Sample(cls((-1, 12)), ((2, 3, 4),))
        yield Sample(cls((4, 1, 6, 1)), ((2, 3, 4),))
        yield Sample(cls((0, 4, 0, 0)), ((1, 4, 3, 5),))


@dataclass(frozen=True)
class Squeeze(Reshaping):
    """Without the axes of size 1 named in `axes`, or without all of them."""

    axes: tuple[int, ...] | None = None

    def shape(self, x: TensorType) -> tuple[int, ...]:
        if self.axes is None:
            return tuple(size for size in x.shape if size > 1)
        axes = axes_of(self.axes, x.rank)
        for axis in axes:
            if x.shape[axis] != 1:
                raise ShapeError(f"axis {axis} has {x.shape[axis]} elements; only an axis of size 1 can be left out")
        return tuple(size for axis, size in enumerate(x.shape) if axis not in axes)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        kept = self.axes is not None and all(axis % ranks[0] for axis in self.axes)
        return (True,) if kept else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((2, -1)), ((2, 3, 1, 1),))
        yield Sample(cls(), ((1, 3, 1, 4),))


@dataclass(frozen=True)
class Unsqueeze(Reshaping):
    """With further axes of size 1 where `axes` (of the result) says."""

    axes: tuple[int, ...]

    def shape(self, x: TensorType) -> tuple[int, ...]:
        rank = x.rank + len(self.axes)
        axes, sizes = axes_of(self.axes, rank), iter(x.shape)
        return tuple(1 if axis in axes else next(sizes) for axis in range(rank))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        rank = ranks[0] + len(self.axes)
        return (True,) if all(axis % rank for axis in self.axes) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((2, -1)), ((2, 3, 4),))
        yield Sample(cls((0,)), ((3, 4),))
