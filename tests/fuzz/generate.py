"""Seeded random small graphs over all ops; one of three has structured weights and large windows on small images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from cnncc.elements import UINT8
from cnncc.errors import ShapeError
from cnncc.ir import Graph, Value
from cnncc.op import Input, Op
from cnncc.ops import (
    Abs,
    Add,
    AveragePool,
    BatchNormalization,
    Clip,
    Concat,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Mul,
    Relu,
    Softmax,
    Softplus,
    Softsign,
    Split,
    Tanh,
)
from cnncc.types import Array, TensorType
from cnncc.windows import Padding
from tests.graphs import Net

from .layers import LAYERS
from .structured import structured

T = TypeVar("T")

MOST_NODES = 20
MOST_ELEMENTS = 6000
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 20, 33)
SIZES = {1: range(1, 40), 2: range(1, 14), 3: range(1, 7)}
LARGE = {1: 9, 2: 7, 3: 4}
"""The largest kernel for each number of spatial axes."""

Window = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Padding]


def has_structure(seed: int) -> bool:
    """Whether the graph of a seed has weights with structure; two of three are what networks are mostly."""
    return seed % 3 == 2


class Generator:
    """Grows one graph; `values` are what later layers may read, with the newest last."""

    def __init__(self, seed: int):
        self.net, self.rng = Net(seed), np.random.default_rng((seed, 1))
        self.structured = has_structure(seed)
        self.values: list[Value] = []
        self.known: dict[Value, Array] = {}
        self.images = self.number(1, 3)

    def number(self, least: int, most: int) -> int:
        return int(self.rng.integers(least, most + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.number(0, len(choices) - 1)]

    def pick(self, ranks: Sequence[int] = (2, 3, 4, 5)) -> Value:
        """Mostly the newest value of such a rank, so that chains grow, but seldom one of few elements."""
        fitting = [value for value in self.values if len(self.net.shape(value)) in ranks]
        if not fitting:
            raise ShapeError("nothing fits")
        large = [value for value in fitting if math.prod(self.net.shape(value)) >= 8]
        fitting = large if large and self.chance(0.8) else fitting
        return fitting[-1] if self.chance(0.75) else self.one_of(fitting)

    def weights(self, *shape: int) -> Value:
        arrive = self.chance(0.12)
        if not (self.structured and self.chance(0.8 if len(shape) > 2 else 0.4)):
            return self.net.weights(*shape, arrive=arrive)
        data = structured(self.rng, self.net.scaled(*shape))
        return self.net.arrives(data, "w") if arrive else self.net.known(data)

    def positive(self, size: int) -> Value:
        data = (np.abs(self.net.random(size)) + 0.1).astype(np.float32)
        return self.net.arrives(data, "variance") if self.chance(0.12) else self.net.known(data)

    def bytes(self, shape: tuple[int, ...]) -> Value:
        name = self.net.builder.unique("picture")
        self.net.feeds[name] = self.rng.integers(0, 256, shape, np.uint8)
        return self.net.builder.input(name, TensorType(shape, UINT8))

    # What the values are: layers that are defined or finite for some arguments only mostly get such

    def data(self, value: Value) -> Array:
        """The value that the interpreter gives it on the feeds."""
        if value not in self.known:
            node = self.net.builder.nodes[value.node]
            if isinstance(node.op, Input):
                results: tuple[Array, ...] = (self.net.feeds[value.node],)
            else:
                results = node.op.reference(*(self.data(x) for x in node.inputs))
            self.known.update(zip(node.values, results, strict=True))
        return self.known[value]

    def small(self, x: Value, most: float = 8.0) -> Value:
        """Mostly not beyond `most`."""
        size = np.abs(self.data(x)).max()
        if size <= most or self.chance(0.1):
            return x
        kind = self.number(0, 3)
        if kind == 0 and np.isfinite(size):
            return self.net.apply(Mul(), x, self.net.known(np.array(1 / size, np.float32)))
        return self.net.apply(self.one_of((Tanh(), Clip(-most, most), Softsign())), x)

    def away_from_zero(self, x: Value) -> Value:
        return x if np.abs(self.data(x)).min() > 0.05 else self.above_zero(x)

    def above_zero(self, x: Value) -> Value:
        """Mostly above 0, with a distance."""
        if self.data(x).min() > 0.05 or self.chance(0.1):
            return x
        kind = self.number(0, 2)
        if kind == 0:
            return self.net.apply(Clip(0.25, None), x)
        x = self.net.apply(Abs() if kind == 1 else Softplus(), x)
        return self.net.apply(Add(), x, self.net.known(np.array(0.25, np.float32)))

    def broadcasts(self, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
        try:
            return math.prod(np.broadcast_shapes(a, b)) <= MOST_ELEMENTS
        except ValueError:
            return False

    # Layers

    def input(self) -> Value:
        rank = self.one_of((1, 2, 2, 2, 3))
        sizes = range(1, 5) if self.structured and self.chance(0.6) else SIZES[rank]
        return self.net.input(self.images, self.one_of(CHANNELS), *(self.one_of(sizes) for _ in range(rank)))

    def padding(self, rank: int) -> str | tuple[tuple[int, int], ...]:
        if self.chance(0.7):
            return self.one_of(("valid", "same", "same", "full"))
        return tuple((self.number(0, 2), self.number(0, 2)) for _ in range(rank))

    def window(self, rank: int) -> Window:
        """Kernel, stride, dilation and padding of a convolution; in graphs with structure often large ones."""
        if self.structured and self.chance(0.5):
            return self.large_window(rank)
        return (
            (1,) * rank if self.chance(0.2) else tuple(self.number(1, 3) for _ in range(rank)),
            tuple(self.one_of((1, 1, 1, 2, 3)) for _ in range(rank)),
            tuple(self.one_of((1, 1, 1, 2)) for _ in range(rank)),
            self.padding(rank),
        )

    def large_window(self, rank: int) -> Window:
        """Some taps, or all of them, reach beyond a small image."""
        kernel = tuple(self.number(1, LARGE[rank]) for _ in range(rank))
        dilation = tuple(self.one_of((1, 1, 2, 4)) for _ in range(rank))
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        padding: Padding = tuple((self.number(0, most), self.number(0, most)) for most in reach)
        stride = tuple(self.one_of((1, 1, 2, 4)) for _ in range(rank))
        return kernel, stride, dilation, self.one_of((padding, padding, "same", "full"))

    def conv(self) -> Value:
        x = self.pick((3, 4, 5))
        channels, *sizes = self.net.shape(x)[1:]
        rank = len(sizes)
        kernel, stride, dilation, padding = self.window(rank)
        groups = 1
        if self.chance(0.35):
            groups = (
                channels if self.chance(0.6) else self.one_of([g for g in range(1, channels + 1) if not channels % g])
            )
        outputs = groups * self.one_of((1, 1, 1, 2, 3)) if groups > 1 else self.one_of(CHANNELS)
        op = Conv(kernel, stride, dilation, padding, groups, self.chance(0.2))
        shape = outputs, channels // groups, *kernel
        w = self.net.known(self.rank_one(shape)) if rank == 2 and self.chance(0.15) else self.weights(*shape)
        return self.net.apply(op, x, w, *([self.weights(outputs)] if self.chance(0.5) else []))

    def rank_one(self, shape: tuple[int, ...]) -> Array:
        """Whole numbers whose kernels are exactly separable."""
        outputs, channels, height, width = shape
        columns = self.rng.integers(1, 4, (outputs, channels, height, 1))
        rows = self.rng.integers(1, 4, (outputs, channels, 1, width))
        return (columns * rows / channels).astype(np.float32)

    def block(self) -> Value:
        """A convolution with what usually follows, which the passes fuse."""
        x = self.conv()
        rank = len(self.net.shape(x)) - 2
        for _ in range(self.number(1, 3)):
            kind = self.number(0, 4)
            if kind == 0:
                x = self.norm(x)
            elif kind == 1:
                x = self.net.apply(Add(), x, self.net.input(*self.net.shape(x), name="residual"))
            elif kind == 2:
                size = self.number(1, 3)
                pool = self.one_of((MaxPool, AveragePool))
                x = self.net.apply(pool((size,) * rank), x)
            else:
                x = self.net.apply(Relu(), x)
        return x

    def pool(self) -> Value:
        x = self.pick((3, 4, 5))
        rank = len(self.net.shape(x)) - 2
        kernel = tuple(self.number(1, 3) for _ in range(rank))
        stride = None if self.chance(0.4) else tuple(self.number(1, 2) for _ in range(rank))
        padding: Padding = self.one_of(("valid", "same", "valid"))
        if self.structured and self.chance(0.3):
            kernel, stride, _, padding = self.large_window(rank)
        elif self.chance(0.2):
            padding = tuple((self.number(0, k - 1), self.number(0, k - 1)) for k in kernel)
        op: Op = MaxPool(kernel, stride, padding)
        if self.chance(0.5):
            op = AveragePool(kernel, stride, padding, self.chance(0.5))
        return self.net.apply(op, x)

    def norm(self, x: Value | None = None) -> Value:
        x = self.pick() if x is None else x
        channels = self.net.shape(x)[1]
        vectors = [self.weights(channels) for _ in range(3)]
        return self.net.apply(BatchNormalization(), x, *vectors, self.positive(channels))

    def sum(self) -> Value:
        x = self.pick()
        shape = self.net.shape(x)
        alike = [value for value in self.values if self.net.shape(value) == shape]
        other = self.one_of(alike)
        if self.chance(0.4):  # broadcast along some axes, perhaps without the first ones
            part = [1 if self.chance(0.5) else size for size in shape]
            part = part[self.number(0, len(part) - 1) :]
            other = self.weights(*part)
        return self.net.apply(Add(), *((x, other) if self.chance(0.5) else (other, x)))

    def parts(self) -> Value:
        """Split along some axis; perhaps all parts become readable, perhaps they are joined again."""
        x = self.pick()
        shape = self.net.shape(x)
        axis = 1 if self.chance(0.6) else self.number(0, len(shape) - 1)
        size = shape[axis]
        cuts = sorted({self.number(0, size) for _ in range(self.number(0, 2))} - {0, size})
        sizes = tuple(b - a for a, b in zip([0, *cuts], [*cuts, size], strict=True))
        values = list(self.net.builder.add(Split(sizes, axis), (x,)))
        if self.chance(0.5):
            self.values += values
            return self.one_of(values)
        self.rng.shuffle(values)
        return self.net.apply(Concat(axis), *values)

    def join(self) -> Value:
        x = self.pick()
        shape = self.net.shape(x)
        axis = 1 if self.chance(0.7) else self.number(0, len(shape) - 1)
        fitting = [
            value
            for value in self.values
            if len(other := self.net.shape(value)) == len(shape)
            and all(a == b for place, (a, b) in enumerate(zip(shape, other, strict=True)) if place != axis)
        ]
        return self.net.apply(Concat(axis), *(self.one_of(fitting) for _ in range(self.number(1, 3))), x)

    def branch(self) -> Value:
        """Two convolutions of one value, joined or added."""
        x = self.pick((4,))
        channels = self.net.shape(x)[1]
        kernels = self.one_of((1, 3)), self.one_of((1, 3))
        outputs = self.one_of(CHANNELS)
        left, right = (
            self.net.apply(Conv((k, k), padding="same"), x, self.weights(outputs, channels, k, k)) for k in kernels
        )
        return self.net.apply(Concat() if self.chance(0.5) else Add(), left, right)

    def flatten(self) -> Value:
        x = self.pick()
        axis = 1 if self.chance(0.8) else self.number(0, len(self.net.shape(x)))
        return self.net.apply(Flatten(axis), x)

    def dense(self) -> Value:
        x = self.pick()
        flat = x if len(self.net.shape(x)) == 2 else self.net.apply(Flatten(), x)
        outputs = self.number(1, 40)
        weights = self.weights(outputs, self.net.shape(flat)[1])
        return self.net.apply(Dense(), flat, weights, *([self.weights(outputs)] if self.chance(0.5) else []))

    def softmax(self) -> Value:
        x = self.pick()
        return self.net.apply(Softmax(1 if self.chance(0.6) else self.number(0, len(self.net.shape(x)) - 1)), x)

    def relu(self) -> Value:
        return self.net.apply(Relu(), self.pick())

    def layer(self) -> Value:
        """Half of them what networks consist of mostly (more with structured weights), the other half any op."""
        if self.chance(0.25 if self.structured else 0.5):
            return self.one_of(list(LAYERS.values()))(self)
        common = [self.conv, self.conv, self.block, self.block, self.pool]
        return self.one_of([
            *common, *common, self.norm, self.sum, self.sum, self.parts, self.join, self.branch, self.flatten,
            self.dense, self.softmax, self.relu, self.input,
        ])()  # fmt: skip

    def grow(self) -> Graph:
        """At least one layer; layers that do not fit the values, or make too much of them, are not taken."""
        self.values.append(LAYERS["ImageToTensor"](self) if self.chance(0.1) else self.input())
        wanted, tries = self.number(1, self.one_of((MOST_NODES, 8))), 0
        made: list[Value] = []
        while (self.nodes < wanted and tries < 60) or not made:
            tries += 1
            try:
                value = self.layer()
            except ShapeError:
                continue
            if math.prod(self.net.shape(value)) <= 4 * MOST_ELEMENTS and self.sane(value):
                made.append(self.small(value, 100.0))
            if made and math.prod(self.net.shape(made[-1])) <= MOST_ELEMENTS:
                self.values.append(made[-1])
        return self.net.graph(*self.results(made))

    @property
    def nodes(self) -> int:
        return sum(node.op.source is None for node in self.net.builder.nodes.values())

    def sane(self, value: Value) -> bool:
        """Mostly finite."""
        return bool(np.isfinite(self.data(value)).all()) or self.chance(0.1)

    def results(self, made: Sequence[Value]) -> list[Value]:
        """The last value and some others, often those that nothing reads."""
        if self.chance(0.5):
            read = {x for node in self.net.builder.nodes.values() for x in node.inputs}
            return [made[-1], *(value for value in made[:-1] if value not in read)]
        return [made[-1], *(self.one_of(self.values) for _ in range(self.one_of((0, 0, 1, 2))))]


def random_graph(seed: int) -> tuple[Graph, dict[str, Array]]:
    """The graph of a seed, and data for its inputs."""
    generator = Generator(seed)
    with np.errstate(all="ignore"):
        graph = generator.grow()
    return graph, generator.net.feeds
