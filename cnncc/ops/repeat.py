"""Ops that repeat elements: expand and tile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Broadcast, LoweringBuilder, replaced
from ..errors import ShapeError
from ..op import Sample
from ..types import Array, TensorType
from .arrangement import Arranging

MOST_ENTRIES = 2**16
"""Elements of a tiled axis that are looked up in a table; of a longer one, the repetitions are an axis of their own."""


@dataclass(frozen=True)
class Expand(Arranging):
    """The input repeated along axes of size 1, to the shape that it and `sizes` broadcast to."""

    sizes: tuple[int, ...]

    def shape(self, x: TensorType) -> tuple[int, ...]:
        x.shaped(self.sizes)
        try:
            return tuple(int(size) for size in np.broadcast_shapes(x.shape, self.sizes))
        except ValueError:
            raise ShapeError(f"{x} does not broadcast with {self.sizes}") from None

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.broadcast_to(inputs[0], self.shape(TensorType.of(inputs[0]))).copy(),)

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        shape = self.shape(pieces.types[x])
        own = pieces.shape(x)
        x = pieces.reshape(x, ((1,) * (len(shape) - len(own)) + own))
        return x if pieces.shape(x) == shape else pieces.add(Broadcast(), (x,), shape)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        free = len(self.sizes) < ranks[0] or (len(self.sizes) == ranks[0] and self.sizes[:1] == (1,))
        return (True,) if free else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((4, 1, 5)), ((2, 1, 3, 5),))
        yield Sample(cls((1, 3, 4, 6)), ((2, 3, 1, 1),))
        yield Sample(cls((2, 3, 4)), ((4,),))
        yield Sample(cls((1, 1)), ((1, 3, 4),))


@dataclass(frozen=True)
class Tile(Arranging):
    """The whole input `repeats` times along each axis."""

    repeats: tuple[int, ...]

    def shape(self, x: TensorType) -> tuple[int, ...]:
        if len(self.repeats) != x.rank or any(type(times) is not int or times < 1 for times in self.repeats):
            raise ShapeError(
                f"repeats {self.repeats}: expected {x.rank} whole numbers of at least 1, one for each axis"
            )
        return tuple(size * times for size, times in zip(x.shape, self.repeats, strict=True))

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.tile(inputs[0], self.repeats),)

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        for axis, times in enumerate(self.repeats):
            shape = pieces.shape(x)
            if times > 1 and shape[axis] == 1:
                x = pieces.add(Broadcast(), (x,), replaced(shape, axis, times))
            elif times > 1 and times * shape[axis] <= MOST_ENTRIES:
                x = pieces.lookup(x, axis, tuple(range(shape[axis])) * times)
            elif times > 1:
                rows = pieces.reshape(x, (math.prod(shape[:axis]), 1, math.prod(shape[axis:])))
                x = pieces.add(Broadcast(), (rows,), replaced(pieces.shape(rows), 1, times))
                x = pieces.reshape(x, replaced(shape, axis, times * shape[axis]))
        return x

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True,) if self.repeats[:1] == (1,) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((1, 2, 1, 3)), ((2, 3, 4, 5),))
        yield Sample(cls((1, 4, 3)), ((1, 1, 20),))
        yield Sample(cls((3, 1)), ((2, 4),))
        yield Sample(cls((1, 20, 1, 9)), ((2, 3, 4, 5),))
        yield Sample(cls((1, 1)), ((2, 4),))
