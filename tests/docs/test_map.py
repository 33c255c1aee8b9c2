"""The map of ARCHITECTURE.md is that of the sources: its rooms in their order, and the classes of its glossary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from cnncc.cli.parser import VERBS
from cnncc.machine.target import ALIASES, TARGETS
from tests.packaging.support import ROOT
from tests.smoke.test_imports import ALLOWED, TOGETHER, modules

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rooms() -> list[str]:
    """In the order of the table."""
    cells = re.findall(r"^\| (`.*?) \|", section("The rooms"), re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)]


def test_every_room_is_on_the_map() -> None:
    assert sorted(rooms()) == sorted(ALLOWED)


def test_a_room_imports_what_stands_before_it() -> None:
    place = {name: at for at, name in enumerate(rooms())}
    wrong = {
        (name, found)
        for name in place
        for found in ALLOWED.get(name, set())
        if (found, name) not in TOGETHER and place.get(found, 0) > place[name]
    }
    assert wrong == set()


def classes() -> dict[str, set[str]]:
    """The names that each class of the sources defines."""
    found: dict[str, set[str]] = {}
    for text in modules().values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(defined(node))
    return found


def defined(node: ast.ClassDef) -> Iterator[str]:
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            yield part.name
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            yield part.target.id


@pytest.fixture(scope="module")
def words() -> dict[str, str]:
    """Each entry of the glossary by its words; an entry is one line."""
    lines = section("Glossary").strip().splitlines()
    found = dict(re.fullmatch(r"- \*\*(.+?)\*\*:? ?(.+\.)", line).groups() for line in lines)  # type: ignore[union-attr]
    assert len(found) == len(lines)
    return found


def test_the_glossary_is_sorted(words: dict[str, str]) -> None:
    assert list(words) == sorted(words)


def test_classes_of_the_glossary_exist(words: dict[str, str]) -> None:
    known = classes()
    for word, text in words.items():
        for name, attribute in re.findall(r"`([A-Z]\w*)(?:\.(\w+))?`", text):
            assert name in known, f"{word}: no class {name}"
            assert not attribute or attribute in known[name], f"{word}: no {name}.{attribute}"


def test_targets_and_verbs_are_listed() -> None:
    (targets,) = re.findall(r"^\| targets \|(.*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`([\w-]+)`", targets)) <= {"host", *TARGETS, *ALIASES}  # all are on the next page
    page = (ROOT / "cnncc" / "runtime" / "README.md").read_text(encoding="utf-8").split("$ cnncc targets\n")[1]
    assert page.split("\n\n")[0].count("\n") == len(TARGETS)
    page = (ROOT / "cnncc" / "cli" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page.split("## Exit codes")[0], re.MULTILINE)) == set(VERBS)
