"""Seeded random graphs of mixed element types: arithmetic, comparisons, logic, choices, conversions, arrangements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from cnncc import ops
from cnncc.elements import BOOL, COMPUTED, FLOAT32, INT32, INT64, INTEGERS, NUMBERS, UNSIGNED, VALUES, Element
from cnncc.errors import ShapeError
from cnncc.ir import Graph, Value
from cnncc.op import Op
from cnncc.ops.quantize import QUANTIZED
from cnncc.types import Array, TensorType
from tests.graphs import Net

T = TypeVar("T")

SHAPES = ((2, 3, 4), (2, 1, 4), (4,), (1, 3, 1), (2, 3, 4), ())
ANY_ARITHMETIC: tuple[Callable[[], Op], ...] = (ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Max, ops.Min, ops.Sum)
OF_WHOLE: tuple[Callable[[], Op], ...] = (
    *ANY_ARITHMETIC, ops.Mod, lambda: ops.Mod(True), ops.Pow, ops.BitwiseAnd, ops.BitwiseOr, ops.BitwiseXor,
)  # fmt: skip
ARITHMETIC: dict[Element, tuple[Callable[[], Op], ...]] = {
    FLOAT32: (*ANY_ARITHMETIC, ops.Mod, lambda: ops.Mod(True)),
    **dict.fromkeys(INTEGERS, OF_WHOLE),
    **dict.fromkeys(UNSIGNED, (*OF_WHOLE, *(ops.BitShift, lambda: ops.BitShift("right")) * 4)),
    BOOL: (ops.And, ops.Or, ops.Xor),
}
ANY_UNARY: tuple[Callable[[], Op], ...] = (
    ops.Abs, ops.Neg, ops.Sign, ops.Relu, lambda: ops.Clip(-3, 40), lambda: ops.Clip(2, 90),
)  # fmt: skip
UNARY: dict[Element, tuple[Callable[[], Op], ...]] = {
    FLOAT32: (*ANY_UNARY, ops.Floor, ops.Tanh, ops.Sqrt),
    **dict.fromkeys(INTEGERS, (*ANY_UNARY, ops.BitwiseNot)),
    BOOL: (ops.Not,),
}
COMPARISONS = (ops.Equal, ops.NotEqual, ops.Less, ops.LessOrEqual, ops.Greater, ops.GreaterOrEqual)
REDUCTIONS = (ops.ReduceMax, ops.ReduceMin, ops.ReduceSum, ops.ReduceProd)


def numbers(rng: np.random.Generator, type: TensorType) -> Array:
    """Mostly small numbers, so that they meet; and the ends of the range, 0, ±1 and special floats among them."""
    element = type.dtype
    if element is BOOL:
        return type.random(rng)
    around = (0, 1, element.most // 2) if element in INTEGERS else (0.0, -0.0, 0.5, np.inf, -np.inf, np.nan, 3e9, -1e19)
    special = np.array((element.least, *around, *((-1,) if element.is_signed else ()), element.most), element.numpy)
    small = np.round(4 * rng.standard_normal(type.shape)).clip(element.least).astype(element.numpy)
    return np.where(rng.random(type.shape) < 0.2, rng.choice(special, type.shape), small)


class Mixed:
    """Grows one graph; `values` are what later layers may read."""

    def __init__(self, seed: int):
        self.net, self.rng = Net(seed), np.random.default_rng((seed, 7))
        self.values: list[Value] = []

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def element(self, value: Value) -> Element:
        return self.net.builder.nodes[value.node].types[value.index].dtype

    def fresh(self, element: Element) -> Value:
        """An input, or a constant, which is neutral for many functions."""
        type = TensorType(self.one_of(SHAPES), element)
        if self.rng.random() < 0.5:
            return self.net.arrives(numbers(self.rng, type), "x", element)
        if self.rng.random() < 0.5:
            data = np.full(type.shape, self.one_of((0, 1, element.least, element.most)), element.numpy)
            return self.net.known(data, element)
        return self.net.known(numbers(self.rng, type), element)

    def pick(self, *elements: Element) -> Value:
        """A value of such an element, mostly one that is there."""
        fitting = [value for value in self.values if self.element(value) in elements]
        return self.one_of(fitting) if fitting and self.rng.random() < 0.85 else self.fresh(self.one_of(elements))

    def alike(self, x: Value) -> Value:
        return self.pick(self.element(x))

    # Layers

    def arithmetic(self) -> Value:
        """Of any element; of truth values and of numbers without a sign more often than they come up."""
        x = self.pick(*self.one_of((COMPUTED, COMPUTED, COMPUTED, (BOOL,), UNSIGNED)))
        pair = (x, self.alike(x)) if self.rng.random() < 0.7 else (self.alike(x), x)
        return self.net.apply(self.one_of(ARITHMETIC[self.element(x)])(), *pair)

    def unary(self) -> Value:
        x = self.pick(*COMPUTED)
        return self.net.apply(self.one_of(UNARY[self.element(x)])(), x)

    def comparison(self) -> Value:
        x = self.pick(*NUMBERS)
        return self.net.apply(self.one_of(COMPARISONS)(), x, self.alike(x))

    def finite(self) -> Value:
        return self.net.apply(self.one_of((ops.IsNaN, ops.IsInf))(), self.pick(FLOAT32))

    def quantization(self) -> Value:
        """To few bits or back, by a scale for all elements; zero points of the ends among others."""
        scale = self.net.known(np.array(self.one_of((1.0, 0.25, 0.1, 1e-30, np.inf)), np.float32))
        element = self.one_of(QUANTIZED)
        zero = self.net.known(np.array(self.one_of((0, 1, element.least, element.most)), element.numpy), element)
        if self.rng.random() < 0.5:
            return self.net.apply(ops.Quantize(element.name), self.pick(FLOAT32), scale, zero)
        return self.net.apply(ops.Dequantize(), self.pick(element), scale, zero)

    def choice(self) -> Value:
        x = self.pick(*COMPUTED)
        return self.net.apply(ops.Where(), self.pick(BOOL), x, self.alike(x))

    def conversion(self) -> Value:
        return self.net.apply(ops.Cast(self.one_of(VALUES).name), self.pick(*VALUES))

    def reduction(self) -> Value:
        x = self.pick(*COMPUTED)
        kinds = REDUCTIONS[:2] if self.element(x) is BOOL else REDUCTIONS
        axes = tuple(range(len(self.net.shape(x))))[: int(self.rng.integers(1, 3))]
        return self.net.apply(self.one_of(kinds)(axes, bool(self.rng.integers(2))), x)

    def order(self) -> Value:
        """What compares the elements along an axis, adds them up, or chooses by their places."""
        x = self.pick(*NUMBERS)
        shape = self.net.shape(x)
        if not shape:
            return self.net.apply(ops.OneHot(3, from_back=bool(self.rng.integers(2))), x, self.vector())
        axis, flag = int(self.rng.integers(len(shape))), bool(self.rng.integers(2))
        choices: list[Op] = [
            ops.ArgMax(axis, flag), ops.ArgMin(axis, select_last_index=flag), ops.CumSum(axis, flag),
            ops.CumProd(axis, not flag, True), ops.TopK(1 + shape[axis] // 2, axis, flag), ops.OneHot(2, axis),
            ops.Trilu(flag, 1),
        ]  # fmt: skip
        op = self.one_of(choices)
        inputs = (x, self.vector()) if isinstance(op, ops.OneHot) else (x,)
        return self.one_of(self.net.builder.add(op, inputs))

    def vector(self) -> Value:
        """Two values of any element."""
        element = self.one_of(COMPUTED)
        return self.net.arrives(numbers(self.rng, TensorType((2,), element)), "values", element)

    def arrangement(self) -> Value:
        x = self.pick(*VALUES)
        rank = len(self.net.shape(x))
        filler = 1 if self.element(x) is not INT64 else 2**53 + 1
        choices: list[Op] = [
            ops.Transpose(), ops.Reshape((-1,)), ops.Identity(), ops.Unsqueeze((0,)), ops.Gather((0, -1), rank - 1),
            ops.Pad(((1, 0),) * rank, value=filler), ops.Tile((2,) * rank), ops.Slice((0,), (1,)),
            ops.Expand((2, 1, 4)),
        ]  # fmt: skip
        return self.net.apply(self.one_of(choices), x)

    def indexed(self) -> Value:
        """At indices that are any whole numbers which are there; those that do not fit are not taken."""
        x, indices = self.pick(*COMPUTED), self.pick(INT32, INT64)
        axis = self.one_of(range(len(self.net.shape(x)) or 1))
        kind = self.one_of((0, 1, 1, 2, 2))
        if kind == 0:
            return self.net.apply(ops.Gather(axis=axis), x, indices)
        fitting = [value for value in self.values if self.net.shape(value) == self.net.shape(x)]
        whole = [value for value in fitting if self.element(value) in (INT32, INT64)]
        indices = self.one_of(whole) if whole else indices
        if kind == 1:
            return self.net.apply(ops.GatherElements(axis), x, indices)
        how = self.one_of(("none", "add", "mul", "max", "min"))
        return self.net.apply(ops.ScatterElements(axis, how), x, indices, self.alike(x))

    def join(self) -> Value:
        x = self.pick(*VALUES)
        return self.net.apply(ops.Concat(0), x, self.alike(x), x)

    def grow(self, layers: int) -> Graph:
        steps = [
            self.arithmetic, self.arithmetic, self.arithmetic, self.unary, self.unary, self.comparison, self.choice,
            self.finite, self.quantization, self.arithmetic, self.arithmetic, self.order, self.order, self.order,
            self.conversion, self.conversion, self.reduction, self.arrangement, self.arrangement, self.join,
            self.indexed, self.indexed,
        ]  # fmt: skip
        self.values += [self.fresh(element) for element in (INT32, FLOAT32)]
        made: list[Value] = []
        while len(made) < layers:
            try:
                value = self.one_of(steps)()
            except ShapeError:
                continue
            if np.prod(self.net.shape(value)) < 500:
                made.append(value)
                self.values.append(value)
        return self.net.graph(*dict.fromkeys([*made[-2:], self.one_of(made)]))


def mixed_graph(seed: int) -> tuple[Graph, dict[str, Array]]:
    """The graph of a seed, and data for its inputs."""
    mixed = Mixed(seed)
    with np.errstate(all="ignore"):
        graph = mixed.grow(int(mixed.rng.integers(1, 16)))
    return graph, mixed.net.feeds
