"""Cases of rows that compare the elements of an axis, add them up, or choose by their places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnncc.elements import FLOAT32, INT32, INT64, INTEGERS, NUMBERS
from cnncc.types import Array, TensorType

from .making import X, case, data, ints

VALUES = np.array([-1.5, 2.5], np.float32)


def few(*shape: int) -> Array:
    """Known numbers many of which are equal."""
    return np.round(2 * data(*shape))


def hardest(axis: int) -> Callable[[Array], Array]:
    """Hardmax as it was up to opset 12: all axes from `axis` on are one."""

    def expected(x: Array) -> Array:
        rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
        return np.asarray(np.eye(rows.shape[1], dtype=np.float32)[rows.argmax(1)].reshape(x.shape))

    return expected


def hot(axis: int) -> Callable[..., Array]:
    """By the standard; its reference takes an index that is out of range modulo the depth."""

    def expected(indices: Array, depth: Array, values: Array) -> Array:
        whole = np.trunc(indices).astype(int)
        whole[whole < 0] += depth.item()
        places = whole == np.arange(depth.item()).reshape(-1, *(1,) * whole.ndim)
        return np.asarray(values[np.moveaxis(places, 0, axis).astype(int)])

    return expected


PLACES = [
    *(case(name, X) for name in ("ArgMax", "ArgMin")),
    *(case(name, X, axis=1, keepdims=0) for name in ("ArgMax", "ArgMin")),
    *(case(name, X, axis=-1, opset=11) for name in ("ArgMax", "ArgMin")),
    *(case(name, X, axis=2, opset=1) for name in ("ArgMax", "ArgMin")),
    *(
        case(name, few(3, 9), axis=1, select_last_index=last, opset=12)
        for name in ("ArgMax", "ArgMin")
        for last in (0, 1)
    ),
    *(
        case(name, TensorType((2, 3, 4), kind), axis=1, select_last_index=1)
        for name in ("ArgMax", "ArgMin")
        for kind in INTEGERS
    ),
    case("Hardmax", X),
    case("Hardmax", X, axis=1),
    case("Hardmax", X, opset=11, expected=hardest(1)),
    case("Hardmax", X, axis=2, opset=1, expected=hardest(2)),
    case("Hardmax", (2, 5), axis=0, opset=11, expected=hardest(0)),
]
"""Of known inputs, too: these are folded."""

POOLS = [
    case("MaxPool", X, outputs=2, kernel_shape=[2, 2], strides=[2, 2]),
    case("MaxPool", (2, 3, 9, 11), outputs=2, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], opset=8),
    case("MaxPool", (2, 2, 13), outputs=2, kernel_shape=[3], dilations=[3], pads=[2, 1], opset=10),
]

RANKED = [
    *(
        case("TopK", TensorType((2, 3, 9), kind), ints(4), outputs=2, largest=largest)
        for kind in NUMBERS
        for largest in (0, 1)
    ),
    case("TopK", X, ints(2), axis=1, sorted=1, outputs=2, opset=11),
    case("TopK", X, ints(3), outputs=2, opset=10),
    case("TopK", X, k=2, axis=2, outputs=2, opset=1),
    case("TopK", few(2, 9), ints(5), outputs=2),
    case("TopK", X, ints(1), unread=1),
]
SUMS = [
    *(
        case("CumSum", TensorType((2, 3, 4), kind), np.array(axis), exclusive=exclusive, reverse=reverse)
        for kind, axis in zip((FLOAT32, INT32, INT64, FLOAT32), (0, 1, -1, 2), strict=True)
        for exclusive in (0, 1)
        for reverse in (0, 1)
    ),
    *(
        case("CumProd", TensorType((2, 3, 4), kind), np.array(axis), exclusive=n, reverse=1 - n, opset=26)
        for kind, axis, n in ((FLOAT32, 0, 0), (INT32, 1, 1), (INT64, -1, 0), (FLOAT32, 2, 1))
    ),
    case("CumSum", X, np.array(3, np.int32), opset=11),
    case("CumSum", few(3, 4), np.array(1)),
]
BY_PLACE = [
    *(case("Trilu", (2, 4, 5), upper=upper) for upper in (0, 1)),
    case("Trilu", TensorType((4, 5), INT32), np.array(-2), upper=0),
    case("Trilu", TensorType((4, 5), INT64), np.array(9)),
    case("Trilu", few(4, 5), np.array(1)),
    *(case("OneHot", TensorType((2, 3), kind), np.array(40), VALUES, axis=1, expected=hot(1)) for kind in NUMBERS),
    case("OneHot", ints(0, -1, 5, -6, 4), ints(5), TensorType((2,), INT32), expected=hot(-1)),
    case("OneHot", ints(0, 3, -2, 4), ints(5), ints(7, 9), opset=11, expected=hot(-1)),
    case("OneHot", ints(0, 3, 1), np.array(5), ints(7, 9), axis=0),
    case("EyeLike", (3, 5)),
    case("EyeLike", TensorType((5, 3), INT64), k=-1),
    case("EyeLike", (4, 4), k=2, dtype=6),
    case("Compress", X, np.array([False, True, True]), axis=1),
    case("Compress", X, np.array([True]), axis=-1, opset=9),
    case("Compress", (3, 4), np.arange(12) % 3 == 0),
    case("Compress", few(3, 4), np.array([True, False, True])),
]

ORDER = [*PLACES, *POOLS, *RANKED, *SUMS, *BY_PLACE]
