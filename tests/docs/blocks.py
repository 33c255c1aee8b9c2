"""The code blocks of a document. As a program: `python tests/docs/blocks.py README.md test` prints that block.

A fence's words are a language and perhaps a name: what a shell block is for, or the file that a C block is.
Needs nothing but Python, since continuous integration asks it for commands before anything is installed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\S+)[ \t]*(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its name and its text."""

    line: int
    language: str
    name: str
    text: str


def blocks(document: Path) -> list[Block]:
    """All fenced blocks that name a language, in order."""
    text = document.read_text(encoding="utf-8")
    return [Block(text.count("\n", 0, found.start()) + 1, *found.group(1, 2, 3)) for found in _BLOCK.finditer(text)]


def named(document: Path, name: str) -> str:
    """The text of the only block with this name."""
    (found,) = (block.text for block in blocks(document) if block.name == name)
    return found


if __name__ == "__main__":
    print(named(Path(sys.argv[1]), sys.argv[2]), end="")
