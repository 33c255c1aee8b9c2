"""One random use of each op that `generate` does not use itself: attributes, second operands, fitting shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnncc import ops
from cnncc.elements import INT64, UINT8
from cnncc.ir import Value
from cnncc.op import Op
from cnncc.windows import Padding

from . import indexed

if TYPE_CHECKING:
    from .generate import Generator

ANY = (0, 1, 2, 3, 4, 5, 6)
SPATIAL = (3, 4, 5)
Layer = Callable[["Generator"], Value]

# Element by element

ACTIVATIONS: dict[str, Callable[[Generator], Op]] = {
    "Abs": lambda g: ops.Abs(),
    "Ceil": lambda g: ops.Ceil(),
    "Celu": lambda g: ops.Celu(g.one_of((1.0, 0.5, 2.0))),
    "Clip": lambda g: ops.Clip(*g.one_of(((None, 1.0), (0.0, 6.0), (-0.5, None), (None, None), (-1.0, 0.25)))),
    "Cos": lambda g: ops.Cos(),
    "Elu": lambda g: ops.Elu(g.one_of((1.0, 0.3))),
    "Erf": lambda g: ops.Erf(),
    "Exp": lambda g: ops.Exp(),
    "Floor": lambda g: ops.Floor(),
    "Gelu": lambda g: ops.Gelu(g.one_of(("none", "tanh"))),
    "HardSigmoid": lambda g: ops.HardSigmoid(*g.one_of(((), (0.3, 0.1)))),
    "HardSwish": lambda g: ops.HardSwish(),
    "Identity": lambda g: ops.Identity(),
    "Dropout": lambda g: ops.Dropout(g.one_of((0.5, 0.1))),
    "LeakyRelu": lambda g: ops.LeakyRelu(g.one_of((0.01, 0.2, -0.5, 1.5))),
    "Log": lambda g: ops.Log(),
    "Mish": lambda g: ops.Mish(),
    "Neg": lambda g: ops.Neg(),
    "Reciprocal": lambda g: ops.Reciprocal(),
    "Round": lambda g: ops.Round(),
    "Selu": lambda g: ops.Selu(),
    "Shrink": lambda g: ops.Shrink(*g.one_of(((), (0.25, 0.25), (1.0, -0.5)))),
    "Sigmoid": lambda g: ops.Sigmoid(),
    "Sign": lambda g: ops.Sign(),
    "Silu": lambda g: ops.Silu(),
    "Sin": lambda g: ops.Sin(),
    "Softplus": lambda g: ops.Softplus(),
    "Softsign": lambda g: ops.Softsign(),
    "Tan": lambda g: ops.Tan(),
    "Asin": lambda g: ops.Asin(),
    "Acos": lambda g: ops.Acos(),
    "Atan": lambda g: ops.Atan(),
    "Sinh": lambda g: ops.Sinh(),
    "Cosh": lambda g: ops.Cosh(),
    "Asinh": lambda g: ops.Asinh(),
    "Acosh": lambda g: ops.Acosh(),
    "Atanh": lambda g: ops.Atanh(),
    "Sqrt": lambda g: ops.Sqrt(),
    "Tanh": lambda g: ops.Tanh(),
    "ThresholdedRelu": lambda g: ops.ThresholdedRelu(g.one_of((1.0, 0.0, -0.5))),
}


def activation(name: str) -> Layer:
    def layer(g: Generator) -> Value:
        x = g.pick(ANY)
        if name in ("Log", "Sqrt"):
            x = g.above_zero(x)
        elif name == "Reciprocal":
            x = g.away_from_zero(x)
        elif name in ("Exp", "Sinh", "Cosh"):
            x = g.small(x)
        elif name in ("Asin", "Acos", "Atanh"):
            x = g.net.apply(ops.Clip(-0.9, 0.9), x)
        elif name == "Acosh":
            x = g.net.apply(ops.Clip(1.1), x)
        return g.net.apply(ACTIVATIONS[name](g), x)

    return layer


def partner(g: Generator, x: Value) -> Value:
    """A value that broadcasts with x: one that is there, or new weights along some axes."""
    shape = g.net.shape(x)
    if g.chance(0.5):
        fitting = [value for value in g.values if g.broadcasts(shape, g.net.shape(value))]
        if fitting:
            return g.one_of(fitting)
    part = [1 if g.chance(0.5) else size for size in shape]
    return g.weights(*part[g.number(0, max(0, len(part) - 1)) :])


def binary(op: Op) -> Layer:
    def layer(g: Generator) -> Value:
        a = g.pick(ANY)
        b = partner(g, a)
        if g.chance(0.5):
            a, b = b, a
        if isinstance(op, ops.Div):
            b = g.away_from_zero(b)
        elif isinstance(op, ops.Pow):
            a, b = g.above_zero(g.small(a)), g.small(b)
            if g.chance(0.3):
                b = g.net.known(np.array(g.one_of((2.0, 0.5, -1.0, 3.0, 0.0)), np.float32))
        return g.net.apply(op, a, b)

    return layer


def variadic(op: Op) -> Layer:
    def layer(g: Generator) -> Value:
        x = g.pick(ANY)
        return g.net.apply(op, x, *(partner(g, x) for _ in range(g.number(0, 2))))

    return layer


def prelu(g: Generator) -> Value:
    x = g.pick()
    shape = g.net.shape(x)
    part = [1 if g.chance(0.5) else size for size in shape]
    return g.net.apply(ops.PRelu(), x, g.weights(*part[g.number(0, len(part) - 1) :]))


# Over axes


def some_axes(g: Generator, rank: int) -> tuple[int, ...]:
    """Some axes, mostly not that of the images, sometimes counted from the back."""
    axes = [axis for axis in range(0 if g.chance(0.15) else 1, rank) if g.chance(0.5)] or [rank - 1]
    return tuple(axis - rank if g.chance(0.2) else axis for axis in axes)


def reduction(kind: Callable[..., Op]) -> Layer:
    def layer(g: Generator) -> Value:
        x = g.pick((1, 2, 3, 4, 5, 6))
        if kind is ops.ReduceLogSum:
            x = g.above_zero(x)
        axes = None if g.chance(0.1) else some_axes(g, len(g.net.shape(x)))
        return g.net.apply(kind(axes, g.chance(0.6)), x)

    return layer


def some_axis(g: Generator, rank: int) -> int:
    """An axis, mostly not that of the images, sometimes counted from the back."""
    axis = g.number(0 if g.chance(0.1) or rank == 1 else 1, rank - 1)
    return axis - rank if g.chance(0.2) else axis


def log_softmax(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    return g.net.apply(ops.LogSoftmax(some_axis(g, len(g.net.shape(x)))), x)


def by_order(kind: Callable[[int], Op]) -> Layer:
    """An op along an axis; the numbers of places become floats."""

    def layer(g: Generator) -> Value:
        x = g.pick((1, 2, 3, 4, 5, 6))
        return as_float(g, g.net.apply(kind(some_axis(g, len(g.net.shape(x)))), x))

    return layer


def as_float(g: Generator, x: Value) -> Value:
    """Numbers of places as floats."""
    places = g.net.builder.nodes[x.node].types[x.index].dtype is INT64
    return g.net.apply(ops.Cast("float32"), x) if places else x


def cumulative(op: type[ops.CumSum] | type[ops.CumProd]) -> Layer:
    return lambda g: by_order(lambda axis: op(axis, g.chance(0.5), g.chance(0.5)))(g)


def top_k(g: Generator) -> Value:
    """The elements, or their places as floats."""
    x = g.pick((1, 2, 3, 4, 5, 6))
    shape = g.net.shape(x)
    axis = some_axis(g, len(shape))
    op = ops.TopK(g.number(1, min(7, shape[axis])), axis, g.chance(0.5))
    return as_float(g, g.one_of(g.net.builder.add(op, (x,))))


def trilu(g: Generator) -> Value:
    return g.net.apply(ops.Trilu(g.chance(0.5), g.number(-3, 3)), g.pick((2, 3, 4, 5)))


def one_hot(g: Generator) -> Value:
    indices = g.net.apply(ops.Cast(g.one_of(("int32", "int64", "float32"))), g.pick((1, 2, 3)))
    axis = some_axis(g, len(g.net.shape(indices)) + 1)
    return g.net.apply(ops.OneHot(g.number(1, 5), axis, g.chance(0.5)), indices, g.weights(2))


def standardization(kind: Callable[..., Op]) -> Layer:
    def layer(g: Generator) -> Value:
        x = g.pick(SPATIAL if kind is ops.InstanceNormalization else (2, 3, 4, 5))
        channels = g.net.shape(x)[1]
        epsilon = g.one_of((1e-5, 1e-3, 0.1))
        op = kind(divisor(g, channels), epsilon) if kind is ops.GroupNormalization else kind(epsilon)
        return g.net.apply(op, x, g.weights(channels), g.weights(channels))

    return layer


def layer_normalization(g: Generator) -> Value:
    x = g.pick()
    shape = g.net.shape(x)
    axis = g.number(1, len(shape) - 1)
    inner = shape[axis:]
    vectors = []
    for _ in range(g.number(1, 2)):
        part = [1 if g.chance(0.2) else size for size in inner]
        vectors.append(g.weights(*part[g.number(0, len(part) - 1) if g.chance(0.3) else 0 :]))
    op = ops.LayerNormalization(axis - len(shape) if g.chance(0.5) else axis, g.one_of((1e-5, 1e-2)))
    return g.net.apply(op, x, *vectors)


def local_response(g: Generator) -> Value:
    op = ops.LRN(g.number(1, 6), g.one_of((1e-4, 0.5, 2.0)), g.one_of((0.75, 0.5, 1.0, 0.6)), g.one_of((1.0, 2.0)))
    return g.net.apply(op, g.pick())


# Windows


def divisor(g: Generator, size: int) -> int:
    return g.one_of([d for d in range(1, size + 1) if size % d == 0])


def conv_transpose(g: Generator) -> Value:
    x = g.pick(SPATIAL)
    channels, *sizes = g.net.shape(x)[1:]
    rank = len(sizes)
    kernel = tuple(g.number(1, 4 if rank < 3 else 3) for _ in range(rank))
    stride = tuple(g.one_of((1, 2, 2, 3)) for _ in range(rank))
    dilation = tuple(g.one_of((1, 1, 1, 2)) for _ in range(rank))
    paddings: tuple[Padding, ...] = ("valid", "same", tuple((g.number(0, 2), g.number(0, 2)) for _ in range(rank)))
    padding = g.one_of(paddings)
    if g.structured and g.chance(0.5):
        kernel, stride, dilation, padding = g.large_window(rank)
    added = tuple(g.number(0, s - 1) for s in stride) if g.chance(0.3) else 0
    groups = divisor(g, channels) if g.chance(0.35) else 1
    outputs = g.number(1, 3) if groups > 1 else g.one_of((1, 2, 3, 5, 8, 16, 17))
    op = ops.ConvTranspose(kernel, stride, dilation, padding, added, groups)
    bias = [g.weights(outputs * groups)] if g.chance(0.5) else []
    return g.net.apply(op, x, g.weights(channels, outputs, *kernel), *bias)


def pool(kind: Callable[..., Op]) -> Layer:
    def layer(g: Generator) -> Value:
        x = g.pick(SPATIAL)
        rank = len(g.net.shape(x)) - 2
        kernel = tuple(g.number(1, 3) for _ in range(rank))
        stride = None if g.chance(0.4) else tuple(g.number(1, 3) for _ in range(rank))
        margins = tuple((g.number(0, k - 1), g.number(0, k - 1)) for k in kernel)
        paddings: tuple[Padding, ...] = ("valid", "same", margins)
        padding = g.one_of(paddings)
        dilation = tuple(g.one_of((1, 1, 2)) for _ in range(rank))
        if g.structured and g.chance(0.5):
            kernel, stride, dilation, padding = g.large_window(rank)
        options: dict[str, object] = {"ceil_mode": g.chance(0.3)}
        if kind in (ops.AveragePool, ops.MixedPool):
            options["count_padding"] = g.chance(0.5)
        if kind is ops.MixedPool:
            options["alpha"] = g.one_of((0.0, 0.3, 0.5, 1.0))
        if kind is ops.LpPool:
            options["p"] = g.one_of((1, 2, 2, 3, 4))
        if kind is ops.MaxPoolIndices:
            options["column_major"] = g.chance(0.5)
        return as_float(g, g.net.apply(kind(kernel, stride, padding, dilation, **options), x))

    return layer


def global_pool(op: Op) -> Layer:
    return lambda g: g.net.apply(op, g.pick(SPATIAL))


def adaptive_pool(kind: Callable[..., Op]) -> Layer:
    def layer(g: Generator) -> Value:
        x = g.pick(SPATIAL)
        sizes = tuple(g.number(1, min(size + 1, 6)) for size in g.net.shape(x)[2:])
        return g.net.apply(kind(sizes), x)

    return layer


def pyramid(g: Generator) -> Value:
    levels = tuple(g.number(1, 4) for _ in range(g.number(1, 3)))
    return g.net.apply(ops.SpatialPyramidPool(levels, g.one_of(("max", "average"))), g.pick(SPATIAL))


def spectral(g: Generator) -> Value:
    x = g.pick(SPATIAL)
    return g.net.apply(ops.SpectralPool(tuple(g.number(1, size) for size in g.net.shape(x)[2:])), x)


def resize(g: Generator) -> Value:
    x = g.pick(SPATIAL)
    spatial = g.net.shape(x)[2:]
    sizes = tuple(g.number(1, min(2 * size + 1, 16)) for size in spatial)
    how: dict[str, Any] = {
        "mode": g.one_of(("nearest", "linear", "cubic")),
        "nearest": g.one_of(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
        "coordinates": g.one_of(
            ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric")
        ),
        "antialias": g.chance(0.3),
        "exclude_outside": g.chance(0.3),
    }
    if g.chance(0.2):
        ends = [g.one_of((-0.25, 0.0, 0.25, 0.75, 1.0, 1.25)) for _ in range(2 * len(spatial))]
        how |= {"coordinates": "tf_crop_and_resize", "roi": tuple(ends), "extrapolation": 1.5}
    if g.chance(0.5):
        return g.net.apply(ops.Resize(sizes, **how), x)
    scales = tuple(g.one_of((2.0, 1.0, 0.5, 1.5, 0.7)) for _ in spatial)
    return g.net.apply(ops.Resize(scales=scales, **how), x)


# Shapes


def slice_(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    axes = some_axes(g, len(shape))
    starts, ends, steps = [], [], []
    for axis in axes:
        size, step = shape[axis], g.one_of((1, 1, 1, 2, 3, -1, -2))
        low = g.number(0, size - 1)
        high = g.number(low + 1, size + 2)
        if step < 0:
            low, high = min(high, size) - 1, low - 1 - size if low else -size - 1
        starts.append(low - size if g.chance(0.2) else low)
        ends.append(high)
        steps.append(step)
    return g.net.apply(ops.Slice(tuple(starts), tuple(ends), axes, tuple(steps)), x)


def gather(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    axis = some_axis(g, len(shape))
    size = shape[axis]

    def row(count: int) -> tuple[int, ...]:
        return tuple(g.number(-size, size - 1) for _ in range(count))

    kind = g.number(0, 3)
    indices: object = row(g.number(1, 9))
    if kind == 0:
        indices = g.number(-size, size - 1)
    elif kind == 1:
        count = g.number(1, 3)
        indices = tuple(row(count) for _ in range(g.number(1, 3)))
    return g.net.apply(ops.Gather(indices, axis), x)


def reshape(g: Generator) -> Value:
    x = g.pick(ANY)
    shape = g.net.shape(x)
    keep = bool(shape) and g.chance(0.85)
    left, sizes = math.prod(shape[1:] if keep else shape), [0] if keep else []
    for _ in range(g.number(1, 3)):
        sizes.append(divisor(g, left))
        left //= sizes[-1]
    sizes.append(-1 if g.chance(0.5) else left)
    return g.net.apply(ops.Reshape(tuple(sizes)), x)


def transpose(g: Generator) -> Value:
    x = g.pick((2, 3, 4, 5))
    rank = len(g.net.shape(x))
    if g.chance(0.05):
        return g.net.apply(ops.Transpose(), x)
    fixed = [0] if g.chance(0.85) else []
    rest = [axis for axis in range(rank) if axis not in fixed]
    g.rng.shuffle(rest)
    return g.net.apply(ops.Transpose((*fixed, *rest)), x)


def squeeze(g: Generator) -> Value:
    single = [value for value in g.values if 1 in g.net.shape(value)[1:]]
    x = g.one_of(single) if single else g.net.apply(ops.ReduceMean((-1,)), g.pick())
    ones = [axis for axis, size in enumerate(g.net.shape(x)) if size == 1 and axis]
    axes = [axis for axis in ones if g.chance(0.6)] or ones[:1]
    return g.net.apply(ops.Squeeze(tuple(axes)), x)


def unsqueeze(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4))
    rank = len(g.net.shape(x)) + g.number(1, 2)
    axes = sorted({g.number(1, rank - 1) for _ in range(rank - len(g.net.shape(x)))})
    rank = len(g.net.shape(x)) + len(axes)
    return g.net.apply(ops.Unsqueeze(tuple(min(axis, rank - 1) for axis in axes)), x)


def pad(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    pads = [(g.number(-1, 3), g.number(-1, 3)) if g.chance(0.5) else (0, 0) for _ in shape]
    if g.chance(0.85):
        pads[0] = (0, 0)
    mode = g.one_of(("constant", "constant", "reflect", "edge", "wrap"))
    return g.net.apply(ops.Pad(tuple(pads), mode, g.one_of((0.0, 0.0, 1.5, -math.inf))), x)


def tile(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    repeats = [g.one_of((1, 1, 2, 3)) for _ in g.net.shape(x)]
    if g.chance(0.85):
        repeats[0] = 1
    return g.net.apply(ops.Tile(tuple(repeats)), x)


def expand(g: Generator) -> Value:
    x = g.pick(ANY)
    sizes = [g.number(1, 4) if size == 1 else g.one_of((1, size)) for size in g.net.shape(x)]
    if sizes and g.chance(0.85):
        sizes[0] = 1
    if g.chance(0.1):
        sizes = [g.number(1, 3), *sizes]
    return g.net.apply(ops.Expand(tuple(sizes)), x)


def depth_to_space(g: Generator) -> Value:
    """After a 1 × 1 convolution that makes the channels for it, as in networks that enlarge pictures."""
    x, block = g.pick((4,)), g.one_of((2, 2, 3))
    channels = g.net.shape(x)[1]
    if channels % block**2:
        x = g.net.apply(ops.Conv((1, 1)), x, g.weights(block**2 * g.number(1, 3), channels, 1, 1))
    return g.net.apply(ops.DepthToSpace(block, g.one_of(("DCR", "CRD"))), x)


def space_to_depth(g: Generator) -> Value:
    x, block = g.pick((4,)), g.one_of((2, 2, 3))
    more = [-size % block for size in g.net.shape(x)[2:]]
    if any(more):
        x = g.net.apply(ops.Pad(((0, 0), (0, 0), (0, more[0]), (0, more[1]))), x)
    return g.net.apply(ops.SpaceToDepth(block), x)


def channel_shuffle(g: Generator) -> Value:
    x = g.pick()
    return g.net.apply(ops.ChannelShuffle(divisor(g, g.net.shape(x)[1])), x)


# Matrices and pictures


def matmul(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    *batch, rows, inner = (1, *g.net.shape(x))
    kind = g.number(0, 4)
    if kind == 0 and len(g.net.shape(x)) > 1:
        return g.net.apply(ops.MatMul(), g.weights(g.number(1, 9), rows), x)
    if kind == 1 and len(g.net.shape(x)) > 1:
        rank = len(g.net.shape(x))
        other = g.net.apply(ops.Transpose((*range(rank - 2), rank - 1, rank - 2)), x)
        return g.net.apply(ops.MatMul(), *((x, other) if g.chance(0.5) else (other, x)))
    if kind == 2:
        return g.net.apply(ops.MatMul(), x, g.weights(inner))
    part = [size if g.chance(0.5) else 1 for size in batch[1:]] if kind == 3 else []
    return g.net.apply(ops.MatMul(), x, g.weights(*part, inner, g.number(1, 17)))


def image(g: Generator) -> Value:
    """A picture as another input: bytes or floats, channels first or last, perhaps with a scale for each channel."""
    channels, last = g.one_of((1, 3, 3, 4)), g.chance(0.6)
    spatial = [g.number(1, 12) for _ in range(g.one_of((1, 2, 2, 2, 3)))]
    shape = (g.images, *spatial, channels) if last else (g.images, channels, *spatial)
    x = g.bytes(shape) if g.chance(0.75) else g.net.arrives(g.net.random(*shape), "picture")
    scaling: Sequence[Value] = ()
    if g.chance(0.7) or g.net.builder.nodes[x.node].types[0].dtype is UINT8:
        factor = np.full(channels, 1 / 64) * g.one_of((1.0, 0.5, -1.0))
        scaling = (g.net.known(factor.astype(np.float32)), g.weights(channels))
    return g.net.apply(ops.ImageToTensor(last), x, *scaling)


LAYERS: dict[str, Layer] = {
    **{name: activation(name) for name in ACTIVATIONS},
    **{type(op).__name__: binary(op) for op in (ops.Sub(), ops.Mul(), ops.Div(), ops.Pow())},
    **{type(op).__name__: variadic(op) for op in (ops.Min(), ops.Max(), ops.Sum(), ops.Mean())},
    **{
        kind.__name__: reduction(kind)
        for kind in (
            ops.ReduceL1, ops.ReduceL2, ops.ReduceLogSum, ops.ReduceLogSumExp, ops.ReduceMax, ops.ReduceMean,
            ops.ReduceMin, ops.ReduceProd, ops.ReduceSum, ops.ReduceSumSquare,
        )
    },
    **{
        kind.__name__: standardization(kind)
        for kind in (ops.BatchStandardization, ops.InstanceNormalization, ops.GroupNormalization)
    },
    **{
        kind.__name__: pool(kind)
        for kind in (ops.MaxPool, ops.MaxPoolIndices, ops.AveragePool, ops.MixedPool, ops.LpPool)
    },
    **{kind.__name__: adaptive_pool(kind) for kind in (ops.AdaptiveMaxPool, ops.AdaptiveAveragePool)},
    **{type(op).__name__: global_pool(op) for op in (ops.GlobalMaxPool(), ops.GlobalAveragePool())},
    "PRelu": prelu,
    "ArgMax": by_order(lambda axis: ops.ArgMax(axis)),
    "ArgMin": by_order(lambda axis: ops.ArgMin(axis, select_last_index=True)),
    "Hardmax": by_order(lambda axis: ops.Hardmax(axis)),
    "CumSum": cumulative(ops.CumSum),
    "CumProd": cumulative(ops.CumProd),
    "TopK": top_k,
    "Trilu": trilu,
    "OneHot": one_hot,
    "LogSoftmax": log_softmax,
    "LayerNormalization": layer_normalization,
    "LRN": local_response,
    "ConvTranspose": conv_transpose,
    "SpatialPyramidPool": pyramid,
    "SpectralPool": spectral,
    "Resize": resize,
    "Slice": slice_,
    "Gather": gather,
    "Reshape": reshape,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Pad": pad,
    "Tile": tile,
    "Expand": expand,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "ChannelShuffle": channel_shuffle,
    "MatMul": matmul,
    **indexed.LAYERS,
    "ImageToTensor": image,
}  # fmt: skip
"""A layer for each op beside those that `generate.Generator` has methods for."""
