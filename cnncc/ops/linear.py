"""The dense (fully connected) layer and the matrix product."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..computation import Broadcast, Contraction, Lowering, LoweringBuilder, single
from ..errors import ShapeError
from ..op import Cost, Op, Sample, WeightLayout, expect_count, rounded
from ..types import Array, TensorType
from ..windows import WindowAxis
from .images import WithParameters

FEW_ROWS = 8  # of a left matrix: for fewer, packing the right one would take longer than the product


@dataclass(frozen=True)
class Dense(WithParameters):
    """x (N, K) times weights (O, K) transposed, plus an optional bias (O,): ONNX's Gemm with transB."""

    @property
    def weight_layout(self) -> WeightLayout:
        return WeightLayout()

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2, 3)
        x, w, *bias = inputs
        if x.rank != 2:
            raise ShapeError(f"a dense layer takes (N, features), got {x}; flatten it first")
        if w.rank != 2 or w.shape[1] != x.shape[1]:
            raise ShapeError(f"weights of shape {w.shape} do not fit input {x}: expected (outputs, {x.shape[1]})")
        if bias and bias[0].shape != w.shape[:1]:
            raise ShapeError(f"bias of shape {bias[0].shape}, expected ({w.shape[0]},)")
        return (x.shaped((x.shape[0], w.shape[0])),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, w, *bias = (array.astype(np.float64) for array in inputs)
        with np.errstate(all="ignore"):
            result = np.einsum("nk,ok->no", x, w)
            if bias:
                result = result + bias[0]
            return (rounded(result),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(macs=inputs[0].size * inputs[1].shape[0])

    def lower(self, *inputs: TensorType) -> Lowering:
        outputs, channels = inputs[1].shape
        contraction = Contraction((), channels, outputs, bias=len(inputs) == 3)
        return single(contraction, len(inputs), self.infer(*inputs)[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((1, 37), (10, 37), (10,)))
        yield Sample(cls(), ((3, 64), (130, 64)))


@dataclass(frozen=True)
class MatMul(Op):
    """The matrix product a (…, M, K) · b (…, K, P), as NumPy's `matmul`: leading axes are batches and broadcast.

    A vector is taken as a row on the left and as a column on the right, and that axis is left out of the result.
    """

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2)
        a, b = inputs
        if not (a.rank and b.rank) or a.shape[-1] != b.shape[-2:][0]:
            raise ShapeError(f"cannot multiply {a.shape} by {b.shape}: the inner sizes must agree")
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(f"the batches of {a.shape} and {b.shape} do not broadcast to one shape") from None
        return (a.shaped((*map(int, batch), *a.shape[-2:-1], *(b.shape[-1:] if b.rank > 1 else ()))),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        a, b = (array.astype(np.float64) for array in inputs)
        with np.errstate(all="ignore"):
            return (rounded(np.matmul(a, b)),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(macs=self.infer(*inputs)[0].size * inputs[0].shape[-1])

    def lower(self, *inputs: TensorType) -> Lowering:
        """The same matrix for every row is a 1×1 convolution; only two batches of matrices meet one by one."""
        (out,) = self.infer(*inputs)
        pieces = LoweringBuilder(inputs)
        a, b = inputs[0].shape, inputs[1].shape
        left = pieces.reshape(0, a if len(a) > 1 else (1, *a))
        right = pieces.reshape(1, b if len(b) > 1 else (*b, 1))
        if math.prod(b[:-2]) == 1:
            product = rows_by_matrix(pieces, left, right)
        elif math.prod(a[:-2]) == 1:
            product = matrix_by_each(pieces, left, right)
        else:
            product = each_by_each(pieces, left, right)
        return pieces.ending(pieces.reshape(product, out.shape))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        """Images are the first batch axis, or without one the rows of the left matrix."""
        a, b = ranks
        if b <= 2:
            return (True, False) if a > 1 else None
        return (a >= b, b >= a)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((3, 20), (20, 33)))
        yield Sample(cls(), ((2, 5, 7), (7, 18)))
        yield Sample(cls(), ((2, 3, 4, 5), (2, 3, 5, 6)))
        yield Sample(cls(), ((2, 1, 4, 18), (3, 18, 17)))
        yield Sample(cls(), ((6, 5), (2, 3, 5, 4)))
        yield Sample(cls(), ((5,), (2, 5, 4)))
        yield Sample(cls(), ((2, 3, 5), (5,)))
        yield Sample(cls(), ((5,), (5,)))


def rows_by_matrix(pieces: LoweringBuilder, left: int, right: int) -> int:
    """Append (rows, K) · (K, P): each row is a position with K channels; returns (rows, P)."""
    shape, (k, p) = pieces.shape(left), pieces.shape(right)[-2:]
    rows = math.prod(shape[:-1])
    weights = pieces.transpose(pieces.reshape(right, (k, p)), (1, 0))
    if rows == 1:
        return pieces.add(Contraction((), k, p), (pieces.reshape(left, (1, k)), weights), (1, p))
    image = pieces.transpose(pieces.reshape(left, (1, rows, k)), (0, 2, 1))
    product = Contraction((WindowAxis(rows),), k, p)
    columns = pieces.add(product, (image, pieces.reshape(weights, (p, k, 1))), (1, p, rows))
    return pieces.transpose(columns, (0, 2, 1))


def matrix_by_each(pieces: LoweringBuilder, left: int, right: int) -> int:
    """Append (M, K) · (B, K, P): the rows of the right matrices are channels; returns (B, M, P)."""
    *batch, k, p = pieces.shape(right)
    m = pieces.shape(left)[-2]
    image = pieces.reshape(right, (math.prod(batch), k, p))
    product = Contraction((WindowAxis(p),), k, m)
    return pieces.add(product, (image, pieces.reshape(left, (m, k, 1))), (math.prod(batch), m, p))


def each_by_each(pieces: LoweringBuilder, left: int, right: int) -> int:
    """Append (B, M, K) · (B, K, P), after repeating what is broadcast; returns (B, M, P).

    The right matrices are weights if they serve several rows: their rows are packed as they lie, and often known. For
    few rows it is less work to pack the left ones.
    """
    batch = np.broadcast_shapes(pieces.shape(left)[:-2], pieces.shape(right)[:-2])
    left, right = (_repeated(pieces, matrices, batch) for matrices in (left, right))
    count, k, p = pieces.shape(right)
    m = pieces.shape(left)[1]
    if m < FEW_ROWS:
        product = Contraction((WindowAxis(p),), k, m, weights_per_image=True)
        return pieces.add(product, (right, pieces.reshape(left, (count, m, k, 1))), (count, m, p))
    product = Contraction((WindowAxis(m),), k, p, weights_per_image=True)
    rows, columns = (pieces.transpose(matrices, (0, 2, 1)) for matrices in (left, right))
    made = pieces.add(product, (rows, pieces.reshape(columns, (count, p, k, 1))), (count, p, m))
    return pieces.transpose(made, (0, 2, 1))


def _repeated(pieces: LoweringBuilder, matrices: int, batch: Sequence[int]) -> int:
    """Matrices of shape (…, rows, columns) as (B, rows, columns)."""
    shape = pieces.shape(matrices)
    full, missing = (*batch, *shape[-2:]), len(batch) + 2 - len(shape)
    whole = pieces.reshape(matrices, (1,) * missing + shape)
    if pieces.shape(whole) != full:
        whole = pieces.add(Broadcast(), (whole,), full)
    return pieces.reshape(whole, (math.prod(batch), *shape[-2:]))
