"""Functions of real numbers on whole ones: exact at every step of the result, natively as in the interpreter."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import cnncc
from cnncc.elements import INT8, INT32, INT64, INTEGERS, UINT32, Element
from cnncc.errors import ModelError
from cnncc.interpreter import run
from cnncc.types import Array, TensorType

from .making import ints
from .support import imported, model, node


def results(operator: str, x: Array, element: Element, folder: Path, *inputs: Array, **attributes: Any) -> Array:
    """Of a value that arrives, natively; the same as in the interpreter, and as of a known value."""
    names = [f"k{k}" for k in range(len(inputs))]
    weights = dict(zip(names, inputs, strict=True))
    nodes = [
        node(operator, " ".join(["x", *names]), "y", **attributes),
        node(operator, " ".join(["known", *names]), "z", **attributes),
    ]
    weights["known"] = x.astype(element.numpy)
    graph = imported(model(nodes, {"x": TensorType(x.shape, element)}, ["y", "z"], weights), folder)
    found, folded = cnncc.compile(graph, cache=False)(weights["known"])
    assert found.dtype == element.numpy
    np.testing.assert_array_equal(found, folded)
    np.testing.assert_array_equal(found, run(graph, {"x": weights["known"]})["y"])
    return np.asarray(found)


def test_norms_near_whole_numbers(tmp_path: Path) -> None:
    """(a² + b²) beside the square of a whole number, at every size; the last ones saturate."""
    rng = np.random.default_rng(0)
    pairs = [(3, 4), (0, 0), (1, 1), (-(2**31), 0), (-(2**31), -(2**31)), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)]
    for size in (5, 200, 50000, 2**31 - 1):
        m, n = rng.integers(1, math.isqrt(size // 2) + 1, (2, 20))
        pairs += list(zip(m * m - n * n, 2 * m * n, strict=True))  # those of Pythagoras
        pairs += [(int(a) + 1, int(b)) for a, b in pairs[-20:] if a + 1 < 2**31]
        pairs += list(rng.integers(-size, size, (20, 2)))
    x = np.array(pairs)
    exact = [math.isqrt(int(a) ** 2 + int(b) ** 2) for a, b in x]
    held = [int(a) ** 2 + int(b) ** 2 < 2**63 for a, b in x]
    long = results("ReduceL2", x[held], INT64, tmp_path, ints(1), keepdims=0)
    assert long.tolist() == [number for number, fits in zip(exact, held, strict=True) if fits] and not all(held)
    narrow = [min(number, 2**31 - 1) for number in exact]
    assert results("ReduceL2", x, INT32, tmp_path, ints(1), keepdims=0).tolist() == narrow


def test_squares_and_their_neighbours(tmp_path: Path) -> None:
    """The sum of 8 squares can be any number: of Lagrange's four, and at the upper end of int64."""
    rows = [[k, 0, 0, 0] for k in (1, 2, 3, 3037000499)] + [[k, 1, 0, 0] for k in (1, 2, 3, 3037000498)]
    rows += [[k - 1, *([1] * 3)] for k in (2, 3, 4, 100)]
    exact = [math.isqrt(sum(a * a for a in row)) for row in rows]
    assert results("ReduceL2", np.array(rows), INT64, tmp_path, ints(1), keepdims=0).tolist() == exact


def test_logarithms_beside_powers_of_e(tmp_path: Path) -> None:
    powers = [int(Decimal(k).exp()) for k in range(1, 44)]
    numbers = [*range(1, 30), *(n + step for n in powers for step in (-1, 0, 1, 2)), 2**63 - 1]
    exact = [int(Decimal(n).ln()) for n in numbers]
    x = np.array(numbers)[:, None]
    assert results("ReduceLogSum", x, INT64, tmp_path, ints(1), keepdims=0).tolist() == exact
    x = np.array([[2**31 - 1, 2**31 - 1], [-5, 5], [-5, 1], [1, 0]])
    least = INT32.least
    assert results("ReduceLogSum", x, INT32, tmp_path, ints(1), keepdims=0).tolist() == [22, least, least, 0]
    assert results("ReduceLogSum", x[:, :1], UINT32, tmp_path, ints(0, 1)).tolist() == [[int(math.log(10 * 2**30))]]


@pytest.mark.parametrize("lambd", [0.5, 0.0, 2.0, -3.0])
@pytest.mark.parametrize("bias", [0.0, 1.5, -0.75, 200.0])
def test_shrink(lambd: float, bias: float, tmp_path: Path) -> None:
    """The real result, cut off toward zero, then wrapped."""

    def shrunk(n: int) -> int:
        return math.trunc(Decimal(n) + Decimal(bias) if n < -lambd else Decimal(n) - Decimal(bias) if n > lambd else 0)

    for element in INTEGERS:
        near = [*range(-12, 13), 100, 127, 200, 2**24 + 1, -(2**24) - 1, 2**31 - 2]
        x = np.array([n for n in near if element.least <= n <= element.most])
        wrapped = np.array([shrunk(int(n)) for n in x], np.int64).astype(element.numpy)
        np.testing.assert_array_equal(results("Shrink", x, element, tmp_path, lambd=lambd, bias=bias), wrapped)


def test_the_error_function(tmp_path: Path) -> None:
    """As of floats, cut off: 1 where a float is that."""
    x = np.arange(-6, 7)
    wanted = np.array([math.erf(n) for n in x], np.float32).astype(np.int64)
    for element in (INT8, INT32, INT64):
        np.testing.assert_array_equal(results("Erf", x, element, tmp_path), wanted)
    np.testing.assert_array_equal(results("Erf", x[6:], UINT32, tmp_path), wanted[6:])


def test_what_is_refused(tmp_path: Path) -> None:
    """No two evaluators agree about ReduceLogSumExp of whole numbers; limits beyond them are no limits."""
    x = {"x": TensorType((2, 3), INT32)}
    with pytest.raises(ModelError, match="ReduceLogSumExp"):
        imported(model([node("ReduceLogSumExp", "x", "y")], x), tmp_path)
    for lambd, bias in ((math.inf, 0.0), (math.nan, 0.0), (0.5, 1e30)):
        with pytest.raises(ModelError, match="Shrink of whole numbers with lambd="):
            imported(model([node("Shrink", "x", "y", lambd=lambd, bias=bias)], x), tmp_path)
