"""Lowers a filter bank of rank-one kernels to a column pass and a row pass, where that saves multiply-accumulates."""

from __future__ import annotations

import numpy as np

from ..expr import UNIT
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Conv
from ..types import Array, TensorType
from ..windows import per_axis
from .match import fresh
from .rank_one import factor
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(x, u·vᵀ) => conv(conv(x, u), v)", "rounding")


def lower_separable(graph: Graph) -> Optimised:
    """The graph with separable 2-D convolutions split into a (kh, 1) and a (1, kw) one, which keeps the name."""
    notes, rewriter = Notes("separable"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Conv):
            return None
        try:
            columns, rows = split(graph, node)
            column_op, row_op = passes(node.op, graph.type(node.inputs[0]), len(columns))
            before, after = _macs(graph, node, column_op, row_op, columns, rows)
        except Refused as why:
            notes.refused(node.name, str(why))
            return None
        bias = graph.constant(node.inputs[2]) if len(inputs) == 3 else None
        detail = f"{before} multiply-accumulates become {after}"
        notes.fired(RULE, node.name, detail, _bound(columns, rows, bias))
        # The product of u and v is the kernel up to one rounding of each tap, as if u had been rounded.
        u = rewriter.constant(columns, fresh(rewriter, f"{node.name}.u"), node.where, rounded=True)
        v = rewriter.constant(rows, fresh(rewriter, f"{node.name}.v"), node.where)
        middle = rewriter.add(column_op, (inputs[0], u), fresh(rewriter, f"{node.name}.column"), node.where)
        return rewriter.add(row_op, (*middle, v, *inputs[2:]), node.name, node.where)

    return notes.on(rewriter.rewrite(visit))


def split(graph: Graph, node: Node) -> tuple[Array, Array]:
    """Weights (O, 1, kh, 1) and (O, 1, 1, kw) of the two passes; raises Refused if `node` is not separable."""
    assert isinstance(node.op, Conv)
    if node.op.rank != 2 or min(node.op.kernel) < 2:
        raise Refused("only 2-D kernels of at least 2×2 taps can be separated")
    weights = graph.constant(node.inputs[1])
    if weights is None:
        raise Refused("its weights are known only at run time")
    if weights.shape[1] != 1:
        raise Refused(f"each output sums over {weights.shape[1]} input channels, expected 1")
    factors = []
    for channel, kernel in enumerate(weights[:, 0]):
        found = factor(kernel)
        if found is None:
            raise Refused(f"no float32 u, v were found with fl(u·vᵀ) equal to the kernel of output {channel}")
        factors.append(found)
    columns, rows = (np.stack(vectors) for vectors in zip(*factors, strict=True))
    return columns[:, None, :, None], rows[:, None, None, :]


def passes(op: Conv, x: TensorType, outputs: int) -> tuple[Conv, Conv]:
    """The column pass, on the groups of `op`, and the row pass, on each output alone; padding becomes explicit."""
    vertical, horizontal = op.window(x)
    sy, sx = per_axis(op.stride, 2, "stride")
    dy, dx = per_axis(op.dilation, 2, "dilation")
    kh, kw = op.kernel
    column = Conv((kh, 1), (sy, 1), (dy, 1), ((vertical.low, vertical.high), (0, 0)), op.groups, op.flip)
    row = Conv((1, kw), (1, sx), (1, dx), ((0, 0), (horizontal.low, horizontal.high)), outputs, op.flip)
    return column, row


def _macs(graph: Graph, node: Node, column: Conv, row: Conv, u: Array, v: Array) -> tuple[int, int]:
    """Multiply-accumulates before and after; raises Refused if they would not fall."""
    types = graph.types(node.inputs)
    first = (types[0], TensorType(u.shape))
    before = node.op.cost(*types).macs
    after = column.cost(*first).macs + row.cost(*column.infer(*first), TensorType(v.shape)).macs
    if after >= before:
        raise Refused(f"two passes would take {after} multiply-accumulates, one takes {before}")
    return before, after


def _bound(columns: Array, rows: Array, bias: Array | None) -> str:
    """Rounding of the column sum (kh terms), of the row sum (kw terms) and of the product u·v that is the tap."""
    u, v = (np.abs(array.astype(np.float64)).sum(axis=(1, 2, 3)) for array in (columns, rows))
    terms = columns.shape[2] + rows.shape[3] + 1
    gamma = terms * UNIT / (1 - terms * UNIT)
    worst = gamma * float((u * v + (0 if bias is None else np.abs(bias))).max())
    return f"{terms}·2^-24 (Σ|u||v||x| + |b|), which is {worst:.2g} for |x| <= 1"
