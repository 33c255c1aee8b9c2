"""What reads and writes at indices refuse, and what they say."""

from __future__ import annotations

from cnncc.op import Op
from cnncc.ops import GatherElements, GatherND, GridSample, ScatterElements, ScatterND

FLOATS = "takes indices of int32 or int64, got float32[2]: Cast converts them"

ONE: list[tuple[int, ...]] = [(3,)]
TWO: list[tuple[int, ...]] = [(3,), (2,)]
THREE: list[tuple[int, ...]] = [(3,), (2,), (2,)]

REFUSED: list[tuple[Op, list[tuple[int, ...]], str]] = [
    *((op, TWO, f"{op.name} {FLOATS}") for op in (GatherElements(), GatherND())),
    *((op, THREE, f"{op.name} {FLOATS}") for op in (ScatterElements(), ScatterND())),
    *((op, ONE, f"{op.name} takes 2 inputs, got 1") for op in (GatherElements(), GatherND(), GridSample())),
    *((op, TWO, f"{op.name} takes 3 inputs, got 2") for op in (ScatterElements(), ScatterND())),
    (
        GridSample(),
        [(1, 2, 3, 3), (1, 2, 2, 3)],
        "expected x (N, C, spatial axes) and a grid (N, as many axes, their number), got float32[1, 2, 3, 3] and "
        "float32[1, 2, 2, 3]",
    ),
]
