"""Random models with an open number of images, whose nodes let it into values in every way that ONNX has:
`python -m tests.onnx.open_batch --graphs 2000 --seed 0`.

Each is imported for one number of images and called with others. It must compute what ONNX's reference does, or refuse;
a model that the reference refuses must not compute either.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

import cnncc
from cnncc import interpreter
from cnncc.batching import images_of
from cnncc.errors import CnnccError, InputError
from cnncc.ir import Graph
from cnncc.passes.manager import optimise
from cnncc.types import Array

NUMBERS = (1, 2, 3, 5)
MOST_ELEMENTS = 400


class Rows(OpRun):
    """Softmax up to opset 12: all axes from `axis` on count as one. ONNX's reference takes `axis` alone."""

    def _run(self, x: Array, axis: int | None = None) -> tuple[Array]:
        begin = range(x.ndim)[1 if axis is None else axis]
        axes = tuple(range(begin, x.ndim))
        shifted = x - x.max(axis=axes, keepdims=True)
        logarithm = shifted - np.log(np.exp(shifted).sum(axis=axes, keepdims=True))
        return (logarithm if type(self).__name__ == "LogSoftmax" else np.exp(logarithm),)


OLDER = [type(name, (Rows,), {"op_domain": ""}) for name in ("Softmax", "LogSoftmax")]


def reference(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """The outputs by ONNX's reference implementation, with what it does not know of older opsets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = ReferenceEvaluator(proto, new_ops=OLDER if proto.opset_import[0].version < 13 else None)
        return list(evaluator.run(None, dict(feeds)))


class Grower:
    """A model under construction, with every tensor's value for one image."""

    def __init__(self, seed: int):
        self.random, self.more = random.Random(seed), random.Random(f"outputs of {seed}")
        self.rng = np.random.default_rng(seed)
        self.opset = self.random.choice((11, 12, 13, 18, 21))
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Array] = {}
        self.inputs: dict[str, tuple[int | str, ...]] = {}
        self.floats: dict[str, Array] = {}
        self.wholes: dict[str, Array] = {}
        sizes = self.random.choice(((4,), (4,), (2, 3), (2, 4, 4), (2, 4, 4), (2, 1, 6), (1, 4), ()))
        self.input("x", ("N", *sizes))
        if self.random.random() < 0.3:
            self.input("z", self.random.choice((("N", *sizes), sizes[-1:] or (1,), (1, *sizes), (3, *sizes))))

    def input(self, name: str, shape: tuple[int | str, ...]) -> None:
        self.inputs[name] = shape
        sizes = [1 if isinstance(size, str) else size for size in shape]
        self.floats[name] = self.rng.standard_normal(sizes).astype(np.float32)

    def weight(self, data: Any, dtype: type = np.int64) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(data, dtype)
        return name

    def float(self, least: int = 0, most: int = 9) -> str:
        """The name of a tensor of so many axes, the newest ones rather than others."""
        able = [name for name, value in self.floats.items() if least <= value.ndim <= most] or ["x"]
        return self.random.choice(able[-3:] if self.random.random() < 0.7 else able)

    def whole(self) -> str:
        """The name of whole numbers, most of them from a shape."""
        if not self.wholes:
            self.add("Shape", [self.float(1)])
        return self.random.choice(list(self.wholes)) if self.wholes else self.weight([1])

    def size(self) -> str:
        """The name of a vector of one whole number."""
        if self.random.random() < 0.6:
            shape = self.add("Shape", [self.float(1)])
            found = self.add("Gather", [shape, self.weight([0])], axis=0) if shape else ""
            return found or self.weight([1])
        vectors = [name for name, value in self.wholes.items() if value.shape == (1,)]
        return self.random.choice(vectors) if vectors else self.weight([self.random.choice((1, 2, -1))])

    def add(self, operator: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> str:
        """A node, if it computes something for one image; returns its last output's name, else ''."""
        names = [f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        node = helper.make_node(operator, inputs, names, **attributes)
        known = {**self.weights, **self.floats, **self.wholes}
        try:
            made = reference(self._model([node], {}, names, known), {})
        except Exception:
            return ""
        if any(not 0 < value.size <= MOST_ELEMENTS or value.ndim > 6 or not _plain(value) for value in made):
            return ""
        self.nodes.append(node)
        for name, value in zip(names, made, strict=True):
            (self.floats if value.dtype == np.float32 else self.wholes)[name] = value
        return names[-1]

    def model(self) -> onnx.ModelProto | None:
        made = [name for name in self.floats if name not in self.inputs]
        if not made:
            return None
        outputs = [made[-1]] if self.random.random() < 0.8 else made[-2:]
        if self.more.random() < 0.4:
            outputs += self.another(outputs)
        return self._model(_needed(self.nodes, outputs), self.inputs, outputs, self.weights)

    def another(self, outputs: list[str]) -> list[str]:
        """One more output: a constant, numbers that may come from a shape, or any tensor."""
        wholes, floats = ([name for name in held if name not in outputs] for held in (self.wholes, self.floats))
        if not (wholes and self.more.random() < 0.5) and self.more.random() < 0.7:
            constant = self.weight(self.rng.standard_normal(self.more.choice(((1, 3), (3,), (2, 4)))), np.float32)
            wholes, floats = [], [self.add("Softmax", [constant], axis=-1) or "x"]
        names = [name for name in wholes or floats if name not in self.inputs]
        return [self.more.choice(names)] if names else []

    def _model(
        self, nodes: Any, inputs: Mapping[str, Any], outputs: list[str], weights: Mapping[str, Array]
    ) -> onnx.ModelProto:
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        results = [helper.make_tensor_value_info(name, self._element(name), None) for name in outputs]
        read = {name for node in nodes for name in node.input}
        tensors = [numpy_helper.from_array(data, name) for name, data in weights.items() if name in read]
        graph = helper.make_graph(nodes, "graph", ports, results, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def _element(self, name: str) -> int:
        """The element type of a tensor in ONNX, floats where it is not known yet."""
        value = self.wholes.get(name)
        return TensorProto.FLOAT if value is None else int(helper.np_dtype_to_tensor_dtype(value.dtype))

    def setting(self, name: str, numbers: Any) -> tuple[list[str], dict[str, Any]]:
        """Axes as an input from opset 13 on, before as an attribute."""
        return ([self.weight(numbers)], {}) if self.opset >= 13 else ([], {name: numbers})


def _needed(nodes: list[onnx.NodeProto], outputs: list[str]) -> list[onnx.NodeProto]:
    """Without those that no output needs: the importer leaves them out, and the reference fails where they do."""
    read, found = set(outputs), list[onnx.NodeProto]()
    for node in reversed(nodes):
        if not read.isdisjoint(node.output):
            read.update(node.input)
            found.append(node)
    return found[::-1]


def _plain(value: Array) -> bool:
    return bool(np.all(np.isfinite(value)) and np.all(np.abs(value.astype(np.float64)) < 1e4))


# Ways to grow: of whole numbers, of tensors by whole numbers, of tensors.


def shape(g: Grower) -> None:
    ends = g.random.choice(({}, {}, {"start": 1}, {"end": 1}, {"start": -2})) if g.opset >= 15 else {}
    g.add("Shape", [g.float(1)], **ends)


def size(g: Grower) -> None:
    g.add("Size", [g.float()])


def moved(g: Grower) -> None:
    """Whole numbers in another order, or some of them."""
    one = g.whole()
    axes, attributes = g.setting("axes", [0])
    g.random.choice(
        (
            lambda: g.add("Gather", [one, g.weight(g.random.choice((0, [0], [1], [-1, 0])))], axis=0),
            lambda: g.add("Slice", [one, g.weight([g.random.choice((0, 1, 2))]), g.weight([9]), g.weight([0])]),
            lambda: g.add("Concat", [one, g.whole()], axis=0),
            lambda: g.add("Unsqueeze", [one, *axes], **attributes),
            lambda: g.add("Squeeze", [one, *axes], **attributes),
            lambda: g.add("Cast", [one], to=g.random.choice((6, 7))),
            lambda: g.add("Reshape", [one, g.weight([-1])]),
        )
    )()


def computed(g: Grower) -> None:
    """Whole numbers from whole numbers."""
    one, number = g.whole(), g.weight(g.random.choice((1, 2, 3)))
    operator = g.random.choice(("Add", "Sub", "Mul", "Div", "Mod", "ReduceProd", "ReduceMax", "Where"))
    if operator == "Where":
        test = g.add(g.random.choice(("Equal", "Greater")), [one, number])
        if test:
            g.add("Where", [test, one, number])
    elif operator.startswith("Reduce"):
        g.add(operator, [one], keepdims=g.random.randrange(2))
    else:
        g.add(operator, [one, number])


def as_float(g: Grower) -> None:
    g.add("Cast", [g.whole()], to=1)


def of_shape(g: Grower) -> None:
    value = numpy_helper.from_array(np.array([1.5], np.float32))
    one = g.random.choice((g.whole, g.size))()
    if g.random.random() < 0.5:
        one = g.add("Concat", [g.size(), g.weight([4])], axis=0) or one
    g.add("ConstantOfShape", [one], value=value)


def counted(g: Grower) -> None:
    ends = g.add("Squeeze", [g.size()])
    if ends:
        g.add("Range", [g.weight(0), ends, g.weight(1)])


def reshape(g: Grower) -> None:
    one = g.float(1)
    sizes = list(g.floats[one].shape)
    kind = g.random.randrange(6)
    rest = g.random.choice((sizes[1:], [-1], [int(np.prod(sizes[1:]))], [2, -1], [*sizes[1:], 1]))
    if kind < 2:
        target = g.add("Concat", [g.size(), g.weight(rest)], axis=0)
    elif kind == 2:
        target = g.whole()
    else:
        target = g.weight([(0, -1, 1)[kind - 3], *(rest if kind != 4 else [n for n in rest if n != -1])])
    if target:
        g.add("Reshape", [one, target])


def expand(g: Grower) -> None:
    one = g.float()
    sizes = list(g.floats[one].shape)
    literal = g.weight(g.random.choice((sizes or [1], [1, *sizes], [3, *sizes[1:]], [1])))
    target = g.add("Concat", [g.size(), g.weight(sizes[1:])], axis=0) if g.random.random() < 0.5 else literal
    g.add("Expand", [one, target or literal])


def tile(g: Grower) -> None:
    one = g.float(1)
    rank = g.floats[one].ndim
    literal = g.weight([g.random.choice((1, 1, 2)) for _ in range(rank)])
    repeats = g.add("Concat", [g.weight([1] * (rank - 1)), g.size()], axis=0) if g.random.random() < 0.4 else literal
    g.add("Tile", [one, repeats or literal])


def cut(g: Grower) -> None:
    one = g.float(1)
    axis = g.random.randrange(g.floats[one].ndim)
    ends = g.size() if g.random.random() < 0.5 else g.weight([g.random.choice((1, 2, 9, -1))])
    begins = g.size() if g.random.random() < 0.2 else g.weight([g.random.choice((0, 0, -1, -9, 1))])
    g.add("Slice", [one, begins, ends, g.weight([axis])])


def gather(g: Grower) -> None:
    one = g.float(1)
    g.add("Gather", [one, g.weight(g.random.choice((0, -1, [0], [0, 0])))], axis=g.random.randrange(g.floats[one].ndim))


def squeeze(g: Grower) -> None:
    one = g.float(1)
    if g.random.random() < 0.4:
        g.add("Squeeze", [one])
    else:
        more, attributes = g.setting("axes", [g.random.randrange(g.floats[one].ndim)])
        g.add("Squeeze", [one, *more], **attributes)


def unsqueeze(g: Grower) -> None:
    one = g.float(0, 4)
    more, attributes = g.setting("axes", [g.random.randrange(g.floats[one].ndim + 1)])
    g.add("Unsqueeze", [one, *more], **attributes)


def resize(g: Grower) -> None:
    one = g.float(3, 4)
    sizes = list(g.floats[one].shape)
    none = g.weight([], np.float32)
    if g.random.random() < 0.3:
        g.add("Resize", [one, none, g.weight([1, 1, *(2 for _ in sizes[2:])], np.float32)])
        return
    shape = g.add("Shape", [one])
    front = g.add("Slice", [shape, g.weight([0]), g.weight([2]), g.weight([0])]) if shape else ""
    front = front if g.random.random() < 0.7 else g.weight(sizes[:2])
    back = g.weight([2 * n for n in sizes[2:]]) if g.random.random() < 0.7 else g.size()
    target = g.add("Concat", [front, back], axis=0) if front else ""
    if target:
        g.add("Resize", [one, none, none, target], mode="nearest")


def soft(g: Grower) -> None:
    one = g.float(1)
    g.add(g.random.choice(("Softmax", "LogSoftmax")), [one], axis=g.random.randrange(g.floats[one].ndim))


def flatten(g: Grower) -> None:
    one = g.float()
    g.add("Flatten", [one], axis=g.random.randrange(g.floats[one].ndim + 1))


def reduce(g: Grower) -> None:
    one = g.float(1)
    rank = g.floats[one].ndim
    axes = g.random.sample(range(rank), g.random.randint(1, rank))
    operator, keep = g.random.choice(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2")), g.random.randrange(2)
    if g.random.random() < 0.2:
        g.add(operator, [one], keepdims=keep)
    elif g.opset >= (13 if operator == "ReduceSum" else 18):
        g.add(operator, [one, g.weight(axes)], keepdims=keep)
    else:
        g.add(operator, [one], keepdims=keep, axes=axes)


def transpose(g: Grower) -> None:
    one = g.float(1)
    order = list(range(g.floats[one].ndim))
    g.random.shuffle(order)
    g.add("Transpose", [one], perm=order)


def concat(g: Grower) -> None:
    one = g.float(1)
    alike = [name for name, value in g.floats.items() if value.ndim == g.floats[one].ndim]
    g.add("Concat", [one, g.random.choice(alike)], axis=g.random.randrange(g.floats[one].ndim))


def split(g: Grower) -> None:
    one = g.float(1)
    axis = g.random.randrange(g.floats[one].ndim)
    total = g.floats[one].shape[axis]
    parts = [total] if total == 1 else [1, total - 1]
    more, attributes = g.setting("split", parts)
    g.add("Split", [one, *more], len(parts), axis=axis, **attributes)


def pad(g: Grower) -> None:
    one = g.float(1)
    pads = [g.random.choice((0, 0, 1)) for _ in range(2 * g.floats[one].ndim)]
    g.add("Pad", [one, g.weight(pads)], mode=g.random.choice(("constant", "edge")))


def order(g: Grower) -> None:
    """What compares the elements along an axis, adds them up, or chooses by their places."""
    one = g.float(1, 4)
    axis = g.random.randrange(g.floats[one].ndim)
    operator = g.random.choice(("ArgMax", "ArgMin", "CumSum", "TopK", "OneHot", "EyeLike", "Hardmax", "Trilu"))
    if operator in ("ArgMax", "ArgMin"):
        _as_floats(g, g.add(operator, [one], axis=axis, keepdims=g.random.randrange(2)))
    elif operator == "CumSum":
        g.add(operator, [one, g.weight(axis)], exclusive=g.random.randrange(2))
    elif operator == "TopK":
        _as_floats(g, g.add(operator, [one, g.weight([g.random.choice((1, 1, 2))])], 2, axis=axis))
    elif operator == "OneHot":
        # The reference takes an index that is out of range modulo the depth: 0 never is, −1 and 1 seldom.
        index, depth = g.random.choice((("Sign", g.weight(2)), ("Mul", g.size())))
        none = [g.weight(np.zeros(1), np.float32)] if index == "Mul" else []
        if index := g.add(index, [one, *none]):
            g.add(operator, [index, depth, g.weight([0, 1], np.float32)], axis=axis)
    elif operator == "Hardmax" and g.opset >= 13:
        g.add(operator, [one], axis=axis)
    elif operator == "EyeLike" or g.opset >= 14:
        g.add(operator, [one])


def _as_floats(g: Grower, places: str) -> None:
    """Places are computed at run time: no shape may follow from them."""
    if places:
        g.add("Cast", [places], to=1)
        g.wholes.pop(places)


def single(g: Grower) -> None:
    g.add(g.random.choice(("Relu", "Tanh", "Sigmoid", "Abs", "Identity")), [g.float()])


def double(g: Grower) -> None:
    one = g.float()
    other = g.weight(g.rng.standard_normal(g.floats[one].shape[-1:]), np.float32)
    g.add(g.random.choice(("Add", "Mul", "Sub")), [one, g.random.choice((other, g.float(), g.float()))])


def with_shape(g: Grower) -> None:
    """Tensors with numbers from a shape."""
    numbers = [name for name in g.floats if name not in g.inputs and name in _cast(g)]
    if numbers:
        g.add(g.random.choice(("Add", "Mul", "Sub", "Div")), [g.float(), g.random.choice(numbers)])


def _cast(g: Grower) -> set[str]:
    made = ("Cast", "ConstantOfShape")
    return {name for node in g.nodes for name in node.output if node.op_type in made}


def product(g: Grower) -> None:
    one = g.float(2)
    last = g.floats[one].shape[-1]
    known = g.weight(g.rng.standard_normal((last, 3)), np.float32)
    g.add("MatMul", [one, g.random.choice((known, g.float(2)))])


def convolve(g: Grower) -> None:
    one = g.float(3, 4)
    sizes = g.floats[one].shape
    if len(sizes) > 2:
        weights = g.weight(g.rng.standard_normal((2, sizes[1], *(1 for _ in sizes[2:]))), np.float32)
        g.add("Conv", [one, weights])


SHAPES: tuple[Callable[[Grower], None], ...] = (shape, size, moved, moved, computed, as_float, of_shape, counted)
USES = (reshape, reshape, expand, tile, cut, resize, with_shape, with_shape)
REST = (gather, squeeze, unsqueeze, soft, flatten, reduce, transpose, concat, split, pad, order)
PLAIN = (single, double, product, convolve)


def grown(seed: int) -> Grower:
    g = Grower(seed)
    weights = g.random.choice(((3, 3, 1, 3), (1, 4, 0, 4), (0, 0, 3, 4), (2, 3, 0, 2)))
    for _ in range(g.random.randint(2, 9)):
        g.random.choice(g.random.choices((SHAPES, USES, REST, PLAIN), weights)[0])(g)
    return g


def check_seed(seed: int, native: bool = False) -> Counter[str]:
    """What came of the model of a seed; raises AssertionError for a wrong number."""
    g = grown(seed)
    proto = g.model()
    if proto is None:
        return Counter(nothing=1)
    for number in (1, 3):
        found = check(proto, g, number, seed, native)
        if "not imported" in found:
            break
    return found


def check(proto: onnx.ModelProto, g: Grower, number: int, seed: int, native: bool) -> Counter[str]:
    """The model imported for `number` images, called with several."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "random.onnx"
        onnx.save(proto, file)
        shapes = {name: (number, *shape[1:]) for name, shape in g.inputs.items() if shape[:1] == ("N",)}
        try:
            graph = cnncc.load_graph(file, shapes={k: tuple(map(int, v)) for k, v in shapes.items()})
        except CnnccError:
            return Counter({"not imported": 1})
    optimised = optimise(graph).graph
    if images_of(graph).batched is None:
        assert images_of(optimised).batched is None, f"seed {seed}: the passes have freed N"
    runs = {"as imported": _interpreted(graph), "optimised": _interpreted(optimised)}
    if native:
        runs["native"] = cnncc.compile(graph, cache=False)
    for other in NUMBERS:
        feeds = {name: _fed(shape, other, seed) for name, shape in g.inputs.items()}
        try:
            wanted: list[Array] | None = reference(proto, feeds)
        except Exception:
            wanted = None
        for name, run in runs.items():
            place = f"seed {seed}, imported for {number} images, called with {other}, {name}"
            found[_compared(run, feeds, wanted, place)] += 1
    return found


def _interpreted(graph: Graph) -> Callable[[Mapping[str, Array]], Any]:
    return lambda feeds: tuple(interpreter.run(graph, feeds).values())


def _fed(shape: tuple[int | str, ...], number: int, seed: int) -> Array:
    sizes = [number if isinstance(size, str) else size for size in shape]
    return np.random.default_rng([seed, number]).standard_normal(sizes).astype(np.float32)


def _compared(
    run: Callable[[Mapping[str, Array]], Any], feeds: Mapping[str, Array], wanted: list[Array] | None, place: str
) -> str:
    try:
        result = run(feeds)
    except InputError:
        return "refused" if wanted is not None else "refused by both"
    assert wanted is not None, f"{place}: computes what ONNX's reference refuses"
    for one, other in zip(result if isinstance(result, tuple) else (result,), wanted, strict=True):
        assert one.shape == other.shape, f"{place}: shape {one.shape}, expected {other.shape}"
        scale = float(np.max(np.abs(other[np.isfinite(other)]), initial=1.0))
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * scale, err_msg=place)
    return "equal"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--native", type=int, default=50, help="compile one of so many")
    options = parser.parse_args()
    total, failures, begin = Counter[str](), 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.graphs):
        try:
            total += check_seed(seed, seed % options.native == 0)
        except Exception as error:
            failures += 1
            print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
    told = ", ".join(f"{name} {count}" for name, count in total.most_common())
    print(f"{options.graphs} graphs in {time.monotonic() - begin:.0f} s, {failures} failures; {told}")
    return failures > 0


if __name__ == "__main__":
    raise SystemExit(main())
