"""The emitter: loops, carried values, vectors; transposing and folding as the kernels use them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnncc.codegen.emitter import Emitter
from cnncc.codegen.epilogue import combine
from cnncc.codegen.kernels.move import transpose
from cnncc.codegen.nest import lane_runs, reduce_nest
from cnncc.codegen.registers import BYTE, FLOAT, INT64, Index, Ssa
from cnncc.ops import Softmax
from cnncc.types import Array
from tests.graphs import Net, check, runnable_targets

from .kernels import run_expression, run_function

TARGETS = list(runnable_targets())


def number(e: Emitter, pointer: Ssa, place: int) -> Ssa:
    """An index loaded from memory: not known when the code is made."""
    return e.load(INT64, e.address(pointer, 8 * place, BYTE))


@pytest.mark.parametrize("known", [True, False])
def test_loops_carry_values(known: bool) -> None:
    """Σ and Π over ranges of all kinds, empty ones included."""
    for begin, end, step in [(0, 1, 1), (0, 5, 1), (2, 9, 3), (3, 4, 5), (0, 6, 2), (4, 4, 1), (5, 2, 1)]:
        limits, sums = np.array([begin, end], np.int64), np.zeros(2, np.float32)

        def build(e: Emitter, p: list[Ssa], step: int = step, limits: Array = limits) -> None:
            bounds: list[Index] = [int(n) if known else number(e, p[0], place) for place, n in enumerate(limits)]
            start = [e.number(0.0, 1), e.number(1.0, 1)]
            with e.loop(*bounds, step, carry=start) as loop:
                value = loop.index
                x = e.convert(e.value(value), FLOAT)
                loop.next([e.binary("add", loop.values[0], x), e.binary("multiply", loop.values[1], e.number(2.0, 1))])
            for place, result in enumerate(loop.results):
                e.store(result, e.address(p[1], place))

        run_function(build, limits, sums)
        indices = range(begin, end, step)
        assert sums.tolist() == [sum(indices), 2.0 ** len(indices)]


@pytest.mark.parametrize("extents", [[1], [7], [300], [3, 4], [40, 30], [2, 3, 90], [1, 1, 1]])
def test_nests_visit_in_order(extents: list[int]) -> None:
    """However much of it is unrolled: x = x / 2 + index tells every order from every other."""
    result = np.zeros(1, np.float32)

    def build(e: Emitter, p: list[Ssa]) -> None:
        def body(position: list[Index], carry: list[Ssa]) -> list[Ssa]:
            flat: Index = 0
            for index, size in zip(position, extents, strict=True):
                flat = e.add(e.mul(flat, size), index)
            x = e.convert(e.value(flat), FLOAT)
            return [e.binary("add", e.binary("multiply", carry[0], e.number(0.5, 1)), x)]

        e.store(reduce_nest(e, extents, [e.number(0.0, 1)], 1, body)[0], p[0])

    run_function(build, result)
    wanted = np.float32(0)
    for flat in range(int(np.prod(extents))):
        wanted = np.float32(wanted * np.float32(0.5) + np.float32(flat))
    assert result[0] == wanted


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("lanes", [1, 2, 3, 8, 16])
def test_lane_tails(lanes: int, known: bool) -> None:
    """Every element of a range once and nothing beyond it."""
    for size in range(0 if not known else 1, 40):
        data, limits = np.zeros(size + 16, np.float32), np.array([0, size], np.int64)

        def build(e: Emitter, p: list[Ssa], size: int = size) -> None:
            end: Index = size if known else number(e, p[1], 1)

            def run(index: Index, width: int) -> None:
                place = e.address(p[0], index)
                e.store(e.binary("add", e.load(FLOAT.wide(width), place), e.number(1.0, width)), place)

            lane_runs(e, 0, end, lanes, run)

        run_function(build, data, limits)
        assert (data[:size] == 1).all() and (data[size:] == 0).all(), size
        if size > 20 and not known:
            break


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_transposed_squares(n: int, target: str) -> None:
    source, result = np.arange(n * n, dtype=np.float32).reshape(n, n), np.zeros((n, n), np.float32)

    def build(e: Emitter, p: list[Ssa]) -> None:
        rows = [e.load(FLOAT.wide(n), e.address(p[0], row * n)) for row in range(n)]
        for row, vector in enumerate(transpose(e, rows)):
            e.store(vector, e.address(p[1], row * n))

    run_function(build, source, result, target=target)
    np.testing.assert_array_equal(result, source.T)


@pytest.mark.parametrize("target", TARGETS)
def test_folding_lanes(target: str) -> None:
    """Reductions along the lanes, for every size around the widths of vectors."""
    net = Net()
    check(net.graph(*(net.apply(Softmax(), net.input(2, size)) for size in range(1, 36))), net.feeds, target)


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 3])
def test_resize_keeps_the_first_lanes(lanes: int) -> None:
    source = np.arange(16, dtype=np.float32)
    for width in (1, 2, 5, 16):
        result = np.full(16, -1, np.float32)
        kept = min(width, lanes)

        def build(e: Emitter, p: list[Ssa], width: int = width, kept: int = kept) -> None:
            e.store(e.resize(e.resize(e.load(FLOAT.wide(width), p[0]), lanes), kept), p[1])

        run_function(build, source, result)
        np.testing.assert_array_equal(result[:kept], source[:kept])


# Functions on special values: as NumPy has them, bit for bit (NaN apart)

ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 1.0, -2.5]


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("target", TARGETS)
def test_functions_on_special_values(target: str, lanes: int) -> None:
    pairs = np.array(list(itertools.product(ODD, ODD)), np.float32)
    a, b = pairs[:, 0].copy(), pairs[:, 1].copy()
    with np.errstate(all="ignore"):
        wanted = {"add": a + b, "subtract": a - b, "multiply": a * b, "divide": a / b, "sqrt": np.sqrt(a)}
    for name, values in wanted.items():
        arguments = (a,) if name == "sqrt" else (a, b)
        found = run_expression(name, *arguments, target=target, lanes=lanes)
        np.testing.assert_array_equal(found, values, name)
        known = ~np.isnan(values)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(values[known]), name)
    np.testing.assert_array_equal(run_expression("maximum", a, b, target=target, lanes=lanes), np.maximum(a, b))


@pytest.mark.parametrize("target", TARGETS)
def test_maximum_with_a_constant_keeps_nan(target: str) -> None:
    x, result = np.array([np.nan, -1, 2, -np.inf], np.float32), np.zeros(4, np.float32)

    def build(e: Emitter, p: list[Ssa]) -> None:
        e.store(combine(e, "maximum", e.load(FLOAT.wide(4), p[0]), e.number(0.0, 4)), p[1])

    run_function(build, x, result, target=target)
    np.testing.assert_array_equal(result, [np.nan, 0, 2, 0])


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 0.1, -3e38, 1e-45, np.inf, -np.inf])
def test_literals_are_exact(value: float) -> None:
    result = np.zeros(1, np.float32)
    run_function(lambda e, p: e.store(e.number(value, 1), p[0]), result)
    assert result.tobytes() == np.float32(value).tobytes()
