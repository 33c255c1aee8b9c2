"""The roofline with a point a layer: operations a second (or a cycle) over operations for each byte.

Williams, Waterman and Patterson, Roofline: An Insightful Visual Performance Model, 2009. Operations are those of the
algorithm, two for each multiply-add. Where times were measured, so were the roofs, in the same run; else points and
roofs are those of the model of the core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..plan.traffic import LEVELS
from .chart import EM, WIDTH, Labels, Scale, decades, label, picture, shortened
from .drawings import anchor
from .facts import Facts, Stopped
from .html import Html, join, missing, tag
from .numbers import digits, percent

HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 420, 62, 50, 12, 12
MOST_LABELS = 12
ROOF = "multiply-adds"


@dataclass(frozen=True)
class Point:
    """A layer: operations for each byte, operations in a unit of time, and its share of the time."""

    number: int
    name: str
    intensity: float
    rate: float
    share: float


@dataclass(frozen=True)
class Roofs:
    """The most operations in a unit of time, the most bytes in it from each level of memory, and their units."""

    peak: float
    rates: Mapping[str, float]
    unit: str
    bytes_unit: str


def roofline(facts: Facts) -> Html:
    if isinstance(facts.reasons, Stopped):
        return missing(facts.reasons.why)
    points, roofs = list(_points(facts)), _roofs(facts)
    if not points:
        return missing("No layer multiplies and adds, so there are no operations to compare.")
    left_out = len(facts.reasons.layers) - len(points)
    how = "as measured" if roofs.unit == "GFLOP/s" else f"by the model of core {facts.reasons.core}, not measured"
    told = f"Each layer {how}. Below a slanted line, memory bounds it; below the level one, multiply-adds."
    if left_out:
        told += f" {left_out} layer{'s' * (left_out != 1)} without multiply-adds cannot be shown."
    levels = ", ".join(f"{level} {digits(rate)} {roofs.bytes_unit}" for level, rate in roofs.rates.items())
    limits = f"Peak of one core: {digits(roofs.peak)} {roofs.unit}; {levels}."
    return join(tag("p", told), _drawn(points, roofs), tag("p", limits))


def _points(facts: Facts) -> Iterator[Point]:
    assert not isinstance(facts.reasons, Stopped)
    after = None if isinstance(facts.after, Stopped) else facts.after
    whole = sum(after.us.values()) if after else facts.reasons.cycles
    for number, layer in enumerate(facts.reasons.layers):
        spent = after.us.get(layer.name, 0.0) if after else layer.cycles
        operations = 2 * layer.multiplied * (after.images / 1e3 if after else 1)
        if operations and layer.bytes and spent:
            yield Point(number, layer.name, layer.intensity, operations / spent, spent / (whole or 1.0))


def _roofs(facts: Facts) -> Roofs:
    assert not isinstance(facts.reasons, Stopped)
    if isinstance(facts.after, Stopped):
        return Roofs(2 * facts.reasons.peak, facts.reasons.rates, "operations a cycle", "bytes a cycle")
    profile = facts.after.profile
    rates = {level: profile.bandwidths[level] for level in LEVELS if level in profile.bandwidths}
    return Roofs(profile.peak_gflops, rates, "GFLOP/s", "GB/s")


def _drawn(points: Sequence[Point], roofs: Roofs) -> Html:
    ridges = [roofs.peak / rate for rate in roofs.rates.values() if rate]
    x = Scale(*decades([*(p.intensity for p in points), *ridges]), LEFT, WIDTH - RIGHT, log=True)
    y = Scale(*decades([*(p.rate for p in points), roofs.peak]), HEIGHT - BOTTOM, TOP, log=True)
    labels = Labels(WIDTH, HEIGHT - BOTTOM)
    circles = [_circle(point, x, y, labels) for point in points]
    largest = sorted(points, key=lambda point: -point.share)[:MOST_LABELS]
    lines = list(_lines(roofs, x, y, labels))
    names = [labels.beside(shortened(p.name, 22), x.at(p.intensity), y.at(p.rate), _radius(p) + 3) for p in largest]
    return picture(HEIGHT, "roofline", _axes(x, y, roofs), lines, circles, names)


def _radius(point: Point) -> float:
    return 3.5 + 9 * math.sqrt(point.share)


def _circle(point: Point, x: Scale, y: Scale, labels: Labels) -> Html:
    across, down = x.at(point.intensity), y.at(point.rate)
    reach = _radius(point)
    labels.keep_free(across - reach, down - reach, across + reach, down + reach)
    figures = f"{digits(point.rate)}, {digits(point.intensity)} operations a byte, {percent(point.share)} of the time"
    told = f"{point.name}\n{figures}"
    shown = tag("circle", tag("title", told), cx=across, cy=down, r=f"{_radius(point):.1f}", class_="point")
    return tag("a", shown, href=f"#{anchor(point.number)}")


def _lines(roofs: Roofs, x: Scale, y: Scale, labels: Labels) -> Iterator[Html]:
    """The peak, and a slanted line for each level of memory up to it."""
    top = y.at(roofs.peak)
    yield tag("line", x1=x.begin, x2=x.end, y1=top, y2=top, class_="roof")
    end = x.end - EM * len(ROOF) - 4
    yield join(labels.first(ROOF, [(end, top - 10), (x.begin + 8, top - 10), (end, top + 12)]))
    labels.keep_free(x.begin, top - 1, x.end, top + 1)
    for level, rate in roofs.rates.items():
        begin = max(x.low, y.low / rate)
        end = min(x.high, roofs.peak / rate)
        if begin >= end:
            continue
        low, high = (x.at(begin), y.at(begin * rate)), (x.at(end), y.at(end * rate))
        yield tag("line", x1=low[0], y1=low[1], x2=high[0], y2=high[1], class_="roof")
        share = 0.35
        yield join(labels.beside(level, low[0] + share * (high[0] - low[0]), low[1] + share * (high[1] - low[1])))


def _axes(x: Scale, y: Scale, roofs: Roofs) -> Html:
    """Lines at the powers of ten; the outermost numbers keep inside, and out of each other's way."""
    parts = []
    for value in _powers(x):
        at = x.at(value)
        parts.append(tag("line", x1=at, x2=at, y1=y.begin, y2=y.end, class_="grid"))
        parts.append(label(f"{value:g}", at, y.begin + 18, "end" if at == x.end else "middle", "tick"))
    for value in _powers(y):
        at = y.at(value)
        parts.append(tag("line", x1=x.begin, x2=x.end, y1=at, y2=at, class_="grid"))
        parts.append(
            label(f"{value:g}", x.begin - 8, at + (0 if at == y.begin else 8 if at == y.end else 4), "end", "tick")
        )
    parts.append(label("operations for each byte", (x.begin + x.end) / 2, HEIGHT - 10, "middle", "axis"))
    turned = f"translate(14 {(y.begin + y.end) / 2:g}) rotate(-90)"
    return join(parts, tag("text", roofs.unit, transform=turned, class_="axis middle"))


def _powers(scale: Scale) -> list[float]:
    """The powers of ten from end to end."""
    first, last = (round(math.log10(value)) for value in (scale.low, scale.high))
    return [10.0**power for power in range(first, last + 1)]
