"""How values show themselves: long lists as a few lines, and as HTML in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

MOST = 40
"""Lines that a value's `repr` has; of more, the first and the last ones."""
_LAST = 5


def listed(head: str, lines: Sequence[str]) -> str:
    """A line, and below it some more, but never more than `MOST`."""
    if len(lines) > MOST:
        left_out = len(lines) - MOST + 1
        lines = [*lines[: MOST - _LAST - 1], f"… {left_out:,} more", *lines[-_LAST:]]
    return "\n".join([head, *(f"  {line}" for line in lines)])


def brief(value: object) -> str:
    """The first line of a value's `repr`, for a sentence."""
    return repr(value).partition("\n")[0]


def shown(kind: str, value: object) -> str:
    """The HTML of a value, by the function of this name in `notebook`, a room above all whose values it shows."""
    return str(getattr(import_module("cnncc.notebook"), kind)(value))
