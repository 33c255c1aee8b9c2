"""Resampling: nearest, linear and cubic, one axis after another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..errors import ShapeError
from ..expr import Arg, where_less
from ..op import Cost, Op, Sample, expect_count, rounded
from ..types import Array, TensorType
from ..windows import per_axis
from .axes import axes_of, expect_tables
from .resampling import (
    COORDINATES,
    ROUNDING,
    Kernel,
    Places,
    ResizedAxis,
    Taps,
    cubic,
    kernel_taps,
    linear,
    nearest_taps,
    resampled,
    summed,
)

POLICIES = ("stretch", "not_larger", "not_smaller")
CHOICES = {
    "mode": ("nearest", "linear", "cubic"),
    "coordinates": COORDINATES,
    "nearest": ROUNDING,
    "policy": POLICIES,
}


@dataclass(frozen=True)
class Resize(Op):
    """`axes` (None: the spatial ones) resampled to `sizes`, or to ⌊n · scale⌋ elements (ONNX's Resize).

    `mode` is 'nearest' (rounded as `nearest` says), 'linear' or 'cubic' (Keys' kernel with coefficient `cubic`).
    Beyond the first and last element those two continue or, with `exclude_outside`, do not count. With `antialias`
    they take all elements that an output of a smaller axis covers. `policy` 'not_larger' and 'not_smaller' take
    `sizes` as bounds, with one scale for all axes. With coordinates 'tf_crop_and_resize' the outputs lie in the
    region `roi` (first all begins, then all ends, 0 and 1 being the first and last element); where that is outside,
    they are `extrapolation`.
    """

    sizes: tuple[int, ...] | int | None = None
    scales: tuple[float, ...] | None = None
    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    axes: tuple[int, ...] | None = None
    antialias: bool = False
    exclude_outside: bool = False
    policy: str = "stretch"
    roi: tuple[float, ...] = ()
    extrapolation: float = 0.0

    def numbers(self, rank: int) -> tuple[int, ...]:
        """The axes from the front."""
        return tuple(range(2, rank)) if self.axes is None else axes_of(self.axes, rank)

    def resized(self, x: TensorType) -> dict[int, ResizedAxis]:
        """The geometry of each axis; raises ShapeError."""
        numbers = self.numbers(x.rank)
        sizes = [x.shape[axis] for axis in numbers]
        outs = self._outs(sizes)
        regions = self._regions(len(sizes))
        rows = zip(numbers, sizes, outs, regions, strict=True)
        return {axis: ResizedAxis(n, out, scale, region) for axis, n, (out, scale), region in rows}

    def _outs(self, sizes: list[int]) -> list[tuple[int, Fraction]]:
        """How many elements become of so many, and the scale."""
        if (self.sizes is None) == (self.scales is None):
            raise ShapeError("a resize takes either sizes or scales")
        if self.sizes is not None:
            wanted = per_axis(self.sizes, len(sizes), "sizes")
            scales = [Fraction(out, n) for n, out in zip(sizes, wanted, strict=True)]
            if self.policy == "stretch" or not scales:
                return list(zip(wanted, scales, strict=True))
            scale = (min if self.policy == "not_larger" else max)(scales)
            return [(math.floor(scale * n + Fraction(1, 2)), scale) for n in sizes]
        assert self.scales is not None
        if self.policy != "stretch":
            raise ShapeError(f"policy {self.policy!r} takes sizes, not scales")
        if len(self.scales) != len(sizes) or not all(0 < scale < math.inf for scale in self.scales):
            raise ShapeError(f"scales {self.scales}: expected {len(sizes)} positive numbers (one for each axis)")
        # The decimal fraction that the user wrote: 10 · 0.7 is 7.
        given = [Fraction(str(float(scale))) for scale in self.scales]
        return [(math.floor(n * scale), scale) for n, scale in zip(sizes, given, strict=True)]

    def _regions(self, count: int) -> list[tuple[Fraction, Fraction]]:
        crops = self.coordinates == "tf_crop_and_resize"
        if len(self.roi) != (2 * count if crops else 0) or not all(map(math.isfinite, self.roi)):
            told = f"{2 * count} numbers (begins, ends)" if crops else "none without 'tf_crop_and_resize'"
            raise ShapeError(f"roi {self.roi}: expected {told}")
        ends = [Fraction(str(float(place))) for place in self.roi]
        return list(zip(ends[:count], ends[count:], strict=True)) if crops else [(Fraction(0), Fraction(1))] * count

    def kernel(self) -> Kernel | None:
        """The weights by distance; None for the nearest element."""
        if self.mode == "nearest":
            return None
        weight, reach = (linear, 1) if self.mode == "linear" else (cubic(self.cubic), 2)
        return Kernel(weight, reach, self.antialias, self.exclude_outside)

    def places(self, axis: ResizedAxis) -> Places:
        return Places.of(*COORDINATES[self.coordinates](axis), axis.out)

    def taps(self, axis: ResizedAxis) -> Taps:
        """(index, weight) of each output, for each tap of the kernel that counts for some output."""
        places = self.places(axis)
        kernel = self.kernel()
        return nearest_taps(axis, places, self.nearest) if kernel is None else kernel_taps(axis, places, kernel)

    def inside(self, x: TensorType) -> dict[int, Array]:
        """For each axis of which some outputs lie outside, which ones do not."""
        if self.coordinates != "tf_crop_and_resize":
            return {}
        masks = {number: self.places(axis).inside(axis.size) for number, axis in self.resized(x).items()}
        return {number: mask for number, mask in masks.items() if not mask.all()}

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        if self.axes is None and x.rank < 3:
            raise ShapeError(f"a resize takes (N, C, spatial axes), got {x} of {x.rank} axes")
        for what, known in CHOICES.items():
            if getattr(self, what) not in known:
                raise ShapeError(f"{what} {getattr(self, what)!r} is unknown: expected {', '.join(map(repr, known))}")
        if not math.isfinite(self.cubic):
            raise ShapeError(f"cubic={self.cubic} must be a finite number")
        axes = self.resized(x)
        if any(axis.out < 1 for axis in axes.values()):
            told = (
                f"scales {self.scales} leave" if self.sizes is None else f"sizes {self.sizes} by {self.policy!r} leave"
            )
            raise ShapeError(f"{told} nothing of {x}")
        expect_tables(axis.out for axis in axes.values())
        if self.antialias and (kernel := self.kernel()) is not None:
            expect_tables(axis.out * len(kernel.offsets(axis)) for axis in axes.values())
        return (x.shaped(axes[number].out if number in axes else size for number, size in enumerate(x.shape)),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, type = inputs[0].astype(np.float64), TensorType.of(inputs[0])
        with np.errstate(all="ignore"):
            for number, axis in self.resized(type).items():
                x = summed(x, number, self.taps(axis))
            for number, inside in self.inside(type).items():
                x = np.where(inside.reshape(-1, *(1,) * (x.ndim - number - 1)), x, self.extrapolation)
            return (rounded(x),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        return Cost(macs=0 if self.mode == "nearest" else 2 * out.size, moved=out.size)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces, x = LoweringBuilder(inputs), 0
        for number, axis in self.resized(inputs[0]).items():
            x = resampled(pieces, x, number, self.taps(axis))
        for number, inside in self.inside(inputs[0]).items():
            mask = pieces.known(inside.astype(np.float64).reshape(-1, *(1,) * (inputs[0].rank - number - 1)))
            x = pieces.pointwise(where_less(0.5, Arg(1), Arg(0), self.extrapolation), (x, mask))
        return pieces.ending(x)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if 0 in self.numbers(ranks[0]) else (True,)

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
        yield Sample(cls((3, 5), mode="linear", antialias=True), ((2, 18, 8, 11),))
        yield Sample(cls((2, 7), mode="cubic", antialias=True, exclude_outside=True), ((1, 3, 7, 5),))
        yield Sample(cls((7, 3), mode="cubic", exclude_outside=True), ((1, 3, 4, 5),))
        yield Sample(cls((7, 9), mode="linear", policy="not_larger", axes=(1, -1)), ((2, 3, 4, 5),))
        yield Sample(cls((2, 7), policy="not_smaller", coordinates="tf_half_pixel_for_nn", axes=(0, 1)), ((3, 5),))
        crop: dict[str, Any] = {
            "coordinates": "tf_crop_and_resize",
            "roi": (0.25, -0.2, 0.75, 1.1),
            "extrapolation": 2.5,
        }
        yield Sample(cls((3, 6), mode="linear", **crop), ((2, 18, 4, 5),))
        yield Sample(cls((1, 6), **crop), ((1, 3, 4, 5),))
