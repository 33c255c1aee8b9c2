"""Cycles of a pool, from what it does for each vector of results.

A pool has few operations for each element, so the lines that it reads and writes count too: at the rate of the second
cache in order, and slower where each line is some lines behind the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...machine.target import Target
from .transfer import line_by_line

STRIDED = 1.7  # times that a line takes longer to arrive if it does not follow the one before: 2 cycles, not 1.2
DIVISION = 4  # operations that a division of a vector counts for
JOIN = 2  # operations for the larger of two values, either of which may be NaN: three without masks
TILE_LOADS = 256  # in the code of a tile of results
SHORT = 4  # taps from which on more than two windows share partial results
RESULTS = 8  # along an axis that share partial results: more gain little, and take registers
FEWEST = 2  # … even if what they leave for the next axis exceeds the first cache
LINES = 64  # at most, that such results read along their axis: each is an instruction or two
ROW_VECTORS = 8  # vectors of a row that one piece of code computes


@dataclass(frozen=True)
class Work:
    """What a kernel does, in vectors: loads and other operations, and lines that come from the second cache or go."""

    loads: float = 0.0
    operations: float = 0.0
    lines: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.loads + other.loads, self.operations + other.operations, self.lines + other.lines)

    def times(self, factor: float) -> Work:
        return Work(factor * self.loads, factor * self.operations, factor * self.lines)

    def cycles(self, target: Target, lanes: int) -> float:
        """Cycles with vectors of so many floats."""
        core = target.core
        instructions = (self.loads + self.operations) / core.vector_pipes
        size = lanes * core.mac.pixel.bytes
        return max(instructions, self.loads / core.load_ports) + line_by_line(core, size) * self.lines


def careful(values: float) -> float:
    """Operations for the maximum of some values, any of which may be NaN (`codegen.emitter.extreme`)."""
    return values - 1 + 2 * -(-(values - 1) // 2)


def shift(lanes: int) -> int:
    """Operations to shift lanes from one vector into its neighbour: AVX2 shifts halves of its vectors by themselves."""
    return 2 if lanes == 8 else 1
