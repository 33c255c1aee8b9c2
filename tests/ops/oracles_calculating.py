"""Oracles of the ops that calculate element by element, reduce or normalise: Python's `math` in plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np

from cnncc.types import Array

from . import oracles_exact
from .oracles import broadcast_index
from .oracles_exact import number

Oracle = Callable[[Any, Sequence[Array]], list[Array]]


def elementwise(function: Callable[..., float]) -> Oracle:
    """The oracle that applies `function(op, *numbers)` to each element of its broadcast inputs."""

    def oracle(op: Any, arrays: Sequence[Array]) -> list[Array]:
        rank = max(array.ndim for array in arrays)
        padded = [(1,) * (rank - array.ndim) + array.shape for array in arrays]
        shape = [max(sizes) for sizes in zip(*padded, strict=True)]
        floats = all(array.dtype.kind == "f" for array in arrays)
        result = np.zeros(shape, float if floats else object)
        for where in product(*map(range, result.shape)):
            numbers = [number(array[broadcast_index(where, array.shape)]) for array in arrays]
            result[where] = function(op, *numbers)
        return [result]

    return oracle


def largest(*numbers: float) -> float:
    return math.nan if any(map(math.isnan, numbers)) else max(numbers)


def smallest(*numbers: float) -> float:
    return math.nan if any(map(math.isnan, numbers)) else min(numbers)


def between(x: float, low: float | None, high: float | None) -> float:
    if low is not None and x < low:
        x = low
    return high if high is not None and x > high else x


def clip(op: Any, x: float) -> float:
    return between(x, op.minimum, op.maximum)


def elu(x: float, alpha: float, inner: float = 1.0) -> float:
    return x if x > 0 else alpha * math.expm1(x / inner)


def gelu(op: Any, x: float) -> float:
    if op.approximate == "tanh":
        return 0.5 * x * (1 + math.tanh((x + 0.044715 * x * x * x) * (2 / math.pi) ** 0.5))
    return x * 0.5 * math.erfc(-x / 2**0.5)


def softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + (x if x > 0 else 0.0)


def shrink(x: float, lambd: float, bias: float) -> float:
    if x > lambd:
        return x - bias
    return x + bias if x < -lambd else 0.0


ELEMENTWISE: dict[str, Callable[..., float]] = {
    **oracles_exact.ELEMENTWISE,
    "Abs": lambda op, x: -x if x < 0 else x,
    "Add": lambda op, a, b: a + b,
    "Ceil": lambda op, x: math.ceil(x),
    "Celu": lambda op, x: elu(x, op.alpha, op.alpha),
    "Clip": clip,
    "Cos": lambda op, x: math.cos(x),
    "Elu": lambda op, x: elu(x, op.alpha),
    "Erf": lambda op, x: math.erf(x),
    "Exp": lambda op, x: math.exp(x),
    "Floor": lambda op, x: math.floor(x),
    "Gelu": gelu,
    "HardSigmoid": lambda op, x: between(op.alpha * x + op.beta, 0, 1),
    "HardSwish": lambda op, x: x * between(x + 3, 0, 6) / 6,
    "LeakyRelu": lambda op, x: x if x > 0 else op.alpha * x,
    "Log": lambda op, x: math.log(x),
    "Max": lambda op, *x: largest(*x),
    "Mean": lambda op, *x: math.fsum(x) / len(x),
    "Min": lambda op, *x: smallest(*x),
    "Mish": lambda op, x: x * math.tanh(softplus(x)),
    "Mul": lambda op, a, b: a * b,
    "Neg": lambda op, x: -x,
    "PRelu": lambda op, x, slope: x if x > 0 else slope * x,
    "Pow": lambda op, a, b: math.pow(a, b) if isinstance(a, float) else oracles_exact.power(a, b),
    "Reciprocal": lambda op, x: 1 / x,
    "Relu": lambda op, x: x if x > 0 else 0.0,
    "Round": lambda op, x: round(x),
    "Selu": lambda op, x: op.gamma * elu(x, op.alpha),
    "Shrink": lambda op, x: shrink(x, op.lambd, op.bias),
    "Sigmoid": lambda op, x: 0.5 * (1 + math.tanh(x / 2)),
    "Sign": lambda op, x: (x > 0) - (x < 0),
    "Silu": lambda op, x: x * 0.5 * (1 + math.tanh(x / 2)),
    "Sin": lambda op, x: math.sin(x),
    "Softplus": lambda op, x: softplus(x),
    "Softsign": lambda op, x: x / (1 - x) if x < 0 else x / (1 + x),
    "Sqrt": lambda op, x: math.sqrt(x),
    "Sub": lambda op, a, b: a - b,
    "Sum": lambda op, *x: math.fsum(x),
    "Tanh": lambda op, x: math.tanh(x),
    "ThresholdedRelu": lambda op, x: x if x > op.alpha else 0.0,
}


def total(numbers: Iterable[float]) -> float:
    """The sum: of floats rounded once, of whole numbers exact."""
    found = list(numbers)
    return math.fsum(found) if isinstance(found[0], float) else sum(found)


def reducing(function: Callable[..., float]) -> Oracle:
    """The oracle that applies `function` to the list of elements that meet in each result."""

    def oracle(op: Any, arrays: Sequence[Array]) -> list[Array]:
        (x,) = arrays
        axes = range(x.ndim) if op.axes is None else [axis % x.ndim for axis in op.axes]
        met: dict[tuple[int, ...], list[float]] = {}
        for where in product(*map(range, x.shape)):
            kept = tuple(0 if axis in axes else at for axis, at in enumerate(where))
            met.setdefault(kept, []).append(number(x[where]))
        shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
        result = np.zeros(shape, float if x.dtype.kind == "f" else object)
        for kept, numbers in met.items():
            result[kept] = function(numbers)
        shape = [size for axis, size in enumerate(x.shape) if axis not in axes]
        return [result if op.keepdims else result.reshape(shape)]

    return oracle


REDUCING: dict[str, Callable[..., float]] = {
    "ReduceL1": lambda x: total(map(abs, x)),
    "ReduceL2": lambda x: math.hypot(*x),
    "ReduceLogSum": lambda x: math.log(math.fsum(x)),
    "ReduceLogSumExp": lambda x: math.log(math.fsum(map(math.exp, x))),
    "ReduceMax": max,
    "ReduceMean": lambda x: oracles_exact.divide(total(x), len(x)),
    "ReduceMin": min,
    "ReduceProd": math.prod,
    "ReduceSum": lambda x: total(x),
    "ReduceSumSquare": lambda x: total(number * number for number in x),
}


def log_softmax(op: Any, arrays: Sequence[Array]) -> list[Array]:
    (x,) = arrays
    axis = op.axis % x.ndim
    result = np.zeros(x.shape)
    for where in product(*map(range, x.shape)):
        line = [float(x[(*where[:axis], i, *where[axis + 1 :])]) for i in range(x.shape[axis])]
        result[where] = -math.log(math.fsum(math.exp(other - float(x[where])) for other in line))
    return [result]


def standardizing(together: Callable[..., object], vector_at: Callable[..., Any]) -> Oracle:
    """Elements for which `together(op, x, where)` is equal share mean and variance.

    `vector_at(x, where, shape)` is the place of scale or bias that belongs to an element.
    """

    def oracle(op: Any, arrays: Sequence[Array]) -> list[Array]:
        x, *vectors = arrays
        met: dict[object, list[float]] = {}
        for where in product(*map(range, x.shape)):
            met.setdefault(together(op, x, where), []).append(float(x[where]))
        result = np.zeros(x.shape)
        for where in product(*map(range, x.shape)):
            numbers = met[together(op, x, where)]
            mean = math.fsum(numbers) / len(numbers)
            variance = math.fsum((number - mean) ** 2 for number in numbers) / len(numbers)
            value = (float(x[where]) - mean) / math.sqrt(variance + op.epsilon)
            value *= float(vectors[0][vector_at(x, where, vectors[0].shape)])
            if len(vectors) == 2:
                value += float(vectors[1][vector_at(x, where, vectors[1].shape)])
            result[where] = value
        return [result]

    return oracle


def channel(x: Array, where: Sequence[int], shape: Sequence[int]) -> tuple[int]:
    return (where[1],)


def lrn(op: Any, arrays: Sequence[Array]) -> list[Array]:
    (x,) = arrays
    result = np.zeros(x.shape)
    for where in product(*map(range, x.shape)):
        image, c, *rest = where
        first = c - (op.size - 1) // 2
        seen = [float(x[(image, k, *rest)]) for k in range(first, first + op.size) if 0 <= k < x.shape[1]]
        total = op.bias + op.alpha / op.size * math.fsum(value * value for value in seen)
        result[where] = float(x[where]) / total**op.beta
    return [result]


ORACLES = {
    **{name: elementwise(function) for name, function in ELEMENTWISE.items()},
    **{name: reducing(function) for name, function in REDUCING.items()},
    "BatchStandardization": standardizing(lambda op, x, where: where[1], channel),
    "GroupNormalization": standardizing(
        lambda op, x, where: (where[0], where[1] // (x.shape[1] // op.groups)),
        channel,
    ),
    "InstanceNormalization": standardizing(lambda op, x, where: where[:2], channel),
    "LayerNormalization": standardizing(
        lambda op, x, where: where[: op.axis % x.ndim],
        lambda x, where, shape: broadcast_index(where, shape),
    ),
    "LogSoftmax": log_softmax,
    "LRN": lrn,
}
