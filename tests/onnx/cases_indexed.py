"""Cases of rows that read and write at indices, known and arriving; see `cases` for floats."""

from __future__ import annotations

from functools import partial

import numpy as np

from cnncc.elements import BOOL, FLOAT32, INT32, INT64, Element
from cnncc.op import Op
from cnncc.ops import GatherElements, GridSample, ScatterElements
from cnncc.types import Array, TensorType
from tests.ops.oracles_indexed import ORACLES

from .making import case, data


def of(element: Element, *shape: int) -> TensorType:
    return TensorType(shape, element)


def rows(*numbers: int, kind: Element = INT64, depth: int = 1) -> Array:
    """Indices, so many of them for a part."""
    return np.array(numbers, kind.numpy).reshape(-1, depth)


def places(below: int, *shape: int) -> Array:
    """Known indices, each of them once along the last axis."""
    rng = np.random.default_rng(shape)
    numbers = np.argsort(rng.random((*shape[:-1], below)), axis=-1)[..., : shape[-1]]
    return np.where(rng.random(shape) < 0.3, numbers - below, numbers)


def ours(op: Op, *arrays: Array) -> Array:
    """By the oracle of our ops: ONNX's reference has nothing for an operator, or for an axis from the back."""
    return ORACLES[op.name](op, arrays)


INDEXED = [
    *(case("Gather", (4, 5), of(kind, 2, 3), below=4) for kind in (INT32, INT64)),
    case("Gather", (2, 5, 3), of(INT64, 4), axis=1, opset=1, below=5),
    case("Gather", (2, 5, 3), of(INT64), axis=-2, opset=11, below=5),
    case("Gather", data(9, 6), of(INT64, 2, 4), below=9),
    case("Gather", of(BOOL, 3, 4), of(INT32, 2), axis=1, below=3),
    *(case("GatherElements", (2, 5, 3), of(kind, 2, 7, 3), axis=1, below=5) for kind in (INT32, INT64)),
    case(
        "GatherElements",
        (4, 5),
        of(INT64, 4, 3),
        axis=-1,
        opset=11,
        below=5,
        expected=partial(ours, GatherElements(1)),
    ),
    case("GatherElements", of(INT64, 4, 5), places(4, 5, 2).T.copy()),
    case("GatherND", (4, 5, 3), of(INT64, 2, 3, 2), below=4),
    case("GatherND", (2, 5, 3), of(INT64, 2, 4, 1), batch_dims=1, opset=12, below=5),
    case("GatherND", (2, 5, 3), rows(1, 4, 0, 2, depth=2), opset=11),
    case("Scatter", (4, 5), places(5, 4, 3), (4, 3), axis=1, opset=9, expected=partial(ours, ScatterElements(1))),
    case("ScatterElements", (2, 5, 3), places(3, 2, 5, 2), (2, 5, 2), axis=-1, opset=11),
    case("ScatterElements", (4, 5), places(5, 2, 3), (2, 3), axis=1),
    case("ScatterElements", (3, 4), of(INT64, 3, 6), (3, 6), axis=1, reduction="add", opset=16, below=4),
    *(
        case("ScatterElements", (3, 4), of(INT32, 3, 6), (3, 6), axis=1, reduction=how, below=4)
        for how in ("add", "mul", "max", "min")
    ),
    case("ScatterND", (4, 5, 3), rows(1, 4, 0, 2, depth=2), (2, 3), opset=11),
    case("ScatterND", (4, 5), rows(3, -4), data(2, 5)),
    case("ScatterND", (4, 5), of(INT64, 6, 1), (6, 5), reduction="add", opset=16, below=4),
    case("GridSample", (2, 3, 4, 5), (2, 6, 3, 2), opset=16),
    case(
        "GridSample",
        (1, 2, 4, 5),
        (1, 3, 3, 2),
        mode="bicubic",
        padding_mode="reflection",
        opset=16,
        expected=partial(ours, GridSample("cubic", "reflection")),
    ),
    case("GridSample", (1, 2, 4, 5), (1, 3, 3, 2), mode="nearest", align_corners=1, opset=16),
    *(
        case("GridSample", (1, 2, 4, 5), (1, 4, 3, 2), mode=mode, padding_mode=padding, align_corners=aligned)
        for mode in ("linear", "nearest", "cubic")
        for padding in ("zeros", "border", "reflection")
        for aligned in (0, 1)
        if (mode, padding) != ("cubic", "border")
    ),
    *(  # PyTorch and ONNX Runtime clamp each tap, ONNX's reference the coordinate, which no document says
        case(
            "GridSample",
            (1, 2, 4, 5),
            (1, 4, 3, 2),
            mode="cubic",
            padding_mode="border",
            align_corners=aligned,
            expected=partial(ours, GridSample("cubic", "border", aligned == 1)),
        )
        for aligned in (0, 1)
    ),
    case("GridSample", (1, 2, 3, 4, 5), (1, 2, 3, 2, 3), padding_mode="reflection"),
    *(
        case("ScatterND", of(kind, 4, 5), of(INT64, 6, 2), of(kind, 6), reduction=how, below=4)
        for how in ("add", "mul", "max", "min")
        for kind in (FLOAT32, INT64)
    ),
]
