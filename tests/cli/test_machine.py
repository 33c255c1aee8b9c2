"""`cnncc machine`: what host stands for, and a row for the table of cores."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from cnncc.cli import main
from cnncc.machine.core import Core
from cnncc.measure.core import measured, row
from cnncc.native import host_target


def test_it_says_what_host_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machine"]) == 0
    host = host_target()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"host: {host.cpu}, ") and f"{host.lanes} lanes" in first
    assert second.startswith(f"core: {host.core.name} (")


def test_a_measured_core_is_a_row_of_the_table() -> None:
    """Its text makes the same core again; what was measured is a number that a core can have."""
    core, known = measured(host_target(), "here")
    assert eval(row(core, known), {"Core": Core, "inf": math.inf}) == core
    assert known < {field.name for field in fields(Core)}
    assert all(0 < getattr(core, name) < math.inf for name in known - {"l1", "l2", "l3"})
    assert row(core, known).count("# not measured") == len(fields(Core)) - len(known) - 2  # name and CPUs


def test_the_row_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machine", "--measure"]) == 0
    out = capsys.readouterr().out
    assert "fma_pipes" in out and out.rstrip().endswith(")")
