"""The cost of the transforms of a tile of a Winograd convolution."""

from __future__ import annotations

from ...machine.core import Core
from ..cost import step
from .winograd_phases import Phases


def input_cycles(core: Core, phases: Phases, vectors: int) -> float:
    """Cycles to transform the pixels of one tile, for `vectors` of the channels of each group of phases.

    Joining phases in a vector takes no pipe that transforms need, and measured nothing.
    """
    return vectors * sum(step.transform_cycles(core, *work) for work in phases.input_work)


def output_cycles(core: Core, phases: Phases) -> float:
    """Cycles to transform one tile and one vector of outputs back."""
    return step.transform_cycles(core, *phases.output_work)
