"""Which opsets, element types and attributes the rows take, for each operator: `operators.json`, found by trying.

What the standard has of an operator (its versions, type constraints and attributes) only the `onnx` package knows. So
`python -m tests.onnx.survey` imports a model of one node for each version of each operator, with each element type
that the standard allows and with values of each attribute, and writes down which are taken. Nothing of it is written by
hand, and a test compares it with the importer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).with_name("operators.json")


Use = Literal["arrives", "known", "refused"]


@dataclass(frozen=True)
class Port:
    """An input; `kind` is its type constraint (T, T1…) or its one element type.

    It may be computed at run time ('arrives'), must be known when compiling ('known'), or is not taken ('refused').
    """

    name: str
    kind: str
    use: Use


@dataclass(frozen=True)
class Form:
    """An operator in the opsets `first` to `last`, in which the standard and the importer treat it alike.

    `types` has the element types of each constraint that are taken, and `refused` the other ones of the standard.
    `attributes` has for each attribute the values that are refused, as ONNX writes them; None for an attribute that is
    refused altogether. `why` is the reason if the operator itself is refused.
    """

    first: int
    last: int
    inputs: tuple[Port, ...]
    types: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, tuple[str, ...] | None]
    why: str = ""


@dataclass(frozen=True)
class Operator:
    """An operator in all its forms. `dropped` is the opset from which the standard has it no more, or 0."""

    name: str
    forms: tuple[Form, ...]
    dropped: int = 0

    @property
    def taken(self) -> tuple[Form, ...]:
        return tuple(form for form in self.forms if not form.why)


def operators() -> dict[str, Operator]:
    """All operators that some model of some opset may have, by name."""
    return {name: operator_of(name, plain) for name, plain in json.loads(FILE.read_text(encoding="utf-8")).items()}


def operator_of(name: str, plain: Mapping[str, Any]) -> Operator:
    """An operator from types that JSON has."""
    return Operator(name, tuple(map(_form, plain["forms"])), plain.get("dropped", 0))


def _form(plain: Mapping[str, Any]) -> Form:
    return Form(
        plain["first"],
        plain["last"],
        tuple(Port(*port) for port in plain["inputs"]),
        {kind: tuple(names) for kind, names in plain["types"].items()},
        {kind: tuple(names) for kind, names in plain["refused"].items()},
        {name: None if values is None else tuple(values) for name, values in plain["attributes"].items()},
        plain.get("why", ""),
    )
