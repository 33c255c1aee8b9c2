"""What comparisons, logic, conversions and whole-number arithmetic refuse of floats, and what they say."""

from __future__ import annotations

from cnncc.ops import (
    And,
    BitwiseAnd,
    BitwiseNot,
    BitwiseOr,
    BitwiseXor,
    Cast,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Mod,
    Not,
    NotEqual,
    Or,
    Where,
    Xor,
)

PAIR = ((2, 3), (2, 3))

REFUSED = [
    *((op(), ((2, 3), (2, 4)), "shapes (2, 3) and (2, 4) do not broadcast to one shape") for op in (Equal, NotEqual)),
    *((op(), PAIR[:1], f"{op.__name__} takes 2 inputs, got 1") for op in (Less, LessOrEqual, Greater, GreaterOrEqual)),
    *((op(), PAIR, f"{op.__name__} takes bool, got float32[2, 3]: Cast converts it") for op in (And, Or, Xor)),
    *(
        (op(), PAIR, f"{op.__name__} takes int32 or int64, got float32[2, 3]: Cast converts it")
        for op in (BitwiseAnd, BitwiseOr, BitwiseXor, Mod)
    ),
    (Not(), PAIR[:1], "Not takes bool, got float32[2, 3]: Cast converts it"),
    (BitwiseNot(), PAIR[:1], "BitwiseNot takes int32 or int64, got float32[2, 3]: Cast converts it"),
    (Where(), PAIR * 2, "Where takes 3 inputs, got 4"),
    (Where(), ((2, 3),) * 3, "Where chooses by bool, got float32[2, 3]: a comparison makes truth values"),
    (
        Cast("uint8"),
        PAIR[:1],
        "to='uint8': expected the name of an element type, float32, int32, int64 or bool",
    ),
    (Cast("float32"), PAIR, "Cast takes 1 inputs, got 2"),
]
