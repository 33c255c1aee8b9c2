"""The phases of the planner: what each reads is there, of the right type, and stays as it was."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from cnncc import plan
from cnncc.plan import PlanOptions, make
from cnncc.plan.make import PHASES, Phase, make_plan
from tests.fuzz.generate import random_graph
from tests.graphs import compilation

GIVEN = ("graph", "target", "options", "strict", "weights", "earlier")


def test_each_phase_has_a_name_and_a_reason_and_reads_what_is_there() -> None:
    known = list(GIVEN)
    for phase in PHASES:
        assert set(phase.reads) <= set(known) and phase.name not in known, phase.name
        assert 40 < len(phase.reason) < 160 and "\n" not in phase.reason
        known.append(phase.name)
    assert PHASES[-1].name == "plan"


def test_every_result_is_read() -> None:
    read = {name for phase in PHASES for name in phase.reads}
    assert read >= {phase.name for phase in PHASES[:-1]} | set(GIVEN)


def test_a_phase_takes_the_types_that_the_former_ones_return() -> None:
    """The list is not seen by the type checker, the functions are."""
    types = get_type_hints(make_plan)
    types["options"] = PlanOptions
    for phase in PHASES:
        hints = get_type_hints(phase.run)
        parameters = list(inspect.signature(phase.run).parameters)
        assert len(parameters) == len(phase.reads), phase.name
        for parameter, name in zip(parameters, phase.reads, strict=True):
            wanted = hints[parameter]
            assert types[name] == wanted or types[name] in get_args(wanted), f"{phase.name} reads {name}"
        types[phase.name] = hints["return"]


def unchanged(phase: Phase) -> Phase:
    """The phase, which must leave what it reads as it was."""

    def run(*read: Any) -> Any:
        before = list(map(repr, read))
        result = phase.run(*read)
        assert list(map(repr, read)) == before, f"phase {phase.name} changes what it reads"
        return result

    return replace(phase, run=run)


@pytest.mark.parametrize("streaming", ["cost", "chains"])
def test_a_phase_changes_nothing_that_it_reads(streaming: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "PHASES", tuple(map(unchanged, PHASES)))
    for seed in range(12):
        assert compilation(random_graph(seed)[0], "x86-64-v3", streaming=streaming, sharing="cost").plan.steps


def constructors() -> Iterator[tuple[str, ast.FunctionDef]]:
    folder = Path(plan.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in ("__init__", "__post_init__"):
                yield f"{file.relative_to(folder)}:{node.lineno}", node


def test_no_class_of_the_planner_works_when_it_is_made() -> None:
    """Work belongs to functions that return their results; `__init__` gives fields their first values."""
    for place, function in constructors():
        assert all(isinstance(statement, ast.Assign | ast.AnnAssign) for statement in function.body), place
