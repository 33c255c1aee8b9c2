"""Windows along the axis of the lanes: partial results of 1, 2, 4… neighbours, shifted by lanes and joined.

With a stride s, a vector holds every s-th element: there are s phases of a row, and the taps of a window that lie on
one phase are a window of stride 1 over it. Tap t at t · dilation = s · q + p is element q of phase p.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from ...plan.kernels.overlaps import longer_part
from ...windows import WindowAxis
from ..emitter import Emitter
from ..registers import Ssa
from .shared_windows import Join


class ShiftedWindows:
    """The windows of a row that begin at its elements 0, stride, 2 · stride…; `read(v)` gives its v-th vector.

    `size` results are wanted. Vectors that no wanted result needs are None, and other lanes of no use hold anything.
    """

    def __init__(
        self,
        e: Emitter,
        join: Join,
        read: Callable[[int], Ssa],
        window: WindowAxis,
        lanes: int,
        size: int,
        repeats: bool,
    ):
        self.e, self.join, self.read, self.lanes, self.stride = e, join, read, lanes, window.stride
        self.repeats = repeats  # whether an element may be counted twice
        self.phases: dict[int, list[int]] = {}
        for tap in range(window.kernel):
            element, phase = divmod(tap * window.dilation, window.stride)
            self.phases.setdefault(phase, []).append(element)
        self.end = size + (window.kernel - 1) * window.dilation // window.stride
        self.spread = functools.cache(self._spread)
        self.joined = functools.cache(self._joined)

    def result(self, number: int) -> Ssa:
        """Results number · lanes, number · lanes + 1…"""
        total: Ssa | None = None
        for phase, elements in self.phases.items():
            step = elements[1] - elements[0] if len(elements) > 1 else 1
            part = self.shifted(phase, step, len(elements), number, elements[0])
            assert part is not None
            total = part if total is None else self.join(total, part)
        assert total is not None
        return total

    def _joined(self, phase: int, step: int, taps: int, number: int) -> Ssa | None:
        """For each element of a vector of a phase: it and the next `taps` − 1, `step` apart."""
        if number * self.lanes + (taps - 1) * step >= self.end:
            return None
        if taps == 1:
            return self.spread(phase, number)
        longer = longer_part(taps)
        first = self.joined(phase, step, longer, number)
        rest = longer if self.repeats else taps - longer
        second = self.shifted(phase, step, rest, number, (taps - rest) * step)
        assert first is not None and second is not None
        return self.join(first, second)

    def shifted(self, phase: int, step: int, taps: int, number: int, by: int) -> Ssa | None:
        """The same for the elements `by` further on."""
        vectors, lane = divmod(by, self.lanes)
        low = self.joined(phase, step, taps, number + vectors)
        if not lane or low is None:
            return low
        high = self.joined(phase, step, taps, number + vectors + 1)
        lanes = range(lane, lane + self.lanes)
        return self.e.shuffle(low, high, lanes if high else [at if at < self.lanes else -1 for at in lanes])

    def _spread(self, phase: int, number: int) -> Ssa:
        """Elements number · lanes, number · lanes + 1… of a phase: of each vector that has some, those lanes."""
        if self.stride == 1:
            return self.read(number)
        first = number * self.lanes * self.stride + phase
        places = [first + lane * self.stride for lane in range(self.lanes)]
        result: Ssa | None = None
        for vector in sorted({place // self.lanes for place in places}):
            own = [place - vector * self.lanes for place in places]
            here = [0 <= lane < self.lanes for lane in own]
            value = self.read(vector)
            if result is None:
                result = self.e.shuffle(value, None, [lane if here[at] else -1 for at, lane in enumerate(own)])
            else:
                lanes = [self.lanes + lane if here[at] else at for at, lane in enumerate(own)]
                result = self.e.shuffle(result, value, lanes)
        assert result is not None
        return result
