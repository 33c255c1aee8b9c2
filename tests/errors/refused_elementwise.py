"""What the element-wise ops refuse, and what they say."""

# mypy: disable-error-code="arg-type"
# Attributes of wrong types are what is refused.

from __future__ import annotations

from cnncc.ops import (
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Ceil,
    Celu,
    Clip,
    Cos,
    Cosh,
    Div,
    Elu,
    Erf,
    Exp,
    Floor,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    Max,
    Mean,
    Min,
    Mish,
    Mul,
    Neg,
    Pow,
    PRelu,
    Reciprocal,
    Round,
    Selu,
    Shrink,
    Sigmoid,
    Sign,
    Silu,
    Sin,
    Sinh,
    Softplus,
    Softsign,
    Sqrt,
    Sub,
    Sum,
    Tan,
    Tanh,
    ThresholdedRelu,
)

IMAGE = (1, 4, 8, 8)
ROW = (1, 3, 1, 8)

UNARY = (
    *(Abs(), Neg(), Exp(), Log(), Sqrt(), Reciprocal(), Floor(), Ceil(), Round(), Sign(), Sin(), Cos()),
    *(Tan(), Asin(), Acos(), Atan(), Sinh(), Cosh(), Asinh(), Acosh(), Atanh()),
    *(LeakyRelu(), Clip(0.0, 6.0), ThresholdedRelu(), Shrink(), HardSigmoid(), HardSwish()),
    *(Sigmoid(), Tanh(), Erf(), Elu(), Selu(), Celu(), Gelu(), Silu(), Softplus(), Mish(), Softsign()),
)
BINARY = (Sub(), Mul(), Div(), Pow(), PRelu())
VARIADIC = (Min(), Max(), Sum(), Mean())

REFUSED = [
    *((op, (IMAGE, IMAGE), f"{op.name} takes 1 inputs, got 2") for op in UNARY),
    *((op, (), f"{op.name} takes 1 inputs, got 0") for op in UNARY),
    *((op, (IMAGE,), f"{op.name} takes 2 inputs, got 1") for op in BINARY),
    *((op, (IMAGE,) * 3, f"{op.name} takes 2 inputs, got 3") for op in BINARY),
    *((op, (IMAGE, ROW), f"shapes {IMAGE} and {ROW} do not broadcast to one shape") for op in BINARY),
    *((op, (), f"{op.name} takes 1 inputs, got 0") for op in VARIADIC),
    *((op, (IMAGE, (8,), ROW), f"shapes {IMAGE} and (8,) and {ROW} do not broadcast to one shape") for op in VARIADIC),
    (PRelu(), ((4, 8, 1), IMAGE), "a slope of shape (1, 4, 8, 8) does not broadcast to float32[4, 8, 1]"),
    (PRelu(), (IMAGE, (2, 4, 1, 1)), "a slope of shape (2, 4, 1, 1) does not broadcast to float32[1, 4, 8, 8]"),
    (LeakyRelu("0.1"), (IMAGE,), "alpha='0.1' must be a number"),
    (LeakyRelu(True), (IMAGE,), "alpha=True must be a number"),
    (LeakyRelu((0.1, 0.2)), (IMAGE,), "alpha=(0.1, 0.2) must be a number"),
    (LeakyRelu(1j), (IMAGE,), "alpha=1j must be a number"),
    (ThresholdedRelu(None), (IMAGE,), "alpha=None must be a number"),
    (Shrink(bias=None), (IMAGE,), "bias=None must be a number"),
    (Clip("0"), (IMAGE,), "minimum='0' must be a number or None"),
    (Clip(0.0, (6.0,)), (IMAGE,), "maximum=(6.0,) must be a number or None"),
    (HardSigmoid(alpha=None), (IMAGE,), "alpha=None must be a number"),
    (HardSigmoid(beta="half"), (IMAGE,), "beta='half' must be a number"),
    (Elu(None), (IMAGE,), "alpha=None must be a number"),
    (Selu(gamma="x"), (IMAGE,), "gamma='x' must be a number"),
    (Celu("x"), (IMAGE,), "alpha='x' must be a number"),
    (Gelu("erf"), (IMAGE,), "approximate 'erf' is unknown: expected 'none' or 'tanh'"),
    (Gelu(None), (IMAGE,), "approximate None is unknown: expected 'none' or 'tanh'"),
]
