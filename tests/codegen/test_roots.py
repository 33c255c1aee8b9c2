"""Square roots without an instruction: the nearest float of every argument, by the code for targets without floats."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cnncc.codegen.emitter import Emitter
from cnncc.codegen.registers import FLOAT, Ssa
from cnncc.codegen.roots import square_root
from cnncc.machine.target import TARGETS
from cnncc.types import Array
from tests.graphs import SPECIAL

from . import kernels


def computed(x: Array) -> Array:
    """The roots by integers, though this machine has an instruction."""
    found = np.empty_like(x)

    def build(e: Emitter, pointers: list[Ssa]) -> None:
        e.target = dataclasses.replace(e.target, float_unit=False)
        with e.loop(0, x.size) as loop:
            e.store(
                square_root(e, e.load(FLOAT, e.address(pointers[0], loop.index))), e.address(pointers[1], loop.index)
            )

    kernels.run_function(build, x, found)
    return found


@pytest.mark.parametrize("step", [99_991, 1])
def test_roots_are_the_nearest_floats(step: int) -> None:
    """Of floats of all exponents, with steps between them; and of neighbours, about powers of 4 and squares."""
    if step > 1:
        bits = np.arange(0, 0x7F80_0000, step, dtype=np.uint64)
    else:
        centres = np.float32([1, 4, 2.0**-126, 2.0**126, 9, 2, 1e-45, 3.4e38]).view(np.int32)
        bits = np.concatenate([np.arange(c - 300, c + 300) for c in centres]).clip(0, 0x7F7F_FFFF)
    x = bits.astype(np.uint32).view(np.float32)
    np.testing.assert_array_equal(computed(x), np.sqrt(x))


def test_special_values() -> None:
    x = np.concatenate([SPECIAL, np.float32([0.0, 1e-45, -1.0])])
    with np.errstate(invalid="ignore"):
        expected = np.sqrt(x)
    found = computed(x)
    np.testing.assert_array_equal(found, expected)
    assert np.array_equal(np.signbit(found[x == 0]), np.signbit(x[x == 0]))


def test_who_has_no_floats() -> None:
    assert {name for name, row in TARGETS.items() if not row.float_unit} == {"cortex-m0plus", "cortex-m3", "riscv32imc"}
