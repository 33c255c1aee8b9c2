"""A network of cnncc in PyTorch: its graph, node by node, in functions that autograd knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..cut import with_needed
from ..errors import PeerError
from ..ir import Graph, Node, Value
from ..op import Constant
from ..ops import Dropout
from ..types import TensorType

Tensor = Any
Layer = Callable[..., Tensor]
NOISE = "noise"


class TorchNetwork:
    """A prediction as a function of tensors: `parameters` learn, `inputs` are by name, with a noise for each dropout.

    `trained` names the constants that are parameters. Layers are in their training form: batch norm with such a scale
    or bias takes the statistics of the batch and moves the kept ones, dropout reads its numbers from `noises`, so that
    it leaves out what ours leaves out. With `channels_last`, tensors with spatial axes lie in that order. Raises
    PeerError for a layer that it has not.
    """

    def __init__(self, graph: Graph, prediction: Value, trained: Collection[str], *, channels_last: bool = False):
        import torch

        self.torch, self.channels_last = torch, channels_last
        self.known: dict[Value, Tensor] = {}
        self.parameters: dict[str, Tensor] = {}
        self.steps: list[tuple[Layer, tuple[Value, ...], Value]] = []
        self.learned = set(trained)
        self.result = prediction
        for node in with_needed(graph, {"prediction": prediction}):
            if isinstance(node.op, Constant):
                self.known[node.values[0]] = self.constant(node, node.op)
            elif node.op.source is None:
                layer = self.layer(node, graph.types(node.inputs))
                self.steps.append((layer, (*node.inputs, *self.noises(node)), node.values[0]))

    def constant(self, node: Node, op: Constant) -> Tensor:
        tensor = self.placed(self.torch.from_numpy(op.data.copy()))
        if node.name in self.learned:
            tensor = self.parameters[node.name] = self.torch.nn.Parameter(tensor)
        return tensor

    def placed(self, tensor: Tensor) -> Tensor:
        """A tensor in the memory order of this network."""
        formats = {4: self.torch.channels_last, 5: self.torch.channels_last_3d}
        if not self.channels_last or tensor.dim() not in formats:
            return tensor
        return tensor.to(memory_format=formats[tensor.dim()])

    def noises(self, node: Node) -> tuple[Value, ...]:
        """What a layer reads beside its inputs: the input of a step that dropout takes its random numbers from."""
        random = isinstance(node.op, Dropout) and node.op.rate > 0
        return (Value(f"{node.name}.{NOISE}"),) if random else ()

    def layer(self, node: Node, types: Sequence[TensorType]) -> Layer:
        if node.op.name == "BatchNormalization":
            by_batch = any(value.node in self.learned for value in node.inputs[1:3])
            return batch_norm(self.torch, node.op, by_batch)
        if node.op.name not in LAYERS:
            raise PeerError(f"layer '{node.name}' is a {node.op.name}, which is not compared with PyTorch")
        return LAYERS[node.op.name](self.torch, node.op, types)

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        values = dict(self.known)
        values.update((Value(name), tensor) for name, tensor in inputs.items())
        for layer, operands, result in self.steps:
            values[result] = layer(*[values[operand] for operand in operands])
        return values[self.result]


Maker = Callable[[Any, Any, Sequence[TensorType]], Layer]
"""A function of PyTorch, an op and the types of its inputs; returns a function of tensors."""


def batch_norm(torch: Any, op: Any, by_batch: bool) -> Layer:
    norm = torch.nn.functional.batch_norm
    return lambda x, scale, bias, mean, variance: norm(x, mean, variance, scale, bias, by_batch, 0.1, op.epsilon)


def sides(axes: Sequence[Any]) -> list[int]:
    """The padding of windows as `torch.nn.functional.pad` takes it: the last axis first."""
    return [side for axis in reversed(axes) for side in (axis.low, axis.high)]


def padding(torch: Any, axes: Sequence[Any], value: float, most: Sequence[int] | None = None) -> tuple[Any, Layer]:
    """What a function of windows takes as its padding, and what pads before it where both sides differ.

    `most` is what the function takes along each axis.
    """
    lows = tuple(axis.low for axis in axes)
    if all(a.low == a.high for a in axes) and (
        most is None or all(low <= m for low, m in zip(lows, most, strict=True))
    ):
        return lows, lambda x: x
    return 0, lambda x: torch.nn.functional.pad(x, sides(axes), value=value)


def conv(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    axes, function = op.window(types[0]), getattr(torch.nn.functional, f"conv{op.rank}d")
    stride, dilation = tuple(a.stride for a in axes), tuple(a.dilation for a in axes)
    pads, before = padding(torch, axes, 0.0)
    spatial = tuple(range(2, 2 + op.rank))

    def layer(x: Tensor, w: Tensor, bias: Tensor = None) -> Tensor:
        return function(before(x), w.flip(spatial) if op.flip else w, bias, stride, pads, dilation, op.groups)

    return layer


def conv_transpose(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    """By the function's own padding, or where both sides are cut differently, by a cut of what it makes without one."""
    axes, function = op.axes(types[0]), getattr(torch.nn.functional, f"conv_transpose{op.rank}d")
    stride, dilation = tuple(a.stride for a in axes), tuple(a.dilation for a in axes)
    full = [(a.size - 1) * a.stride + (a.kernel - 1) * a.dilation + 1 for a in axes]
    lows = tuple(a.low for a in axes)
    added = tuple(a.out - (size - 2 * a.low) for a, size in zip(axes, full, strict=True))
    if all(0 <= more < max(a.stride, a.dilation) for a, more in zip(axes, added, strict=True)):
        return lambda x, w, bias=None: function(x, w, bias, stride, lows, added, op.groups, dilation)
    beyond = tuple(max(0, a.low + a.out - size) for a, size in zip(axes, full, strict=True))
    kept = (slice(None), slice(None), *(slice(a.low, a.low + a.out) for a in axes))
    return lambda x, w, bias=None: function(x, w, bias, stride, 0, beyond, op.groups, dilation)[kept]


def max_pool(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    axes, rank = op.window(types[0]), len(op.kernel)
    function = getattr(torch.nn.functional, f"max_pool{rank}d")
    pads, before = padding(torch, axes, -float("inf"), [a.kernel // 2 for a in axes])
    stride, dilation = [a.stride for a in axes], [a.dilation for a in axes]
    return lambda x: function(before(x), op.kernel, stride, pads, dilation)


def average_pool(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    axes, rank = op.window(types[0]), len(op.kernel)
    function = getattr(torch.nn.functional, f"avg_pool{rank}d")
    pads, before = padding(torch, axes, 0.0, [a.kernel // 2 for a in axes])
    if any(a.dilation > 1 for a in axes) or (pads == 0 and not op.count_padding):
        raise PeerError(f"{op} has no counterpart in PyTorch, and is not compared with it")
    return lambda x: function(before(x), op.kernel, [a.stride for a in axes], pads, False, op.count_padding)


def over_space(name: str) -> Maker:
    return lambda torch, op, types: lambda x: getattr(torch, name)(x, tuple(range(2, x.dim())), keepdim=True)


def reduced(name: str) -> Maker:
    def maker(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
        axes = tuple(range(types[0].rank)) if op.axes is None else op.axes
        return lambda x: getattr(torch, name)(x, axes, keepdim=op.keepdims)

    return maker


def called(name: str, *attributes: str) -> Maker:
    """A function of `torch.nn.functional`, or else of `torch`, with these attributes of the op behind its operands."""

    def maker(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
        function = getattr(torch.nn.functional, name, None) or getattr(torch, name)
        values = [getattr(op, attribute) for attribute in attributes]
        return lambda *operands: function(*operands, *values)

    return maker


def reshaped(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    (result,) = op.infer(*types)
    return lambda x: x.reshape(result.shape)


def dropout(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    return lambda x, noise=None: x if noise is None else torch.where(noise >= op.rate, x / (1 - op.rate), 0.0)


def channel_norm(name: str, *attributes: str) -> Maker:
    """A norm with a scale and a bias for each channel."""

    def maker(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
        function, values = getattr(torch.nn.functional, name), [getattr(op, each) for each in attributes]
        if name == "instance_norm":
            return lambda x, scale, bias: function(x, None, None, scale, bias, True, 0.1, op.epsilon)
        return lambda x, scale, bias: function(x, *values, scale, bias, op.epsilon)

    return maker


def layer_norm(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    shape = types[0].shape[op.axis % types[0].rank :]
    if any(type.shape != shape for type in types[1:]):
        raise PeerError(
            f"{op} with a scale that is repeated has no counterpart in PyTorch, and is not compared with it"
        )
    return lambda x, scale, bias=None: torch.nn.functional.layer_norm(x, shape, scale, bias, op.epsilon)


def clip(torch: Any, op: Any, types: Sequence[TensorType]) -> Layer:
    if op.minimum is None and op.maximum is None:
        return lambda x: x
    return lambda x: torch.clamp(x, op.minimum, op.maximum)


def softmax(name: str) -> Maker:
    return lambda torch, op, types: lambda x: getattr(torch, name)(x, op.axis)


LAYERS: Mapping[str, Maker] = {
    "Add": called("add"),
    "AveragePool": average_pool,
    "Celu": called("celu", "alpha"),
    "Clip": clip,
    "Concat": lambda torch, op, types: lambda *parts: torch.cat(parts, op.axis),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Dense": called("linear"),
    "Div": called("div"),
    "Dropout": dropout,
    "Elu": called("elu", "alpha"),
    "Exp": called("exp"),
    "Flatten": reshaped,
    "Gelu": lambda torch, op, types: lambda x: torch.nn.functional.gelu(x, approximate=op.approximate),
    "GlobalAveragePool": over_space("mean"),
    "GlobalMaxPool": over_space("amax"),
    "GroupNormalization": channel_norm("group_norm", "groups"),
    "HardSwish": called("hardswish"),
    "Identity": lambda torch, op, types: lambda x: x,
    "InstanceNormalization": channel_norm("instance_norm"),
    "LayerNormalization": layer_norm,
    "LeakyRelu": called("leaky_relu", "alpha"),
    "LogSoftmax": softmax("log_softmax"),
    "MatMul": called("matmul"),
    "MaxPool": max_pool,
    "Mish": called("mish"),
    "Mul": called("mul"),
    "Neg": called("neg"),
    "ReduceMean": reduced("mean"),
    "ReduceSum": reduced("sum"),
    "Relu": called("relu"),
    "Reshape": reshaped,
    "Selu": called("selu"),
    "Sigmoid": called("sigmoid"),
    "Silu": called("silu"),
    "Softmax": softmax("softmax"),
    "Softplus": called("softplus"),
    "Softsign": called("softsign"),
    "Squeeze": reshaped,
    "Sub": called("sub"),
    "Tanh": called("tanh"),
    "Transpose": lambda torch, op, types: lambda x: x.permute(op.order(x.dim())),
    "Unsqueeze": reshaped,
}
"""A function of PyTorch for each layer that networks that are trained mostly have."""
