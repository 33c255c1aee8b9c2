"""Plans in files: options and choices, as JSON that people can read and edit.

    {"cnncc plan": 1, "model": "digits", "target": "x86-64-v4", "options": {"streaming": "pools", …},
     "choices": [{"layers": ["conv1"], "signature": "1>16 3/1p1,1of8 …", "label": "direct 2×8×1"}, …]}

"layers" is information for people; a choice belongs to a signature, that is, to all equal layers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any, NoReturn, get_args, get_type_hints

from ..errors import UsageError
from ..files import read, write_whole
from ..machine.target import Target
from .options import PlanOptions
from .plan import Plan

VERSION = 1
MARK = "cnncc plan"
MOST_BYTES = 1 << 26  # of a plan's file


def describe(plan: Plan, options: PlanOptions) -> dict[str, Any]:
    """The content of a file: the options, and for each signature the candidate that the plan took.

    A given choice that led to others, such as one over merged positions, stands there without layers.
    """
    layers: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    for step in plan.steps:
        for choice in (step, step.split):
            if choice and choice.signature:
                labels[choice.signature] = choice.label
                names = layers.setdefault(choice.signature, [])
                names += [step.name] if step.name not in names else []
    for signature, label in options.choices:
        if signature in plan.offers and signature not in labels:
            layers[signature], labels[signature] = [], label
    plain = {name: value for name, value in asdict(options).items() if name not in ("choices", "source")}
    choices = [{"layers": names, "signature": key, "label": labels[key]} for key, names in layers.items()]
    return {MARK: VERSION, "model": plan.name, "target": plan.target.cpu, "options": plain, "choices": choices}


def save(plan: Plan, options: PlanOptions, path: str | os.PathLike[str]) -> None:
    """Write a plan's choices. Raises OutputError if the file cannot be written."""
    text = json.dumps(describe(plan, options), indent=1, ensure_ascii=False) + "\n"
    write_whole(path, "plan", lambda stream: stream.write(text.encode()))


def load(path: str | os.PathLike[str], target: Target) -> PlanOptions:
    """The options of a file. Raises UsageError that names the file and the fault in it.

    Whether the choices fit a model is tested when it is planned (`refuse_unknown`).
    """
    return _Reader(os.fspath(path)).options(target)


def refuse_unknown(plan: Plan, options: PlanOptions) -> None:
    """Raise UsageError for a choice from a file that the model does not offer."""
    for signature, label in options.choices:
        if signature not in plan.offers:
            raise UsageError(f"plan '{options.source}': model '{plan.name}' has no layer with signature '{signature}'")
        labels = [candidate.label for candidate in plan.offers[signature]]
        if label not in labels:
            raise UsageError(
                f"plan '{options.source}': signature '{signature}' has no candidate '{label}': expected one of "
                f"{', '.join(labels)}"
            )


class _Reader:
    """Reads one file; everything unexpected is an error."""

    def __init__(self, path: str):
        self.path = path

    def refuse(self, problem: str) -> NoReturn:
        raise UsageError(f"plan '{self.path}': {problem}")

    def options(self, target: Target) -> PlanOptions:
        content = self.content()
        if content.get(MARK) != VERSION:
            self.refuse(f'expected "{MARK}": {VERSION}, got {json.dumps(content.get(MARK))}')
        if content.get("target") != target.cpu:
            self.refuse(f"it was made for target '{content.get('target')}', not for '{target.cpu}'")
        options = dict(self.settings(content.get("options", {})))
        choices = tuple(sorted(self.choices(content.get("choices"))))
        return PlanOptions(**options, choices=choices, source=self.path)

    def content(self) -> dict[str, Any]:
        try:
            content = json.loads(read(self.path, MOST_BYTES).decode())
        except OSError as error:
            self.refuse(f"cannot read it: {error.strerror or error}")
        except (ValueError, RecursionError) as error:
            self.refuse(f"it is not JSON: {error}")
        if not isinstance(content, dict):
            self.refuse("expected a JSON object")
        return content

    def settings(self, given: Any) -> Iterator[tuple[str, Any]]:
        """The options besides choices, each of the type of its default."""
        defaults = {f.name: f.default for f in fields(PlanOptions) if f.name not in ("choices", "source")}
        allowed = {name: get_args(kind) for name, kind in get_type_hints(PlanOptions).items()}
        if not isinstance(given, dict):
            self.refuse('"options" is not an object')
        for name, value in given.items():
            if name not in defaults:
                self.refuse(f"unknown option '{name}': expected some of {', '.join(defaults)}")
            kind = type(defaults[name])
            if type(value) is not kind and not (kind is float and type(value) is int):
                self.refuse(
                    f"option '{name}' is {json.dumps(value)}: expected a value like {json.dumps(defaults[name])}"
                )
            if allowed[name] and value not in allowed[name]:
                self.refuse(f"option '{name}' is '{value}': expected one of {', '.join(allowed[name])}")
            yield name, kind(value)

    def choices(self, given: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(given, list):
            self.refuse('"choices" is not a list')
        known: dict[str, str] = {}
        for number, choice in enumerate(given):
            match choice:
                case {"signature": str(signature), "label": str(label)}:
                    if known.setdefault(signature, label) != label:
                        self.refuse(f"choice {number} and an earlier one differ for signature '{signature}'")
                    yield signature, label
                case _:
                    self.refuse(f'choice {number} has no "signature" and "label", both texts')
