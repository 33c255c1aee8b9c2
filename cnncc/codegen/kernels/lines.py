"""The rows of a source that a block of windows along its first axis reads, also where windows leave it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from ...plan.kernels import Separable
from ..emitter import Emitter
from ..memory import Access
from ..registers import Index, Ssa


@dataclass(frozen=True)
class Line:
    """A row: `offset` elements from the begin, known at run time, and `shift`; None `inside` is always."""

    offset: Index
    shift: int = 0
    inside: Ssa | None = None


class Lines:
    """The rows from the first one of the window at position `y` on, in an image and channel `place`.

    Some may lie outside of the source if `guarded`. Where a maximum is over neighbouring rows, the outermost row of
    the source then stands for those beyond it: all windows that reach these have it too.
    """

    def __init__(
        self,
        e: Emitter,
        kernel: Separable,
        source: Access,
        fill: float,
        place: Sequence[Index],
        y: Index,
        guarded: bool,
    ):
        window = kernel.window[0]
        self.e, self.source, self.fill, self.lane_axis = e, source, fill, kernel.lane_axis
        self.size, self.guarded = window.size, guarded
        self.repeats = kernel.combine == "maximum" and window.dilation == 1
        self.base = source.offset(place)
        self.start = e.sub(e.mul(y, window.stride), window.low)
        self.line = functools.cache(self._line)

    def _line(self, at: int) -> Line:
        e, source = self.e, self.source
        if not self.guarded and not source.view.ring:
            return Line(e.add(self.base, source.along(2, self.start)), at * source.view.strides[2])
        row, inside = e.add(self.start, at), None
        if self.guarded and self.repeats:
            row = e.least(e.largest(row, 0), self.size - 1)
        elif self.guarded:
            inside = e.compare("<", row, self.size, unsigned=True)
            row = e.choose(inside, row, 0)
        return Line(e.add(self.base, source.along(2, row)), 0, inside)

    def load(self, offset: Index, lanes: int, at: int) -> Ssa:
        """A vector of the row `at` rows from the first one, `offset` elements from the begin of the row."""
        e, line = self.e, self.line(at)
        value = self.source.load(e.add(e.add(line.offset, offset), line.shift), self.lane_axis, lanes)
        if line.inside is None:
            return value
        return e.select(e.splat(line.inside, lanes), value, self.source.number(self.fill, lanes))
