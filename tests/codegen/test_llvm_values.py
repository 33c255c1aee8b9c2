"""How the LLVM back end writes values: equal ones once, and indices that leave loop strength reduction little to do."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from cnncc.codegen.emitter import Emitter
from cnncc.codegen.llvm.emitter import LlvmEmitter
from cnncc.codegen.registers import FLOAT, POINTER, Index, Ssa
from cnncc.machine.target import named

from .kernels import run_function


def text_of(build: Callable[[Emitter, list[Ssa]], None]) -> str:
    e = LlvmEmitter(named("x86-64-v3"))
    with e.function("f", [(POINTER, "p0"), (POINTER, "p1")]) as parameters:
        build(e, parameters)
        e.ret()
    return e.module()


def row_sums(columns: int) -> Callable[[Emitter, list[Ssa]], None]:
    """p1[i] = Σ p0[2 · (3 i + j + 1)] over `columns` j, for i below 5."""

    def build(e: Emitter, p: list[Ssa]) -> None:
        with e.loop(0, 5) as loop:
            total = e.number(0.0, 1)
            for column in range(columns):
                place = e.mul(e.add(e.add(e.mul(loop.index, 3), column), 1), 2)
                total = e.binary("add", total, e.load(FLOAT, e.address(p[0], place)))
            e.store(total, e.address(p[1], loop.index))

    return build


def test_addresses_at_constant_distances_share_one() -> None:
    for columns in (1, 3, 4, 20):
        text = text_of(row_sums(columns))
        assert text.count("freeze ptr") == (columns >= 4)
        assert len(re.findall(r"getelementptr .*, i64 %", text)) == 2, text
        assert len(re.findall(r" = mul .* = add nsw", text.replace("\n", " "))) <= 3
        data, sums = np.arange(100, dtype=np.float32), np.zeros(5, np.float32)
        run_function(row_sums(columns), data, sums)
        assert sums.tolist() == [sum(2.0 * (3 * i + j + 1) for j in range(columns)) for i in range(5)]


def test_only_single_blocks_count_by_induction_variables() -> None:
    """An outer loop gives its body an index of which LLVM does not know that it counts."""

    def build(e: Emitter, p: list[Ssa]) -> None:
        limit = e.load_index(p[1], 0)
        with e.loop(0, 4) as outer, e.loop(0, limit) as inner:
            place = e.add(e.mul(outer.index, 4), inner.index)
            e.store(e.convert(e.value(place), FLOAT), e.address(p[0], place))

    assert text_of(build).count("freeze i64") == 1
    result = np.full(16, -1, np.float32)
    run_function(build, result, np.array([3], np.int32))
    assert result.reshape(4, 4)[:, :3].tolist() == [[4.0 * i + j for j in range(3)] for i in range(4)]
    assert set(result.reshape(4, 4)[:, 3]) == {-1.0}


def test_equal_values_of_a_block_are_written_once() -> None:
    def build(e: Emitter, p: list[Ssa]) -> None:
        a, b = (e.load(FLOAT, e.address(p[0], place)) for place in range(2))
        twice = [e.binary("multiply", a, b) for _ in range(2)]
        e.store(e.binary("add", *twice), e.address(p[1], 0))
        with e.when(e.compare("<", a, b)):
            e.store(e.binary("multiply", a, b), e.address(p[1], 1))

    assert text_of(build).count("fmul") == 2, "one a block"
    given, result = np.array([3, 5], np.float32), np.zeros(2, np.float32)
    run_function(build, given, result)
    assert result.tolist() == [30.0, 15.0]


def test_loads_are_not_values() -> None:
    """What lies in memory may change between two equal loads."""

    def build(e: Emitter, p: list[Ssa]) -> None:
        before = e.load(FLOAT, e.address(p[0], 0))
        e.store(e.number(7.0, 1), e.address(p[0], 0))
        e.store(e.binary("subtract", e.load(FLOAT, e.address(p[0], 0)), before), e.address(p[1], 0))

    result = np.zeros(1, np.float32)
    run_function(build, np.array([2], np.float32), result)
    assert result[0] == 5.0


def test_pieces_side_by_side_do_not_share_lines() -> None:
    """The lines of pieces alternate: the third line of one must not be used in the first line of another."""

    def build(e: Emitter, p: list[Ssa]) -> None:
        x = e.load(FLOAT, p[0])

        def power(of: int) -> Callable[[], Ssa]:
            def piece() -> Ssa:
                value = x
                for _ in range(of):
                    value = e.binary("multiply", value, x)
                return e.binary("add", value, e.binary("multiply", x, x))

            return piece

        results = e.side_by_side([power(4), power(1), power(3)])
        for place, value in enumerate(results):
            e.store(value, e.address(p[1], place))

    result = np.zeros(3, np.float32)
    run_function(build, np.array([3], np.float32), result)
    assert result.tolist() == [243 + 9, 9 + 9, 81 + 9]


def test_sums_of_indices() -> None:
    """Constants are moved out of products, sums and differences: the numbers stay."""

    def build(e: Emitter, p: list[Ssa]) -> None:
        a, b = (e.load_index(p[0], place) for place in range(2))
        c, d = e.add(a, 5), e.sub(e.mul(e.add(b, -3), 7), 2)
        numbers: list[Index] = [e.add(c, d), e.sub(c, d), e.mul(c, d), e.sub(e.add(d, 9), d), e.mul(3, c), e.sub(4, c)]
        numbers += [e.div(c, 2), e.mask(c, 3), e.add(c, -5), e.least(c, d), e.choose(e.compare("<", c, d), c, d)]
        for place, number in enumerate(numbers):
            e.store(e.convert(e.value(number), FLOAT), e.address(p[1], place))

    result = np.zeros(11, np.float32)
    run_function(build, np.array([11, 2], np.int32), result)
    c, d = 16, -9
    assert result.tolist() == [c + d, c - d, c * d, 9, 3 * c, 4 - c, 8, 0, 11, d, d]
