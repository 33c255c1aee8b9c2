"""Spectral pooling: fewer pixels by leaving out high frequencies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Contraction, Lowering, LoweringBuilder, replaced
from ..errors import ShapeError
from ..op import Cost, Op, Sample, expect_count, rounded
from ..types import Array, TensorType
from ..windows import WindowAxis, per_axis


def spectral_matrix(size: int, out: int) -> Array:
    """The real map (out, size): discrete Fourier transform, the `out` lowest frequencies, inverse transform.

    Both transforms are unitary. The frequencies −k and k are kept together, so their sum is real; of the highest
    one of an even `out`, which stands alone, the real part remains.
    """
    highest = (out - 1) // 2
    turns = np.arange(out)[:, None] / out - np.arange(size) / size
    result = np.ones((out, size))
    for k in range(1, highest + 1):
        result += 2 * np.cos(2 * np.pi * k * turns)
    if out % 2 == 0:
        result += np.cos(np.pi * out * turns)
    return np.asarray(result / math.sqrt(out * size))


MAX_MATRIX = 2**24
"""Elements of an axis's matrix, which is made at compile time."""


@dataclass(frozen=True)
class SpectralPool(Op):
    """Each channel's spectrum cropped to the `sizes` lowest frequencies of its spatial axes.

    See Rippel, Snoek and Adams, Spectral representations for convolutional neural networks (2015). The crop is one
    of each axis after another, a matrix for each axis: for odd sizes that is the paper's map. For even ones the
    paper's treatment of the corner cases keeps the real part of the coefficients that have lost their partner; here
    that is done axis by axis, which differs only in the one coefficient that is highest along two axes (it is the
    mean of the two real parts with frequencies of equal and of opposite sign). As in the paper transforms are
    unitary, so a constant image grows by √(n / size) along each axis.
    """

    sizes: tuple[int, ...] | int

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        if not 3 <= x.rank <= 5:
            raise ShapeError(f"spectral pooling takes (N, C, 1 to 3 spatial axes), got {x} of {x.rank} axes")
        sizes = per_axis(self.sizes, x.rank - 2, "sizes")
        if any(size > n for size, n in zip(sizes, x.shape[2:], strict=True)):
            raise ShapeError(f"sizes {sizes} must not exceed the {x.shape[2:]} frequencies of {x}")
        for size, n in zip(sizes, x.shape[2:], strict=True):
            if size < n and size * n > MAX_MATRIX:
                raise ShapeError(f"a matrix of {size} × {n} elements: at most {MAX_MATRIX} fit")
        return (x.shaped((*x.shape[:2], *sizes)),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x = inputs[0].astype(np.float64)
        sizes = per_axis(self.sizes, x.ndim - 2, "sizes")
        with np.errstate(all="ignore"):
            for axis, size in enumerate(sizes, start=2):
                if size < x.shape[axis]:
                    x = np.moveaxis(np.tensordot(spectral_matrix(x.shape[axis], size), x, (1, axis)), 0, axis)
            return (rounded(x),)

    def cost(self, *inputs: TensorType) -> Cost:
        shape, macs = inputs[0].shape, 0
        for axis, size in enumerate(self.infer(*inputs)[0].shape[2:], start=2):
            macs += 0 if size == shape[axis] else size * math.prod(shape)
            shape = replaced(shape, axis, size)
        return Cost(macs=macs, moved=math.prod(shape))

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces, x = LoweringBuilder(inputs), 0
        for axis, size in enumerate(self.infer(*inputs)[0].shape[2:], start=2):
            if size < pieces.shape(x)[axis]:
                x = along(pieces, x, axis, spectral_matrix(pieces.shape(x)[axis], size))
        return pieces.ending(x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((3, 5)), ((2, 3, 6, 9),))
        yield Sample(cls((4, 2)), ((1, 20, 7, 6),))
        yield Sample(cls((4, 3)), ((2, 3, 4, 5),))
        yield Sample(cls(4), ((2, 4, 11),))
        yield Sample(cls((2, 3, 1)), ((1, 2, 3, 4, 5),))


def along(pieces: LoweringBuilder, x: int, axis: int, matrix: Array) -> int:
    """Append a matrix applied along a spatial axis: a 1×1 convolution with that axis in the channels' place."""
    rank = len(pieces.shape(x))
    out, size = matrix.shape
    axes = (0, axis, *(other for other in range(1, rank) if other != axis))
    image = pieces.transpose(x, axes)
    shape = pieces.shape(image)
    weights = pieces.known(matrix.reshape(out, size, *(1,) * (rank - 2)))
    product = Contraction(tuple(WindowAxis(n) for n in shape[2:]), size, out)
    turned = pieces.add(product, (image, weights), replaced(shape, 1, out))
    return pieces.transpose(turned, [axes.index(place) for place in range(rank)])
