"""What a layer shows, and the size of its box: name, op (of a fused layer each member), shape of its results."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from itertools import accumulate
from typing import Literal

from ..elements import FLOAT32
from ..ir import Graph, Node
from ..op import Op
from ..ops import Fused
from ..types import EmptyType, TensorType

Kind = Literal["layer", "input", "state", "output", "update"]
Style = Literal["name", "member", "shape", "mark"]

EM: dict[Style, float] = {"name": 7.5, "member": 6.9, "shape": 6.9, "mark": 6.9}
"""The width of a character in pixels: of a monospaced font it is 0.6 of the size, of the widest ones 0.62."""
LINE: dict[Style, int] = {"name": 18, "member": 18, "shape": 16, "mark": 16}
LEAST, MOST = 96, 236
"""Pixels of a box's width."""
ASIDE, ABOVE = 10, 6
"""Pixels between a box and its text."""


@dataclass(frozen=True)
class Line:
    """One line of a box, as long as fits."""

    text: str
    style: Style

    @property
    def width(self) -> float:
        return EM[self.style] * sum(map(_cells, self.text))


@dataclass(frozen=True)
class Box:
    """What is drawn of one layer or port: `title` is told where the mouse rests, and `layer` the node's name."""

    layer: str
    kind: Kind
    lines: tuple[Line, ...]
    title: str

    @property
    def width(self) -> int:
        widest = max(line.width for line in self.lines)
        return int(min(max(widest + 2 * ASIDE, LEAST), MOST) + 1) // 2 * 2

    @property
    def height(self) -> int:
        return sum(LINE[line.style] for line in self.lines) + 2 * ABOVE


def box_of(graph: Graph, node: Node, mark: str = "") -> Box:
    """The box of a layer, an input or a state, with a line that others add."""
    source = node.op.source
    kind: Kind = "layer" if source not in ("input", "state") else source
    lines = [_fitting(node.name, "name", from_end=True)]
    if kind == "layer":
        lines += [Line(_first(brief(op), "member"), "member") for op in members(node.op)]
    lines += [_fitting(_shape(type), "shape") for type in node.types]
    lines += [_fitting(mark, "mark")] if mark else []
    reads = ", ".join(str(graph.type(value)) for value in node.inputs)
    makes = ", ".join(map(str, node.types))
    title = f"{node.name}\n{node.op}\n{f'{reads} → ' if reads else ''}{makes}" + (f"\n{mark}" if mark else "")
    return Box(node.name, kind, tuple(lines), title)


def port_box(name: str, kind: Kind, type: TensorType | EmptyType, layer: str) -> Box:
    """The box of an output, or of what a state becomes."""
    lines = (_fitting(name, "name", from_end=True), _fitting(f"{kind}  {_shape(type)}", "shape"))
    return Box(layer, kind, lines, f"{kind} {name}\n{type}")


def members(op: Op) -> tuple[Op, ...]:
    """The ops of a fused layer in order; any other op alone."""
    return (op.anchor, *(stage.op for stage in op.epilogue)) if isinstance(op, Fused) else (op,)


def brief(op: Op) -> list[str]:
    """An op in a few words: its name and what can be told of its attributes that are not the default."""
    told = ((f.name, getattr(op, f.name), f.default) for f in fields(op))
    words = [_attribute(name, value) for name, value, default in told if default is MISSING or value != default]
    return [op.name, *filter(None, words)]


def _attribute(name: str, value: object) -> str:
    if name == "kernel" and isinstance(value, tuple):
        return "×".join(map(str, value))
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, int | float | str):
        return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
    if isinstance(value, tuple) and value and all(isinstance(part, int) for part in value):
        return f"{name} {','.join(map(str, value[:1] if len(set(value)) == 1 else value))}"
    return ""


def _shape(type: TensorType | EmptyType) -> str:
    """1×16×8×8, with the element if that is not float32; a tensor without axes is a number."""
    shape = "×".join(map(str, type.shape)) or "a number"
    return shape if type.dtype is FLOAT32 else f"{shape} {type.dtype}"


def _fitting(text: str, style: Style, *, from_end: bool = False) -> Line:
    """As much of a text as the widest box holds, from its end if that tells more."""
    shown = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    if _fits(shown, style):
        return Line(shown, style)
    room = int((MOST - 2 * ASIDE) / EM[style]) - 1
    return Line(f"…{_prefix(shown[::-1], room)[::-1]}" if from_end else f"{_prefix(shown, room)}…", style)


def _first(words: Sequence[str], style: Style) -> str:
    """The first words that the widest box holds."""
    kept = next(n for n in range(len(words), 0, -1) if n == 1 or _fits(" ".join(words[:n]) + " …", style))
    whole = " ".join(words)
    return _fitting(whole if _fits(whole, style) or kept == len(words) else " ".join(words[:kept]) + " …", style).text


def _fits(text: str, style: Style) -> bool:
    return Line(text, style).width <= MOST - 2 * ASIDE


def _prefix(text: str, room: int) -> str:
    """The longest beginning of a text that is so many characters wide."""
    widths = accumulate(map(_cells, text))
    return text[: sum(width <= room for width in widths)]


def _cells(character: str) -> int:
    """Characters of a monospaced font that one takes: those of East Asian scripts and pictures are wide."""
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
