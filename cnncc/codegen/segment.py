"""The schedule in segments, a function each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ..plan.plan import Plan, Stage

MOST = 32  # stages in one function


@dataclass(frozen=True)
class Segment:
    """Successive stages in one function: LLVM takes more than twice as long for a function of twice the length.

    If the stages compute a block of images at once, there is a second function for that; if they run `once` a call,
    it is for the first image.
    """

    number: int
    stages: tuple[Stage, ...]
    together: bool
    once: bool


def segments_of(plan: Plan) -> list[Segment]:
    """The schedule in segments, each of stages that run once a call, compute a block of images at once, or others."""
    block, found = plan.block.steps if plan.block else {}, list[Segment]()
    for (together, once), run in itertools.groupby(plan.stages, lambda stage: (stage.steps[0] in block, stage.once)):
        stages = tuple(run)
        for first in range(0, len(stages), MOST):
            found.append(Segment(len(found), stages[first : first + MOST], together, once))
    return found
