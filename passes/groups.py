"""Finds groups in weights that are zero outside of blocks on the diagonal, and omits the products with these zeros."""

from __future__ import annotations

import numpy as np

from ..computation import Contraction
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Concat, Conv, Dense, Split
from ..types import Array
from .match import contraction, fresh
from .report import Notes, Optimised, Refused, Rule

CONV_RULE = Rule("conv(x, diagonal(a, b…)) => conv(x, a, b…, groups)", "finite")
DENSE_RULE = Rule("dense(x, diagonal(a, b…)) => concat(dense(x₁, a), dense(x₂, b)…)", "finite")
SMALLEST_BLOCK = 16  # least outputs of a dense block that is worth a layer of its own, with a split and a concatenation


def find_groups(graph: Graph) -> Optimised:
    """The graph with block-diagonal convolutions grouped, and block-diagonal dense layers split."""
    notes, rewriter = Notes("groups"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        whole = contraction(graph, node)
        if whole is None:
            return None
        try:
            weights, count = find(graph, node, whole)
        except Refused as why:
            notes.refused(node.name, str(why))
            return None
        if whole.window:
            notes.fired(CONV_RULE, node.name, f"{count * whole.groups} groups instead of {whole.groups}")
            return _grouped(rewriter, node, whole, inputs, weights, count)
        notes.fired(DENSE_RULE, node.name, f"{count} blocks")
        return _parted(rewriter, node, inputs, _blocks(weights, 1, count), count)

    return notes.on(rewriter.rewrite(visit))


def find(graph: Graph, node: Node, whole: Contraction) -> tuple[Array, int]:
    """The weights of `node` and the number of blocks on the diagonal of each group; raises Refused if it is 1."""
    weights = graph.constant(node.inputs[1])
    if weights is None:
        raise Refused("its weights are known only at run time")
    groups, channels = whole.groups, weights.shape[1]
    outputs = whole.outputs // groups
    parted = weights.reshape(groups, outputs, channels, -1)
    least = 1 if whole.window else SMALLEST_BLOCK
    most = min(outputs // least, channels)
    if most > 1 and not parted[:, 0, -1].any():  # this corner lies outside of all blocks, however many there are
        used = np.asarray(parted.any(axis=(0, 3)))
        for count in range(most, 1, -1):
            if outputs % count == 0 and channels % count == 0 and _is_diagonal(used, count):
                return weights, count
    raise Refused(
        f"its weights are no blocks on a diagonal{f' of at least {least} outputs' if least > 1 else ''}"
        if channels > 1
        else "each of its outputs reads one channel already"
    )


def _is_diagonal(used: Array, count: int) -> bool:
    """Whether (outputs, channels) are used in `count` equal blocks on the diagonal only."""
    outputs, channels = used.shape
    blocks = used.reshape(count, outputs // count, count, channels // count).any(axis=(1, 3))
    return not (blocks & ~np.eye(count, dtype=bool)).any()


def _blocks(weights: Array, groups: int, count: int) -> Array:
    """The blocks of all groups one below the other: (outputs, channels of a block, taps…)."""
    outputs, channels, *taps = weights.shape
    rows, columns = outputs // groups // count, channels // count
    split = weights.reshape(groups, count, rows, count, columns, *taps)
    numbers = np.arange(count)
    # Two index arrays with axes between them put their common axis in front.
    diagonal = split[:, numbers, :, numbers].swapaxes(0, 1)
    return diagonal.reshape(outputs, columns, *taps)


def _grouped(
    rewriter: Rewriter, node: Node, whole: Contraction, inputs: tuple[Value, ...], weights: Array, count: int
) -> tuple[Value, ...]:
    blocks = _blocks(weights, whole.groups, count)
    w = rewriter.constant(blocks, fresh(rewriter, f"{node.name}.blocks"), node.where)
    op = Conv.over(whole.window, whole.groups * count, whole.flip)
    return rewriter.add(op, (inputs[0], w, *inputs[2:]), node.name, node.where)


def _parted(rewriter: Rewriter, node: Node, inputs: tuple[Value, ...], blocks: Array, count: int) -> tuple[Value, ...]:
    """A dense layer for each block, on its part of the features."""
    images = _split(rewriter, node, inputs[0], count, 1)
    bias = [_split(rewriter, node, value, count, 0) for value in inputs[2:]]
    made: list[Value] = []
    for number, block in enumerate(np.split(blocks, count)):
        w = rewriter.constant(block, fresh(rewriter, f"{node.name}.block{number}"), node.where)
        own = (images[number], w, *(parts[number] for parts in bias))
        made += rewriter.add(Dense(), own, fresh(rewriter, f"{node.name}.{number}"), node.where)
    return rewriter.add(Concat(1), made, node.name, node.where)


def _split(rewriter: Rewriter, node: Node, value: Value, count: int, axis: int) -> tuple[Value, ...]:
    """Equal parts of a value along `axis`: constants if it is one."""
    known, name = rewriter.constant_data(value), f"{node.name}.{'parts' if axis else 'bias'}"
    if known is None:
        op = Split((rewriter.type(value).shape[axis] // count,) * count, axis)
        return rewriter.add(op, (value,), fresh(rewriter, name), node.where)
    return tuple(
        rewriter.constant(part, fresh(rewriter, f"{name}{number}"), node.where)
        for number, part in enumerate(np.split(known, count, axis))
    )
