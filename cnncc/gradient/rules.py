"""A rule for each kind of computation, and through which operands a gradient goes."""

from __future__ import annotations

from collections.abc import Sequence

from ..computation import (
    Arrangement,
    Computation,
    Contraction,
    Lookup,
    Pointwise,
    Reduction,
    Scatter,
    WindowReduction,
)
from ..lines import ExtremePlace, Linewise, Ranking
from .arrangement import arrangement
from .contraction import contraction
from .indexed import lookup, scatter
from .lines import linewise
from .pieces import Step
from .pointwise import counts, pointwise
from .reduction import reduction
from .windows import window_reduction


def gradients(step: Step, c: Computation) -> list[int | None]:
    """Append the gradients of the wanted operands; None for those that are not wanted. Raises NoGradient."""
    match c:
        case Contraction():
            return contraction(step, c)
        case WindowReduction():
            return window_reduction(step, c)
        case Pointwise():
            return pointwise(step, c)
        case Reduction():
            return reduction(step, c)
        case Linewise():
            return linewise(step, c)
        case Arrangement():
            return arrangement(step, c)
        case Lookup():
            return lookup(step, c)
        case Scatter():
            return scatter(step, c)


def goes_through(c: Computation, above: Sequence[bool]) -> tuple[bool, ...]:
    """By which of the operands that are `above` the values a gradient is by the result has a slope.

    It has none by places, and none by operands that decide only which elements are taken.
    """
    match c:
        case ExtremePlace() | Ranking():
            return (False,) * len(above)
        case Pointwise():
            return tuple(here and counts(c, k) for k, here in enumerate(above))
        case Linewise() | Lookup():
            return (above[0], *(False for _ in above[1:]))
        case Scatter():
            return (above[0], False, above[2])
    return tuple(above)
