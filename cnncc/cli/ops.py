"""ops: list the operators, with what each computes and its attributes.

`--markdown` prints the table of `cnncc/ops/README.md`.
"""

from __future__ import annotations

import argparse
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

from .console import say, table

if TYPE_CHECKING:
    from ..op import Op


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="print a table for a document")


def run(arguments: argparse.Namespace) -> None:
    from .. import ops  # noqa: F401 (fills the registry)
    from ..op import REGISTRY

    rows = [(name, summary(op), attributes(op)) for name, op in sorted(REGISTRY.items())]
    heads = ("op", "computes", "attributes")
    if not arguments.markdown:
        say(table(heads, rows))
        return
    lines = [heads, ("---",) * 3, *((f"`{name}`", what, names) for name, what, names in rows)]
    say("\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines))


def summary(op: type[Op]) -> str:
    """The first sentence of its page."""
    text = " ".join((op.__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".:")


def attributes(op: type[Op]) -> str:
    """Names of its attributes; those with a default stand in brackets."""
    shown = []
    for item in fields(op):
        optional = item.default is not MISSING or item.default_factory is not MISSING
        shown.append(f"[{item.name}]" if optional else item.name)
    return ", ".join(shown)
