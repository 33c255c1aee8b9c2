"""Gradients of computations of lines."""

from __future__ import annotations

from dataclasses import replace

from ..lines import Linewise, Ranked, Running
from .pieces import NoGradient, Step


def linewise(step: Step, c: Linewise) -> list[int | None]:
    """Of a running sum: each element is in all sums behind it, so it gets the running sum of g from the other end.

    Of the first elements in an order: g goes back to the places where they stood.
    """
    match c:
        case Running(combine="add"):
            return [step.pieces.along(replace(c, reverse=not c.reverse), step.g)]
        case Ranked():
            x, places = step.x
            return [step.pieces.added_up(step.g, places, c.axis, x), None]
    raise NoGradient("has no gradient")
