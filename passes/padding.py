"""Lets a convolution pad its input itself where a layer before it does so with zeros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..computation import Inset
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Conv
from .match import sole_computation
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(pad(x, 0), w) => conv(x, w, padding)", "exact")


def fold_padding(graph: Graph) -> Optimised:
    """The graph with convolutions that pad where a layer of zeros around their image stood before them."""
    notes, rewriter = Notes("padding"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Conv):
            return None
        op, image = node.op, node.inputs[0]
        while isinstance(inset := sole_computation(graph, pad := graph[image.node]), Inset):
            try:
                op = _wider(graph, op, pad, inset)
            except Refused as why:
                notes.refused(node.name, str(why))
                break
            notes.fired(RULE, node.name, f"takes '{pad.name}' up")
            image = pad.inputs[0]
        if op is node.op:
            return None
        return rewriter.add(op, (rewriter.mapping[image], *inputs[1:]), node.name, node.where)

    return notes.on(rewriter.rewrite(visit))


def _wider(graph: Graph, op: Conv, pad: Node, inset: Inset) -> Conv:
    """The convolution with both paddings; raises Refused if `pad` adds anything but zeros around the image."""
    if np.float32(inset.value).view(np.uint32) != 0:
        raise Refused(f"'{pad.name}' pads with {inset.value:g}, not with 0")
    inner, outer = graph.type(pad.inputs[0]).shape, pad.types[0].shape
    margins = [(begin, size - begin - own) for begin, size, own in zip(inset.begins, outer, inner, strict=True)]
    if any(margins[:2][axis] != (0, 0) for axis in range(2)):
        raise Refused(f"'{pad.name}' adds images or channels")
    window = op.window(pad.types[0])
    padding = tuple((axis.low + low, axis.high + high) for axis, (low, high) in zip(window, margins[2:], strict=True))
    return replace(op, padding=padding)
