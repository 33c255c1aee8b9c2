"""Elements of HTML and SVG from plain values: every text is escaped, whatever it holds."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from ..drawing.svg import told

EMPTY = ("meta", "line", "rect", "circle", "path")
"""Elements without content."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Part = object
"""What an element holds: HTML as it is, None for nothing, a sequence of parts, or any value as its text."""


def join(*parts: Part) -> Html:
    """Parts one after the other."""
    return Html("".join(_spelled(part) for part in parts))


def tag(name: str, *parts: Part, **attributes: object) -> Html:
    """An element. Of an attribute's name, _ is a hyphen, at its end nothing; None and False leave the attribute out."""
    words = [name]
    for key, value in attributes.items():
        if value is not None and value is not False:
            spelled = key.rstrip("_").replace("_", "-")
            words.append(spelled if value is True else f'{spelled}="{told(str(value))}"')
    inner = join(*parts)
    if name in EMPTY and not inner:
        return Html(f"<{' '.join(words)}/>")
    return Html(f"<{' '.join(words)}>{inner}</{name}>")


def _spelled(part: Part) -> str:
    if part is None:
        return ""
    if isinstance(part, Html):
        return part
    if isinstance(part, str):
        return told(part)
    return join(*part) if isinstance(part, Iterable) else told(str(part))


def table(heads: Sequence[str], rows: Iterable[Sequence[Part]], right: Container[int] = ()) -> Html:
    """Rows below their heads; columns numbered in `right` end together. It scrolls by itself where it is too wide."""

    def line(name: str, cells: Sequence[Part]) -> Html:
        return tag("tr", [tag(name, cell, class_="right" if n in right else None) for n, cell in enumerate(cells)])

    body = tag("tbody", [line("td", row) for row in rows])
    return tag("div", tag("table", tag("thead", line("th", heads)), body), class_="scroll", tabindex=0)


def pairs(items: Iterable[tuple[Part, Part]]) -> Html:
    """Names with their values."""
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in items])


def missing(why: str) -> Html:
    """A sentence in the place of what is not there."""
    return tag("p", why, class_="missing")
