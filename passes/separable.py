"""Splits convolutions with kernels of rank one into one along each axis, where that saves multiply-accumulates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..computation import Contraction
from ..elements import FLOAT32
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Conv
from ..types import Array
from ..windows import WindowAxis
from .match import contraction, fresh
from .rank_one import factor, nearly
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(x, u·vᵀ) => conv(conv(x, u), v)", "rounding")
NEARLY = Rule("conv(x, u·vᵀ (1 + δ)) => conv(conv(x, u), v), |δ| <= 2·2^-24", "rounding")

LABELS = {2: ("column", "row"), 3: ("depth", "column", "row")}


@dataclass(frozen=True)
class AxisConvolution:
    """One convolution of the chain: weights (O, C / groups, taps…) with taps along `axes` of the window only.

    Each one that is `rounded` adds a rounding between the kernel and the product of all weights.
    """

    weights: Array
    groups: int
    axes: tuple[int, ...]
    rounded: bool = True


def lower_separable(graph: Graph) -> Optimised:
    """The graph with separable convolutions split into one for each axis; the last of them keeps the name."""
    notes, rewriter = Notes("separable"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        whole = contraction(graph, node)
        if whole is None or not whole.window:
            return None
        try:
            steps = split(graph, node, whole)
            ops = tuple(passes(whole, steps))
            before, after = _macs(graph, node, steps, ops)
        except Refused as why:
            notes.refused(node.name, str(why))
            return None
        bias = graph.constant(node.inputs[2]) if len(inputs) == 3 else None
        detail = f"{before} multiply-accumulates become {after}"
        rule = NEARLY if all(step.rounded for step in steps) else RULE
        notes.fired(rule, node.name, detail, _bound(graph.constant(node.inputs[1]), steps, bias))
        return _chain(rewriter, node, inputs, steps, ops)

    return notes.on(rewriter.rewrite(visit))


def _chain(
    rewriter: Rewriter, node: Node, inputs: tuple[Value, ...], steps: Sequence[AxisConvolution], ops: Sequence[Conv]
) -> tuple[Value, ...]:
    """The convolutions one after the other; the last one has the bias and the name."""
    values = inputs[:1]
    for step, op in zip(steps, ops, strict=True):
        last = step is steps[-1]
        label = LABELS[op.rank][step.axes[0]]
        taps = fresh(rewriter, f"{node.name}.{label}_taps")
        w = rewriter.constant(step.weights, taps, node.where, rounded=step.rounded)
        name = node.name if last else fresh(rewriter, f"{node.name}.{label}")
        values = rewriter.add(op, (*values, w, *(inputs[2:] if last else ())), name, node.where)
    return values


def split(graph: Graph, node: Node, whole: Contraction) -> tuple[AxisConvolution, ...]:
    """The convolutions for `node`, along the first axis first; raises Refused if it is not separable."""
    if sum(axis.kernel > 1 for axis in whole.window) < 2:
        raise Refused("only kernels with taps along two axes can be separated")
    weights = graph.constant(node.inputs[1])
    if weights is None:
        raise Refused("its weights are known only at run time")
    return shared(weights, whole.groups) or bank(weights, whole.groups)


def shared(weights: Array, groups: int) -> tuple[AxisConvolution, ...] | None:
    """Two convolutions through one channel for each group, if each group's (I·k₁) × (O·k₂…) matrix has rank one.

    Only for groups with several outputs: for one output of one channel `bank` gives the same.
    """
    outputs, channels, first, *rest = weights.shape
    if outputs == groups or first == 1:
        return None
    grouped = weights.reshape(groups, outputs // groups, channels, first, -1).transpose(0, 2, 3, 1, 4)
    pairs = []
    for matrix in grouped.reshape(groups, channels * first, -1):
        found = factor(matrix)
        if found is None:
            return None
        pairs.append(found)
    u, v = (np.stack(vectors) for vectors in zip(*pairs, strict=True))
    columns = u.reshape(groups, channels, first, *(1 for _ in rest))
    rows = v.reshape(outputs, 1, 1, *rest)
    return AxisConvolution(columns, groups, (0,)), AxisConvolution(rows, groups, tuple(range(1, len(rest) + 1)), False)


def bank(weights: Array, groups: int) -> tuple[AxisConvolution, ...]:
    """A convolution along each axis, for each output by itself; raises Refused for several channels or higher ranks."""
    outputs, channels, *sizes = weights.shape
    if channels != 1:
        raise Refused(
            f"each output sums over {channels} input channels, and no {FLOAT32} u, v were found with fl(u·vᵀ) equal to "
            "the kernels of all outputs together"
        )
    axes = [axis for axis, size in enumerate(sizes) if size > 1]
    rest = weights.reshape(outputs, *(sizes[axis] for axis in axes))
    steps: list[AxisConvolution] = []
    near = False
    for axis in axes[:-1]:
        first, rest, near = _factored(rest, len(axes) == 2)
        steps.append(_along(axis, first, len(sizes), outputs if steps else groups, True))
    return (*steps, _along(axes[-1], rest, len(sizes), outputs, near))


def _along(axis: int, vectors: Array, rank: int, groups: int, rounded: bool) -> AxisConvolution:
    """A convolution along `axis` with one vector of taps for each output; `vectors` is (outputs, taps)."""
    shape = [1] * rank
    shape[axis] = vectors.shape[1]
    return AxisConvolution(vectors.reshape(len(vectors), 1, *shape), groups, (axis,), rounded)


def _factored(kernels: Array, try_nearly: bool) -> tuple[Array, Array, bool]:
    """(vectors along the first axis, the other factors, whether they fit only nearly) of all kernels; raises Refused.

    The product of exact factors is the kernel up to one rounding of each tap; if they fit only nearly, up to two.
    """
    pairs, near = [], False
    for number, kernel in enumerate(kernels):
        matrix = kernel.reshape(len(kernel), -1)
        found = factor(matrix)
        if found is None and try_nearly:
            found, near = nearly(matrix), True
        if found is None:
            raise Refused(f"no {FLOAT32} u, v were found with fl(u·vᵀ) equal to the kernel of output {number}")
        pairs.append((found[0], found[1].reshape(kernel.shape[1:])))
    first, rest = zip(*pairs, strict=True)
    return np.stack(first), np.stack(rest), near


def passes(whole: Contraction, steps: Sequence[AxisConvolution]) -> Iterator[Conv]:
    """A convolution for each step: stride, dilation and padding of its own axes."""
    done: set[int] = set()
    for step in steps:
        # An axis without taps may still have a stride or padding: the last convolution takes them.
        own = set(range(len(whole.window))) - done if step is steps[-1] else set(step.axes)
        done |= own
        window = [
            replace(view, kernel=taps) if axis in own else WindowAxis(view.size, taps)
            for axis, (view, taps) in enumerate(zip(whole.window, step.weights.shape[2:], strict=True))
        ]
        yield Conv.over(window, step.groups, whole.flip)


def _macs(graph: Graph, node: Node, steps: Sequence[AxisConvolution], ops: Sequence[Conv]) -> tuple[int, int]:
    """Multiply-accumulates before and after; raises Refused if they would not fall."""
    types = graph.types(node.inputs)
    before, after, running = node.op.cost(*types).macs, 0, types[0]
    for step, op in zip(steps, ops, strict=True):
        own = (running, graph.type(node.inputs[1]).shaped(step.weights.shape))
        after += op.cost(*own).macs
        (running,) = op.infer(*own)
    if after >= before:
        raise Refused(f"{len(steps)} passes would take {after} multiply-accumulates, one takes {before}")
    return before, after


def _bound(weights: Array | None, steps: Sequence[AxisConvolution], bias: Array | None) -> str:
    """The rounding of each convolution's sum, and the difference between the taps and the product of the factors."""
    assert weights is not None
    terms = sum(math.prod(step.weights.shape[1:]) + step.rounded for step in steps)
    gamma = terms * FLOAT32.unit / (1 - terms * FLOAT32.unit)
    sizes = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).sum(axis=1)
    worst = gamma * float((sizes + (0 if bias is None else np.abs(bias))).max())
    return f"{terms}·2^-24 (Σ|w||x| + |b|), which is {worst:.2g} for |x| <= 1"
