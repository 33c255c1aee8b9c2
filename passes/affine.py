"""Finds layers that scale and shift each channel by constants: batch norms, and equal sums and products.

Such a map implies the distribution of its input: (x − m) / s is written for x = m ± s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..computation import Pointwise
from ..expr import Apply, Arg, Expr, Number
from ..functions import FUNCTIONS
from ..ir import Graph, Node
from ..types import Array
from .match import lowering
from .report import Refused

CHANNELS = 1  # the axis of the channels


@dataclass(frozen=True)
class Typical:
    """The distribution of a value: mean and standard deviation (shapes as in `Affine`)."""

    mean: Array
    deviation: Array


@dataclass(frozen=True)
class Affine:
    """x · factor + shift in float64, one of each per channel (or of any shapes that broadcast).

    `stated` are the statistics of x in a batch norm; without one, x is assumed to have the result 0 ± 1.
    """

    factor: Array
    shift: Array
    stated: Typical | None = None

    def then(self, later: Affine) -> Affine:
        stated = self.stated
        with np.errstate(all="ignore"):
            if stated is None and later.stated is not None:
                mean, deviation = later.stated.mean, later.stated.deviation
                stated = Typical((mean - self.shift) / self.factor, deviation / np.abs(self.factor))
            return Affine(self.factor * later.factor, self.shift * later.factor + later.shift, stated)

    @property
    def typical(self) -> Typical:
        """The distribution of x; not finite where the factor is 0 and nothing is stated."""
        if self.stated is not None:
            return self.stated
        with np.errstate(all="ignore"):
            return Typical(-self.shift / self.factor, 1 / np.abs(self.factor))

    def sizes(self) -> tuple[Array, Array]:
        """|x · factor| and |x · factor + shift| for a typical x: the sizes of the map's product and of its result."""
        known = self.typical
        with np.errstate(all="ignore"):
            product = np.abs(self.factor) * (np.abs(known.mean) + known.deviation)
            result = np.hypot(self.factor * known.mean + self.shift, self.factor * known.deviation)
        dead = self.factor == 0
        return np.where(dead, 0.0, product), np.where(dead, np.abs(self.shift), result)

    def part(self, begin: int, end: int) -> Affine:
        """The map of channels [begin, end)."""
        known = self.stated
        stated = known and Typical(known.mean[begin:end], known.deviation[begin:end])
        return Affine(self.factor[begin:end], self.shift[begin:end], stated)

    @staticmethod
    def identity(channels: int) -> Affine:
        return Affine(np.ones(channels), np.zeros(channels))


Term = Affine | Array


class _NotAffine(Exception):
    """The expression is not affine in the running value."""


def affine(graph: Graph, node: Node) -> tuple[int, Affine] | None:
    """(position, map): `node` maps its input `position` channel by channel, all its other inputs being constants.

    None for every other node. Raises Refused for such a map whose factors are not finite, or all 0.
    """
    found = elementwise(graph, node)
    if found is None or node.types[0].rank <= CHANNELS:
        return None
    position, map = found
    vectors = _per_channel(map, node.types[0].shape)
    return None if vectors is None else (position, vectors)


def elementwise(graph: Graph, node: Node) -> tuple[int, Affine] | None:
    """As `affine`, with a factor and a shift, finite or not, of any shape that broadcasts to the input's."""
    found = lowering(graph, node)
    unknown = [index for index, value in enumerate(node.inputs) if graph.constant(value) is None]
    if found is None or len(unknown) != 1 or len(node.types) != 1 or not _floats(graph, node):
        return None
    (position,) = unknown
    if graph.type(node.inputs[position]) != node.types[0]:
        return None
    known: list[Term] = [_operand(graph, node, index) for index in range(len(node.inputs))]
    try:
        for piece in found.pieces:
            known.append(_apply(piece.computation, [known[k] for k in piece.operands], piece.type.rank))
    except _NotAffine:
        return None
    result = known[found.results[0]]
    if not isinstance(result, Affine):
        return None
    return position, Affine(result.factor, result.shift, _stated(graph, node))


def _floats(graph: Graph, node: Node) -> bool:
    return all(type.dtype.is_float for type in (*graph.types(node.inputs), *node.types))


def _stated(graph: Graph, node: Node) -> Typical | None:
    """The statistics of a batch norm, along the axis of the channels."""
    if not node.op.statistics:
        return None
    told = (np.asarray(graph.constant(node.inputs[index]), np.float64) for index in node.op.statistics)
    along = (-1, *(1,) * (node.types[0].rank - CHANNELS - 1))
    return Typical(*(array.reshape(along) for array in node.op.stated(*told)))


def _operand(graph: Graph, node: Node, index: int) -> Term:
    data = graph.constant(node.inputs[index])
    return Affine(np.ones(()), np.zeros(())) if data is None else data.astype(np.float64)


def _apply(computation: object, operands: Sequence[Term], rank: int) -> Term:
    """A computation on terms; only a point-wise one in which the running value keeps its axes is affine."""
    if not isinstance(computation, Pointwise):
        raise _NotAffine
    arguments: list[Term] = []
    for term, dims in zip(operands, computation.dims, strict=True):
        if isinstance(term, Affine):
            if dims != tuple(range(rank)):
                raise _NotAffine
            arguments.append(term)
        else:
            shape = [1] * rank
            for axis, dim in enumerate(dims):
                shape[dim] = term.shape[axis]
            arguments.append(term.reshape(shape))
    return _evaluate(computation.expr, arguments)


def _evaluate(expr: Expr, arguments: Sequence[Term]) -> Term:
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return np.asarray(expr.value, np.float64)
    assert isinstance(expr, Apply)
    parts = [_evaluate(part, arguments) for part in expr.arguments]
    with np.errstate(all="ignore"):
        if not any(isinstance(part, Affine) for part in parts):
            return np.asarray(FUNCTIONS[expr.function].meaning(*parts))
        return _call(expr.function, parts)


def _call(function: str, parts: Sequence[Term]) -> Affine:
    """A function with at least one argument that is affine in the running value."""
    if function == "multiply_add":
        return _sum(_product(*parts[:2]), parts[2])
    if function == "add":
        return _sum(*parts)
    if function == "subtract":
        return _sum(parts[0], _product(parts[1], np.asarray(-1.0)))
    if function == "multiply":
        return _as_affine(_product(*parts))
    if function == "divide" and not isinstance(parts[1], Affine):
        return _as_affine(_product(parts[0], 1.0 / parts[1]))
    raise _NotAffine


def _as_affine(term: Term) -> Affine:
    return term if isinstance(term, Affine) else Affine(np.zeros(()), term)


def _sum(a: Term, b: Term) -> Affine:
    a, b = _as_affine(a), _as_affine(b)
    return Affine(a.factor + b.factor, a.shift + b.shift)


def _product(a: Term, b: Term) -> Term:
    if isinstance(a, Affine) and isinstance(b, Affine):
        raise _NotAffine
    if isinstance(a, Affine):
        return Affine(a.factor * b, a.shift * b)
    return Affine(a * b.factor, a * b.shift) if isinstance(b, Affine) else a * b


def _per_channel(map: Affine, shape: tuple[int, ...]) -> Affine | None:
    """Factor and shift as vectors over the channels, or None; raises Refused where one is not finite."""
    vectors = []
    for what, array in (("factor", map.factor), ("shift", map.shift)):
        vector = _vector(array, shape)
        if vector is None:
            return None
        if not np.isfinite(vector).all():
            channel = int(np.argmin(np.isfinite(vector)))
            raise Refused(f"its {what} is {vector[channel]:g} in channel {channel}")
        vectors.append(vector)
    if not vectors[0].any():
        raise Refused("its factor is 0 in every channel")
    stated = map.stated and Typical(map.stated.mean.reshape(-1), map.stated.deviation.reshape(-1))
    factor, shift = vectors
    return Affine(factor, shift, stated)


def _vector(array: Array, shape: tuple[int, ...]) -> Array | None:
    """An array that broadcasts to `shape`, as one number for each channel; None if it varies along other axes."""
    sizes = (1,) * (len(shape) - array.ndim) + array.shape
    if any(size != 1 for axis, size in enumerate(sizes) if axis != CHANNELS):
        return None
    return np.broadcast_to(array.reshape(-1), shape[CHANNELS])
