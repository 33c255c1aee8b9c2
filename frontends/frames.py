"""A graph whose inputs take frames of a camera: the conversion is layers of the graph, in front of its own.

A frame is read as it lies. It becomes planes of floats, is resampled, cut or framed, and scaled. Where nothing is
resampled that is one layer, whose loads convert the bytes. A resize stands in front of the scaling: it reads the frame
itself, through tables, leaves fewer elements to scale, and the scaling is fused into it. That channels come in another
order is a view of the result. Colours become grey where they are fewer, before or after a resize, and grey is repeated
last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..batching import images_of
from ..elements import ELEMENTS, FLOAT16, FLOAT32, UINT8
from ..errors import CnnccError, ModelError, UsageError
from ..ir import Graph, Node, Rewriter, Value
from ..op import Op
from ..ops import Cast, Conv, Expand, ImageToTensor, Pad, Slice, Transpose, Unsqueeze
from ..types import TensorType
from .image import COLOURS, LUMA, Image, Size
from .scaling import converted

ROLES = (
    *("plane", "colours", "cast", "planes", "luma", "grey", "resize", "border", "repeated", "order", "factor", "shift"),
    *("scale", "scaled", "mean", "centred", "std", "tensor", "rounded", "axes"),
)
"""What the layers of a conversion are called, after the name of the input."""


def framed(graph: Graph, images: Mapping[str, Image]) -> Graph:
    """The graph that takes frames at these inputs. Raises UsageError with the input's name for what does not fit."""
    expect_inputs(graph, images)
    rewriter = Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node.name not in images:
            return None
        with about(node.name):
            return (_Conversion(rewriter, node, images[node.name]).place(),)

    return rewriter.rewrite(visit)


def expect_images(inputs: Any) -> dict[str, Image]:
    """Descriptions by the names of inputs. Raises UsageError for anything else, and for what no network could take."""
    if not isinstance(inputs, Mapping) or not all(isinstance(image, Image) for image in inputs.values()):
        raise UsageError(f"inputs={inputs!r}: expected a cnncc.Image by the name of each input")
    for name, image in inputs.items():
        with about(name):
            image.checked()
    return dict(inputs)


def expect_inputs(graph: Graph, images: Mapping[str, Image]) -> None:
    """Raise UsageError for a name that is no input of the graph."""
    known = ", ".join(map(repr, graph.inputs)) or "none"
    for name in images:
        if name not in graph.inputs:
            raise UsageError(f"model '{graph.name}' has no input {name!r} for an Image: it has {known}")


@contextmanager
def about(name: str) -> Iterator[None]:
    """Errors inside say which input they are about."""
    try:
        yield
    except CnnccError as error:
        raise UsageError(f"the Image of input '{name}': {error.message}") from None


@dataclass(frozen=True)
class FramePort:
    """An input or output of a model that takes frames of any size; an open length is a text."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    frame: str = ""


def open_ports(graph: Graph, images: Mapping[str, Image]) -> tuple[list[FramePort], list[FramePort]]:
    """Inputs and outputs of the graph with frames, whose sizes may be open. Raises UsageError as `framed` does."""
    expect_inputs(graph, images)
    found = images_of(graph)
    inputs = []
    for name, type in graph.inputs.items():
        first = "n" if found.batched and found.batched[name] else type.shape[0]
        if name not in images:
            inputs.append(FramePort(name, (first, *type.shape[1:]), type.dtype.name))
            continue
        with about(name):
            network = Network.of(type)
            order, channels = images[name].channels(network.channels)
            images[name].scaling(network.channels)
            if isinstance(made := images[name].resize, tuple):
                images[name].borders((made[0], made[1]), network.size)
            height, width = images[name].size or (("h", "w") if images[name].open else network.size)
            shape = _laid(images[name], first, channels, height, width)
            inputs.append(FramePort(name, shape, images[name].dtype, f"{images[name].planes} {order}"))
    outputs = []
    for name, value in graph.outputs.items():
        type, own = graph.type(value), found.batched is None or name in found.own
        outputs.append(FramePort(name, type.shape if own else ("n", *type.shape[1:]), type.dtype.name))
    return inputs, outputs


def _laid(image: Image, n: Any, channels: Any, height: Any, width: Any) -> tuple[Any, ...]:
    """Lengths in the order of the axes of frames."""
    return tuple({"N": n, "C": channels, "H": height, "W": width}[axis] for axis in image.planes)


@dataclass(frozen=True)
class Network:
    """What an input of a network is: images of so many channels and of a size, mostly with the channels first."""

    images: int
    channels: int
    size: Size
    channels_last: bool

    @staticmethod
    def of(type: TensorType) -> Network:
        """Raises ModelError for an input that takes no pictures."""
        if type.rank != 4 or type.dtype not in (FLOAT32, FLOAT16):
            raise ModelError(f"it needs an input of floats (N, C, H, W) or (N, H, W, C), and this is {type}")
        n, a, b, c = type.shape
        if c in (1, 3) and a not in (1, 3):
            return Network(n, c, (a, b), True)
        return Network(n, a, (b, c), False)


class _Conversion:
    """The layers between the frames of one input and what the network reads there."""

    def __init__(self, builder: Rewriter, node: Node, image: Image):
        self.builder, self.node, self.image = builder, node, image
        self.type = node.types[0]
        self.network = Network.of(self.type)
        image.checked()
        self.prefix = node.name
        while any(f"{self.prefix}.{role}" in builder.old.nodes for role in ROLES):
            self.prefix += "_"

    def place(self) -> Value:
        """The input itself and all that follows it. Raises CnnccError for what does not fit."""
        image, network = self.image, self.network
        order, channels = image.channels(network.channels)
        if image.open:
            raise ModelError(
                f"frames of any size are compiled when they come; one program needs their size: size=(480, 640), or "
                f"--image {self.node.name}=640x480,…"
            )
        frame: Size = network.size if image.size is None else (image.size[0], image.size[1])
        shape = _laid(image, network.images, channels, *frame)
        arriving = TensorType(shape, ELEMENTS[image.dtype])
        value = self.builder.input(self.node.name, arriving, self.node.where, frame=f"{image.planes} {order}")
        value = self._floats(value, order)
        borders, made = image.borders(frame, network.size), image.resized(frame, network.size)
        grey, repeated = order in COLOURS and network.channels == 1, order not in COLOURS and network.channels == 3
        turned = order in COLOURS and not grey and COLOURS[order] != image.network_order
        conversion = ImageToTensor(image.channels_last)
        if made != frame or any(map(any, borders)) or grey or repeated:
            value = self._planes(value)
            smaller = math.prod(made) < math.prod(frame)
            if grey and not smaller:
                value = self._grey(value, COLOURS[order])
            if made != frame:
                value = self._add(image.resampling(made), "resize", value)
            if grey and smaller:
                value = self._grey(value, COLOURS[order])
            if any(map(any, borders)):
                value = self._add(Pad(((0, 0), (0, 0), *borders), value=float(image.fill)), "border", value)
            if repeated:
                value = self._add(Expand((1, network.channels, 1, 1)), "repeated", value)
            conversion = ImageToTensor()
        whole = arriving.dtype.is_integer
        scaling = image.scaling(network.channels)
        if turned and scaling is not None:
            scaling = scaling.turned
        value = converted(self.builder, value, conversion, scaling, self.prefix, self.node.where, whole=whole)
        if turned:
            value = self._add(Slice((-1,), (-4,), (1,), (-1,)), "order", value)
        return self._as_read(value)

    def _floats(self, value: Value, order: str) -> Value:
        """With an axis of channels, without alpha, and of elements that a conversion takes."""
        image = self.image
        if image.planes == "NHW":
            value = self._add(Unsqueeze((1,)), "plane", value)
        if len(order) == 4 and order in COLOURS:
            value = self._add(Slice((0,), (3,), (3 if image.channels_last else 1,)), "colours", value)
        if image.dtype not in (UINT8.name, FLOAT32.name):
            value = self._add(Cast(FLOAT32.name), "cast", value)
        return value

    def _planes(self, value: Value) -> Value:
        """Floats (N, C, H, W)."""
        if self.builder.type(value).dtype is FLOAT32 and not self.image.channels_last:
            return value
        return self._add(ImageToTensor(self.image.channels_last), "planes", value)

    def _grey(self, value: Value, colours: str) -> Value:
        """The luma of planes in this order: products and sums of floats, as a convolution of one tap."""
        weights = np.array([LUMA[colour] for colour in colours], np.float32).reshape(1, -1, 1, 1)
        luma = self.builder.constant(weights, f"{self.prefix}.luma", self.node.where)
        return self.builder.add(Conv((1, 1)), [value, luma], f"{self.prefix}.grey", self.node.where)[0]

    def _as_read(self, value: Value) -> Value:
        """With elements and axes as the network has them."""
        if self.type.dtype is FLOAT16:
            value = self._add(Cast(FLOAT16.name), "rounded", value)
        return self._add(Transpose((0, 2, 3, 1)), "axes", value) if self.network.channels_last else value

    def _add(self, op: Op, role: str, value: Value) -> Value:
        return self.builder.add(op, [value], f"{self.prefix}.{role}", self.node.where)[0]


def sized(images: Mapping[str, Image], shapes: Mapping[str, Sequence[int]]) -> dict[str, Image]:
    """The descriptions for frames of these shapes."""
    return {name: _sized(image, shapes[name]) if image.open else image for name, image in images.items()}


def _sized(image: Image, shape: Sequence[int]) -> Image:
    return replace(image, size=(shape[image.planes.index("H")], shape[image.planes.index("W")]))
