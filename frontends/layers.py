"""The layers of the DSL. Each has its arguments, its op and its parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..errors import caller_location
from ..op import Op
from ..types import Array, TensorType
from .arguments import located, paddings, sizes, spread, whole, wholes
from .generic import OpLayer, checked_activation
from .symbols import Layer, Spec, Tensor

Sizes = int | Sequence[int]
Activation = str | OpLayer | None


def he_normal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal with variance 2 / fan-in, which keeps the scale of activations through layers of ReLUs."""
    return random.normal(0.0, math.sqrt(2 / math.prod(shape[1:])), shape)


def zeros(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape)


class OneResult(Layer):
    """A layer whose calls return one tensor. Keywords are tensors in place of parameters (`weights=w`)."""

    def __call__(self, *tensors: Tensor, **given: Tensor) -> Tensor:
        return self.apply(tensors, given, caller_location())[0]


class Conv(OneResult):
    """Convolution (cross-correlation; `flip` reverses the kernel) in 1, 2 or 3 dimensions, by the tensor's rank.

    A number as `kernel`, `stride` or `dilation` applies to every spatial axis. `padding` is 'valid', 'same',
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
        activation: Activation = None,
        name: str | None = None,
    ):
        super().__init__(name)
        with located(self.shown, self.where):
            self.activation = checked_activation(activation)
            self.filters, self.groups = whole(filters, "filters"), whole(groups, "groups")
            self.kernel, self.stride = sizes(kernel, "kernel"), sizes(stride, "stride")
            self.dilation, self.padding = sizes(dilation, "dilation"), paddings(padding)
        self.flip, self.bias = bool(flip), bool(bias)

    def widths(self, x: TensorType) -> tuple[int, int]:
        """(filters, groups) for the channels of x."""
        return self.filters, self.groups

    def operation(self, *types: TensorType) -> Op:
        (x,) = types
        kernel = spread(self.kernel, x, "kernel")
        return ops.Conv(kernel, self.stride, self.dilation, self.padding, self.widths(x)[1], self.flip)

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        (x,) = types
        filters, groups = self.widths(x)
        channels = max(1, x.shape[1] // groups)  # more groups than channels: the type rule reports it
        specs = {"weights": Spec((filters, channels, *spread(self.kernel, x, "kernel")), he_normal)}
        return specs | ({"bias": Spec((filters,), zeros)} if self.bias else {})


class DepthwiseConv(Conv):
    """A convolution of each channel by itself, with `multiplier` filters for each."""

    kind = "depthwise"

    def __init__(
        self,
        kernel: Sizes,
        stride: Sizes = 1,
        padding: Any = "valid",
        dilation: Sizes = 1,
        flip: bool = False,
        bias: bool = True,
        activation: Activation = None,
        name: str | None = None,
        *,
        multiplier: int = 1,
    ):
        super().__init__(1, kernel, stride, padding, dilation, 1, flip, bias, activation, name)
        with located(self.shown, self.where):
            self.multiplier = whole(multiplier, "multiplier")

    def widths(self, x: TensorType) -> tuple[int, int]:
        return x.shape[1] * self.multiplier, x.shape[1]


class ConvTranspose(Conv):
    """Transposed convolution: each element adds its multiple of the kernel to the result, `stride` apart.

    `padding` crops the result: 'valid' not at all, 'same' to the middle n · stride elements of each axis; numbers as
    for `Conv`. Parameters: weights (C, filters / groups, kernel…), bias (filters,).
    """

    kind = "transposed"

    def __init__(
        self,
        filters: int,
        kernel: Sizes,
        stride: Sizes = 1,
        padding: Any = "valid",
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        activation: Activation = None,
        name: str | None = None,
        *,
        output_padding: Sizes = 0,
    ):
        super().__init__(filters, kernel, stride, padding, dilation, groups, False, bias, activation, name)
        with located(self.shown, self.where):
            self.output_padding = sizes(output_padding, "output_padding", 0)

    def operation(self, *types: TensorType) -> Op:
        (x,) = types
        kernel = spread(self.kernel, x, "kernel")
        added = self.output_padding
        return ops.ConvTranspose(kernel, self.stride, self.dilation, self.padding, added, self.groups)

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        (x,) = types
        each = max(1, self.filters // self.groups)
        specs = {"weights": Spec((x.shape[1], each, *spread(self.kernel, x, "kernel")), he_normal)}
        return specs | ({"bias": Spec((self.filters,), zeros)} if self.bias else {})


class Dense(OneResult):
    """The fully connected layer on (N, features). Parameters: weights (units, features), bias (units,)."""

    kind = "dense"

    def __init__(self, units: int, bias: bool = True, activation: Activation = None, name: str | None = None):
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


class Concat(Layer):
    """The concatenation of several tensors, or of a list of them, along `axis`."""

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
