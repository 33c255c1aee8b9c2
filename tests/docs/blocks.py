"""The documents of a checkout and their code blocks. `python tests/docs/blocks.py README.md test` prints that block.

A fence's words are a language and perhaps a name: what a shell block is for, the file that a C block is, or which
programs commands need (`needs:cargo,cmake`).
Needs nothing but Python, since continuous integration asks it for commands before anything is installed.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\S+)[ \t]*(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MADE = {"build", "dist", "node_modules", "site-packages", "__pycache__"}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its name and its text."""

    line: int
    language: str
    name: str
    text: str


def documents(root: Path) -> list[str]:
    """Every Markdown page below `root` by its path, but those in folders that tools make."""
    found = []
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if _holds_sources(Path(folder, name)))
        found += [Path(folder, name).relative_to(root).as_posix() for name in sorted(files) if name.endswith(".md")]
    return found


def _holds_sources(folder: Path) -> bool:
    made = folder.name in _MADE or folder.name.startswith(".") or folder.name.endswith(".egg-info")
    return not made and not (folder / "pyvenv.cfg").exists()


def blocks(document: Path) -> list[Block]:
    """All fenced blocks that name a language, in order."""
    text = document.read_text(encoding="utf-8")
    return [Block(text.count("\n", 0, found.start()) + 1, *found.group(1, 2, 3)) for found in _BLOCK.finditer(text)]


def outside(document: Path) -> str:
    """The text of a document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def named(document: Path, name: str) -> str:
    """The text of the only block with this name."""
    (found,) = (block.text for block in blocks(document) if block.name == name)
    return found


if __name__ == "__main__":
    print(named(Path(sys.argv[1]), sys.argv[2]), end="")
