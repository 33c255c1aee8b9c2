"""Arrays as squares of colour with their numbers: pictures, kernels and results side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from ..report.chart import EM, label
from ..report.html import Html, tag
from ..types import Array

MOST = 64
"""Rows and columns of an array."""
NUMBERED = 12
"""Columns up to which squares have numbers in them."""
SQUARE, WIDTH = 34, 224
POSITIVE, NEGATIVE = "#2f6fb2", "#d9480f"


@dataclass(frozen=True)
class Grids:
    """Named arrays of one or two axes. A notebook shows them in a row; blue is positive, orange negative."""

    arrays: Mapping[str, Array]

    def __repr__(self) -> str:
        return "\n".join(f"{name}:\n{array}" for name, array in self.arrays.items())

    def _repr_html_(self) -> str:
        style = "display:flex;flex-wrap:wrap;gap:8px 28px;align-items:flex-start;font:12px system-ui,sans-serif"
        return tag("div", [_figure(name, array) for name, array in self.arrays.items()], style=style)


def grid(**arrays: Array) -> Grids:
    """Arrays to be shown side by side, under their names (an underscore is shown as a space).

    Axes of length 1 in front of the last two are left out. Raises UsageError for an array that has more axes, or more
    than 64 rows or columns.
    """
    return Grids({name.replace("_", " "): _flat(name, np.asarray(array)) for name, array in arrays.items()})


def _flat(name: str, array: Array) -> Array:
    shape = array.shape[-2:]
    if array.ndim < 1 or array.size != np.prod(shape) or max(shape) > MOST or array.dtype.kind not in "biuf":
        raise UsageError(
            f"'{name}': expected numbers in at most {MOST} rows and columns, got {array.dtype}{list(array.shape)}"
        )
    return array.reshape(shape if len(shape) == 2 else (1, *shape))


def _figure(name: str, array: Array) -> Html:
    """One array: colours by the largest magnitude, numbers where there is room for them."""
    rows, columns = array.shape
    numbers = [[f"{value:.3g}" if columns <= NUMBERED else "" for value in row] for row in array.tolist()]
    wide, high = _sizes(numbers)
    most = float(np.abs(array[np.isfinite(array)].astype(float)).max(initial=0.0)) or 1.0
    squares = [
        tag(
            "g",
            _square(value, most, j * wide, i * high, wide, high),
            _number(numbers[i][j], (j + 0.5) * wide, (i + 0.5) * high),
        )
        for i, row in enumerate(array.astype(float).tolist())
        for j, value in enumerate(row)
    ]
    width, height = columns * wide + 2, rows * high + 2
    picture = tag(
        "svg", squares, width=width, height=height, viewBox=f"-1 -1 {width} {height}", role="img",
        aria_label=name, fill="currentColor", font_size=11,
    )  # fmt: skip
    return tag("div", tag("div", name, style="margin-bottom:3px"), picture)


def _sizes(numbers: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Width and height of a square in pixels: room for the longest number, or as small as fits."""
    longest = max(len(number) for row in numbers for number in row)
    if longest == 0:
        return (max(3, WIDTH // len(numbers[0])),) * 2
    return max(SQUARE, round(EM * longest) + 8), SQUARE


def _square(value: float, most: float, x: float, y: float, wide: int, high: int) -> Html:
    strength = min(abs(value) / most, 1.0) * 0.75 if np.isfinite(value) else 0.0
    colour = NEGATIVE if value < 0 else POSITIVE
    edge = {"stroke": "#8c959f", "stroke_opacity": 0.4} if high == SQUARE else {}
    return tag("rect", x=x, y=y, width=wide, height=high, fill=colour, fill_opacity=f"{strength:.3f}", **edge)


def _number(text: str, x: float, y: float) -> Html | None:
    return label(text, x, y + 4, "middle", "number") if text else None
