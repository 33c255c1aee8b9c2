"""README's table of ops is what the command line prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncc.cli import main

README = Path(__file__).parents[2] / "README.md"


def test_the_table_is_that_of_cnncc_ops(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--markdown"]) == 0
    assert capsys.readouterr().out in README.read_text(encoding="utf-8")
