"""The running sums or products of each fibre."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...lines import Running
from ...machine.target import Target
from ..cost import step
from ..views import View
from .base import lanes_on
from .fibre_axes import OverLines


@dataclass(frozen=True)
class Accumulate(OverLines):
    """One element after the other is added, each lane to the sum of its own fibre: no partition changes the order.

    A product likewise.
    """

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    fibres: int
    exclusive: bool
    reverse: bool
    combine: Literal["add", "multiply"]

    def describe(self) -> str:
        kind = " without the last element" * self.exclusive + " from the back" * self.reverse
        lanes = lanes_on(self.fibres, self.beside)
        what = "sum" if self.combine == "add" else "product"
        return f"running {what}{kind} along axis {self.axis}; {lanes}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """The longer of the chain of sums and of what is moved."""
        core = target.core
        chain = self.units(result) * self.size * core.mac.latency
        close = target.lanes if self.axis < self.lane_axis else 1
        return core.call_cycles + max(chain, step.moved(core, math.prod(self.shape), min(close, self.fibres)))


def kernel(target: Target, c: Running, sizes: tuple[int, ...], line: tuple[int, ...]) -> Accumulate:
    """As many fibres side by side as hide the latency of a sum, where their elements are neighbours in memory."""
    kept = [size for number, size in enumerate(sizes) if number not in line]
    beside, close = kept[-1] if kept else 1, line[0] < len(sizes) - 1
    most = max(1, target.registers // 4) if close else 1
    fibres = min(most, beside // target.lanes) * target.lanes or beside
    return Accumulate(sizes, line, fibres, c.exclusive, c.reverse, c.combine)
