"""What an ONNX file holds, with everything in it that cannot be imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...allowance import allowance
from ...errors import ModelError
from ..inspection import InspectedPort, InspectedProblem, Inspection, macs
from .importer import Importer
from .messages import NAMES, bounded, grouped, short
from .read import OnnxModel, declared_outputs

MOST = 20
"""Kinds of problems that are told: more than that say no more, and fill a screen."""


def inspect_onnx(model: OnnxModel, shapes: Mapping[str, Sequence[int]] | None = None) -> Inspection:
    """What is in a model. Problems of its nodes are part of the answer.

    Raises UsageError for shapes that contradict the model, ModelError for malformed declarations.
    """
    with bounded():
        importer = Importer(model, shapes or {})
        held = _held(model)
        try:
            with allowance():
                graph = importer.graph()
        except ModelError as error:
            return replace(held, **_problems(importer, error))
        return replace(held, macs=macs(graph))


def _held(model: OnnxModel) -> Inspection:
    """What the file itself says; parameters are weights of floats and of bytes, not the numbers of shapes."""
    proto: Any = model.proto
    standard = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    weights = [
        array.size for array in model.part.weights.values() if array.dtype.kind == "f" or array.dtype.itemsize == 1
    ]
    return Inspection(
        model.name,
        tuple(InspectedPort(port.name, port.dtype, port.shape) for port in model.inputs),
        tuple(InspectedPort(port.name, port.dtype, port.shape) for port in declared_outputs(model)),
        Counter(node.operator for node in model.part.nodes),
        sum(weights),
        None,
        max(standard, default=1),
        short(f"{proto.producer_name} {proto.producer_version}".strip()),
    )


def _problems(importer: Importer, error: ModelError) -> dict[str, Any]:
    """The fields of an inspection about what was found, or about the one error that ended the import."""
    found = [
        InspectedProblem(
            short(group[0].error.message, 400),
            len(group),
            tuple(problem.place for problem in group[:NAMES] if problem.place),
            getattr(group[0].error, "advice", ""),
        )
        for group in grouped(importer.problems)[:MOST]
    ]
    names = {problem.place for problem in importer.problems}
    unsupported = {node.operator for node in importer.model.part.nodes if f"node '{short(node.shown)}'" in names}
    return {
        "problems": tuple(found) or (InspectedProblem(str(error), 1, ()),),
        "unsupported": frozenset(unsupported),
    }
