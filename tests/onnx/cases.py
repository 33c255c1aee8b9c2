"""For every row of the operator table cases that reach each attribute, and the meanings of older opsets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cnncc.types import Array
from tests.ops.oracles import conv
from tests.ops.oracles_pooling import pool
from tests.ops.oracles_resize import resize

from .cases_floats import CASES as MORE
from .making import X, case, data, ints, number, positive


def flat_softmax(axis: int) -> Callable[[Array], Array]:
    """Softmax as it was up to opset 12: all axes from `axis` on are one."""

    def expected(x: Array) -> Array:
        rows = np.exp(x.reshape(int(np.prod(x.shape[:axis])), -1))
        return np.reshape(rows / rows.sum(1, keepdims=True), x.shape)

    return expected


def normalized(epsilon: float, spatial: int = 2) -> Callable[..., Array]:
    def expected(x: Array, *statistics: Array) -> Array:
        scale, bias, mean, variance = (vector.reshape(-1, *(1,) * spatial) for vector in statistics)
        return (x - mean) / np.sqrt(variance + epsilon) * scale + bias

    return expected


def maxima(size: int, low: int, high: int) -> Callable[[Array], Array]:
    """Maxima of size × size squares side by side, of x with (low, high) more rows."""

    def expected(x: Array) -> Array:
        n, c, _, w = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (low, high), (0, 0)), constant_values=-np.inf)
        return np.asarray(padded.reshape(n, c, -1, size, w // size, size).max((3, 5)))

    return expected


def transposed(
    low: tuple[int, ...], out: tuple[int, ...], stride: tuple[int, ...] = (1, 1), dilation: int = 1, groups: int = 1
) -> Callable[..., Array]:
    """A transposed convolution by its definition, cut to `out` elements from `low` on."""

    def expected(x: Array, w: Array) -> Array:
        group_inputs, group_outputs = x.shape[1] // groups, w.shape[1]
        full = np.zeros((x.shape[0], group_outputs * groups, *(40 for _ in out)))
        for c, o, *spot in np.ndindex(x.shape[1], group_outputs, *x.shape[2:]):
            for tap in np.ndindex(*w.shape[2:]):
                place = tuple(i * s + t * dilation for i, s, t in zip(spot, stride, tap, strict=True))
                full[(slice(None), c // group_inputs * group_outputs + o, *place)] += (
                    x[(slice(None), c, *spot)] * w[(c, o, *tap)]
                )
        cut: Any = (..., *(slice(begin, begin + size) for begin, size in zip(low, out, strict=True)))
        return np.asarray(full[cut])

    return expected


def of_the_batch(x: Array, scale: Array, bias: Array, *_: Array) -> Array:
    """Batch normalisation as in training."""
    axes, beside = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
    unit = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    return np.asarray(unit * scale.reshape(beside) + bias.reshape(beside))


def each_alone(x: Array, scale: Array, bias: Array, mean: Array, variance: Array) -> Array:
    """Batch normalisation with statistics for each element of an image."""
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + bias


def selu(alpha: float, gamma: float) -> Callable[[Array], Array]:
    return lambda x: gamma * np.where(x > 0, x, alpha * (np.exp(x) - 1))


def neighbours(size: int) -> Callable[[Array], Array]:
    """LRN with alpha = beta = bias = 1: ⌊(size − 1) / 2⌋ channels before and ⌈(size − 1) / 2⌉ behind each count."""

    def expected(x: Array) -> Array:
        low, high = (size - 1) // 2, size // 2
        sums = [(x[:, max(0, c - low) : c + high + 1] ** 2).sum(1) for c in range(x.shape[1])]
        return x / (1 + np.stack(sums, 1) / size)

    return expected


def repeated(rows: int, columns: int) -> Callable[..., Array]:
    return lambda x, *scales: x.repeat(rows, 2).repeat(columns, 3)


TENTHS = [-(i * -10 // 7) for i in range(7)]

WINDOWS = [
    case("Conv", X, data(4, 3, 3, 2)),
    case("Conv", X, data(4, 3, 3, 3), data(4), kernel_shape=[3, 3], pads=[1, 0, 2, 1], strides=[2, 1], opset=11),
    case("Conv", (1, 4, 9), data(6, 2, 3), group=2, dilations=[2], opset=1),
    case("Conv", (1, 2, 4, 5, 6), data(3, 2, 2, 2, 2), data(3), pads=[1, 1, 0, 0, 1, 1]),
    # What has an oracle of the ops here is wrong in the reference of some versions of ONNX from 1.16 on.
    case(
        "Conv",
        X,
        data(4, 3, 4, 4),
        auto_pad="SAME_UPPER",
        strides=[2, 3],
        expected=partial(conv, kernel=(4, 4), stride=(2, 3), padding=((1, 2), 1)),
    ),
    case(
        "Conv",
        X,
        data(4, 3, 4, 4),
        auto_pad="SAME_LOWER",
        strides=[2, 3],
        expected=partial(conv, kernel=(4, 4), stride=(2, 3), padding=((2, 1), 1)),
    ),
    case("Conv", X, data(4, 3, 2, 3), auto_pad="VALID", expected=partial(conv, kernel=(2, 3))),
    case("Conv", X, (4, 3, 2, 3)),
    case("ConvTranspose", X, data(3, 4, 3, 3), data(4), strides=[2, 2], pads=[1, 0, 1, 1], output_padding=[1, 0]),
    case(
        "ConvTranspose",
        (1, 4, 5),
        data(4, 3, 3),
        group=2,
        dilations=[2],
        opset=1,
        expected=transposed((0,), (9,), (1,), 2, 2),
    ),
    case(
        "ConvTranspose",
        X,
        data(3, 2, 3, 3),
        strides=[3, 2],
        output_shape=[20, 16],
        expected=transposed((1, 1), (20, 16), (3, 2)),
    ),
    case("ConvTranspose", X, data(3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    case("ConvTranspose", X, data(3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    case("ConvTranspose", X, data(3, 2, 3, 3), auto_pad="VALID"),
    case("MaxPool", X, kernel_shape=[3, 2], opset=8),
    case("MaxPool", X, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 1]),
    case("MaxPool", X, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, opset=10),
    case("MaxPool", (1, 2, 10), kernel_shape=[2], dilations=[3], strides=[2]),
    case("MaxPool", X, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("MaxPool", X, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER", expected=maxima(2, 1, 0)),
    case("AveragePool", X, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 0]),
    case("AveragePool", X, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 0], count_include_pad=1, opset=7),
    case("AveragePool", X, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", opset=10),
    case("AveragePool", (1, 2, 4, 5, 6), kernel_shape=[2, 3, 2]),
    case("GlobalAveragePool", X),
    case("GlobalAveragePool", (1, 3, 9)),
    case("GlobalMaxPool", X),
    case("LpPool", X, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], opset=11),
    case("LpPool", X, kernel_shape=[2, 2], p=1),
    case(
        "AveragePool",
        X,
        kernel_shape=[3, 3],
        strides=[2, 3],
        ceil_mode=1,
        count_include_pad=1,
        pads=[1, 1, 1, 1],
        expected=lambda x: pool(
            x, "average", kernel=(3, 3), stride=(2, 3), padding=1, ceil_mode=True, count_padding=True
        ),
    ),
    case("AveragePool", X, kernel_shape=[2, 2], dilations=[2, 3]),
    case("MaxPool", X, kernel_shape=[2, 2], storage_order=1),
    case("MaxPool", X, kernel_shape=[3, 2], strides=[2, 3], auto_pad="VALID", opset=1),
    case("AveragePool", X, kernel_shape=[2, 2], strides=[3, 3], pads=[1, 0, 0, 1], ceil_mode=1, opset=11),
    case("LpPool", X, kernel_shape=[2, 2], strides=[2, 2], opset=2),
    case(
        "ConvTranspose",
        X,
        data(3, 2, 3, 3),
        strides=[3, 2],
        output_shape=[19, 15],
        auto_pad="SAME_UPPER",
        expected=transposed((1, 1), (19, 15), (3, 2)),
    ),
    case(
        "ConvTranspose",
        X,
        data(3, 2, 3, 3),
        strides=[3, 2],
        output_padding=[1, 1],
        output_shape=[19, 15],
        expected=transposed((2, 2), (19, 15), (3, 2)),
    ),
    case(
        "ConvTranspose",
        X,
        data(3, 2, 3, 3),
        strides=[3, 2],
        output_shape=[22, 18],
        expected=transposed((0, 0), (22, 18), (3, 2)),
    ),
]

LINEAR = [
    case("Gemm", (2, 5), data(5, 3)),
    case("Gemm", (2, 5), data(3, 5), data(3), transB=1),
    case("Gemm", (2, 5), data(3, 5), data(1, 3), transB=1, alpha=0.5, beta=2.0),
    case("Gemm", (2, 5), data(5, 3), number(0.7)),
    case("Gemm", (2, 5), data(5, 3), data(2, 3)),
    case("Gemm", (2, 5), data(5, 3), data(3), opset=6, broadcast=1),
    case("Gemm", (5, 2), (5, 3), (1, 3), transA=1, opset=11),
    case("Gemm", (5, 2), (3, 5), (2, 1), transA=1, transB=1, alpha=0.5, beta=-1.0),
    case("Gemm", data(5, 2), (3, 5), transA=1, transB=1),
    case("Gemm", (2, 5), data(5, 2), data(2, 1)),
    case("Gemm", (2, 5), data(5, 3), np.full(3, np.nan, np.float32), beta=0.0),
    case("Gemm", (2, 5), data(5, 3), np.full((2, 3), np.inf, np.float32), alpha=2.0, beta=0.0, opset=9),
    case("Gemm", (2, 5), data(5, 3), (3,), alpha=0.0, beta=0.5),
    case("Gemm", (2, 5), (3, 5), (3,), transB=1, beta=1.0),
    case("MatMul", (2, 5), data(5, 3)),
    case("MatMul", (2, 4, 5), data(5, 3)),
    case("MatMul", (2, 4, 5), (2, 5, 3), opset=9),
    case("MatMul", data(3, 5), (5, 2)),
]

STATISTICS = (positive(3), data(3), data(3), positive(3))

NORMS = [
    case("BatchNormalization", X, *STATISTICS),
    case("BatchNormalization", X, *STATISTICS, epsilon=1e-2, momentum=0.8, opset=9, expected=normalized(1e-2)),
    case("BatchNormalization", X, *STATISTICS, spatial=1, opset=7, expected=normalized(1e-5)),
    case("BatchNormalization", X, *STATISTICS, is_test=1, opset=6, expected=normalized(1e-5)),
    case("BatchNormalization", X, *STATISTICS, opset=6, expected=normalized(1e-5)),
    *(case("BatchNormalization", (2, 3, 4), *STATISTICS, opset=n, unread=4, expected=of_the_batch) for n in (7, 9, 13)),
    case("BatchNormalization", (2, 3, 4), *STATISTICS, is_test=0, opset=6, unread=4, expected=of_the_batch),
    case("BatchNormalization", (2, 3, 4), *STATISTICS, is_test=1, opset=6, unread=4, expected=normalized(1e-5, 1)),
    case("BatchNormalization", (2, 3), (3,), (3,), *STATISTICS[2:], training_mode=1, unread=2, expected=of_the_batch),
    case("BatchNormalization", X, *STATISTICS, training_mode=1, opset=14, unread=2, expected=of_the_batch),
    case(
        "BatchNormalization",
        (2, 3, 4),
        positive(3, 4),
        data(3, 4),
        data(3, 4),
        positive(3, 4),
        spatial=0,
        opset=8,
        expected=each_alone,
    ),
    case("GroupNormalization", (2, 6, 4), (3,), (3,), num_groups=3, opset=18),
    case("GroupNormalization", (2, 6, 4, 5), data(6), data(6), num_groups=3),
    case("GroupNormalization", (2, 6, 4), data(3), data(3), num_groups=3, epsilon=0.1, opset=18),
    case("InstanceNormalization", X, data(3), data(3), epsilon=0.1),
    case("LayerNormalization", (2, 3, 5), data(5), data(5), opset=17),
    case("LayerNormalization", (2, 3, 5), data(3, 5), axis=1, epsilon=0.1),
    case("LRN", (6, 6, 4, 3), size=3, alpha=0.5, beta=0.6, bias=1.5),
    case("LRN", (6, 6, 4, 3), size=4),
    *(case("LRN", (2, 5, 3), size=n, alpha=1.0, beta=1.0, bias=1.0, expected=neighbours(n)) for n in (1, 2, 4, 5, 12)),
    case("LogSoftmax", (2, 3, 4)),
    case("LogSoftmax", (2, 5), opset=9),
    case("LogSoftmax", (2, 3, 4), opset=12, expected=lambda x: np.log(flat_softmax(1)(x))),
    case("Softmax", (2, 3, 4), axis=0, opset=13),
    case("Softmax", (2, 3, 4), opset=1, expected=flat_softmax(1)),
    case("Softmax", (2, 5)),
    case("Softmax", (2, 3, 4), axis=1),
    case("Softmax", (2, 3, 4), axis=1, opset=11, expected=flat_softmax(1)),
    case("Softmax", (2, 3, 4), axis=2, opset=11, expected=flat_softmax(2)),
    case("Softmax", (2, 3, 4), axis=-2, opset=11, expected=flat_softmax(1)),
    case("Softmax", (2, 3, 4), axis=0, opset=9, expected=flat_softmax(0)),
    case("Softmax", (2, 5, 1, 1), opset=9, expected=flat_softmax(1)),
]

SHAPES = [
    case("Cast", (2, 3), to=1),
    case("Cast", (2, 3), to="FLOAT", opset=1, expected=lambda x: x),
    case("Concat", (2, 3), (2, 1), data(2, 2), axis=1),
    case("Concat", (2, 3), (1, 3), axis=-2),
    case("Dropout", (2, 3), ratio=0.4, opset=10),
    case("Concat", (2, 3), (2, 1), opset=1, expected=lambda a, b: np.concatenate([a, b], 1)),
    case("Dropout", (2, 3), number(0.4), np.array(False)),
    case("Dropout", (2, 3), number(0), np.array(True)),
    case("Dropout", (2, 3), is_test=1, opset=6, expected=lambda x: x),
    case("Flatten", X),
    case("Flatten", X, axis=2),
    case("Flatten", X, axis=-1),
    case("Identity", (2, 3)),
    case("Split", (2, 6), axis=1, outputs=3, num_outputs=3),
    case("Split", (2, 7), axis=1, outputs=3, num_outputs=3),
    case("Split", (2, 6), ints(1, 5), axis=-1, outputs=2),
    case("Split", (2, 6), axis=1, split=[4, 2], outputs=2, opset=11),
    case("Split", (4, 3), outputs=2, opset=11),
    case("DepthToSpace", (1, 8, 2, 3), blocksize=2, opset=9),
    case("DepthToSpace", (1, 8, 2, 3), blocksize=2, mode="CRD"),
    case("DepthToSpace", (1, 8, 2, 3), blocksize=2, mode="DCR"),
    case("SpaceToDepth", (1, 2, 4, 6), blocksize=2),
    case("Expand", (2, 1, 4), ints(3, 1)),
    case("Expand", (1, 4), ints(2, 3, 1)),
    case("Tile", (2, 3), ints(1, 3)),
    case("Tile", (2, 3), number(2), number(1), opset=1, expected=lambda x, *_: np.tile(x, (1, 2))),
    case("Gather", X, ints(2, 0, -1), axis=1),
    case("Gather", X, np.array(1), axis=-1),
    case("Gather", (3, 4), np.array([[0, 2], [1, 1]])),
    case("Pad", X, pads=[0, 1, 2, 0, 0, 0, 1, 3], opset=2),
    case("Pad", X, pads=[0, 0, 2, 0, 0, 0, 1, 3], value=1.5, opset=10),
    case("Pad", X, ints(0, 1, 2, 0, 0, 0, 1, 3), number(0.5)),
    case("Pad", (2, 5), ints(0, -1, 0, -2), expected=lambda x, pads: x[:, 1:3]),
    case("Pad", X, ints(1, 2, 3, 4), number(-1.0), ints(2, -1)),
    case("Pad", X, ints(0, 0, 2, 1, 0, 0, 1, 3), mode="reflect", opset=11),
    case("Pad", X, ints(0, 0, 2, 1, 0, 0, 1, 3), mode="edge", opset=13),
    case("Reshape", (2, 3, 4), ints(0, -1)),
    case("Reshape", (1, 3, 4), ints(1, 4, 3)),
    case("Reshape", (2, 3, 4), ints(-1)),
    case("Reshape", (2, 3, 4), ints(6, 4), allowzero=1),
    case("Reshape", (2, 3, 4), shape=[0, -1], opset=1, expected=lambda x: x.reshape(2, 12)),
    case("Slice", X, ints(1, -3), ints(3, 2**63 - 1), ints(1, 3)),
    case("Slice", X, ints(0, 0, 5), ints(1, 3, 0), ints(0, 1, 2), ints(1, 2, -2)),
    case("Slice", X, ints(0, 1), ints(1, 2)),
    case("Slice", X, ints(-1), ints(-(2**63)), ints(2), ints(-1)),
    case("Slice", X, starts=[1, 2], ends=[3, -1], axes=[1, 3], opset=9),
    case("Squeeze", (1, 3, 1, 4), ints(2)),
    case("Squeeze", (1, 3, 1, 4)),
    case("Squeeze", (1, 3, 1, 4), axes=[0, -2], opset=11),
    case("Unsqueeze", (2, 3), ints(0, -1)),
    case("Unsqueeze", (2, 3), axes=[1], opset=11),
    case("Transpose", X, perm=[0, 2, 3, 1]),
    case("Transpose", (2, 3, 4)),
    case("Resize", X, None, np.array([1, 1, 2, 0.6], np.float32)),
    case("Resize", X, None, None, ints(1, 3, 14, 5), mode="linear"),
    case("Resize", X, None, None, ints(14, 5), mode="linear", axes=[2, 3]),
    case(
        "Resize",
        X,
        data(0),
        np.array([1, 1, 2, 1.5], np.float32),
        mode="cubic",
        cubic_coeff_a=-0.5,
        opset=11,
        expected=lambda x, *_: resize(x, None, (2, 1.5), "cubic", "half_pixel", "floor", -0.5),
    ),
    case("Resize", X, None, None, ints(1, 3, 14, 5), coordinate_transformation_mode="align_corners", mode="linear"),
    case(
        "Resize",
        X,
        None,
        np.array([1, 1, 2, 3], np.float32),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        opset=13,
    ),
    case("Resize", X, None, None, ints(1, 3, 1, 9), mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    case("Resize", X, np.array([1, 1, 2, 3], np.float32), opset=10, expected=repeated(2, 3)),
    case(
        "Resize",
        X,
        np.array([1, 1, 0.5, 2], np.float32),
        opset=10,
        expected=lambda x, _: x[:, :, [0, 2, 4]].repeat(2, 3),
    ),
    case("Resize", X, None, None, ints(1, 3, 11, 5), exclude_outside=1, mode="linear", opset=13),
    case("Resize", X, None, None, ints(1, 3, 11, 15), antialias=1, mode="linear", opset=18),
    case("Resize", (1, 1, 10), np.array([1, 1, 0.7], np.float32), opset=10, expected=lambda x, _: x[..., TENTHS]),
    case("Upsample", X, height_scale=2.0, width_scale=3.0, opset=1, expected=repeated(2, 3)),
    case("Upsample", X, scales=[1.0, 1.0, 2.0, 3.0], opset=7, expected=repeated(2, 3)),
    case("Upsample", X, np.array([1, 1, 2, 3], np.float32), mode="nearest", opset=9, expected=repeated(2, 3)),
]

CORNERS = np.array([[[0, 0], [2, -1]], [[1, 2], [-2, 0]]])
MASK = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, False]])

CHOICES = [
    case("GatherND", (4, 3, 5), ints(2, 0, -1).reshape(3, 1), opset=11),
    case("GatherND", (3, 4, 5), CORNERS, opset=13, expected=lambda x, _: x[CORNERS[..., 0], CORNERS[..., 1]]),
    case("GatherND", (3, 4), ints(2, -1)),
    case(
        "GatherND",
        (2, 4, 5),
        CORNERS,
        batch_dims=1,
        expected=lambda x, _: np.stack([x[k][tuple(CORNERS[k].T)] for k in (0, 1)]),
    ),
    case("Where", MASK, (2, 3, 4), number(-np.inf)),
    case("Where", MASK, number(7), (2, 3, 4)),
    case("Where", MASK, (2, 3, 4), (4,)),
    case("Where", MASK, (3, 1), (2, 3, 4)),
    case("Where", MASK, data(3, 4), (2, 3, 4)),
    case("Where", MASK.reshape(1, 3, 4), (2, 3, 4), data(1)),
    case("Where", MASK, (3, 4), (3, 4)),
    case("Where", MASK.reshape(3, 4, 1)[:2], (2, 4, 5), (5,), opset=9),
    case("Where", np.array(True), (2, 3), (2, 3)),
    case("Where", MASK[0], (4,), number(1)),
    case("Where", MASK.reshape(3, 4, 1), (2, 3, 4, 5), number(0)),
    case("Where", MASK.reshape(3, 1, 4), (2, 3, 5, 4), (5, 4)),
    case("Where", MASK.reshape(1, 1, 3, 4), (2, 2, 3, 4), number(0)),
    case("Where", MASK[:1, :1], (2, 3), (3,)),
    case("Where", np.array(False), (), number(2)),
]

UNARY = """Abs Asinh Atan Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Mish Neg Relu Round
    Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Tan Tanh ThresholdedRelu""".split()
KINDS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()

ELEMENTWISE = [
    case("Add", (2, 3, 4), (3, 1)),
    case("Add", (2, 3, 4), data(4)),
    *(case(name, (2, 3, 5)) for name in UNARY),
    *(case(name, (2, 3, 5), low=0.1) for name in ("Log", "Sqrt", "Reciprocal")),
    *(case(name, (2, 3, 4), (3, 1)) for name in ("Sub", "Mul", "Max", "Min", "Mean", "Sum")),
    *(case(name, (2, 3), (3,), (2, 1)) for name in ("Max", "Min", "Mean", "Sum")),
    case("Add", X, data(3), axis=1, broadcast=1, opset=6, expected=lambda a, b: a + b.reshape(3, 1, 1)),
    case("Mul", X, (7, 8), broadcast=1, opset=6, expected=lambda a, b: a * b),
    case("Sub", X, X, opset=6, expected=lambda a, b: a - b),
    case("Sub", (2, 3, 4, 5), (3, 4), axis=-3, broadcast=1, opset=1, expected=lambda a, b: a - b[..., None]),
    case("Div", X, number(2), broadcast=1, opset=6, expected=lambda a, b: a / b),
    case("Pow", X, positive(3), axis=1, broadcast=1, opset=1, low=0.1, expected=lambda a, b: a ** b.reshape(3, 1, 1)),
    *(case(name, (2, 3), opset=1, consumed_inputs=[0]) for name in ("Abs", "Elu", "Relu", "Sigmoid", "Tanh")),
    case("Selu", (2, 3), opset=1, expected=selu(1.6732, 1.0507)),
    case("Selu", (2, 3), opset=6, expected=selu(1.6732632423543772, 1.0507009873554805)),
    case("Sum", (2, 3)),
    case("Div", (2, 3), positive(3)),
    case("Pow", (2, 3), number(2)),
    case("Pow", (2, 3), data(3), low=0.1),
    *(case("Pow", (2, 3), np.array([2, 3, -1], kind)) for kind in (np.int32, np.int64, np.float64)),
    case("Pow", (2, 3), np.array(0.3), low=0.1),
    case("Celu", (2, 5), alpha=0.4),
    case("Clip", (2, 5), number(-0.5), number(0.7)),
    case("Clip", (2, 5), None, number(0.7)),
    case("Clip", (2, 5), number(0)),
    case("Clip", (2, 5)),
    case("Clip", (2, 5), min=-0.5, max=0.7, opset=6),
    case("Elu", (2, 5), alpha=0.4),
    case("Gelu", (2, 5), approximate="tanh"),
    case("HardSigmoid", (2, 5), alpha=0.3, beta=0.6),
    case("LeakyRelu", (2, 5), alpha=0.3),
    case("PRelu", X, data(3, 1, 1)),
    case("PRelu", X, data(1)),
    case("PRelu", X, data(1), opset=6, expected=lambda x, slope: np.where(x > 0, x, x * slope)),
    case("PRelu", (2, 3), data(3), opset=6, expected=lambda x, slope: np.where(x > 0, x, x * slope)),
    case("PRelu", X, data(3), opset=6, expected=lambda x, slope: np.where(x > 0, x, x * slope.reshape(3, 1, 1))),
    case("Selu", (2, 5), alpha=0.4, gamma=1.5),
    case("Shrink", (2, 5), lambd=0.4, bias=0.3),
    case("ThresholdedRelu", (2, 5), alpha=0.4),
]

REDUCTIONS = [
    *(case(f"Reduce{name}", X, low=0.2) for name in KINDS),
    *(case(f"Reduce{name}", X, ints(1, -1), low=0.2) for name in KINDS),
    case("ReduceMean", X, axes=[2, 3], keepdims=0, opset=13),
    case("ReduceSum", X, axes=[1], opset=11),
    case("ReduceMax", X, axes=[3], keepdims=0, opset=13),
    case("ReduceSum", X, noop_with_empty_axes=1),
    case("ReduceMean", X, ints(), noop_with_empty_axes=1, opset=18),
    case("ReduceMean", X, ints(), opset=18),
    case("ReduceMin", X, ints(2, 0), noop_with_empty_axes=1, keepdims=0, opset=18),
    case("ReduceL1", X, axes=[1, 3], opset=1),
]

CASES = [*WINDOWS, *LINEAR, *NORMS, *SHAPES, *CHOICES, *ELEMENTWISE, *REDUCTIONS, *MORE]
