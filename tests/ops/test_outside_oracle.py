"""Our references against PyTorch, where it is installed: an oracle that nobody here wrote."""

from __future__ import annotations

import numpy as np
import pytest

from .cases import data, each_sample

torch = pytest.importorskip("torch")


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
    return [function(padded(x, window, -np.inf), op.kernel, [axis.stride for axis in window])]


def average(op, types, x):
    window = op.window(types[0])
    function = getattr(torch.nn.functional, f"avg_pool{len(window)}d")
    strides = [axis.stride for axis in window]
    inside = padded(torch.ones_like(x), window, 1.0 if op.count_padding else 0.0)
    return [function(padded(x, window), op.kernel, strides) / function(inside, op.kernel, strides)]


def normalization(op, types, x, scale, bias, mean, variance):
    return [torch.nn.functional.batch_norm(x, mean, variance, scale, bias, eps=op.epsilon)]


THEIRS = {
    "Add": lambda op, types, a, b: [a + b],
    "AveragePool": average,
    "BatchNormalization": normalization,
    "Concat": lambda op, types, *x: [torch.cat(x, op.axis)],
    "Conv": convolution,
    "Dense": lambda op, types, *x: [torch.nn.functional.linear(*x)],
    "Flatten": lambda op, types, x: [x.reshape(op.infer(*types)[0].shape)],
    "MaxPool": maximum,
    "Relu": lambda op, types, x: [torch.relu(x)],
    "Softmax": lambda op, types, x: [torch.softmax(x, op.axis)],
    "Split": lambda op, types, x: torch.split(x, op.sizes, op.axis),
}


@each_sample
def test_pytorch_agrees(sample):
    arrays = data(sample)
    theirs = THEIRS[sample.op.name](sample.op, sample.types, *(torch.from_numpy(a).double() for a in arrays))
    for ours, other in zip(sample.op.reference(*arrays), theirs, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), rtol=2.0**-24 * 1.01, atol=1e-12)
