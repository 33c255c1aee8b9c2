"""Whole numbers and truth values in the DSL: operators, constants, inputs and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnncc import CnnccError, interpret, nn
from cnncc.elements import COMPUTED, NUMBERS, VALUES
from cnncc.op import either

LEFT, RIGHT = np.array([[7, -7, 0, 5]]), np.array([[2, 2, 3, -3]])


def pair(dtype: str) -> tuple[nn.Input, nn.Input]:
    return nn.Input((4,), "a", dtype=dtype), nn.Input((4,), "b", dtype=dtype)


def result(make: Callable[[Any, Any], Any], dtype: str, left: Any = LEFT, right: Any = RIGHT) -> Any:
    a, b = pair(dtype)
    both = [nn.Identity()(x) for x in (a, b)]  # read by something
    found, *_ = interpret(nn.Model([a, b], [make(a, b), *both]), *(np.asarray(array, dtype) for array in (left, right)))
    return found


ARITHMETIC: list[tuple[Callable[[Any, Any], Any], list[int]]] = [
    (lambda a, b: a + b * 2, [11, -3, 6, -1]),
    (lambda a, b: 1 - a, [-6, 8, 1, -4]),
    (lambda a, b: a / b, [3, -3, 0, -1]),
    (lambda a, b: a % b, [1, 1, 0, -1]),
    (lambda a, b: 7 % b, [1, 1, 1, -2]),
    (lambda a, b: nn.Mod(fmod=True)(a, b), [1, -1, 0, 2]),
    (lambda a, b: a / 0, [0, 0, 0, 0]),
    (lambda a, b: a & b, [2, 0, 0, 5]),
    (lambda a, b: a | 1, [7, -7, 1, 5]),
    (lambda a, b: 3 ^ a, [4, -6, 3, 6]),
    (lambda a, b: ~a, [-8, 6, -1, -6]),
    (lambda a, b: abs(-a), [7, 7, 0, 5]),
    (lambda a, b: nn.Where()(a > b, a, b), [7, 2, 3, 5]),
    (lambda a, b: nn.ReLU()(a), [7, 0, 0, 5]),
]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(("make", "expected"), ARITHMETIC)
def test_arithmetic(make: Callable[[Any, Any], Any], expected: list[int], dtype: str) -> None:
    found = result(make, dtype)
    assert found.dtype == dtype and found.tolist() == [expected]


COMPARISONS: list[tuple[Callable[[Any, Any], Any], list[bool]]] = [
    (lambda a, b: a > b, [True, False, False, True]),
    (lambda a, b: a >= 0, [True, False, True, True]),
    (lambda a, b: a < 0, [False, True, False, False]),
    (lambda a, b: (a <= b) & ~(b < 0), [False, True, True, False]),
    (lambda a, b: (a < b) | (b < a), [True, True, True, True]),
    (lambda a, b: (a < 0) ^ True, [True, False, True, True]),
    (lambda a, b: nn.Equal()(a, nn.NotEqual()(a, b).astype(a.type.dtype.name)), [False, False, False, False]),
    (lambda a, b: a.astype("bool"), [True, True, False, True]),
]


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
@pytest.mark.parametrize(("make", "expected"), COMPARISONS)
def test_comparisons_and_logic(make: Callable[[Any, Any], Any], expected: list[bool], dtype: str) -> None:
    found = result(make, dtype)
    assert found.dtype == bool and found.tolist() == [expected]


def test_constants_of_every_element() -> None:
    large = 2**62 + 1
    assert result(lambda a, b: a + nn.Constant([large], "int64"), "int64").tolist() == [
        [large + 7, large - 7, large, large + 5]
    ]
    assert result(lambda a, b: nn.Where()(nn.Constant([True, False, True, False], "bool"), a, b), "int32").tolist() == [
        [7, 2, 0, -3]
    ]
    assert result(lambda a, b: nn.Clip(maximum=2**53 + 1)(a + (2**53 + 1)), "int64").tolist() == [
        [2**53 + 1, 2**53 - 6, 2**53 + 1, 2**53 + 1]
    ]
    assert nn.Constant(3).type.dtype.name == "float32"


def test_mixed_types_from_a_picture_to_an_answer() -> None:
    """How many pixels are bright, which share that is, and whether it is more than a third."""
    x = nn.Input((2, 3, 3), "photo", dtype="uint8")
    count = nn.ReduceSum((1, 2, 3), False)((x > 127).astype("int32"))
    share = count.astype("float32") / 18
    model = nn.Model(x, [count, share, share > 1 / 3], name="bright")
    photo = np.zeros((1, 2, 3, 3), np.uint8)
    photo[0, 0] = 200
    assert [array.tolist() for array in interpret(model, photo)] == [[9], [0.5], [True]]


REFUSED: list[tuple[Callable[[Any, Any], Any], str, str]] = [
    (
        lambda a, b: a + nn.Input((4,), "c"),
        "int32",
        "layer 'add': Add takes operands of one type, got int32[1, 4] and float32[1, 4]: Cast converts one of them",
    ),
    (lambda a, b: a + 0.5, "int32", "a constant of int32 holds numbers from -2147483648 to 2147483647, got 0.5"),
    (
        lambda a, b: a * 2**31,
        "int32",
        "a constant of int32 holds numbers from -2147483648 to 2147483647, got 2147483648",
    ),
    (lambda a, b: a & b, "float32", "layer 'and': And takes bool, got float32[1, 4]: Cast converts it"),
    (lambda a, b: a + b, "bool", f"layer 'add': Add takes {either(NUMBERS)}, got bool[1, 4]: Cast converts it"),
    (lambda a, b: a + True, "int32", "layer 'add': takes tensors, got bool"),
    (lambda a, b: nn.Dense(3)(a), "int64", "layer 'dense': Dense takes float32, got int64[1, 4]: Cast converts it"),
    (
        lambda a, b: nn.Softmax()(a),
        "int32",
        "layer 'softmax': Softmax takes float32, got int32[1, 4]: Cast converts it",
    ),
    (
        lambda a, b: nn.Clip(0.5)(a),
        "int32",
        "layer 'clip': minimum=0.5 is no int32, which goes from -2147483648 to 2147483647",
    ),
    (
        lambda a, b: a.astype("int4"),
        "int32",
        f"layer 'cast': to='int4': expected the name of an element type, {either(VALUES)}",
    ),
    (
        lambda a, b: nn.Constant([1], "uint4"),
        "int32",
        f"dtype 'uint4': expected {' or '.join(repr(str(element)) for element in COMPUTED)}",
    ),
    (
        lambda a, b: nn.Where()(a, a, b),
        "int32",
        "layer 'where': Where chooses by bool, got int32[1, 4]: a comparison makes truth values",
    ),
]


@pytest.mark.parametrize(("make", "dtype", "message"), REFUSED, ids=[message[:40] for *_, message in REFUSED])
def test_refusals_tell_layer_and_line(make: Callable[[Any, Any], Any], dtype: str, message: str) -> None:
    with pytest.raises(CnnccError) as info:
        make(*pair(dtype))
    assert str(info.value).startswith(f"{message} (at {__file__}:")
