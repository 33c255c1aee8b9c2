"""Gradients of pools: every window shares its gradient out to its elements, or gives it to one of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from ..computation import WindowReduction
from ..expr import Arg, Expr, Number, arguments_of, equal, select, substitute
from ..meaning import divisor
from ..ops.conv_transpose import Phase, cropped, interleaved
from ..windows import WindowAxis
from .contraction import backward, seen_whole, strided
from .pieces import Pieces, Step

UNCHANGED = Arg(0)
"""The slope of a pool whose elements no expression made: g itself."""
MOST_TAPS = 16
"""Of a maximum over several axes at once; one over more elements is taken apart, axis by axis."""


def window_reduction(step: Step, c: WindowReduction) -> list[int | None]:
    pieces, (x,) = step.pieces, step.x
    g = step.g
    if c.combine == "maximum":
        return [_maximum(pieces, c.window, x, step.y, g, step.slope or UNCHANGED)]
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


def _maximum(pieces: Pieces, window: tuple[WindowAxis, ...], x: int, y: int, g: int, slope: Expr) -> int:
    """The first maximum in row-major order takes all: `slope`, which is an expression of g and of the maximum.

    It stands in the first row of the window whose maximum is the maximum, and is the first one there: so large windows
    go back over the last axis after all others.
    """
    several = [axis for axis, a in enumerate(window) if a.kernel > 1]
    if len(several) > 1 and math.prod(a.kernel for a in window) > MOST_TAPS:
        inner, outer = _apart(window, several[-1])
        rows = pieces.add(WindowReduction(inner, "maximum"), (x,), _shape(pieces, x, inner))
        return _maximum(pieces, inner, x, rows, _maximum(pieces, outer, rows, y, g, slope), UNCHANGED)
    if slope != UNCHANGED and any(a.extent > a.stride for a in window if a.out > 1):  # computed once for all taps
        every = tuple(range(len(pieces.shape(g))))
        g, slope = pieces.expr(slope, (g, y), (every, every), pieces.shape(g)), UNCHANGED
    return _given(pieces, window, _first(pieces, window, x, y), (g, y), slope, pieces.shape(x))


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


def _given(
    pieces: Pieces,
    window: Sequence[WindowAxis],
    taken: int,
    of_windows: tuple[int, int],
    slope: Expr,
    shape: Sequence[int],
) -> int:
    """Each element gets the slope of the windows that took it, as their tap number `taken` says.

    The slope is an expression of what the windows have.
    """
    numbers = {tap: k for k, tap in enumerate(itertools.product(*(range(a.kernel) for a in window)))}

    def one(phases: tuple[Phase, ...]) -> int:
        size = (*shape[:2], *(phase.outputs for phase in phases))
        total: Expr | None = None
        operands: list[int] = []
        for place in itertools.product(*(range(len(phase.taps)) for phase in phases)):
            tap = tuple(phase.taps[k] for phase, k in zip(phases, place, strict=True))
            begin, used = len(operands), sorted(arguments_of(slope))
            own = select(
                equal(Arg(begin), float(numbers[tap])),
                substitute(slope, {k: Arg(begin + n) for n, k in enumerate(used, start=1)}),
                0,
            )
            read = (taken, -1.0), *((of_windows[k], 0.0) for k in used)
            operands += [_of_tap(pieces, each, phases, place, fill) for each, fill in read]
            total = own if total is None else total + own
        return pieces.zeros(of_windows[0], size) if total is None else pieces.pointwise(total, operands)

    return interleaved(pieces, backward(window), shape[:2], one)


def _of_tap(pieces: Pieces, of_windows: int, phases: Sequence[Phase], place: Sequence[int], fill: float) -> int:
    """What the windows have that meet the elements of a phase by one tap; `fill` where there is no such window."""
    axes = [replace(phase.window, stride=1) for phase in phases]
    whole = seen_whole(pieces, cropped(pieces, of_windows, phases), axes, fill)
    return strided(pieces, whole, axes, place)
