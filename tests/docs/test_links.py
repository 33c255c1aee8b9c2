"""What the documents point at exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.packaging.support import ROOT

from .blocks import documents

PATH = re.compile(r"`((?:cnncc|passes|frontends|tests|examples|\.ci)/[\w./]*\w)/?`")
MODULE = re.compile(r"`([\w/]*[a-z]\w*\.py)`")  # not RUN.py or NAME.py, which stand for any
LINK = re.compile(r"\]\(([^)#:]*)(#[^)]*)?\)")


def anchors(document: Path) -> set[str]:
    """The names that headings can be linked by."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", documents(ROOT))
def test_links_and_paths(name: str) -> None:
    """A module is named from the checkout, from `cnncc/` or from the folder of the page on."""
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        found = document.parent / target if target else document
        assert found.exists(), target
        assert not anchor or anchor[1:] in anchors(found), anchor
    for path in PATH.findall(text):
        assert "NAME" in path or (ROOT / path).exists(), path
    for path in MODULE.findall(text):
        assert any((folder / path).exists() for folder in (ROOT, ROOT / "cnncc", document.parent)), path


def test_every_page_can_be_reached() -> None:
    """Links lead from README.md to every other page."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            targets = (page.parent / target for target, _ in LINK.findall(page.read_text(encoding="utf-8")) if target)
            waiting += [target.resolve() for target in targets if target.suffix == ".md"]
    assert {page.relative_to(ROOT).as_posix() for page in reached} == set(documents(ROOT))


def test_front_pages_are_short() -> None:
    assert {
        name for name in ("README.md", "ARCHITECTURE.md") if len((ROOT / name).read_text().splitlines()) > 150
    } == set()
