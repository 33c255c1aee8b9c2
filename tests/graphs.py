"""Compiling and running small graphs, and the comparisons that native code has to stand."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from cnncc.check.bound import Bound, compare
from cnncc.check.model import algorithms
from cnncc.check.tolerance import bounds
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.elements import FLOAT32, Element, element_of
from cnncc.errors import TargetError
from cnncc.gradient import differentiated
from cnncc.ir import Builder, Graph, Value
from cnncc.machine.target import Target, runnable
from cnncc.native import host_target
from cnncc.op import Op
from cnncc.ops import ArgMax, ArgMin, Conv, CumSum, TopK
from cnncc.plan import PlanOptions
from cnncc.runtime.model import Model
from cnncc.types import Array, TensorType

SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40, -1e-45, 3e38], np.float32)
"""Values that arithmetic likes to get wrong."""


def ends(dtype: np.dtype[Any]) -> Array:
    """Whole numbers at the ends of a type's range and around 0; floats that arithmetic likes to get wrong."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return SPECIAL.astype(dtype)
    info = np.iinfo(dtype)
    return np.array([info.min, info.min + 1, max(info.min, -1), 0, 1, info.max], dtype)


class Net:
    """A builder with seeded weights whose methods take and return single values.

    `arrives` makes a value that is given at run time instead of a constant; `feeds` collects data for all inputs.
    """

    def __init__(self, seed: int = 0):
        self.builder, self.rng = Builder("net"), np.random.default_rng(seed)
        self.feeds: dict[str, Array] = {}

    def random(self, *shape: int) -> Array:
        return self.rng.standard_normal(shape).astype(np.float32)

    def input(self, *shape: int, name: str = "x") -> Value:
        return self.arrives(self.random(*shape), name)

    def arrives(self, data: Array, name: str = "x", element: Element = FLOAT32) -> Value:
        name = self.builder.unique(name)
        self.feeds[name] = np.array(data, element.numpy, order="C")
        return self.builder.input(name, TensorType(tuple(data.shape), element))

    def of_arrays(self, op: Op, *arrays: Array) -> tuple[Value, ...]:
        """The results of an op on arrays of any elements, all of which arrive."""
        return self.builder.add(op, [self.arrives(array, element=element_of(array)) for array in arrays])

    def known(self, data: Array, element: Element = FLOAT32) -> Value:
        return self.builder.constant(data, element=element)

    def weights(self, *shape: int, arrive: bool = False) -> Value:
        """Random weights, as constants or, with `arrive`, as an input."""
        data = self.scaled(*shape)
        return self.arrives(data, "w") if arrive else self.known(data)

    def scaled(self, *shape: int) -> Array:
        """Random numbers, scaled so that sums over all axes but the first keep their size."""
        return np.divide(self.random(*shape), np.float32(math.sqrt(max(1, math.prod(shape[1:])))))

    def apply(self, op: Op, *inputs: Value) -> Value:
        return self.builder.add(op, inputs)[0]

    def shape(self, value: Value) -> tuple[int, ...]:
        return self.builder.nodes[value.node].types[value.index].shape

    def graph(self, *outputs: Value) -> Graph:
        return self.builder.graph({f"y{index}": value for index, value in enumerate(outputs)})


def one_op(op: Op, *arrays: Array, known: Iterable[int] = ()) -> tuple[Graph, dict[str, Array]]:
    """A graph of one op on these arrays, those at the positions `known` as constants; and its inputs."""
    net, known = Net(), set(known)
    values = [
        net.known(array, element_of(array)) if place in known else net.arrives(array, element=element_of(array))
        for place, array in enumerate(arrays)
    ]
    return net.graph(*net.builder.add(op, values)), net.feeds


def of_lines() -> tuple[Graph, dict[str, Array]]:
    """The kernels of lines, of which random graphs have few, and data."""
    net = Net()
    x = net.input(1, 20, 9, 17)
    ops = (TopK(3, 1), TopK(9, 3), ArgMax(1), ArgMin(3, select_last_index=True), CumSum(2), CumSum(3, True, True))
    return net.graph(*(value for op in ops for value in net.builder.add(op, (x,)))), net.feeds


def of_weights(
    images: int = 16, channels: int = 16, outputs: int = 16, size: int = 12
) -> tuple[Graph, dict[str, Array]]:
    """The gradient of a convolution by its weights, and data; both operands are planar."""
    net = Net()
    x, w = net.input(images, channels, size, size), net.weights(outputs, channels, 3, 3, arrive=True)
    slopes = differentiated(net.graph(net.apply(Conv((3, 3), padding=1), x, w)), "y0", ("w",))
    return slopes, net.feeds | {"d_y0": net.random(images, outputs, size, size)}


@functools.cache
def runnable_targets() -> dict[str, Target]:
    """'host', and the named targets up to what it stands for whose code this machine executes."""
    found = {}
    for name in ("host", *(target.name for target in runnable(host_target()))):
        try:
            net = Net()
            Model(compilation(net.graph(net.input(1, 1)), name).build()).close()
        except TargetError:
            continue
        found[name] = resolve_target(name)
    return found


def compilation(
    graph: Graph,
    target: str | Target = "host",
    *,
    precision: str = "fast",
    off: tuple[str, ...] = (),
    checked: bool = False,
    weights: str = "float32",
    **plan: Any,
) -> Compilation:
    """A compilation with PlanOptions given by name; everything is shared, however small."""
    options = PlanOptions(**{"sharing": "all", **plan})
    return Compilation(graph, Options(resolve_target(target), precision, off, checked, options, weights=weights))


def native(compiled: Compilation, feeds: Mapping[str, Array], threads: int = 1) -> dict[str, Array]:
    """The outputs by name. Output arrays are spoiled first, so that an element that nobody stores is seen."""
    with Model(compiled.build(), threads=threads) as model:
        return call(model, feeds)


def call(model: Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Like `native`, on a model."""
    results = model(dict(feeds))
    for array in results if isinstance(results, tuple) else (results,):
        spoil(array)
    out = model(dict(feeds), out=results)
    arrays = out if isinstance(out, tuple) else (out,)
    for array in arrays:
        assert array.dtype != np.bool_ or array.view(np.uint8).max(initial=0) <= 1, "truth values are 0 and 1"
    return {port.name: array for port, array in zip(model.outputs, arrays, strict=True)}


def spoil(array: Array) -> None:
    """Fill it with what no model makes: NaN, a large number, truth values of 165."""
    array.reshape(-1).view(np.uint8).fill(255 if array.dtype.kind == "f" else 165)


def expected(compiled: Compilation, feeds: Mapping[str, Array]) -> dict[str, Bound]:
    """What the interpreter makes of the optimised graph, with the derived bound, for each output."""
    graph = compiled.optimised.graph
    found = bounds(graph, feeds, how=algorithms(compiled))
    return {name: found[value] for name, value in graph.outputs.items()}


def worst_ratio(found: Mapping[str, Array], wanted: Mapping[str, Bound]) -> float:
    """The largest difference in units of its bound; AssertionError beyond 1."""
    worst = 0.0
    for name, bound in wanted.items():
        comparison = compare(found[name], bound)
        at = comparison.index
        assert comparison.ok, (
            f"output '{name}' at {at}: {found[name][at]!r} instead of {bound.reference[at]!r}, "
            f"{comparison.worst_ratio:.3g} times the bound {bound.error[at]:.3g}"
        )
        worst = max(worst, comparison.worst_ratio)
    return worst


def check(graph: Graph, feeds: Mapping[str, Array], target: str | Target = "host", **options: Any) -> dict[str, Array]:
    """Native code against the interpreter; returns the native outputs."""
    compiled = compilation(graph, target, **options)
    found = native(compiled, feeds)
    worst_ratio(found, expected(compiled, feeds))
    return found


def check_all(graph: Graph, target: str | Target, *feeds: Mapping[str, Array]) -> None:
    """`check` for several inputs of one compilation."""
    compiled = compilation(graph, target)
    with Model(compiled.build()) as model:
        for given in feeds:
            worst_ratio(call(model, given), expected(compiled, given))


def bits(array: Array) -> Array:
    """The bits of each float; every NaN the same one, since IEEE leaves its payload open. Others as they are."""
    if array.dtype != np.float32:
        return array
    return np.where(np.isnan(array), np.float32(np.nan), array).view(np.uint32)


def assert_same_bits(found: Mapping[str, Array], wanted: Mapping[str, Array], what: str = "") -> None:
    for name, array in wanted.items():
        different = np.argwhere(bits(found[name]) != bits(array))
        at = tuple(different[0]) if len(different) else ()
        assert not len(different), (
            f"{what}: output '{name}' at {at}: {found[name][at]!r} instead of {array[at]!r} "
            f"({len(different)} of {array.size} differ)"
        )


def sprinkled(feeds: Mapping[str, Array], seed: int, share: float = 0.05) -> dict[str, Array]:
    """The same inputs with some elements replaced by special values (truth values have none)."""
    rng = np.random.default_rng(seed)

    def some(data: Array) -> Array:
        if data.dtype == np.bool_:
            return data
        special = SPECIAL if data.dtype == np.float32 else ends(data.dtype)
        return np.where(rng.random(data.shape) < share, rng.choice(special, data.shape), data).astype(data.dtype)

    return {name: some(data) for name, data in feeds.items()}


def calls(run: Callable[[], object]) -> int:
    """How many functions are called, Python's own included: a measure of work that is the same on every machine."""
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count
