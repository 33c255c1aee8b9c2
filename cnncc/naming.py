"""Names that leave Python: C identifiers and file names."""

from __future__ import annotations

import keyword
import re

_C_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "main class namespace template this new delete".split()
)


def c_identifier(name: str) -> str:
    """`name` with everything that C does not allow replaced: the prefix of a model's symbols."""
    text = re.sub(r"[^A-Za-z0-9_]", "_", name) or "model"
    if text[0].isdigit() or text[0] == "_" or text in _C_KEYWORDS or keyword.iskeyword(text):
        text = f"model_{text.lstrip('_')}"
    return text
