"""Numbers over epochs as lines, in an SVG of one size: by their logarithms where they differ by more than 1,000."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..report.chart import Scale, label
from ..report.html import Html, tag

WIDTH, HEIGHT = 520, 170
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 10, 22
COLOURS = ("#2f6fb2", "#d9480f", "#2b8a3e", "#862e9c")


def curves(lines: Mapping[str, Sequence[float | None]]) -> Html | None:
    """A line for each name; numbers that are missing or not finite are left out. None where no line has two points."""
    points = {name: _points(numbers) for name, numbers in lines.items()}
    points = {name: found for name, found in points.items() if len(found) > 1}
    if not points:
        return None
    heights = [y for found in points.values() for _, y in found]
    places = [x for found in points.values() for x, _ in found]
    across = Scale(min(places), max(places), LEFT, WIDTH - RIGHT)
    log = min(heights) > 0 and max(heights) > 1000 * min(heights)
    up = Scale(min(heights), max(heights), HEIGHT - BOTTOM, TOP + 4, log)
    drawn = [_line(name, found, across, up, n) for n, (name, found) in enumerate(points.items())]
    return tag(
        "svg", *_axes(across, up), *drawn, width=WIDTH, height=HEIGHT, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img",
        aria_label=f"{' and '.join(points)} by epoch", fill="currentColor", font_size=11,
    )  # fmt: skip


def _points(numbers: Sequence[float | None]) -> list[tuple[int, float]]:
    return [(n, y) for n, y in enumerate(numbers, start=1) if y is not None and math.isfinite(y)]


def _axes(across: Scale, up: Scale) -> list[Html]:
    """The least and the greatest number along each axis."""
    base = tag(
        "path", d=f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}", fill="none", stroke="currentColor", opacity=0.4
    )
    ends = {across.low: across.begin, across.high: across.end}
    epochs = [label(f"{n:g}", x, HEIGHT - 6, "middle") for n, x in ends.items()]
    heights = [(f"{y:.4g}", up.at(y)) for y in dict.fromkeys((up.low, up.high))]
    return [base, *epochs, *(label(text, LEFT - 6, y + 4, "end") for text, y in heights)]


def _line(name: str, found: Sequence[tuple[int, float]], across: Scale, up: Scale, number: int) -> Html:
    """The line in its colour, and its name in a list beside the chart."""
    colour = COLOURS[number % len(COLOURS)]
    path = "L".join(f"{across.at(x)} {up.at(y)}" for x, y in found)
    y = TOP + 8 + 16 * number
    key = tag("rect", x=WIDTH - RIGHT + 12, y=y - 4, width=14, height=3, fill=colour)
    return tag(
        "g", tag("path", d=f"M{path}", fill="none", stroke=colour, stroke_width=1.6), key,
        label(name, WIDTH - RIGHT + 32, y + 1),
    )  # fmt: skip
