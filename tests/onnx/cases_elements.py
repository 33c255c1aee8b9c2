"""Cases of rows on whole numbers and truth values; see `cases` for floats."""

from __future__ import annotations

import math

import numpy as np
from onnx import defs

from cnncc.elements import BOOL, COMPUTED, INT8, INT16, INT32, INT64, INTEGERS, UINT8, Element
from cnncc.types import Array, TensorType
from tests.ops.oracles_pooling import pool

from .cases import CASES
from .cases_indexed import INDEXED
from .cases_order import ORDER
from .cases_recurrent import RECURRENT
from .making import case, ints, number
from .support import number as number_of


def of(element: Element, *shape: int) -> TensorType:
    """What arrives with other elements than floats."""
    return TensorType(shape, element)


COMPARISONS = "Equal Greater GreaterOrEqual Less LessOrEqual".split()
BITS = "BitwiseAnd BitwiseOr BitwiseXor".split()
FLAGS = of(BOOL, 2, 3, 4)
NONZERO = ints(3, -1, 7, -100)

ELEMENTS = [
    *(case(name, (2, 3, 4), (3, 1)) for name in COMPARISONS),
    *(case(name, of(kind, 2, 3, 4), of(kind, 3, 1)) for name in COMPARISONS for kind in INTEGERS),
    *(case(name, of(kind, 2, 3, 4), of(kind, 3, 1)) for name in BITS for kind in INTEGERS),
    *(case(name, FLAGS, of(BOOL, 3, 1)) for name in ("And", "Or", "Xor", "Equal")),
    *(case("BitwiseNot", of(kind, 2, 3)) for kind in INTEGERS),
    *(
        case(name, of(kind, 2, 3, 4), of(kind, 3, 1))
        for name in ("Add", "Sub", "Mul", "Max", "Min")
        for kind in INTEGERS
    ),
    *(case("MatMul", of(kind, 2, 5), of(kind, 5, 3)) for kind in (INT32, INT64)),
    case("MatMul", of(INT32, 2, 1, 4, 5), of(INT32, 3, 5, 2)),
    case("MatMul", of(INT64, 2, 4, 5), ints(7, -3, 2**40, 1, 0)),
    case("MatMul", ints(7, -3), of(INT64, 3, 2, 4)),
    case("MatMul", of(INT64, 5), of(INT64, 5)),
    case("Einsum", of(INT32, 2, 3, 4), of(INT32, 2, 4, 5), equation="bij,bjk->bik"),
    *(case(name, of(kind, 2, 4), NONZERO.astype(kind.numpy)) for name in ("Div", "Mod") for kind in INTEGERS),
    *(case("Mod", of(kind, 2, 4), NONZERO.astype(kind.numpy), fmod=1) for kind in INTEGERS),
    *(case(name, of(kind, 2, 3)) for name in ("Abs", "Neg", "Sign") for kind in INTEGERS),
    *(case(f"Reduce{name}", of(kind, 2, 3, 4), ints(1)) for name in ("Sum", "Max", "Min", "Prod") for kind in INTEGERS),
    *(
        case("Clip", of(kind, 2, 9), np.array(max(-20, kind.least), kind.numpy), np.array(30, kind.numpy))
        for kind in INTEGERS
    ),
    case("Not", FLAGS),
    case("Where", FLAGS, (2, 3, 4), number(-np.inf)),
    case("Where", of(BOOL, 3, 1), of(INT64, 2, 3, 4), ints(7)),
    case("Clip", (2, 5), (), (1,)),
    case("Clip", of(INT32, 2, 5), of(INT32), None),
    *(case("Cast", of(source, 2, 3), to=number_of(target)) for source in COMPUTED for target in COMPUTED),
    *(case("CastLike", of(source, 2, 3), of(target, 1)) for source in COMPUTED for target in COMPUTED),
    case("CastLike", (2, 3), ints(1)),
]

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 3.0], np.float32)
ODD = np.array([2**24 + 1, -(2**24) - 3, 3, -2, 2**31 - 1, 0], np.int32)
NEAR_1 = np.array([-1, 1, -2, 0.5, -1.0000001, -0.0], np.float32)


def odd_powers(x: Array, y: Array) -> Array:
    """As long as the exponent keeps its last bit."""
    with np.errstate(all="ignore"):
        return np.float_power(x, y).astype(np.float32)


def largest(x: Array) -> Array:
    """ONNX's reference fails for whole numbers."""
    return pool(x, "max", kernel=(3, 2), stride=1, padding=((1, 1), (0, 1))).astype(x.dtype)


def erf(x: Array) -> Array:
    """ONNX's reference has been of several minds about the ends: a float that is rounded, and cut."""
    return np.asarray(np.vectorize(math.erf)(x.astype(np.float64)).astype(np.float32), x.dtype)


def norm(x: Array, _: Array) -> Array:
    """ONNX's reference wraps the squares of int32."""
    return np.asarray(np.sqrt((x.astype(np.float64) ** 2).sum(1, keepdims=True)), x.dtype)


def log_sum(x: Array, _: Array) -> Array:
    """ONNX's reference fails for whole numbers."""
    total = x.astype(np.float64).sum(1, keepdims=True)
    return np.where(total > 0, np.log(np.maximum(total, 1)), np.iinfo(x.dtype).min).astype(x.dtype)


CLASSES = [
    *(case("IsNaN", (2, 3)), case("IsNaN", SPECIAL)),
    *(case("IsInf", SPECIAL, detect_negative=n, detect_positive=p) for n in (0, 1) for p in (0, 1)),
    case("IsInf", (2, 3), opset=10),
    case("Mod", (2, 7), (2, 7), fmod=1),
    case("Mod", SPECIAL, np.array([2, 2, 3, -1, 5, 0], np.float32), fmod=1),
    *(
        case("BitShift", of(UINT8, 2, 7), np.array([0, 1, 2, 7, 8, 9, 255], np.uint8), direction=d)
        for d in ("LEFT", "RIGHT")
    ),
]
SMALL = of(INT32, 2, 7)
POWERS = [
    *(case("Pow", of(kind, 2, 4), np.array([0, 1, 2, 3], kind.numpy)) for kind in (INT32, INT64)),
    case("Pow", (2, 7), np.array([3, -2, 0, 1, 2, 5, -1]).astype(np.int32), low=0.3),
    case("Pow", NEAR_1, of(INT8, 6), expected=odd_powers),
    case("Pow", NEAR_1[:, None], ODD, expected=odd_powers),
    case("Pow", of(INT64, 2, 3), np.array([0, 2, 3], np.float32)),
    case("Pow", of(INT32, 2, 3), np.array([0, 2, 3], np.int64)),
    case("Pow", np.array([2, 3, 5], np.int64), (2, 3), low=0.2),
]
SCALES = np.array([0.02, 0.5, 0.01], np.float32)
QUANTISED = [
    case("QuantizeLinear", (2, 3, 5), number(0.02), opset=10),
    *(
        case("QuantizeLinear", (2, 3, 5), number(0.03), np.array(zero, kind))
        for kind, zero in ((np.uint8, 128), (np.int8, -5), (np.int16, 7))
    ),
    case("QuantizeLinear", (2, 3, 5), SCALES, np.array([1, 0, 255], np.uint8)),
    case("QuantizeLinear", (3, 4), SCALES, np.array([1, 0, -128], np.int8), axis=0),
    case("QuantizeLinear", (3, 4), (3, 2), of(UINT8, 3, 2), axis=1, block_size=2, low=0.1),
    case("QuantizeLinear", (2, 4), number(0.1), output_dtype=3),
    case("QuantizeLinear", (2, 4), (), of(INT8), low=0.1),
    *(
        case("DequantizeLinear", of(kind, 2, 3, 5), number(0.03), np.array(3, kind.numpy))
        for kind in (UINT8, INT8, INT16)
    ),
    case("DequantizeLinear", of(INT32, 2, 3), number(0.5), opset=10, expected=lambda x, scale: x * scale),
    case("DequantizeLinear", of(UINT8, 2, 3, 5), SCALES, np.array([1, 0, 255], np.uint8)),
    case("DequantizeLinear", of(INT8, 3, 4), SCALES, axis=0),
    case("DequantizeLinear", of(UINT8, 3, 4), (3, 2), of(UINT8, 3, 2), axis=-1, block_size=2),
    case("DynamicQuantizeLinear", (2, 3, 5), outputs=3),
    case("DynamicQuantizeLinear", (2, 3, 5), outputs=3, low=1.0),
]
MORE = [
    *(
        case("MaxPool", of(kind, 1, 3, 7, 8), kernel_shape=[3, 2], pads=[1, 0, 1, 1], expected=largest)
        for kind in (INT8, UINT8)
    ),
    *(case(f"Reduce{name}", of(INT64, 2, 3, 4), ints(1)) for name in ("Mean", "L1", "SumSquare")),
    *(case("ReduceL2", of(kind, 2, 3, 4), ints(1), expected=norm) for kind in (INT32, INT64)),
    *(case("ReduceLogSum", of(kind, 2, 3, 4), ints(1), expected=log_sum) for kind in (INT32, INT64)),
    *(case("Shrink", of(kind, 2, 9), lambd=1.5, bias=1.5, opset=9) for kind in INTEGERS),
    *(case("Erf", of(kind, 2, 9), expected=erf) for kind in INTEGERS),
    case("ReduceMean", of(INT32, 2, 3, 4), ints(0, 2)),
    *(case("Pad", of(kind, 2, 3), ints(1, 0, 0, 2), np.array(7, kind.numpy)) for kind in INTEGERS),
    case("PRelu", of(INT32, 2, 3), np.array([2, 3, 4], np.int32)),
    *(case(name, of(kind, 2, 3)) for name in ("Transpose", "Identity") for kind in COMPUTED),
]

ALL = [*CASES, *ELEMENTS, *CLASSES, *POWERS, *QUANTISED, *MORE, *ORDER, *INDEXED, *RECURRENT]
EVERY = [case for case in ALL if case.opset <= defs.onnx_opset_version()]
"""Those that the installed package knows."""
"""With those on floats."""
