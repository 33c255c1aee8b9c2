"""Every code block of every Markdown page runs, in order, in a copy of the checkout, and prints what it says.

In a `console` block, lines that begin with `$ ` are commands; below them stands what they print, in which `…` stands
for anything; in one that is named `figures`, any other numbers will do. `python` and `c` blocks are programs; one in
Python that is named as a package wants that package, and is left out without it. `sh` blocks hold commands that take
long or change an environment: they are read, not run (see `commands`), and README's two are run by `.ci/run`, each in
a fresh environment. `text` blocks hold formulas and drawings.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.support import ROOT, copy_sources

from .blocks import blocks, documents, outside
from .commands import commands, mistakes
from .running import RUN, Place

DOCUMENTS = documents(ROOT)
JOURNEYS = [name for name in DOCUMENTS if name.startswith("examples/journeys/")]  # test_journeys.py runs them
READ = ("sh", "text")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy to work in, with commands `python` and `cnncc` that use it: no page builds on another one."""
    folder = copy_sources(tmp_path / "checkout")
    programs = folder / ".commands"
    programs.mkdir()
    for name, module in (("python", ""), ("cnncc", " -m cnncc")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        (programs / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    "document",
    [name for name in DOCUMENTS if name not in JOURNEYS and any(b.language in RUN for b in blocks(ROOT / name))],
)
def test_blocks(document: str, checkout: Path) -> None:
    """One test for a document: a block may use what the ones before it have made."""
    pytest.importorskip("PIL")
    found = blocks(ROOT / document)
    Place(checkout, checkout / ".commands", str(checkout)).run_all(document, found)
    if shutil.which("cc") is None and any(block.language == "c" for block in found):
        pytest.skip("all but what needs a C compiler has passed")


def test_continuous_integration_runs_the_commands_that_install() -> None:
    named = [block.name for block in blocks(ROOT / "README.md") if block.language == "sh"]
    script = (ROOT / ".ci" / "run").read_text()
    assert named == ["install", "test"]
    assert all(f"blocks.py README.md {name}" in script for name in named)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_code_hides_from_these_tests(name: str) -> None:
    """A fence that names no language, or another one, would run nowhere, nor would an indented block."""
    assert hidden(ROOT / name) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_that_no_test_runs(name: str) -> None:
    text = "\n".join(block.text for block in blocks(ROOT / name) if block.language == "sh")
    assert [wrong for command in commands(text) for wrong in mistakes(command, ROOT)] == []


def hidden(document: Path) -> list[str]:
    """Lines of a page at which code begins that no test would look at."""
    fences = re.findall(r"^```.*$", document.read_text(encoding="utf-8"), re.MULTILINE)
    wrong = [fence for fence in fences[::2] if not re.match(rf"```({'|'.join(RUN + READ)})( |$)", fence)]
    wrong += [fence for fence in fences[1::2] if fence != "```"]
    wrong += re.findall(r"(?:\n|^)\n( {4}.*)", outside(document))
    texts = (block.text for block in blocks(document) if block.language == "text")
    return wrong + [line for text in texts for line in text.splitlines() if re.match(r"\s*(\$|cnncc |python )", line)]


PAGES = {
    "a fence without a language": ("```\ncnncc ops\n```\n", ["```"]),
    "a language that no test knows": ("```bash\ncnncc ops\n```\n", ["```bash"]),
    "an indented block": ("words:\n\n    cnncc ops\n", ["    cnncc ops"]),
    "a command in a drawing": ("```text\n$ cnncc ops\n```\n", ["$ cnncc ops"]),
    "a list that goes on": ("- words\n  more words\n", []),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_planted_page_is_found(case: str, tmp_path: Path) -> None:
    text, wrong = PAGES[case]
    page = tmp_path / "cnncc" / "new" / "room.md"
    for folder in (page.parent, tmp_path / ".venv", tmp_path / "build"):
        folder.mkdir(parents=True)
        (folder / "room.md").write_text(text)
    assert documents(tmp_path) == ["cnncc/new/room.md"]
    assert hidden(page) == wrong


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("python -m tests.fuzz.run --graphs 20 --seeds 0", "no option --seeds"),
        ("python -m tests.fuzz.walk", "no module tests.fuzz.walk"),
        ("CNNCC_HOST=x86-64-v3 python -m pytest tests/plans", "no tests/plans"),
        ("python examples/edge.py > x", "no examples/edge.py"),
        ("pip install x && cnncc bench MODEL --layer", "no option --layer"),
        (".ci/walk", "no .ci/walk"),
    ],
)
def test_a_planted_command_is_found(line: str, wrong: str) -> None:
    assert [found for command in commands(line) for found in mistakes(command, ROOT)] == [wrong]
