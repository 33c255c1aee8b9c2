"""`cnncc ops`: the registry as a table."""

from __future__ import annotations

import pytest

from cnncc.cli import main
from cnncc.op import REGISTRY


def test_every_op_has_a_line_that_says_what_it_computes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops"]) == 0
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split() == ["op", "computes", "attributes"]
    assert [line.split()[0] for line in lines] == sorted(REGISTRY)
    assert all(len(line.split()) > 1 for line in lines)


def test_the_table_for_a_document_has_three_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "| --- | --- | --- |"
    assert "| `Conv` | Cross-correlation of x" in "\n".join(lines)
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}
