"""What charts share: scales, round numbers on axes, and labels that keep out of each other's way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .html import Html, Part, tag

WIDTH = 760
EM, LINE = 6.4, 13
"""Pixels that a character of a label takes at most, and that a line is high."""


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` on pixels from `begin` to `end`, by their logarithm if `log`."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = map(math.log10, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return round(self.begin + (value - low) / ((high - low) or 1.0) * (self.end - self.begin), 1)


def decades(values: Iterable[float]) -> tuple[float, float]:
    """The whole powers of ten around positive numbers."""
    found = [math.log10(value) for value in values]
    low, high = math.floor(min(found) - 0.05), math.ceil(max(found) + 0.05)
    return 10.0**low, 10.0**high


class Labels:
    """Places for texts: each takes the first of some that nothing stands in, or is left out."""

    def __init__(self, width: float, height: float):
        self._width, self._height = width, height
        self._taken: list[tuple[float, float, float, float]] = []

    def keep_free(self, left: float, top: float, right: float, bottom: float) -> None:
        """Nothing is written in this box."""
        self._taken.append((left, top, right, bottom))

    def beside(self, text: str, x: float, y: float, reach: float = 7.0) -> Html | None:
        """A label to the right of a point, to its left, above or below; None where there is no room."""
        wide, high = EM * len(text), reach + LINE / 2
        places = (x + reach, y), (x - reach - wide, y), (x - wide / 2, y - high), (x - wide / 2, y + high)
        return self.first(text, places)

    def first(self, text: str, places: Iterable[tuple[float, float]]) -> Html | None:
        """A label at the first place (its left end, its middle) that is free."""
        for left, middle in places:
            box = left, middle - LINE / 2, left + EM * len(text), middle + LINE / 2
            if self._is_free(box):
                self._taken.append(box)
                return label(text, left, middle + 4)
        return None

    def _is_free(self, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        inside = left >= 0 and top >= 0 and right <= self._width and bottom <= self._height
        return inside and not any(
            left < taken[2] and taken[0] < right and top < taken[3] and taken[1] < bottom for taken in self._taken
        )


def label(text: str, x: float, y: float, anchor: str = "start", class_: str = "label") -> Html:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=class_)


def shortened(text: str, most: int) -> str:
    """A name's end, if it is too long."""
    return text if len(text) <= most else f"…{text[1 - most :]}"


def picture(height: float, told: str, *parts: Part) -> Html:
    """A chart of the full width, which scrolls by itself where the page is narrow."""
    shown = tag(
        "svg", *parts, class_="chart", viewBox=f"0 0 {WIDTH} {height:g}", width=WIDTH, height=f"{height:g}", role="img",
        aria_label=told,
    )  # fmt: skip
    return tag("div", shown, class_="scroll", tabindex=0)
