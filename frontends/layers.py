"""The layers of the DSL. Each is a thin page: its arguments, the op it stands for, the parameters it owns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from .. import ops
from ..errors import ShapeError, caller_location
from ..op import Op
from ..types import Array, TensorType
from ..windows import Padding
from .symbols import Layer, Spec, Tensor, checked_activation, located, whole, wholes

Sizes = int | Sequence[int]


def he_normal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal with variance 2 / fan-in, which keeps the scale of activations through layers of ReLUs."""
    return random.normal(0.0, math.sqrt(2 / math.prod(shape[1:])), shape)


def zeros(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape)


def ones(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.ones(shape)


def _sizes(value: Any, what: str) -> int | tuple[int, ...]:
    return wholes(value, what) if isinstance(value, Sequence) else whole(value, what)


def _spread(value: int | tuple[int, ...], x: TensorType, what: str) -> tuple[int, ...]:
    """One number for every spatial axis of x, or the numbers given, which must be as many as the axes."""
    rank = x.rank - 2
    if not 1 <= rank <= 3:
        raise ShapeError(f"expected a tensor (N, C, 1 to 3 spatial axes), got {x}")
    values = (value,) * rank if isinstance(value, int) else value
    if len(values) != rank:
        raise ShapeError(f"{what} {values} has {len(values)} entries, but {x} has {rank} spatial axes")
    return values


def _padding(value: Any) -> Padding:
    """Lists become tuples, since an op is hashable; the op's type rule judges names and counts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Sequence):
        return whole(value, "padding", least=0)
    entries = (wholes(e, "padding", 0) if isinstance(e, Sequence) else whole(e, "padding", 0) for e in value)
    return cast(Padding, tuple(entries))


class _OneResult(Layer):
    """A layer whose calls return one tensor. Keywords are tensors in place of parameters (`weights=w`)."""

    def __call__(self, *tensors: Tensor, **given: Tensor) -> Tensor:
        return self.apply(tensors, given, caller_location())[0]


class Conv(_OneResult):
    """Convolution (cross-correlation; `flip` reverses the kernel) in 1, 2 or 3 dimensions, by the tensor's rank.

    A number as `kernel`, `stride` or `dilation` counts for every spatial axis. `padding` is 'valid', 'same',
    'full', a number, or one number or (low, high) pair for each axis. Parameters: weights
    (filters, C / groups, kernel…), bias (filters,).
    """

    kind = "conv"

    def __init__(
        self,
        filters: int,
        kernel: Sizes,
        stride: Sizes = 1,
        padding: Any = "valid",
        dilation: Sizes = 1,
        groups: int = 1,
        flip: bool = False,
        bias: bool = True,
        activation: str | None = None,
        name: str | None = None,
    ):
        super().__init__(name)
        with located(self.shown, self.where):
            self.activation = checked_activation(activation)
            self.filters, self.groups = whole(filters, "filters"), whole(groups, "groups")
            self.kernel, self.stride = _sizes(kernel, "kernel"), _sizes(stride, "stride")
            self.dilation, self.padding = _sizes(dilation, "dilation"), _padding(padding)
        self.flip, self.bias = bool(flip), bool(bias)

    def widths(self, x: TensorType) -> tuple[int, int]:
        """(filters, groups) for the channels of x."""
        return self.filters, self.groups

    def operation(self, *types: TensorType) -> Op:
        (x,) = types
        kernel = _spread(self.kernel, x, "kernel")
        return ops.Conv(kernel, self.stride, self.dilation, self.padding, self.widths(x)[1], self.flip)

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        (x,) = types
        filters, groups = self.widths(x)
        channels = max(1, x.shape[1] // groups)  # more groups than channels: the type rule says it better
        specs = {"weights": Spec((filters, channels, *_spread(self.kernel, x, "kernel")), he_normal)}
        return specs | ({"bias": Spec((filters,), zeros)} if self.bias else {})


class DepthwiseConv(Conv):
    """A convolution of each channel alone, with `multiplier` filters a channel."""

    kind = "depthwise"

    def __init__(
        self,
        kernel: Sizes,
        stride: Sizes = 1,
        padding: Any = "valid",
        dilation: Sizes = 1,
        flip: bool = False,
        bias: bool = True,
        activation: str | None = None,
        name: str | None = None,
        *,
        multiplier: int = 1,
    ):
        super().__init__(1, kernel, stride, padding, dilation, 1, flip, bias, activation, name)
        with located(self.shown, self.where):
            self.multiplier = whole(multiplier, "multiplier")

    def widths(self, x: TensorType) -> tuple[int, int]:
        return x.shape[1] * self.multiplier, x.shape[1]


class Dense(_OneResult):
    """The fully connected layer on (N, features). Parameters: weights (units, features), bias (units,)."""

    kind = "dense"

    def __init__(self, units: int, bias: bool = True, activation: str | None = None, name: str | None = None):
        super().__init__(name)
        with located(self.shown, self.where):
            self.activation = checked_activation(activation)
            self.units = whole(units, "units")
        self.bias = bool(bias)

    def operation(self, *types: TensorType) -> Op:
        return ops.Dense()

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        features = types[0].shape[-1] if types[0].rank else 1
        specs = {"weights": Spec((self.units, features), he_normal)}
        return specs | ({"bias": Spec((self.units,), zeros)} if self.bias else {})


class BatchNorm(_OneResult):
    """Batch normalisation with known statistics. Parameters: scale, bias, mean, variance, each (C,)."""

    kind = "norm"

    def __init__(self, epsilon: float = 1e-5, name: str | None = None):
        super().__init__(name)
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon < math.inf:
            message = f"epsilon {epsilon!r}: expected a finite number of at least 0"
            raise ShapeError(message, node=self.shown, where=self.where)
        self.epsilon = float(epsilon)

    def operation(self, *types: TensorType) -> Op:
        return ops.BatchNormalization(self.epsilon)

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        channels = types[0].shape[1:2] or (1,)
        first = {"scale": ones, "bias": zeros, "mean": zeros, "variance": ones}
        return {role: Spec(channels, initial) for role, initial in first.items()}


class _Pool(_OneResult):
    """What both poolings share: the window. `stride` None means windows side by side."""

    def __init__(self, kernel: Sizes, stride: Sizes | None = None, padding: Any = "valid", name: str | None = None):
        super().__init__(name)
        with located(self.shown, self.where):
            self.kernel = _sizes(kernel, "kernel")
            self.stride = None if stride is None else _sizes(stride, "stride")
            self.padding = _padding(padding)


class MaxPool(_Pool):
    """The maximum over each window; padding counts as −∞."""

    kind = "maxpool"

    def operation(self, *types: TensorType) -> Op:
        return ops.MaxPool(_spread(self.kernel, types[0], "kernel"), self.stride, self.padding)


class AveragePool(_Pool):
    """The mean over each window, of its elements inside the tensor or, with `count_padding`, of all."""

    kind = "averagepool"

    def __init__(
        self,
        kernel: Sizes,
        stride: Sizes | None = None,
        padding: Any = "valid",
        name: str | None = None,
        *,
        count_padding: bool = False,
    ):
        super().__init__(kernel, stride, padding, name)
        self.count_padding = bool(count_padding)

    def operation(self, *types: TensorType) -> Op:
        kernel = _spread(self.kernel, types[0], "kernel")
        return ops.AveragePool(kernel, self.stride, self.padding, self.count_padding)


class ReLU(_OneResult):
    """max(x, 0)."""

    kind = "relu"

    def operation(self, *types: TensorType) -> Op:
        return ops.Relu()


class Flatten(_OneResult):
    """(N, C, spatial…) as (N, features), in row-major order."""

    kind = "flatten"

    def operation(self, *types: TensorType) -> Op:
        return ops.Flatten()


class Softmax(_OneResult):
    """Probabilities along `axis`."""

    kind = "softmax"

    def __init__(self, axis: int = 1, name: str | None = None):
        super().__init__(name)
        with located(self.shown, self.where):
            self.axis = whole(axis, "axis", least=None)

    def operation(self, *types: TensorType) -> Op:
        return ops.Softmax(self.axis)


class Add(_OneResult):
    """The sum of two tensors, with broadcasting; also written `a + b`."""

    kind = "add"
    takes = 2

    def operation(self, *types: TensorType) -> Op:
        return ops.Add()


class Concat(Layer):
    """Several tensors, or a list of them, one after the other along `axis`."""

    kind = "concat"
    takes = None

    def __init__(self, axis: int = 1, name: str | None = None):
        super().__init__(name)
        with located(self.shown, self.where):
            self.axis = whole(axis, "axis", least=None)

    def __call__(self, *tensors: Tensor | Sequence[Tensor]) -> Tensor:
        flat: list[Any] = [t for item in tensors for t in (item if isinstance(item, Sequence) else (item,))]
        return self.apply(flat, {}, caller_location())[0]

    def operation(self, *types: TensorType) -> Op:
        return ops.Concat(self.axis)


class Split(Layer):
    """Consecutive parts of `sizes` elements along `axis`; a call returns a tuple of tensors."""

    kind = "split"

    def __init__(self, sizes: Sequence[int], axis: int = 1, name: str | None = None):
        super().__init__(name)
        with located(self.shown, self.where):
            self.sizes, self.axis = wholes(sizes, "sizes"), whole(axis, "axis", least=None)

    def __call__(self, tensor: Tensor) -> tuple[Tensor, ...]:
        return self.apply((tensor,), {}, caller_location())

    def operation(self, *types: TensorType) -> Op:
        return ops.Split(self.sizes, self.axis)
