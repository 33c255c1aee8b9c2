"""Cycles of computations along lines: the place of an extreme, and the first elements in order."""

from __future__ import annotations

import math

from ...machine.core import Core

OPERATIONS = 7
"""Vector operations of an element whose place is sought: two comparisons with their logic, two selects, a load."""
LONG = 4
"""Vectors of a fibre from which its fold is the smaller part, so that lanes may lie along it."""
STEP_CYCLES = 12
"""Of one level of a heap: the places of two children and their elements are loaded, compared and stored, in a chain."""
LOOK_CYCLES = 2
"""Of an element that is compared with the worst of the best so far, and mostly left; or that is picked."""
FEW = 8
"""Results of a fibre that may lie in registers, each as a pair of vectors; beyond 16 registers some are spilled."""
INSERTION = 8
"""Vector operations of an element for each of these results: two comparisons with their logic, four selects."""


def extreme(core: Core, vectors: float) -> float:
    return vectors * OPERATIONS / core.vector_pipes


def insertion(core: Core, size: int, count: int) -> float:
    """Of a vector of fibres of `size` elements, with `count` results each."""
    return size * count * INSERTION / core.vector_pipes


def heap(size: int, count: int) -> float:
    """Of one fibre. Of elements in random order, number i is among the best with probability count / i."""
    sinking = count * (2 + math.log(size / count)) * math.log2(count + 1)
    return size * LOOK_CYCLES + sinking * STEP_CYCLES


def picking(count: int) -> float:
    return float(count * LOOK_CYCLES)
