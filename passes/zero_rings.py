"""Trims zero rings: outer rows, columns and planes of taps that are zero in every kernel of a convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ir import Graph, Node, Rewriter, Value
from ..ops import Conv, Slice
from ..types import Array
from ..windows import WindowAxis
from .match import fresh
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(x, [0 w 0]) => conv(x, w)", "finite")


@dataclass(frozen=True)
class Trim:
    """What goes from an axis: taps at both ends in the weights' order, and so elements at the image's ends."""

    first: int
    last: int
    low: int
    high: int


def trim_zero_rings(graph: Graph) -> Optimised:
    """The graph with smaller kernels where the outer taps are zero.

    Padding that only they reached goes too; where they reached into the image, the image is sliced (a view).
    """
    notes, rewriter = Notes("zero_rings"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Conv) or max(node.op.kernel) == 1:
            return None
        try:
            trims = find(graph, node)
        except Refused as why:
            notes.refused(node.name, str(why))
            return None
        made = _trimmed(graph, rewriter, node, inputs, trims)
        kernel = "×".join(map(str, getattr(rewriter.producer(made[0]).op, "kernel", ())))
        notes.fired(RULE, node.name, f"{'×'.join(map(str, node.op.kernel))} taps become {kernel}")
        return made

    return notes.on(rewriter.rewrite(visit))


def find(graph: Graph, node: Node) -> tuple[Trim, ...]:
    """What can go from each spatial axis; raises Refused if nothing can."""
    assert isinstance(node.op, Conv)
    weights = graph.constant(node.inputs[1])
    if weights is None:
        raise Refused("its weights are known only at run time")
    window = node.op.window(graph.type(node.inputs[0]))
    trims = tuple(_trim(weights, axis, view, node.op.flip) for axis, view in enumerate(window, start=2))
    if not any(trim.first or trim.last for trim in trims):
        raise Refused("no outer row of taps is zero in all its kernels")
    return trims


def _trim(weights: Array, axis: int, window: WindowAxis, flip: bool) -> Trim:
    """What can go from an axis, so that the window that is left still reads the image.

    Where all taps that are not zero fall into the padding, zero taps between them and the image stay: a convolution
    needs an image. Of kernels that are zero everywhere the tap stays that begins at the image's first elements.
    """
    most, used = (
        weights.shape[axis] - 1,
        np.flatnonzero(weights.any(axis=(*range(axis), *range(axis + 1, weights.ndim)))),
    )
    if flip:
        used = most - used[::-1]
    if not used.size:
        used = np.array([min(most, window.low // window.dilation)])
    low = min(int(used[0]), (window.low + window.size - 1) // window.dilation)
    high = min(most - int(used[-1]), (window.high + window.size - 1) // window.dilation)
    first, last = (high, low) if flip else (low, high)
    return Trim(first, last, low * window.dilation, high * window.dilation)


def _trimmed(
    graph: Graph, rewriter: Rewriter, node: Node, inputs: tuple[Value, ...], trims: tuple[Trim, ...]
) -> tuple[Value, ...]:
    """The convolution on the taps that are left, padded less or on a part of the image."""
    op, weights = node.op, graph.constant(node.inputs[1])
    assert isinstance(op, Conv) and weights is not None
    window = op.window(graph.type(node.inputs[0]))
    lows = [axis.low - trim.low for axis, trim in zip(window, trims, strict=True)]
    highs = [axis.high - trim.high for axis, trim in zip(window, trims, strict=True)]
    kept = tuple(slice(trim.first, size - trim.last) for trim, size in zip(trims, op.kernel, strict=True))
    data = weights[(slice(None), slice(None), *kept)]
    padding = tuple((max(0, low), max(0, high)) for low, high in zip(lows, highs, strict=True))
    smaller = replace(op, kernel=data.shape[2:], padding=padding)
    w = rewriter.constant(data, fresh(rewriter, f"{node.name}.trimmed"), node.where)
    image = _sliced(graph, rewriter, node, inputs[0], lows, highs)
    return rewriter.add(smaller, (image, w, *inputs[2:]), node.name, node.where)


def _sliced(graph: Graph, rewriter: Rewriter, node: Node, image: Value, lows: list[int], highs: list[int]) -> Value:
    """The image without the elements that no tap reaches any more."""
    shape = graph.type(node.inputs[0]).shape
    cut = [axis for axis, (low, high) in enumerate(zip(lows, highs, strict=True), start=2) if min(low, high) < 0]
    if not cut:
        return image
    starts = tuple(max(0, -lows[axis - 2]) for axis in cut)
    ends = tuple(shape[axis] - max(0, -highs[axis - 2]) for axis in cut)
    name = fresh(rewriter, f"{node.name}.inside")
    return rewriter.add(Slice(starts, ends, tuple(cut)), (image,), name, node.where)[0]
