"""A frame around what is shown, and tables in it; its look is its own, and follows the text colour of the page."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import islice

from ..report.html import Html, Part, join, table, tag

MOST_ROWS = 400
STYLE = """
.cnncc-shown{font:13px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;max-width:1100px}
.cnncc-shown .title{font-weight:600;margin:4px 0 8px}
.cnncc-shown .scroll{overflow:auto;max-height:480px;margin:0 0 10px}
.cnncc-shown .canvas{overflow:auto;max-height:560px;margin:0 0 10px;border:1px solid #8c959f66;border-radius:6px}
.cnncc-shown .canvas svg{display:block;margin:0 auto;max-width:none}
.cnncc-shown table{border-collapse:collapse;margin:0;font-size:12px;font-variant-numeric:tabular-nums}
.cnncc-shown th,.cnncc-shown td{text-align:left;padding:2px 14px 2px 0;border-bottom:1px solid #8c959f66}
.cnncc-shown th.right,.cnncc-shown td.right{text-align:right}
.cnncc-shown dl{display:grid;grid-template-columns:max-content auto;gap:0 14px;margin:0 0 10px}
.cnncc-shown dt{opacity:.7}.cnncc-shown dd{margin:0}
.cnncc-shown .missing{opacity:.8;font-style:italic}
"""


def card(title: str, *parts: Part) -> Html:
    """Some parts below a title."""
    style = tag("style", Html(STYLE))
    return tag("div", style, tag("div", title, class_="title"), *parts, class_="cnncc-shown")


def rows(
    heads: Sequence[str], cells: Iterable[Sequence[Part]], right: Container[int] = (), total: Sequence[str] = ()
) -> Html:
    """A table that scrolls in itself, of at most `MOST_ROWS` rows and perhaps a last one of totals."""
    remaining = iter(cells)
    kept: list[Sequence[Part]] = list(islice(remaining, MOST_ROWS))
    left_out = sum(1 for _ in remaining)
    kept += [(f"… {left_out:,} more", *[""] * (len(heads) - 1))] if left_out else []
    kept += [tuple(tag("b", cell) for cell in total)] if total else []
    return join(table(heads, kept, right))
