"""What reads and writes at indices refuse, and what they say."""

from __future__ import annotations

from cnncc.op import Op
from cnncc.ops import GatherElements, GatherND, GridSample, ScatterElements, ScatterND

FLOATS = "takes indices of int32 or int64, got float32[2]: Cast converts them"

REFUSED: list[tuple[Op, list[tuple[int, ...]], str]] = [
    *((op, [(3,), (2,)], f"{op.name} {FLOATS}") for op in (GatherElements(), GatherND())),
    *((op, [(3,), (2,), (2,)], f"{op.name} {FLOATS}") for op in (ScatterElements(), ScatterND())),
    *((op, [(3,)], f"{op.name} takes 2 inputs, got 1") for op in (GatherElements(), GatherND(), GridSample())),
    *((op, [(3,), (2,)], f"{op.name} takes 3 inputs, got 2") for op in (ScatterElements(), ScatterND())),
    (
        GridSample(),
        [(1, 2, 3, 3), (1, 2, 2, 3)],
        "expected x (N, C, spatial axes) and a grid (N, as many axes, their number), got float32[1, 2, 3, 3] and "
        "float32[1, 2, 2, 3]",
    ),
]
