"""What an ONNX file holds, with everything in it that cannot be imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...allowance import allowance
from ...errors import ModelError
from ..inspection import InspectedPort, InspectedProblem, Inspection, inspected, largest, macs
from .demand import TooLarge, demand
from .folding import FOLDS
from .importer import Importer
from .messages import NAMES, Unsupported, bounded, grouped, listed, short
from .plain import operator, text
from .ports import ports
from .read import Declared, OnnxModel, declared_outputs, declared_ports
from .table import OPERATORS

TRIED = (64, 128, 224, 256, 320, 32)
"""Lengths of open dimensions with which a model is looked at, until one fits."""
MOST = 20
"""Kinds of problems that are told: more than that say no more, and fill a screen."""


def inspect_onnx(model: OnnxModel, shapes: Mapping[str, Sequence[int]] | None = None) -> Inspection:
    """What is in a model. Problems of its nodes are part of the answer.

    Where `shapes` leaves dimensions open, some lengths are tried. Raises UsageError for shapes that contradict the
    model, ModelError for malformed declarations.
    """
    given = dict(shapes or {})
    with bounded():
        held = replace(_held(model), open=_open(model, given))
        found, _ = _looked_at(model, held, given)
        for length in TRIED if _needs_sizes(model, given) else ():
            tried = {
                **{port.name: _with(port.shape, length) for port in model.inputs if port.shape is not None},
                **given,
            }
            other, unsupported = _looked_at(model, held, tried)
            if unsupported or other.macs is not None:
                return replace(other, at={name: tuple(shape) for name, shape in tried.items()})
        return found


def _looked_at(model: OnnxModel, held: Inspection, shapes: Mapping[str, Sequence[int]]) -> tuple[Inspection, bool]:
    """What is found with these shapes, and whether something is unsupported, whatever they are."""
    importer = Importer(model, shapes)
    try:
        with allowance():
            graph = importer.graph()
    except ModelError as error:
        unsupported = any(isinstance(problem.error, Unsupported) for problem in importer.problems)
        return replace(held, **_problems(importer, error)), unsupported
    if model.cuts:  # of which the file tells nothing
        held = replace(held, outputs=inspected(graph).outputs)
    return replace(held, macs=macs(graph), largest=largest(graph)), False


def _needs_sizes(model: OnnxModel, given: Mapping[str, Sequence[int]]) -> bool:
    """Whether dimensions behind the first are open, which is 1 unless somebody says otherwise."""
    shapes = (port.shape or () for port in model.inputs if port.name not in given)
    return any(isinstance(size, str) for shape in shapes for size in shape[1:])


def _with(shape: Sequence[int | str], length: int) -> tuple[int, ...]:
    """A shape in which all open dimensions but the first have this length."""
    return tuple(size if isinstance(size, int) else 1 if axis == 0 else length for axis, size in enumerate(shape))


def _open(model: OnnxModel, given: Mapping[str, Sequence[int]]) -> dict[str, tuple[str, ...]]:
    """The names of the dimensions of each input that neither the model nor a given shape closes."""
    named = {
        port.name: tuple(size for size in port.shape or () if isinstance(size, str))
        for port in model.inputs
        if port.name not in given
    }
    return {name: sizes for name, sizes in named.items() if sizes}


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
        weight_bytes=error.demand.weight_bytes,
    )


def _held(model: OnnxModel) -> Inspection:
    """What the file itself says; parameters are weights of floats and of bytes, not the numbers of shapes."""
    weights = [
        array.size for array in model.part.weights.values() if array.dtype.kind == "f" or array.dtype.itemsize == 1
    ]
    inputs, outputs = ports(model) if model.cuts else (model.inputs, declared_outputs(model))
    return Inspection(
        model.name,
        tuple(map(_port, inputs)),
        tuple(map(_port, outputs)),
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
