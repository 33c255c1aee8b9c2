"""Errors of each layer, as parts of their derived bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facts import Facts, Stopped
from .html import Html, join, missing, table, tag
from .numbers import digits

if TYPE_CHECKING:
    from ..check.model import Finding


def errors(facts: Facts) -> Html:
    if isinstance(facts.checked, Stopped):
        return missing(facts.checked.why)
    checked = facts.checked
    told = (
        f"On {facts.inputs}, each layer against the interpreter on what it really read, and outputs from end to end. "
        "The bound is derived from the definition; a bar that is full is an error as large as its bound."
    )
    heads = ("what", "layer", "worst error of its bound", "", "bound", "verdict")
    kinds = ("rewrite", checked.rewrite), ("kernel", checked.kernels), ("model", checked.outputs)
    rows = [_row(kind, found) for kind, findings in kinds for found in findings]
    more = [tag("p", f"{checked.unbounded}.")] if checked.unbounded else []
    return join(tag("p", told), table(heads, rows, right=(3, 4)), more)


def _row(kind: str, found: Finding) -> tuple[object, ...]:
    share = min(1.0, found.ratio)
    meter = tag("div", tag("i", class_="off" if found.verdict == "off" else "ours", style=f"width:{100 * share:.2f}%"))
    verdict = {"ok": "within", "off": "OFF", "inherited": "off, inherited"}[found.verdict]
    more = f", {found.unbounded} without a bound" if found.unbounded else ""
    return (
        kind,
        found.layer,
        tag("div", meter, class_="meter"),
        digits(found.ratio),
        f"{found.bound:.2e}",
        verdict + more,
    )
