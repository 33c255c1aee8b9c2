"""Compiled code beside onnxruntime, tensor by tensor under the names of the ONNX file.

Two questions are apart. Does onnxruntime mean the same by a layer? Each layer of the graph is computed by the
interpreter from the tensors that onnxruntime itself made for it, and what onnxruntime made of them must lie within the
bound of that one layer: so no layer answers for those before it. Does compiled code give what onnxruntime gives? The
graph is compiled with all these tensors as outputs; both engines lie within their own bounds of the interpreter, so
that they differ by the sum at most.

The bounds hold for any order of sums, so also for another engine, where it computes the same formula with single
roundings (`is_derived`). How accurate its functions are is not known, nor by which formula it computes what takes
several steps (a batch norm as one product and one sum, or as two of each): there `OTHERS` times the bound of our own
code is allowed, and as many roundings of the largest element, among which others may cancel. That is no derived bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..cache.sources import OnnxFile
from ..check.bound import Bound, Comparison, compare, same
from ..check.compiled import run_compiled
from ..check.model import expected
from ..check.tolerance import op_bounds
from ..compiler import Compilation, Options
from ..computation import Pointwise
from ..errors import UsageError
from ..expr import Apply, Expr
from ..functions import UNIT
from ..interpreter import check_feeds
from ..ir import Graph, Node, Value, with_outputs
from ..op import Constant
from ..types import Array
from . import onnxruntime

OTHERS = 64.0
"""How many of our bounds an engine may be off where its formula or its functions are not known: 6 binary digits."""

_EXACT = frozenset(
    "maximum minimum absolute negate floor ceil rint sign where_less is_nan equal less less_equal "
    "and or xor not select shift_left shift_right".split()
)
_ROUNDED = frozenset("add subtract multiply divide sqrt".split())


@dataclass(frozen=True)
class Tensor:
    """How one tensor compares.

    `alone` is what onnxruntime made of it beside what the interpreter makes of the same operands, over its bound;
    `whole` the compiled model beside onnxruntime, over the bound of both. `absolute`, `relative` (to the largest
    element) and `ulps` are the largest differences of these two, `ours` and `theirs` the elements at `index`. `cause`
    says which of the two is 'off' by its own fault: the 'meaning' of the layer, or the 'code'.
    """

    name: str
    layer: str
    op: str
    alone: float
    whole: float
    absolute: float
    relative: float
    ulps: float
    index: tuple[int, ...]
    ours: float
    theirs: float
    verdict: Literal["ok", "off", "inherited"]
    cause: Literal["", "meaning", "code"]


def against(source: object, options: Options, feeds: Mapping[str, Array], threads: int = 1) -> tuple[Tensor, ...]:
    """A comparison for each tensor of an ONNX file, in the order of its graph.

    Raises UsageError for another model, PeerError where onnxruntime is missing or cannot run it, InputError for feeds
    that do not fit, and whatever compiling and running raise.
    """
    if not isinstance(source, OnnxFile):
        raise UsageError(f"--against {onnxruntime.ENGINE} compares ONNX files only")
    onnxruntime.expect_installed()
    check_feeds(source.graph, feeds)
    content, names = source.exposed()
    theirs = onnxruntime.tensors(content, names, feeds)
    values = {name: value for name, value in source.tensors.items() if name in theirs}
    with np.errstate(all="ignore"):
        return tuple(_judged(_Both(source.graph, options, feeds, threads, values, theirs)))


def is_derived(graph: Graph, node: Node) -> bool:
    """Whether the bound of a layer holds for each code that computes its formula: sums, and single roundings."""
    pieces = graph.lowering(node).pieces
    if len(pieces) > 1:
        return False
    functions = [
        name
        for piece in pieces
        if isinstance(piece.computation, Pointwise)
        for name in _functions(piece.computation.expr)
        if name not in _EXACT
    ]
    return len(functions) <= 1 and set(functions) <= _ROUNDED


def _functions(expr: Expr) -> Iterator[str]:
    if isinstance(expr, Apply):
        yield expr.function
        for argument in expr.arguments:
            yield from _functions(argument)


def foreign_bounds(graph: Graph, feeds: Mapping[str, Array], made: Mapping[Value, Array]) -> dict[Value, Bound]:
    """How far another engine may be from the interpreter in each value, where it made these of all before them."""
    found: dict[Value, Bound] = {}
    known: dict[Value, Bound] = {}
    for node in graph:
        if node.op.source:
            data = node.op.data if isinstance(node.op, Constant) else np.asarray(feeds[node.name])
            results = [Bound.exact(data)]
        else:
            results = op_bounds(node.op, [known[value] for value in node.inputs])
            results = results if is_derived(graph, node) else list(map(_widened, results))
        for value, bound in zip(node.values, results, strict=True):
            own = made.get(value)
            fits = own is not None and own.shape == bound.reference.shape
            found[value] = bound
            known[value] = Bound.exact(own.astype(bound.held.dtype)) if own is not None and fits else bound
    return found


def _widened(bound: Bound) -> Bound:
    """By as much as is allowed where the engine's formula is not known; whole numbers are exact by any."""
    if not bound.is_float:
        return bound
    sizes = np.abs(bound.reference)
    largest = sizes.max(where=np.isfinite(sizes), initial=0.0)
    return Bound(bound.reference, OTHERS * (bound.error + UNIT * largest))


class _Both:
    """What both engines make of a graph, and the bounds of these tensors: of each layer alone, and of the whole."""

    def __init__(
        self,
        graph: Graph,
        options: Options,
        feeds: Mapping[str, Array],
        threads: int,
        values: Mapping[str, Value],
        theirs: Mapping[str, Array],
    ):
        order = {value: number for number, value in enumerate(value for node in graph for value in node.values)}
        self.graph, self.theirs = graph, theirs
        self.values = dict(sorted(values.items(), key=lambda item: order[item[1]]))
        self.alone = foreign_bounds(graph, feeds, {value: theirs[name] for name, value in values.items()})
        names = {value: f"value {number}" for number, value in enumerate(dict.fromkeys(self.values.values()))}
        compilation = Compilation(with_outputs(graph, {name: value for value, name in names.items()}), options)
        found, own = run_compiled(compilation, feeds, threads).outputs, expected(compilation, feeds)
        other = foreign_bounds(graph, feeds, {})
        self.ours = {value: found[name] for value, name in names.items()}
        self.error = {value: own[name].error + other[value].error for value, name in names.items()}

    def compare(self, name: str) -> Tensor:
        value = self.values[name]
        ours, bound = self.ours[value], self.alone[value]
        if self.theirs[name].shape != ours.shape:
            return self._tensor(name, _WORST, _WORST, "meaning")
        theirs = self.theirs[name].astype(ours.dtype)
        meaning = compare(theirs, bound)
        code = compare(ours, Bound(Bound.exact(theirs).reference, self.error[value]))
        return self._tensor(name, meaning, code, "" if meaning.ok and code.ok else "code" if meaning.ok else "meaning")

    def _tensor(
        self, name: str, meaning: Comparison, code: Comparison, cause: Literal["", "meaning", "code"]
    ) -> Tensor:
        value = self.values[name]
        theirs = self.theirs[name]
        ours = self.alone[value].held if cause == "meaning" else self.ours[value]
        absolute, relative, ulps, farthest = distance(self.ours[value], theirs)
        at = {"meaning": meaning.index, "code": code.index, "": farthest}[cause]
        return Tensor(
            name,
            value.node,
            str(self.graph[value.node].op),
            meaning.worst_ratio,
            code.worst_ratio,
            absolute,
            relative,
            ulps,
            at,
            _number(ours, at),
            _number(theirs, at),
            "off" if cause else "ok",
            cause,
        )


def _number(array: Array, at: tuple[int, ...]) -> float:
    return float(array[at]) if array.size and len(at) == array.ndim else np.nan


_WORST = Comparison(False, np.inf, ())


def _judged(both: _Both) -> Iterator[Tensor]:
    """In the order of the graph: code that is off after a tensor that is off has inherited it."""
    spoilt = False
    for name in both.values:
        found = both.compare(name)
        yield replace(found, verdict="inherited") if found.cause == "code" and spoilt else found
        spoilt |= found.verdict == "off"


def distance(ours: Array, theirs: Array) -> tuple[float, float, float, tuple[int, ...]]:
    """The largest difference of two arrays: as it is, over their largest element, and in units in the last place.

    With its place. Infinite where one is NaN or infinite and the other is not the same, and for other shapes.
    """
    if ours.shape != theirs.shape:
        return np.inf, np.inf, np.inf, ()
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    if not a.size:
        return 0.0, 0.0, 0.0, ()
    with np.errstate(invalid="ignore"):
        apart = np.where(same(a, b), 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf))
    sizes = np.maximum(np.abs(a), np.abs(b))
    largest = float(sizes.max(where=np.isfinite(sizes), initial=0.0)) or 1.0
    unit = np.spacing(np.where(np.isfinite(sizes), sizes, 1.0).astype(np.float32)).astype(np.float64)
    at = tuple(int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
    return float(apart[at]), float(apart[at]) / largest, float((apart / unit).max()), at
