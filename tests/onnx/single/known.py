"""What is refused of the models of one node, with a reason each; the list is strict."""

from __future__ import annotations

from .maker import Maker

OF_FLOATS = "ReduceLogSumExp"
"""Operators whose results are no whole numbers; the standard lets them take some all the same, and nobody agrees how
their results are rounded: ONNX Runtime cuts off each exponential, the standard's function only the result."""


def reason(maker: Maker) -> str:
    """Why a model is known to be refused; '' if it should not be."""
    kind = maker.ports[maker.names[0]].dtype.kind if maker.names and maker.names[0] in maker.ports else ""
    whole = kind in ("i", "u") and maker.schema.name in OF_FLOATS.split()
    return "a function of floats of whole numbers" if whole else ""
