"""The cost of the transforms of a tile of a Winograd convolution."""

from __future__ import annotations

import functools
import math

from ...cook_toom import operations, transforms
from ...machine.core import Core
from ..cost import step


def one_transform(core: Core, steps: tuple[int, ...], taps: tuple[int, ...], inputs: bool) -> float:
    """Cycles of one transform for one tile and one vector of channels."""
    return step.transform_cycles(core, *transform_operations(steps, taps, inputs))


@functools.cache
def transform_operations(steps: tuple[int, ...], taps: tuple[int, ...], inputs: bool) -> tuple[int, int]:
    """(operations, points) of one tile."""
    used = [transforms(m, r) for m, r in zip(steps, taps, strict=True)]
    matrices = [t.inputs if inputs else t.outputs for t in used]
    shape = [len(matrix[0]) for matrix in matrices]
    count, moved = 0, math.prod(len(t.inputs) for t in used)
    for axis in reversed(range(len(shape))):
        count += operations(matrices[axis]) * math.prod(shape) // shape[axis]
        shape[axis] = len(matrices[axis])
    return count, moved
