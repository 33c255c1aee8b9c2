"""The kernels: one module for each family, which implements what the plan asks, and the choice for a contraction.

Code generation has its own table, `cnncc.codegen.kernels.KERNELS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...machine.target import Target
from . import depthwise, direct_tiles, grouped, inner, outer, winograd_tiles
from .base import Kernel, RowNeed, balanced
from .convolution import Candidate, Convolution, Epilogue, LanesAlong, Layer, Pooling, Tile, Turned
from .depthwise import Depthwise
from .direct import Direct
from .elementwise import Elementwise
from .extreme_place import FindExtreme
from .fibre_axes import OverFibres, OverLines
from .fill import Fill
from .grouped import Grouped
from .indexed import IndexedRead, IndexedWrite
from .inner import Inner
from .move import Move
from .outer import Outer
from .ranking import Rank
from .reduce import Reduce
from .running_sum import Accumulate
from .selection import Select
from .separable import Separable
from .sweeps import Sweep, Sweeps
from .window import Window
from .winograd import Winograd

__all__ = [
    "COMPARED",
    "PREFERRED",
    "Accumulate",
    "Candidate",
    "Convolution",
    "Depthwise",
    "Direct",
    "Elementwise",
    "Epilogue",
    "Fill",
    "FindExtreme",
    "Grouped",
    "IndexedRead",
    "IndexedWrite",
    "Inner",
    "Kernel",
    "LanesAlong",
    "Layer",
    "Move",
    "Outer",
    "OverFibres",
    "OverLines",
    "Pooling",
    "Rank",
    "Reduce",
    "RowNeed",
    "Select",
    "Separable",
    "Sweep",
    "Sweeps",
    "Tile",
    "Turned",
    "Window",
    "Winograd",
    "balanced",
    "candidates",
    "preferred",
]


@dataclass(frozen=True)
class Preferred:
    """A kernel that is taken for each layer that it accepts, without a comparison."""

    candidate: Callable[[Target, Layer], Candidate | None]
    why: str


@dataclass(frozen=True)
class Compared:
    """A kernel whose candidates are compared with all others by cycles; among equals the first is taken."""

    candidates: Callable[[Target, Layer], list[Candidate]]
    why: str


PREFERRED = (Preferred(depthwise.candidate, "reads each pixel once; others fill one lane of a block of outputs"),)

COMPARED = (
    Compared(direct_tiles.candidates, "computes every layer without a pool, so that there always is a candidate"),
    Compared(grouped.candidates, "fills the lanes with the outputs of several groups, where each has few"),
    Compared(
        outer.candidates, "reads both operands of a gradient of weights as they lie, in tiles of taps and channels"
    ),
    Compared(
        inner.candidates, "fills the lanes with the positions of a line, where a gradient of weights has few outputs"
    ),
    Compared(winograd_tiles.candidates, "multiplies less, and rounds otherwise: it has to be cheaper than all others"),
)


def preferred(target: Target, layer: Layer) -> Candidate | None:
    """The kernel that is taken without a comparison with others, if there is one."""
    return next((found for entry in PREFERRED if (found := entry.candidate(target, layer))), None)


def candidates(target: Target, layer: Layer) -> list[Candidate]:
    """The candidates of all other kernels, in the order of `COMPARED`."""
    return [candidate for entry in COMPARED for candidate in entry.candidates(target, layer)]
