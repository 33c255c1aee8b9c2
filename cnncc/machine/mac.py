"""The multiply-accumulate of a core, as data: what it takes, what it makes, and how fast."""

from __future__ import annotations

from dataclasses import dataclass

from ..elements import Element


@dataclass(frozen=True)
class Mac:
    """sums += pixels · weights, in every lane of a vector.

    A lane holds one `sum` and takes `group` neighbouring channels of a pixel at a time, with as many weights. `rate`
    counts the vectors a cycle, at best, and `latency` the cycles until a sum can be added to again. `exact` sums are
    those of the definition, in any order; others are rounded. `codegen.macs` has the code for each `name`.
    """

    name: str
    pixel: Element
    weight: Element
    sum: Element
    group: int
    rate: float
    latency: float
    exact: bool
