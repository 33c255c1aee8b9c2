"""`cnncc completion`: a script for a shell, by shtab where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnncc.cli.parser import VERBS
from cnncc.cli.show import STAGES

from .conftest import Cli


def test_every_verb_and_what_its_arguments_are(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    parsers: list[Any] = []

    def complete(parser: Any, shell: str) -> str:
        parsers.append(parser)
        return f"for {shell}\n"

    monkeypatch.setitem(
        sys.modules, "shtab", SimpleNamespace(SUPPORTED_SHELLS=["bash"], FILE="file", complete=complete)
    )
    assert cli("completion", "bash").out == "for bash\n"
    (verbs,) = (action.choices for action in parsers[0]._actions if action.choices)
    assert list(verbs) == list(VERBS)
    actions = {action.dest: action for action in verbs["show"]._actions}
    assert actions["stage"].choices == list(STAGES) and actions["model"].complete == "file"
    result = cli("completion", "ksh")
    assert (result.code, result.err) == (2, "cnncc: unknown shell 'ksh', expected one of bash\n")


def test_without_shtab(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    result = cli("completion", "bash")
    assert (result.code, result.out) == (5, "")
    assert result.err == "cnncc: completion needs shtab: pip install 'cnncc[completion]'\n"


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("shtab")
    (tmp_path / "cnncc.bash").write_text(cli("completion", "bash").out)
    ask = 'source cnncc.bash; COMP_WORDS=(cnncc sh); COMP_CWORD=1; _shtab_cnncc; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "show" in done.stdout.split()
