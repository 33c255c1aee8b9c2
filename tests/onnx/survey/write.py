"""The versions of each operator, and the file of all operators."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from onnx import defs

from cnncc.frontends.onnx.folding import FOLDS
from cnncc.frontends.onnx.read import NEWEST
from cnncc.frontends.onnx.supported import FILE, Form, Operator
from cnncc.frontends.onnx.table import OPERATORS

from .samples import EXPERIMENTAL, versions
from .trial import Version


def surveyed(name: str) -> Operator:
    """An operator of the table, in the versions that the installed `onnx` package knows."""
    since = versions(name)
    gone = name not in EXPERIMENTAL and defs.get_schema(name, since[-1]).deprecated
    dropped, alive = (since[-1], since[:-1]) if gone else (0, since)
    forms = [Version(name, version, version).form() for version in alive]
    if dropped:
        forms.append(Version(name, alive[-1], dropped).form())
    ends = [*(form.first for form in forms[1:]), NEWEST + 1]
    return Operator(name, tuple(joined(replace(f, last=e - 1) for f, e in zip(forms, ends, strict=True))), dropped)


def joined(forms: Iterable[Form]) -> list[Form]:
    """Forms that differ in their opsets alone, as one."""
    found: list[Form] = []
    for form in forms:
        if found and replace(found[-1], first=form.first, last=form.last) == form:
            form = replace(form, first=found.pop().first)
        found.append(form)
    return found


def names() -> list[str]:
    """All operators that the importer knows, at run time or with known inputs only."""
    return sorted({*OPERATORS, *FOLDS})


def plain(operator: Operator) -> dict[str, Any]:
    """In types that JSON has, without what is empty and need not be there."""
    forms = [asdict(form) for form in operator.forms]
    for form in forms:
        form["inputs"] = [list(port.values()) for port in form["inputs"]]
        if not form["why"]:
            del form["why"]
    return {"forms": forms, **({"dropped": operator.dropped} if operator.dropped else {})}


def write() -> None:
    """One line for each operator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = [f"{json.dumps(name)}: {json.dumps(plain(surveyed(name)))}" for name in names()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
