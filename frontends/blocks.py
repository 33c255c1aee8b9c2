"""Blocks: layers that consist of layers, in the usual structures of networks.

The parts of a block are named after it ('residual1.conv2') and made at its first call, since their
number may depend on the tensor's rank. Calling a block twice shares its weights, as with any layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import Location, ModelError, caller_location
from ..shown import brief
from ..types import TensorType
from .arguments import located, paddings, sizes, spread, whole
from .generic import checked_activation, op_layers
from .layers import Activation, Concat, Conv, DepthwiseConv, Sizes
from .norms import BatchNorm
from .symbols import Layer, Tensor


class Block(Layer):
    """A layer that consists of layers, one after the other unless a subclass connects them differently.

    To write a block, pass its parts to `super().__init__` or override `make`; override `wire` if they are not a chain.
    A block takes one tensor and returns one.
    """

    kind = "block"

    def __init__(self, *parts: Layer, name: str | None = None):
        super().__init__(name)
        self.given = tuple(checked_layer(part, type(self).__name__) for part in parts)
        self.parts: tuple[Layer, ...] | None = None

    def make(self, x: TensorType) -> Sequence[Layer]:
        """The parts for a tensor of the type x."""
        return self.given

    def wire(self, x: Tensor, parts: Sequence[Layer]) -> Tensor:
        """The result of the block's parts on a tensor."""
        return chain(x, parts)

    def __call__(self, tensor: Tensor) -> Tensor:
        return self.apply((tensor,), {}, caller_location())[0]

    def apply(
        self, tensors: Sequence[Tensor], given: Mapping[str, Tensor], where: Location | None
    ) -> tuple[Tensor, ...]:
        """The block's result. Raises ShapeError, ModelError."""
        with located(self.shown, where):
            self._check(tensors)
            if self.parts is None:
                self.parts = tuple(self._own(part) for part in self.make(tensors[0].type))
            return (self.wire(tensors[0], self.parts),)

    def _own(self, part: Layer) -> Layer:
        """A part that the block made gets the block's source line; a part that it was given keeps its own."""
        if part not in self.given:
            part.where = self.where
        if part.parent is None:
            part.parent = self
        return part


def chain(x: Tensor, layers: Sequence[Layer]) -> Tensor:
    """The result of the layers, applied one after the other."""
    for layer in layers:
        x = step(layer, x)
    return x


def step(layer: Layer, *tensors: Tensor) -> Tensor:
    """The result of a layer that must have only one."""
    results = layer.apply(tensors, {}, layer.where)
    if len(results) != 1:
        message = f"has {len(results)} outputs, which cannot stand in a Sequential"
        raise ModelError(message, node=layer.shown, where=layer.where)
    return results[0]


def checked_layer(layer: object, taker: str) -> Layer:
    """`layer`, or a chain for a list of layers; raises ModelError for anything else."""
    if isinstance(layer, list | tuple):
        return Chain(*layer)
    if not isinstance(layer, Layer):
        hint = " (are its parentheses missing?)" if isinstance(layer, type) else ""
        hint = " (without `input` it is a layer)" if hasattr(layer, "graph") else hint
        raise ModelError(f"{taker} takes layers, got {brief(layer)}{hint}", where=caller_location())
    return layer


class Chain(Block):
    """Layers one after the other, as `nn.Sequential` without an input."""

    kind = "chain"


class Parallel(Block):
    """Branches (layers, or lists of them) that all read the same tensor; their results are concatenated on `axis`."""

    kind = "parallel"

    def __init__(self, *branches: Layer | Sequence[Layer], axis: int = 1, name: str | None = None):
        super().__init__(*branches, name=name)  # type: ignore[arg-type]  # lists become chains
        with located(self.shown, self.where):
            self.axis = whole(axis, "axis", least=None)
            if not branches:
                raise ModelError("needs at least one branch")

    def make(self, x: TensorType) -> Sequence[Layer]:
        return (*self.given, Concat(self.axis))

    def wire(self, x: Tensor, parts: Sequence[Layer]) -> Tensor:
        *branches, concat = parts
        return step(concat, *(step(branch, x) for branch in branches))


class Inception(Parallel):
    """Four parallel branches: 1×1, 1×1 → 3×3, 1×1 → 5×5, and pool → 1×1.

    `threes` and `fives` are (filters of the 1×1 before, filters). All keep the spatial sizes, so that the results can
    be concatenated.
    """

    kind = "inception"

    def __init__(
        self,
        ones: int,
        threes: tuple[int, int],
        fives: tuple[int, int],
        pooled: int,
        activation: Activation = "relu",
        name: str | None = None,
    ):
        def conv(filters: int, kernel: int) -> Conv:
            return Conv(filters, kernel, padding="same", activation=activation)

        super().__init__(
            conv(ones, 1),
            [conv(threes[0], 1), conv(threes[1], 3)],
            [conv(fives[0], 1), conv(fives[1], 5)],
            [op_layers()["MaxPool"](3, 1, "same"), conv(pooled, 1)],
            name=name,
        )


class Residual(Block):
    """body(x) + shortcut(x), then the activation; without a shortcut body(x) + x."""

    kind = "residual"

    def __init__(
        self,
        *body: Layer,
        shortcut: Layer | None = None,
        activation: Activation = None,
        name: str | None = None,
    ):
        super().__init__(*body, *([] if shortcut is None else [shortcut]), name=name)
        self.shortcut = shortcut
        with located(self.shown, self.where):
            self.activation = checked_activation(activation)
            if not body:
                raise ModelError("needs a body")

    def make(self, x: TensorType) -> Sequence[Layer]:
        add = op_layers()["Add"]()
        add.activation = self.activation
        return (*self.given, add)

    def wire(self, x: Tensor, parts: Sequence[Layer]) -> Tensor:
        *body, add = parts
        if self.shortcut is None:
            return step(add, chain(x, body), x)
        *body, shortcut = body
        return step(add, chain(x, body), step(shortcut, x))


class SqueezeExcite(Block):
    """Each channel times a gate between 0 and 1, which two 1×1 convolutions compute from the channels' means.

    The first has C / `reduction` filters (at least one).
    """

    kind = "excite"

    def __init__(
        self,
        reduction: int = 4,
        activation: Activation = "relu",
        gate: Activation = "sigmoid",
        name: str | None = None,
    ):
        super().__init__(name=name)
        with located(self.shown, self.where):
            self.reduction = whole(reduction, "reduction")
            checked_activation(activation), checked_activation(gate)
        self.inner, self.gate = activation, gate

    def make(self, x: TensorType) -> Sequence[Layer]:
        channels = x.shape[1]
        few = max(1, channels // self.reduction)
        squeeze = Conv(few, 1, activation=self.inner)
        excite = Conv(channels, 1, activation=self.gate)
        return op_layers()["GlobalAveragePool"](), squeeze, excite, op_layers()["Mul"]()

    def wire(self, x: Tensor, parts: Sequence[Layer]) -> Tensor:
        *gate, multiply = parts
        return step(multiply, x, chain(x, gate))


class _Factored(Block):
    """A convolution split into simpler ones, with `norm` and activation after those that `_after` selects."""

    def __init__(
        self,
        filters: int,
        kernel: Sizes = 3,
        stride: Sizes = 1,
        padding: Any = "same",
        norm: bool = False,
        activation: Activation = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        with located(self.shown, self.where):
            self.filters, self.kernel = whole(filters, "filters"), sizes(kernel, "kernel")
            self.stride, self.padding = sizes(stride, "stride"), paddings(padding)
            checked_activation(activation)
        self.norm, self.after = bool(norm), activation

    def finished(self, conv: Conv) -> Sequence[Layer]:
        """A convolution with norm and activation; a bias before a batch norm would have no effect."""
        if not self.norm:
            conv.activation = checked_activation(self.after)
            return (conv,)
        conv.bias = False
        norm = BatchNorm()
        norm.activation = checked_activation(self.after)
        return conv, norm

    def passes(self, x: TensorType) -> list[tuple[tuple[int, ...], tuple[int, ...], Any]]:
        """Kernel, stride and padding of a convolution along each spatial axis, with size 1 on the others."""
        kernel, stride = spread(self.kernel, x, "kernel"), spread(self.stride, x, "stride")
        rank = len(kernel)
        padding = self.padding
        if isinstance(padding, int):
            padding = (padding,) * rank
        found = []
        for axis in range(rank):
            own = [tuple(v if a == axis else 1 for a, v in enumerate(values)) for values in (kernel, stride)]
            pads = padding if isinstance(padding, str) else tuple(p if a == axis else 0 for a, p in enumerate(padding))
            found.append((own[0], own[1], pads))
        return found


class DepthwiseSeparable(_Factored):
    """A depthwise convolution (`kernel`), then a 1×1 convolution to `filters` channels."""

    kind = "separable"

    def make(self, x: TensorType) -> Sequence[Layer]:
        depthwise = DepthwiseConv(self.kernel, self.stride, self.padding)
        return (*self.finished(depthwise), *self.finished(Conv(self.filters, 1)))


class SpatiallySeparable(_Factored):
    """A convolution along the columns (k × 1), then one along the rows (1 × k); in 3-D three convolutions.

    The first goes to `filters` channels; norm and activation follow the last one.
    """

    kind = "passes"

    def make(self, x: TensorType) -> Sequence[Layer]:
        *first, last = (Conv(self.filters, *each, bias=False) for each in self.passes(x))
        last.bias = True
        return (*first, *self.finished(last))


class Flattened(_Factored):
    """One 1-D convolution for each axis: 1×1 over the channels to `filters`, then depthwise k × 1 and 1 × k.

    Norm and activation follow the last one.
    """

    kind = "flattened"

    def make(self, x: TensorType) -> Sequence[Layer]:
        *first, last = (DepthwiseConv(*each, bias=False) for each in self.passes(x))
        last.bias = True
        return (Conv(self.filters, 1, bias=False), *first, *self.finished(last))
