"""Merges successive arrangements into one with the last shape, or with the composed permutation of axes."""

from __future__ import annotations

from ..batching import with_one_more
from ..computation import Permute as Transposing
from ..computation import RowMajorReshape as Reshaping
from ..errors import ShapeError
from ..ir import Graph, Node, Rewriter, Value
from ..op import Op
from ..ops import Transpose
from ..types import TensorType
from .match import sole_computation
from .report import Notes, Optimised, Rule

RESHAPES = Rule("reshape(reshape(x)) => reshape(x)", "exact")
TRANSPOSES = Rule("transpose(transpose(x)) => transpose(x)", "exact")


def merge_arrangements(graph: Graph) -> Optimised:
    """The graph with a reshape of a reshape, and a transpose of a transpose, reading the first one's input."""
    notes, rewriter = Notes("arrangements"), Rewriter(graph)
    arranged: dict[Value, tuple[Reshaping | Transposing, Value]] = {}
    """For each value so far its arrangement, and the value that it arranges (all in the new graph)."""

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        outer = sole_computation(graph, node)
        if not isinstance(outer, Reshaping | Transposing):
            return None
        inner, source = arranged.get(inputs[0], (None, inputs[0]))
        op, rule = None, RESHAPES
        if isinstance(outer, Reshaping) and isinstance(inner, Reshaping):
            op = _reshape(node.op, rewriter.producer(inputs[0]).op, rewriter.type(source))
        elif isinstance(outer, Transposing) and isinstance(inner, Transposing):
            outer = Transposing(tuple(inner.axes[axis] for axis in outer.axes))
            op, rule = Transpose(outer.axes), TRANSPOSES
        if op is None:
            source = inputs[0]
            made = rewriter.keep(node, inputs)
        else:
            notes.fired(rule, node.name, f"reads {source} instead of {inputs[0]}", absorbed=[inputs[0].node])
            made = rewriter.add(op, (source,), node.name, node.where)
        arranged[made[0]] = outer, source
        return made

    return notes.on(rewriter.rewrite(visit))


def _reshape(outer: Op, inner: Op, source: TensorType) -> Op | None:
    """`outer` if on the source it gives the same result as after `inner`, for every number of images; else None."""
    try:
        for type in (source, with_one_more(source)) if source.shape else (source,):
            if outer.infer(type) != outer.infer(*inner.infer(type)):
                return None
    except ShapeError:
        return None
    return outer if outer.images(source.rank) or not inner.images(source.rank) else None
