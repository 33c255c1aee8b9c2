"""Every code block of the documents runs, in order, in a copy of the checkout, and prints what it says.

In a console block, lines that begin with `$ ` are commands; below them stands what they print, in which `…` stands for
anything; in one that is named `figures`, any other numbers will do. The two commands that install are run by
`.ci/run`, each in a fresh environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.support import ROOT, copy_sources

from .blocks import Block, blocks

DOCUMENTS = ("README.md", "examples/embed/README.md")
BLOCKS = [(name, block) for name in DOCUMENTS for block in blocks(ROOT / name)]
INSTALL = "sh"  # language of the blocks that change an environment


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to work in, with commands `python` and `cnncc` that use it."""
    folder = copy_sources(tmp_path_factory.mktemp("docs") / "checkout")
    commands = folder / ".commands"
    commands.mkdir()
    for name, module in (("python", ""), ("cnncc", " -m cnncc")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        (commands / name).chmod(0o755)
    return folder


def run(command: list[str], checkout: Path) -> str:
    surroundings = {
        **os.environ,
        "PATH": f"{checkout / '.commands'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "CNNCC_CACHE": str(checkout / ".cache"),
    }
    done = subprocess.run(
        command, cwd=checkout, env=surroundings, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{command[-1]}\n{done.stdout}{done.stderr}"
    return done.stdout


def console(text: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it should print."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].strip(), ""))
        else:
            command, printed = found.pop()
            found.append((command, printed + line))
    return found


def pattern(printed: str, figures: bool) -> str:
    """What the output has to match. Other figures may be of other lengths: then columns stand elsewhere, too."""
    text = ".*".join(map(re.escape, printed.rstrip("\n").split("…")))
    if figures:
        text = re.sub(r"\d(?:[\d,]|\\\.\d)*", r"[\\d,.]+", text)
        text = re.sub(r"(?:\\ )+", r" +", re.sub(r"^(?:\\ )+", " *", text, flags=re.MULTILINE))
    return text


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks(document: str, checkout: Path) -> None:
    """One test for a document: a block may use what the ones before it have made."""
    pytest.importorskip("PIL")
    for name, block in BLOCKS:
        if name == document and block.language != INSTALL:
            check(block, f"{document}:{block.line}", checkout)
    if shutil.which("cc") is None:
        pytest.skip("all but what needs a C compiler has passed")


def check(block: Block, place: str, checkout: Path) -> None:
    if block.language == "python":
        run(["python", "-W", "error", "-c", block.text], checkout)
    elif block.language == "c":
        (checkout / block.name).write_text(block.text)
    else:
        assert block.language == "console"
        for command, printed in console(block.text):
            if command.startswith("cc ") and shutil.which("cc") is None:
                return
            said = run(["bash", "-c", command], checkout)
            assert re.fullmatch(pattern(printed, block.name == "figures"), said.rstrip("\n"), re.DOTALL), (
                f"{place}: {command}\nprinted\n{said}"
            )


def test_continuous_integration_runs_the_commands_that_install() -> None:
    named = [block.name for name, block in BLOCKS if block.language == INSTALL]
    script = (ROOT / ".ci" / "run").read_text()
    assert named == ["install", "test"]
    assert all(f"blocks.py README.md {name}" in script for name in named)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_code_hides_from_these_tests(name: str) -> None:
    """A fence that names no language would run nowhere, nor would an indented block."""
    text = (ROOT / name).read_text(encoding="utf-8")
    fences = re.findall(r"^```(.*)$", text, re.MULTILINE)
    assert all(fences[::2]) and not any(fences[1::2])
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"\n\n    ", outside)
