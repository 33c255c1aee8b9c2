"""Our references against PyTorch, where it is installed: an oracle that nobody here wrote."""

from __future__ import annotations

import numpy as np
import pytest

from .cases import data, each_float_sample

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.tools


def padded(x, window, value=0.0):
    """`x` with each spatial axis padded (PyTorch counts axes from the last one)."""
    return torch.nn.functional.pad(x, [n for axis in reversed(window) for n in (axis.low, axis.high)], value=value)


def convolution(op, types, x, w, bias=None):
    window = op.window(types[0])
    w = torch.flip(w, tuple(range(2, w.ndim))) if op.flip else w
    function = getattr(torch.nn.functional, f"conv{op.rank}d")
    strides, dilations = [axis.stride for axis in window], [axis.dilation for axis in window]
    return [function(padded(x, window), w, bias, stride=strides, dilation=dilations, groups=op.groups)]


def maximum(op, types, x):
    window = op.window(types[0])
    function = getattr(torch.nn.functional, f"max_pool{len(window)}d")
    strides, dilations = [axis.stride for axis in window], [axis.dilation for axis in window]
    return [function(padded(x, window, -np.inf), op.kernel, strides, dilation=dilations)]


def summed(x, window):
    """Sums over windows, as a depthwise convolution with ones: their average pool has no dilation."""
    channels = x.shape[1]
    ones = torch.ones(channels, 1, *(axis.kernel for axis in window), dtype=x.dtype)
    function = getattr(torch.nn.functional, f"conv{len(window)}d")
    strides, dilations = [axis.stride for axis in window], [axis.dilation for axis in window]
    return function(x, ones, stride=strides, dilation=dilations, groups=channels)


def average(op, types, x):
    window, margins = op.window(types[0]), op.margins(types[0])
    counts = torch.nn.functional.pad(torch.ones_like(x), [n for pair in reversed(margins) for n in pair], value=1.0)
    rest = [n for axis, own in zip(window, margins, strict=True) for n in (axis.low - own[0], axis.high - own[1])]
    pairs = [n for axis in reversed(range(len(window))) for n in rest[2 * axis : 2 * axis + 2]]
    return [summed(padded(x, window), window) / summed(torch.nn.functional.pad(counts, pairs), window)]


def adaptive(kind):
    def function(op, types, x):
        return [getattr(torch.nn.functional, f"adaptive_{kind}_pool{x.ndim - 2}d")(x, op.counts(types[0]))]

    return function


def transposed(op, types, x, w, bias=None):
    """The whole scatter, filled up with zeros and cut to what is wanted."""
    axes = op.axes(types[0])
    function = getattr(torch.nn.functional, f"conv_transpose{op.rank}d")
    strides, dilations = [axis.stride for axis in axes], [axis.dilation for axis in axes]
    whole = function(x, w, stride=strides, groups=op.groups, dilation=dilations)
    more = [max(0, axis.low + axis.out - n) for axis, n in zip(axes, whole.shape[2:], strict=True)]
    whole = torch.nn.functional.pad(whole, [n for high in reversed(more) for n in (0, high)])
    for number, axis in enumerate(axes, start=2):
        whole = whole.narrow(number, axis.low, axis.out)
    return [whole if bias is None else whole + bias.reshape(-1, *(1,) * op.rank)]


def resize(op, types, x):
    """The ways that both have."""
    modes = {"linear": {3: "linear", 4: "bilinear", 5: "trilinear"}, "cubic": {4: "bicubic"}}
    mode = modes.get(op.mode, {}).get(x.ndim)
    aligned = op.coordinates == "align_corners"
    coordinates = aligned or op.coordinates == "half_pixel"
    # Their smoothing leaves positions outside out, and its cubic filter has other weights; a channel is never resized.
    only_ours = op.antialias or op.exclude_outside or op.axes or op.scales or op.cubic != -0.75
    if mode is None or only_ours or not coordinates:
        pytest.skip("PyTorch has no such way")
    (out,) = op.infer(*types)
    return [torch.nn.functional.interpolate(x, out.shape[2:], mode=mode, align_corners=aligned)]


def pixel_shuffle(op, types, x):
    if op.mode != "CRD":
        pytest.skip("PyTorch has no such way")
    return [torch.nn.functional.pixel_shuffle(x, op.block)]


def normalization(op, types, x, scale, bias, mean, variance):
    return [torch.nn.functional.batch_norm(x, mean, variance, scale, bias, eps=op.epsilon)]


def elementwise(function):
    return lambda op, types, *x: [function(op, *x)]


def reducing(function):
    """`function` of the op, the tensor, its reduced axes and whether they stay."""
    return lambda op, types, x: [function(x, op.reduced(x.ndim), op.keepdims)]


def batch_statistics(op, types, x, scale, bias):
    return [torch.nn.functional.batch_norm(x, None, None, scale, bias, training=True, eps=op.epsilon)]


def layer_norm(op, types, x, scale, bias=None):
    inner = x.shape[op.axis % x.ndim :]
    bias = None if bias is None else bias.broadcast_to(inner)
    return [torch.nn.functional.layer_norm(x, inner, scale.broadcast_to(inner), bias, op.epsilon)]


ELEMENTWISE = {
    "Abs": lambda op, x: x.abs(),
    "Ceil": lambda op, x: x.ceil(),
    "Celu": lambda op, x: torch.celu(x, op.alpha),
    "Clip": lambda op, x: torch.clamp(x, op.minimum, op.maximum),
    "Cos": lambda op, x: x.cos(),
    "Div": lambda op, a, b: a / b,
    "Elu": lambda op, x: torch.nn.functional.elu(x, op.alpha),
    "Erf": lambda op, x: torch.erf(x),
    "Exp": lambda op, x: x.exp(),
    "Floor": lambda op, x: x.floor(),
    "Gelu": lambda op, x: torch.nn.functional.gelu(x, approximate=op.approximate),
    "HardSwish": lambda op, x: torch.nn.functional.hardswish(x),
    "LeakyRelu": lambda op, x: torch.nn.functional.leaky_relu(x, op.alpha),
    "Log": lambda op, x: x.log(),
    "Mish": lambda op, x: torch.nn.functional.mish(x),
    "Mul": lambda op, a, b: a * b,
    "Neg": lambda op, x: -x,
    "Pow": lambda op, a, b: a**b,
    "PRelu": lambda op, x, slope: torch.where(x > 0, x, slope * x),
    "Reciprocal": lambda op, x: x.reciprocal(),
    "Round": lambda op, x: x.round(),
    "Sigmoid": lambda op, x: x.sigmoid(),
    "Sign": lambda op, x: x.sign(),
    "Silu": lambda op, x: torch.nn.functional.silu(x),
    "Sin": lambda op, x: x.sin(),
    "Softsign": lambda op, x: torch.nn.functional.softsign(x),
    "Sqrt": lambda op, x: x.sqrt(),
    "Sub": lambda op, a, b: a - b,
    **{
        name: lambda op, x: getattr(x, op.name.lower())()
        for name in ("Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh")
    },
    "Tanh": lambda op, x: x.tanh(),
    "ThresholdedRelu": lambda op, x: torch.nn.functional.threshold(x, op.alpha, 0.0),
}

REDUCING = {
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keep),
    "ReduceL2": lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keep),
    "ReduceMax": lambda x, axes, keep: x.amax(axes, keep),
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keep),
    "ReduceMin": lambda x, axes, keep: x.amin(axes, keep),
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keep),
}

THEIRS = {
    **{name: elementwise(function) for name, function in ELEMENTWISE.items()},
    **{name: reducing(function) for name, function in REDUCING.items()},
    "BatchStandardization": batch_statistics,
    "GroupNormalization": lambda op, types, *x: [torch.nn.functional.group_norm(x[0], op.groups, *x[1:], op.epsilon)],
    "InstanceNormalization": lambda op, types, x, *w: [
        torch.nn.functional.instance_norm(x, None, None, *w, eps=op.epsilon)
    ],
    "LayerNormalization": layer_norm,
    "LogSoftmax": lambda op, types, x: [torch.log_softmax(x, op.axis)],
    "AdaptiveAveragePool": adaptive("avg"),
    "AdaptiveMaxPool": adaptive("max"),
    "Add": lambda op, types, a, b: [a + b],
    "AveragePool": average,
    "BatchNormalization": normalization,
    "Concat": lambda op, types, *x: [torch.cat(x, op.axis)],
    "Conv": convolution,
    "ConvTranspose": transposed,
    "Dense": lambda op, types, *x: [torch.nn.functional.linear(*x)],
    "DepthToSpace": pixel_shuffle,
    "Flatten": lambda op, types, x: [x.reshape(op.infer(*types)[0].shape)],
    "GlobalAveragePool": lambda op, types, x: [x.mean(tuple(range(2, x.ndim)), keepdim=True)],
    "GlobalMaxPool": lambda op, types, x: [x.amax(tuple(range(2, x.ndim)), keepdim=True)],
    "MatMul": lambda op, types, a, b: [torch.matmul(a, b)],
    "MaxPool": maximum,
    "Relu": lambda op, types, x: [torch.relu(x)],
    "Resize": resize,
    "Softmax": lambda op, types, x: [torch.softmax(x, op.axis)],
    "Split": lambda op, types, x: torch.split(x, op.sizes, op.axis),
    "Tile": lambda op, types, x: [x.repeat(op.repeats)],
}


@each_float_sample
def test_pytorch_agrees(sample):
    if sample.op.name not in THEIRS:
        pytest.skip("not compared with PyTorch")
    arrays = data(sample)
    theirs = THEIRS[sample.op.name](sample.op, sample.types, *(torch.from_numpy(a).double() for a in arrays))
    for ours, other in zip(sample.op.reference(*arrays), theirs, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), rtol=2.0**-24 * 1.01, atol=1e-12)
