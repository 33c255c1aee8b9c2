"""Resampling: nearest, linear and cubic, one axis after another."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..errors import ShapeError
from ..expr import Arg, Expr, multiply_add
from ..op import Cost, Op, Sample, expect_count, rounded
from ..types import Array, TensorType
from ..windows import per_axis
from .axes import expect_tables

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class ResizedAxis:
    """An axis of `size` elements that becomes `out`; `scale` is their ratio, or what the user gave for it."""

    size: int
    out: int
    scale: Fraction


Coordinate = Callable[[ResizedAxis, int], Fraction]
COORDINATES: Mapping[str, Coordinate] = {
    "half_pixel": lambda axis, i: (i + HALF) / axis.scale - HALF,
    "half_pixel_symmetric": lambda axis, i: (
        Fraction(axis.size, 2) * (1 - axis.out / (axis.scale * axis.size)) + (i + HALF) / axis.scale - HALF
    ),
    "pytorch_half_pixel": lambda axis, i: (i + HALF) / axis.scale - HALF if axis.out > 1 else Fraction(0),
    "align_corners": lambda axis, i: Fraction(i * (axis.size - 1), max(1, axis.out - 1)),
    "asymmetric": lambda axis, i: i / axis.scale,
}
"""Where output i lies between the inputs (ONNX's coordinate_transformation_mode)."""

ROUNDING: Mapping[str, Callable[[Fraction], int]] = {
    "round_prefer_floor": lambda x: math.ceil(x - HALF),
    "round_prefer_ceil": lambda x: math.floor(x + HALF),
    "floor": math.floor,
    "ceil": math.ceil,
}


@dataclass(frozen=True)
class Resize(Op):
    """The spatial axes resampled to `sizes`, or to ⌊n · scale⌋ elements (ONNX's Resize of all but N and C).

    `mode` is 'nearest' (rounded as `nearest` says), 'linear' or 'cubic' (Keys' kernel with coefficient `cubic`).
    Beyond the first and last element those two continue.
    """

    sizes: tuple[int, ...] | int | None = None
    scales: tuple[float, ...] | None = None
    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75

    def axes(self, x: TensorType) -> tuple[ResizedAxis, ...]:
        """The geometry of each spatial axis; raises ShapeError."""
        spatial = x.shape[2:]
        if (self.sizes is None) == (self.scales is None):
            raise ShapeError("a resize takes either sizes or scales")
        if self.sizes is not None:
            sizes = per_axis(self.sizes, len(spatial), "sizes")
            return tuple(ResizedAxis(n, out, Fraction(out, n)) for n, out in zip(spatial, sizes, strict=True))
        assert self.scales is not None
        if len(self.scales) != len(spatial) or not all(0 < scale < math.inf for scale in self.scales):
            raise ShapeError(f"scales {self.scales}: expected {len(spatial)} positive numbers (one for each axis)")
        # The decimal fraction that the user wrote: 10 · 0.7 is 7.
        pairs = zip(spatial, (Fraction(str(float(scale))) for scale in self.scales), strict=True)
        return tuple(ResizedAxis(n, math.floor(n * scale), scale) for n, scale in pairs)

    def taps(self, axis: ResizedAxis) -> list[tuple[Array, Array]]:
        """(index, weight) of each output, for each tap of the kernel that counts for some output."""
        places = [COORDINATES[self.coordinates](axis, i) for i in range(axis.out)]
        if self.mode == "nearest":
            return [(_within([ROUNDING[self.nearest](place) for place in places], axis.size), np.ones(axis.out))]
        firsts = [math.floor(place) for place in places]
        rests = np.array([float(place - first) for place, first in zip(places, firsts, strict=True)])
        kernel = (1 - rests, rests) if self.mode == "linear" else cubic_weights(rests, self.cubic)
        offset = 0 if self.mode == "linear" else -1
        taps = enumerate(kernel, start=offset)
        return [(_within([f + tap for f in firsts], axis.size), weights) for tap, weights in taps if weights.any()]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        if x.rank < 3:
            raise ShapeError(f"a resize takes (N, C, spatial axes), got {x} of {x.rank} axes")
        choices = {"mode": ("nearest", "linear", "cubic"), "coordinates": COORDINATES, "nearest": ROUNDING}
        for what, known in choices.items():
            if getattr(self, what) not in known:
                raise ShapeError(f"{what} {getattr(self, what)!r} is unknown: expected {', '.join(map(repr, known))}")
        if not math.isfinite(self.cubic):
            raise ShapeError(f"cubic={self.cubic} must be a finite number")
        axes = self.axes(x)
        if any(axis.out < 1 for axis in axes):
            raise ShapeError(f"scales {self.scales} leave nothing of {x}")
        expect_tables(axis.out for axis in axes)
        return (x.shaped((*x.shape[:2], *(axis.out for axis in axes))),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x = inputs[0].astype(np.float64)
        with np.errstate(all="ignore"):
            for number, axis in enumerate(self.axes(TensorType.of(x)), start=2):
                along = (-1, *(1,) * (x.ndim - number - 1))
                parts = [x.take(index, number) * weights.reshape(along) for index, weights in self.taps(axis)]
                x = functools.reduce(np.add, parts)  # without a 0 to begin with, to which −0 would be lost
            return (rounded(x),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        return Cost(macs=0 if self.mode == "nearest" else 2 * out.size, moved=out.size)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces, x = LoweringBuilder(inputs), 0
        for number, axis in enumerate(self.axes(inputs[0]), start=2):
            x = resampled(pieces, x, number, self.taps(axis))
        return pieces.ending(x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((8, 15)), ((2, 3, 4, 5),))
        yield Sample(cls((3, 4), nearest="ceil", coordinates="asymmetric"), ((1, 18, 7, 6),))
        yield Sample(cls(scales=(2.0, 0.6), nearest="round_prefer_ceil"), ((1, 3, 4, 5),))
        yield Sample(cls((8, 3), mode="linear"), ((2, 18, 4, 5),))
        yield Sample(cls((7, 9), mode="linear", coordinates="align_corners"), ((1, 3, 4, 5),))
        yield Sample(cls((1, 9), mode="linear", coordinates="pytorch_half_pixel"), ((1, 3, 4, 5),))
        yield Sample(cls((8, 3), mode="cubic"), ((2, 3, 4, 5),))
        yield Sample(cls((6, 10), mode="cubic", coordinates="asymmetric", cubic=-0.5), ((1, 18, 4, 5),))
        yield Sample(cls(scales=(1.7,), mode="linear", coordinates="half_pixel_symmetric"), ((2, 3, 9),))
        yield Sample(cls((4, 3, 6), nearest="floor"), ((1, 2, 3, 3, 4),))


def resampled(pieces: LoweringBuilder, x: int, axis: int, taps: list[tuple[Array, Array]]) -> int:
    """Append one axis: the sum of look-ups, each times weights that are known."""
    size, behind = pieces.shape(x)[axis], len(pieces.shape(x)) - axis - 1
    if len(taps) == 1 and (taps[0][1] == 1).all():
        index = taps[0][0].tolist()
        return x if index == list(range(size)) else pieces.lookup(x, axis, index)
    operands: list[int] = []
    total: Expr | None = None
    for number, (index, weights) in enumerate(taps):
        operands += [pieces.lookup(x, axis, index.tolist()), pieces.known(weights.reshape(-1, *(1,) * behind))]
        value, weight = Arg(2 * number), Arg(2 * number + 1)
        total = value * weight if total is None else multiply_add(value, weight, total)
    assert total is not None, "the weights of every output add up to one"
    return pieces.pointwise(total, operands)


N = TypeVar("N", Array, Expr)


def cubic_weights(t: N, a: float) -> tuple[N, N, N, N]:
    """Weights of the elements before, at, after and second after a place, t beyond the one `at`.

    Keys, Cubic convolution interpolation for digital image processing (1981), with a free coefficient a.
    """

    def near(x: N) -> N:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: N) -> N:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _within(indices: list[int], size: int) -> Array:
    return np.asarray(np.clip(indices, 0, size - 1))
