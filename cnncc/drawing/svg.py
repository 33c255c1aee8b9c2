"""The drawing as the text of an SVG: it needs no font, no script and no network, and follows dark and light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from ..ir import Graph
from .boxes import ABOVE, ASIDE, LINE, Line
from .layout import Layout, Placed, Wire, layout

MARGIN = 8
RADIUS = {"layer": 4, "input": 14, "state": 0, "output": 14, "update": 14}
HOTTEST = 0.55
"""How much of the colour of time the hottest box has: text stays readable on it."""
STYLE = """
.cnncc-graph{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;--ink:#1c2128;
--box:#fff;--line:#8c959f;--in:#f3f5f7;--soft:#59636e;--port:#e7f0fb;--hot:#e8590c;--pick:#0969da}
.cnncc-graph .box{fill:var(--box);stroke:var(--line)}
.cnncc-graph .input .box,.cnncc-graph .output .box{fill:var(--port)}
.cnncc-graph .state .box,.cnncc-graph .update .box{fill:var(--port);stroke-dasharray:4 3}
.cnncc-graph .heat{fill:var(--hot)}
.cnncc-graph .in{fill:var(--in);stroke:var(--line);stroke-opacity:.45}
.cnncc-graph .hot .in{fill:var(--box);fill-opacity:.55}
.cnncc-graph text{fill:var(--ink);font-size:11px}
.cnncc-graph .name{font-size:12px;font-weight:600}
.cnncc-graph .shape{fill:var(--soft)}
.cnncc-graph .wire{fill:none;stroke:var(--line);stroke-width:1.3}
.cnncc-graph .arrow{fill:var(--line)}
.cnncc-graph a:hover .box,.cnncc-graph a:focus .box,.cnncc-graph .picked .box{stroke:var(--pick);stroke-width:2.5}
@media (prefers-color-scheme:dark){.cnncc-graph{--ink:#e6edf3;--box:#1f242c;--line:#6e7681;--in:#2a313b;
--soft:#a3adb8;--port:#1b2f4a;--hot:#d9580f;--pick:#58a6ff}}
"""


@dataclass(frozen=True)
class Mark:
    """What is told of a layer besides itself: a line, how hot it is (0 to 1), and where a click on it leads."""

    text: str = ""
    heat: float = 0.0
    href: str = ""


def draw(graph: Graph, marks: Mapping[str, Mark] | None = None) -> str:
    """The drawing of a graph without its constants, as the text of an SVG; the same for the same graph and marks."""
    known = marks or {}
    return spell(layout(graph, {name: mark.text for name, mark in known.items()}), graph.name, known)


def spell(placed: Layout, title: str, marks: Mapping[str, Mark]) -> str:
    """The SVG of boxes and wires that have their places."""
    width, height = (round(size) + 2 * MARGIN for size in (placed.width, placed.height))
    wires = "".join(_path(wire) for wire in placed.wires)
    arrows = "".join(f"M{_at(wire.end)}l-3.5-6h7z" for wire in placed.wires if wire.arrow)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="cnncc-graph" width="{width}" height="{height}" '
            f'viewBox="{-MARGIN} {-MARGIN} {width} {height}" role="img" aria-label="{told(title)}">',
            f"<style>{STYLE}</style>",
            f'<path class="wire" d="{wires}"/>',
            f'<path class="arrow" d="{arrows}"/>',
            *(_box(each, marks.get(each.box.layer, Mark())) for each in placed.boxes),
            "</svg>",
        ]
    )


def told(text: str) -> str:
    """A text as XML may hold it, in an element or an attribute."""
    allowed = (character if character in "\n\t" or character >= " " else "\ufffd" for character in text)
    plain = "".join(allowed).encode("utf-8", "replace").decode("utf-8")
    return escape(plain.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")).replace("\n", "&#10;")


def _path(wire: Wire) -> str:
    """Down in its own row, over to the other column between the rows, down again."""
    (x, y), (end_x, end_y), (leave, enter) = wire.start, wire.end, wire.between
    if x == end_x:
        return f"M{_at(wire.start)}V{_number(end_y)}"
    middle = (leave + enter) / 2
    over = f"C{_at((x, middle))} {_at((end_x, middle))} {_at((end_x, enter))}"
    return f"M{_at((x, y))}V{_number(leave)}{over}V{_number(end_y)}"


def _box(placed: Placed, mark: Mark) -> str:
    box, x, y = placed.box, placed.x, placed.y
    place = f'x="{_number(x)}" y="{_number(y)}" width="{box.width}" height="{box.height}" rx="{RADIUS[box.kind]}"'
    hot = box.kind == "layer" and mark.heat > 0  # a port has the name of the layer that it belongs to
    heat = f'<rect class="heat" {place} fill-opacity="{HOTTEST * mark.heat:.3f}"/>' if hot else ""
    parts, down = [], y + ABOVE
    for line in box.lines:
        parts.append(_line(line, x, down, box.width))
        down += LINE[line.style]
    classes = f"{box.kind}{' hot' if hot else ''}"
    group = (
        f'<g class="{classes}" data-layer="{told(box.layer)}"><title>{told(box.title)}</title>'
        f'<rect class="box" {place}/>{heat}{"".join(parts)}</g>'
    )
    return f'<a href="{told(mark.href)}">{group}</a>' if mark.href else group


def _line(line: Line, x: float, y: float, width: float) -> str:
    middle, base = _number(x + width / 2), _number(y + LINE[line.style] - 5)
    text = f'<text class="{line.style}" x="{middle}" y="{base}" text-anchor="middle">{told(line.text)}</text>'
    if line.style != "member":
        return text
    inset = ASIDE - 4
    inner = f'x="{_number(x + inset)}" y="{_number(y + 1)}" width="{_number(width - 2 * inset)}" height="16" rx="3"'
    return f'<rect class="in" {inner}/>{text}'


def _at(point: tuple[float, float]) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    """With one digit behind the point, if it needs one."""
    return f"{value:.1f}".removesuffix(".0")
