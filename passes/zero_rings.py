"""Trims zero rings: outer rows, columns and planes of taps that are zero in every kernel of a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..computation import Contraction
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Conv, Slice
from ..types import Array
from ..windows import WindowAxis
from .match import contraction, fresh
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(x, [0 w 0]) => conv(x, w)", "finite")


@dataclass(frozen=True)
class Trim:
    """The taps removed at both ends of an axis, in the weights' order, and the elements removed at the image's ends."""

    first: int
    last: int
    low: int
    high: int


def trim_zero_rings(graph: Graph) -> Optimised:
    """The graph with smaller kernels where the outer taps are zero.

    Padding that only they reached is removed too; where they reached into the image, the image is sliced (a view).
    """
    notes, rewriter = Notes("zero_rings"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        whole = contraction(graph, node)
        if whole is None or whole.taps == 1:
            return None
        try:
            weights, trims = find(graph, node, whole)
        except Refused as why:
            notes.refused(node.name, str(why))
            return None
        window = tuple(map(_trimmed, whole.window, trims))
        notes.fired(RULE, node.name, f"{_kernel(whole.window)} taps become {_kernel(window)}")
        taps = tuple(slice(t.first, axis.kernel - t.last) for t, axis in zip(trims, whole.window, strict=True))
        data = weights[(slice(None), slice(None), *taps)]
        w = rewriter.constant(data, fresh(rewriter, f"{node.name}.trimmed"), node.where)
        image = _sliced(rewriter, node, inputs[0], window)
        inside = [replace(axis, low=max(0, axis.low), high=max(0, axis.high)) for axis in window]
        op = Conv.over(inside, whole.groups, whole.flip)
        return rewriter.add(op, (image, w, *inputs[2:]), node.name, node.where)

    return notes.on(rewriter.rewrite(visit))


def find(graph: Graph, node: Node, whole: Contraction) -> tuple[Array, tuple[Trim, ...]]:
    """The weights, and what can be removed from each of their spatial axes; raises Refused if nothing can."""
    weights = graph.constant(node.inputs[1])
    if weights is None:
        raise Refused("its weights are known only at run time")
    if not _reaches_all_ends(weights[:1]):  # which takes a thousandth of the time
        trims = tuple(_trim(weights, axis, view, whole.flip) for axis, view in enumerate(whole.window, start=2))
        if any(trim.first or trim.last for trim in trims):
            return weights, trims
    raise Refused("no outer row of taps is zero in all its kernels")


def _reaches_all_ends(kernels: Array) -> bool:
    """Whether the first and the last row of taps of every axis are used by some of these kernels."""
    return all(kernels.take(end, axis).any() for axis in range(2, kernels.ndim) for end in (0, kernels.shape[axis] - 1))


def _trim(weights: Array, axis: int, window: WindowAxis, flip: bool) -> Trim:
    """What can be removed from an axis, so that the remaining window still reads the image.

    If all nonzero taps fall into the padding, the zero taps between them and the image stay, since a convolution
    needs an image. Of kernels that are zero everywhere, the tap on the image's first elements stays.
    """
    others = (*range(axis), *range(axis + 1, weights.ndim))
    most, used = weights.shape[axis] - 1, np.flatnonzero(weights.any(axis=others))
    if flip:
        used = most - used[::-1]
    if not used.size:
        used = np.array([min(most, window.low // window.dilation)])
    low = min(int(used[0]), (window.low + window.size - 1) // window.dilation)
    high = min(most - int(used[-1]), (window.high + window.size - 1) // window.dilation)
    first, last = (high, low) if flip else (low, high)
    return Trim(first, last, low * window.dilation, high * window.dilation)


def _trimmed(axis: WindowAxis, trim: Trim) -> WindowAxis:
    """The window of the remaining taps; negative padding counts elements of the image that no tap reads."""
    kernel = axis.kernel - trim.first - trim.last
    return replace(axis, kernel=kernel, low=axis.low - trim.low, high=axis.high - trim.high)


def _kernel(window: Sequence[WindowAxis]) -> str:
    return "×".join(str(axis.kernel) for axis in window)


def _sliced(rewriter: Rewriter, node: Node, image: Value, window: Sequence[WindowAxis]) -> Value:
    """The image without the elements that no remaining tap reads."""
    cut = [axis for axis, view in enumerate(window, start=2) if min(view.low, view.high) < 0]
    if not cut:
        return image
    starts = tuple(max(0, -window[axis - 2].low) for axis in cut)
    ends = tuple(window[axis - 2].size - max(0, -window[axis - 2].high) for axis in cut)
    name = fresh(rewriter, f"{node.name}.inside")
    return rewriter.add(Slice(starts, ends, tuple(cut)), (image,), name, node.where)[0]
