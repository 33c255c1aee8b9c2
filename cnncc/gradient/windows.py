"""Gradients of pools: every window shares its gradient out to its elements, or gives it to one of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from ..computation import WindowReduction
from ..expr import Arg, Expr, Number, equal, select
from ..meaning import divisor
from ..ops.conv_transpose import Phase, cropped, interleaved
from ..windows import WindowAxis
from .contraction import backward, seen_whole, strided
from .pieces import Pieces, Step

MOST_TAPS = 16
"""Of a maximum over several axes at once; one over more elements is taken apart, axis by axis."""


def window_reduction(step: Step, c: WindowReduction) -> list[int | None]:
    pieces, (x,) = step.pieces, step.x
    if c.combine == "maximum":
        return [_maximum(pieces, c.window, x, step.y, step.g)]
    g = step.g
    if c.divisor != "none":
        g = pieces.pointwise(Arg(0) / Arg(1), (g, pieces.known(divisor(c, pieces.shape(x)))))
    return [_shared_out(pieces, c.window, g, pieces.shape(x))]


def _shared_out(pieces: Pieces, window: Sequence[WindowAxis], g: int, shape: Sequence[int]) -> int:
    """Each element gets the sum of g over the windows that it is in: sums over windows of g, one for each phase."""

    def one(phases: tuple[Phase, ...]) -> int:
        size = (*shape[:2], *(phase.outputs for phase in phases))
        if not all(phase.taps for phase in phases):
            return pieces.zeros(g, size)
        sums = WindowReduction(tuple(phase.window for phase in phases), "add")
        return pieces.add(sums, (cropped(pieces, g, phases),), size)

    return interleaved(pieces, backward(window), shape[:2], one)


def _maximum(pieces: Pieces, window: tuple[WindowAxis, ...], x: int, y: int, g: int) -> int:
    """The first maximum in row-major order takes all.

    It stands in the first row of the window whose maximum is the maximum, and is the first one there: so large windows
    go back over the last axis after all others.
    """
    several = [axis for axis, a in enumerate(window) if a.kernel > 1]
    if len(several) > 1 and math.prod(a.kernel for a in window) > MOST_TAPS:
        inner, outer = _apart(window, several[-1])
        rows = pieces.add(WindowReduction(inner, "maximum"), (x,), _shape(pieces, x, inner))
        return _maximum(pieces, inner, x, rows, _maximum(pieces, outer, rows, y, g))
    taken = _first(pieces, window, x, y)
    return _given(pieces, window, taken, g, pieces.shape(x))


def _apart(window: tuple[WindowAxis, ...], last: int) -> tuple[tuple[WindowAxis, ...], tuple[WindowAxis, ...]]:
    """A window from the axis `last` on, and one over its results along the axes before."""
    inner = (*(WindowAxis(a.size) for a in window[:last]), *window[last:])
    return inner, (*window[:last], *(WindowAxis(a.out) for a in window[last:]))


def _shape(pieces: Pieces, x: int, window: Sequence[WindowAxis]) -> tuple[int, ...]:
    return (*pieces.shape(x)[:2], *(a.out for a in window))


def _first(pieces: Pieces, window: Sequence[WindowAxis], x: int, y: int) -> int:
    """The number of the first tap that sees the maximum; −1 where none does, for it is NaN.

    The padding is NaN, which equals nothing: so it is not taken for elements that are −∞.
    """
    whole = seen_whole(pieces, x, window, math.nan)
    taps = list(itertools.product(*(range(a.kernel) for a in window)))
    number: Expr = Number(-1.0)
    for k in reversed(range(len(taps))):
        number = select(equal(Arg(k), Arg(len(taps))), float(k), number)
    return pieces.pointwise(number, (*(strided(pieces, whole, window, tap) for tap in taps), y))


def _given(pieces: Pieces, window: Sequence[WindowAxis], taken: int, g: int, shape: Sequence[int]) -> int:
    """Each element gets g of the windows that took it, as their tap number `taken` says."""
    numbers = {tap: k for k, tap in enumerate(itertools.product(*(range(a.kernel) for a in window)))}

    def one(phases: tuple[Phase, ...]) -> int:
        size = (*shape[:2], *(phase.outputs for phase in phases))
        total: Expr | None = None
        operands: list[int] = []
        for place in itertools.product(*(range(len(phase.taps)) for phase in phases)):
            tap = tuple(phase.taps[k] for phase, k in zip(phases, place, strict=True))
            found = [_of_tap(pieces, each, phases, place, fill) for each, fill in ((taken, -1.0), (g, 0.0))]
            own = select(equal(Arg(len(operands)), float(numbers[tap])), Arg(len(operands) + 1), 0)
            total = own if total is None else total + own
            operands += found
        return pieces.zeros(g, size) if total is None else pieces.pointwise(total, operands)

    return interleaved(pieces, backward(window), shape[:2], one)


def _of_tap(pieces: Pieces, of_windows: int, phases: Sequence[Phase], place: Sequence[int], fill: float) -> int:
    """What the windows have that meet the elements of a phase by one tap; `fill` where there is no such window."""
    axes = [replace(phase.window, stride=1) for phase in phases]
    whole = seen_whole(pieces, cropped(pieces, of_windows, phases), axes, fill)
    return strided(pieces, whole, axes, place)
