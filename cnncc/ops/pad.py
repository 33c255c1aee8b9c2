"""Padding with a value or with what the tensor holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import ConstantPad, LoweringBuilder
from ..elements import element_of
from ..errors import ShapeError
from ..op import Sample, as_held
from ..types import Array, TensorType
from .arrangement import Arranging
from .axes import expect_tables

MODES = ("constant", "reflect", "edge", "wrap")


@dataclass(frozen=True)
class Pad(Arranging):
    """`pads` (before, after) elements more on each axis; a negative number takes elements away (as in ONNX).

    They hold `value` ('constant'), the elements mirrored at the first and last one ('reflect'), those two
    repeated ('edge') or the elements from the other end ('wrap').
    """

    pads: tuple[tuple[int, int], ...]
    mode: str = "constant"
    value: float = 0.0

    def shape(self, x: TensorType) -> tuple[int, ...]:
        if len(self.pads) != x.rank or any(len(pair) != 2 for pair in self.pads):
            raise ShapeError(f"pads {self.pads}: expected {x.rank} pairs (before, after), one for each axis")
        if self.mode not in MODES:
            raise ShapeError(f"mode {self.mode!r} is unknown: expected {', '.join(map(repr, MODES))}")
        for axis, (size, pair) in enumerate(zip(x.shape, self.pads, strict=True)):
            low, high = pair
            if size + min(low, 0) + min(high, 0) < 1:
                raise ShapeError(f"pads {pair} leave nothing of the {size} elements of axis {axis}")
        if self.mode == "constant":
            as_held("value", self.value, x.dtype)
        else:
            expect_tables(size + sum(pair) for size, pair in zip(x.shape, self.pads, strict=True) if max(pair) > 0)
        return tuple(size + low + high for size, (low, high) in zip(x.shape, self.pads, strict=True))

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        x = x[tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(x.shape, self.pads, strict=True))]
        more = [(max(0, low), max(0, high)) for low, high in self.pads]
        if not any(map(any, more)):
            return (x,)
        if self.mode == "constant":
            return (np.pad(x, more, constant_values=as_held("value", self.value, element_of(x))),)
        return (np.pad(x, more, mode=self.mode),)  # type: ignore[call-overload]

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        for axis, (low, high) in enumerate(self.pads):
            size = pieces.shape(x)[axis]
            x = pieces.part(x, axis, max(0, -low), size - max(0, -low) - max(0, -high))
        more = [(max(0, low), max(0, high)) for low, high in self.pads]
        if not any(map(any, more)):
            return x
        if self.mode == "constant":
            shape = [size + low + high for size, (low, high) in zip(pieces.shape(x), more, strict=True)]
            inset = ConstantPad(tuple(low for low, _ in more), as_held("value", self.value, pieces.types[x].dtype))
            return pieces.add(inset, (x,), shape)
        for axis, pair in enumerate(more):
            if any(pair):
                x = pieces.lookup(x, axis, padded_indices(pieces.shape(x)[axis], pair, self.mode))
        return x

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if any(map(any, self.pads[:1])) else (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(((0, 0), (0, 0), (1, 2), (3, 0))), ((2, 3, 4, 5),))
        yield Sample(cls(((0, 0), (1, 0), (-1, 1), (0, -2)), value=2.5), ((2, 18, 4, 5),))
        yield Sample(cls(((0, 0), (0, 0), (2, 1), (3, 2)), "reflect"), ((1, 18, 4, 5),))
        yield Sample(cls(((0, 0), (0, 0), (0, 2), (5, 0)), "edge"), ((2, 3, 4, 1),))
        yield Sample(cls(((0, 0), (2, 3), (1, -1)), "wrap"), ((2, 3, 4),))
        yield Sample(cls(((1, 1), (0, 2)), value=-1.0), ((2, 3),))


def padded_indices(size: int, pair: tuple[int, int], mode: str) -> list[int]:
    """Which element stands in each place of a padded axis."""
    period = {"reflect": max(1, 2 * size - 2), "wrap": size}.get(mode)
    indices = []
    for place in range(-pair[0], size + pair[1]):
        if period is None:
            indices.append(min(max(place, 0), size - 1))
        else:
            place %= period
            indices.append(place if place < size else period - place)
    return indices
