"""Does a candidate still fail? By our own check, in a process of its own, or by a script of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from ..compiler import Options
from ..errors import UsageError
from .bug_script import script
from .excerpt import Case
from .outcome import OK, Outcome, apart, outcome, settings

LEAST, SLOWER = 10.0, 4.0
"""Seconds that each candidate may take, and how many times as long as the model itself."""
CANDIDATE = "candidate.py"


class Failing:
    """What fails, found out once for the model itself and then asked about each candidate."""

    def __init__(self, options: Options, threads: int, seconds: float, predicate: str | None = None):
        self.options, self.threads, self.patience = options, threads, seconds
        self.predicate = predicate
        self.wanted = OK

    def first(self, case: Case) -> Outcome:
        """How the model fails. Raises UsageError where it does not."""
        begin = time.monotonic()
        self.wanted = self._checked(case)
        if self.predicate:
            if not self.fails(case):
                raise UsageError(f"--predicate '{self.predicate}' does not end with 0 for the model as it is")
            told = f"'{self.predicate}' says that it fails"
            return Outcome(self.wanted.kind, self.wanted.signs, told, self.wanted.layer, self.wanted.exit_code)
        if self.wanted == OK:
            raise UsageError(f"model '{case.graph.name}' is right on these inputs: there is nothing to reduce")
        if self.wanted.kind != "hang":
            self.patience = max(LEAST, SLOWER * (time.monotonic() - begin))
        return self.wanted

    def fails(self, case: Case) -> bool:
        """Whether a candidate fails in the same way."""
        return self._said(case) if self.predicate else self._checked(case).is_like(self.wanted)

    def last(self, case: Case, first: Outcome) -> Outcome:
        """How the smallest case fails, for the script; as the model does, where only a script of the user's knows."""
        return first if self.predicate else self._checked(case)

    def _checked(self, case: Case) -> Outcome:
        return apart(partial(outcome, case, self.options, self.threads), self.patience)

    def _said(self, case: Case) -> bool:
        """Whether the script ends with exit code 0 for the script of this case."""
        text = script(case, self.wanted, settings(self.options, self.threads), "A candidate")
        with tempfile.TemporaryDirectory(prefix="cnncc-reduce-") as folder:
            file = Path(folder) / CANDIDATE
            file.write_text(text, encoding="utf-8")
            return _exit_code([str(self.predicate), str(file)], self.patience) == 0


def confirmed(file: str, wanted: Outcome) -> bool:
    """Whether the script of a reduced case fails in the same way in a fresh process."""
    return _exit_code([file], LEAST + 50) == (None if wanted.kind == "hang" else wanted.exit_code)


def _exit_code(words: list[str], seconds: float) -> int | None:
    """That of a Python script, which finds this package; None if it does not end in time."""
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = dict(os.environ, PYTHONPATH=paths)
    command = [sys.executable, *words]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode
