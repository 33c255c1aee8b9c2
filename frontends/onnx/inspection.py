"""What an ONNX file holds, with everything in it that cannot be imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...allowance import allowance
from ...errors import ModelError
from ..inspection import InspectedPort, InspectedProblem, Inspection, largest, macs
from .demand import TooLarge, demand
from .folding import FOLDS
from .importer import Importer
from .messages import NAMES, bounded, grouped, listed, short
from .plain import operator, text
from .read import Declared, OnnxModel, declared_outputs, declared_ports
from .table import OPERATORS

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
        return replace(held, macs=macs(graph), largest=largest(graph))


def inspect_large(file: Path, proto: Any, error: TooLarge) -> Inspection:
    """What the message of a model that is too large says, of which no weights are read."""
    inputs, outputs = declared_ports(file, proto)
    counts = Counter(operator(node.domain, node.op_type) for node in proto.graph.node)
    own = {operator(function.domain, function.name) for function in proto.functions}
    lacking = {name for name in counts if name not in OPERATORS and name not in FOLDS and name not in own}
    problems = [InspectedProblem(str(error), 1, ())]
    if lacking:
        names = listed(sorted(map(short, lacking)), 10)
        problems.append(InspectedProblem(f"operators that are not supported: {names}", len(lacking), ()))
    return Inspection(
        file.stem,
        tuple(map(_port, inputs)),
        tuple(map(_port, outputs)),
        counts,
        error.demand.parameters,
        None,
        *_origin(proto),
        tuple(problems),
        frozenset(lacking),
        error.demand.weight_bytes,
    )


def _held(model: OnnxModel) -> Inspection:
    """What the file itself says; parameters are weights of floats and of bytes, not the numbers of shapes."""
    weights = [
        array.size for array in model.part.weights.values() if array.dtype.kind == "f" or array.dtype.itemsize == 1
    ]
    return Inspection(
        model.name,
        tuple(map(_port, model.inputs)),
        tuple(map(_port, declared_outputs(model))),
        Counter(node.operator for node in model.part.nodes),
        sum(weights),
        None,
        *_origin(model.proto),
        weight_bytes=demand(model.proto).weight_bytes,
    )


def _port(port: Declared) -> InspectedPort:
    return InspectedPort(port.name, port.dtype, port.shape)


def _origin(proto: Any) -> tuple[int, str]:
    """The opset of ONNX's own operators, and the program that wrote the file."""
    standard = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    written = f"{text(proto.producer_name)} {text(proto.producer_version)}".strip()
    return max(standard, default=1), short(written)


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
