"""What comparisons, logic, conversions and whole-number arithmetic refuse of floats, and what they say."""

from __future__ import annotations

from cnncc.elements import INT32, INTEGERS, UNSIGNED, VALUES
from cnncc.op import either
from cnncc.ops import (
    And,
    BitShift,
    BitwiseAnd,
    BitwiseNot,
    BitwiseOr,
    BitwiseXor,
    Cast,
    Dequantize,
    Equal,
    Greater,
    GreaterOrEqual,
    IsInf,
    IsNaN,
    Less,
    LessOrEqual,
    Mod,
    Not,
    NotEqual,
    Or,
    Quantize,
    Where,
    Xor,
)
from cnncc.ops.quantize import QUANTIZED

PAIR = ((2, 3), (2, 3))

REFUSED = [
    *((op(), ((2, 3), (2, 4)), "shapes (2, 3) and (2, 4) do not broadcast to one shape") for op in (Equal, NotEqual)),
    *((op(), PAIR[:1], f"{op.__name__} takes 2 inputs, got 1") for op in (Less, LessOrEqual, Greater, GreaterOrEqual)),
    *((op(), PAIR, f"{op.__name__} takes bool, got float32[2, 3]: Cast converts it") for op in (And, Or, Xor)),
    *(
        (op(), PAIR, f"{op.__name__} takes {either(INTEGERS)}, got float32[2, 3]: Cast converts it")
        for op in (BitwiseAnd, BitwiseOr, BitwiseXor)
    ),
    (Not(), PAIR[:1], "Not takes bool, got float32[2, 3]: Cast converts it"),
    (BitwiseNot(), PAIR[:1], f"BitwiseNot takes {either(INTEGERS)}, got float32[2, 3]: Cast converts it"),
    (Where(), PAIR * 2, "Where takes 3 inputs, got 4"),
    (Where(), ((2, 3),) * 3, "Where chooses by bool, got float32[2, 3]: a comparison makes truth values"),
    (
        Cast("uint4"),
        PAIR[:1],
        f"to='uint4': expected the name of an element type, {either(VALUES)}",
    ),
    (Cast("float32"), PAIR, "Cast takes 1 inputs, got 2"),
    (BitShift("up"), PAIR, "direction='up': expected 'left' or 'right'"),
    (BitShift(), PAIR, f"BitShift takes {either(UNSIGNED)}, got float32[2, 3]: Cast converts it"),
    (Quantize("int8"), PAIR[:1], "Quantize takes 2 to 3 inputs, got 1"),
    (Quantize("int32"), PAIR, f"to='int32': expected the name of an element type, {either(QUANTIZED)}"),
    (Quantize("int8"), ((2, 3), (2, 2)), "shapes (2, 3) and (2, 2) do not broadcast to one shape"),
    (
        Quantize("int8"),
        ((2, 3), (4, 2, 3)),
        "scales or zero points of shape (4, 2, 3) do not broadcast to float32[2, 3]",
    ),
    (
        Quantize("int8"),
        (*PAIR, ()),
        "Quantize to int8 takes a zero point of it, got float32[]: Cast converts it",
    ),
    (Dequantize(), PAIR, f"Dequantize takes {either((*QUANTIZED, INT32))}, got float32[2, 3]: Cast converts it"),
    (Mod(), PAIR[:1], "Mod takes 2 inputs, got 1"),
    (IsNaN(), PAIR, "IsNaN takes 1 inputs, got 2"),
    (IsInf(1), PAIR[:1], "detect_negative=1 must be True or False"),  # type: ignore[arg-type]
]
