"""Moves the zero padding of a layer before a convolution into the convolution."""

from __future__ import annotations

import math
from dataclasses import replace

from ..computation import ConstantPad
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Conv
from ..windows import WindowAxis
from .match import contraction, sole_computation
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(pad(x, 0), w) => conv(x, w, padding)", "exact")


def fold_padding(graph: Graph) -> Optimised:
    """The graph with convolutions whose padding includes that of a layer before them that padded with zeros."""
    notes, rewriter = Notes("padding"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        whole = contraction(graph, node)
        if whole is None or not whole.window:
            return None
        window, image = whole.window, node.inputs[0]
        while isinstance(inset := sole_computation(graph, pad := graph[image.node]), ConstantPad):
            try:
                window = _wider(graph, window, pad, inset)
            except Refused as why:
                notes.refused(node.name, str(why))
                break
            notes.fired(RULE, node.name, f"takes '{pad.name}' up", absorbed=[pad.name])
            image = pad.inputs[0]
        if image == node.inputs[0]:
            return None
        op = Conv.over(window, whole.groups, whole.flip)
        return rewriter.add(op, (rewriter.mapping[image], *inputs[1:]), node.name, node.where)

    return notes.on(rewriter.rewrite(visit))


def _wider(graph: Graph, window: tuple[WindowAxis, ...], pad: Node, inset: ConstantPad) -> tuple[WindowAxis, ...]:
    """The window with both paddings; raises Refused if `pad` adds anything but zeros around the image."""
    if inset.value != 0 or math.copysign(1, inset.value) < 0:
        raise Refused(f"'{pad.name}' pads with {inset.value:g}, not with 0")
    inner, outer = graph.type(pad.inputs[0]).shape, pad.types[0].shape
    margins = [(begin, size - begin - own) for begin, size, own in zip(inset.begins, outer, inner, strict=True)]
    if any(margins[:2][axis] != (0, 0) for axis in range(2)):
        raise Refused(f"'{pad.name}' adds images or channels")
    return tuple(
        replace(axis, size=size, low=axis.low + low, high=axis.high + high)
        for axis, size, (low, high) in zip(window, inner[2:], margins[2:], strict=True)
    )
