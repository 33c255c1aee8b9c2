"""Commands that a document names and no test runs, since they take long or change an environment.

What can be known without running them is checked: programs, modules, files and options exist.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from cnncc.cli import main

NOT_OURS = {"pip", "venv", "pytest", "http.server"}  # modules whose options are not checked


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a shell block, each as its words, without comments, settings of variables and redirections."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(re.sub(r"\s*[<>] *\S+", "", line), comments=True)
        for command in _split(words):
            while command and re.match(r"[A-Z_]+=", command[0]):
                command = command[1:]
            if command:
                yield command


def _split(words: list[str]) -> Iterator[list[str]]:
    while "&&" in words:
        at = words.index("&&")
        yield words[:at]
        words = words[at + 1 :]
    yield words


def mistakes(command: list[str], root: Path) -> Iterator[str]:
    """What is wrong with a command, if it should run in the checkout `root`."""
    program, *words = command
    if program == "python":
        yield from _python(words, root)
    elif program == "cnncc":
        yield from _unknown_options(words[1:], _help(words[0]))
    elif program in ("pip", "apt-get"):
        return
    elif program not in (".", "cp") and not (root / program).exists():
        yield f"no {program}"


def _python(words: list[str], root: Path) -> Iterator[str]:
    if words[0] != "-m":
        yield from () if (root / words[0]).exists() else (f"no {words[0]}",)
        return
    module, *rest = words[1:]
    if module in NOT_OURS:
        yield from (f"no {word}" for word in rest if word.startswith("tests/") and not (root / word).exists())
        return
    file = root / Path(*module.split(".")).with_suffix(".py")
    if not file.exists():
        yield f"no module {module}"
        return
    yield from _unknown_options(rest, file.read_text(encoding="utf-8"))


def _unknown_options(words: list[str], text: str) -> Iterator[str]:
    options = (word.partition("=")[0] for word in words if word.startswith("--"))
    yield from (f"no option {option}" for option in options if not re.search(rf"{option}\b(?!-)", text))


def _help(verb: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main([verb, "--help"]) == 0, verb
    return said.getvalue()
