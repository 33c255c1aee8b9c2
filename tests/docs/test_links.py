"""What the documents point at exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.packaging.support import ROOT

DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/README.md",
    "examples/embed/README.md",
)
PATH = re.compile(r"`((?:cnncc|passes|frontends|tests|examples|\.ci)/[\w./]*\w)/?`")
LINK = re.compile(r"\]\(([^)#:]*)(#[^)]*)?\)")


def anchors(document: Path) -> set[str]:
    """The names that headings can be linked by."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_paths(name: str) -> None:
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        found = document.parent / target if target else document
        assert found.exists(), target
        assert not anchor or anchor[1:] in anchors(found), anchor
    for path in PATH.findall(text):
        assert (ROOT / path).exists(), path
