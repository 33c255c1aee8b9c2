"""Halves at ports and on the way: every one of them, and what is rounded to them, on every target."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.elements import FLOAT16, FLOAT32
from cnncc.ops import Cast, Concat, Transpose
from cnncc.types import Array
from tests.graphs import Net, compilation, native, runnable_targets

ALL = np.arange(2**16, dtype=np.uint16).view(np.float16)


def floats() -> Array:
    """Of any bits, of a half's size, next to the ends, and ties between neighbours."""
    rng = np.random.default_rng(3)
    any_bits = rng.integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    alike = (rng.standard_normal(100_000) * 2.0 ** rng.integers(-26, 18, 100_000)).astype(np.float32)
    ends = np.float32([65519, 65520, 65504, -65520, 2.0**-25, 2.0**-24, 2.0**-14, np.nan, np.inf, -np.inf, -0.0])
    halves = np.sort(ALL[np.isfinite(ALL)].astype(np.float32))
    return np.concatenate([any_bits, alike, ends, np.nextafter(ends, np.float32(0)), (halves[1:] + halves[:-1]) / 2])


def same(found: Array, wanted: Array) -> bool:
    bits = f"u{found.dtype.itemsize}"
    return bool(((found.view(bits) == wanted.view(bits)) | (np.isnan(found) & np.isnan(wanted))).all())


@pytest.mark.parametrize("target", runnable_targets())
def test_all_bits_of_halves(target: str) -> None:
    net = Net()
    x, y = net.arrives(floats(), element=FLOAT32), net.arrives(ALL, element=FLOAT16)
    half = net.apply(Cast("float16"), x)
    graph = net.graph(half, net.apply(Cast("float32"), half), net.apply(Cast("float32"), y))
    narrow, back, wide = native(compilation(graph, target), net.feeds).values()
    with np.errstate(over="ignore"):
        wanted = floats().astype(np.float16)
    assert narrow.dtype == np.float16 and same(narrow, wanted)
    assert same(back, wanted.astype(np.float32)) and same(wide, ALL.astype(np.float32))


@pytest.mark.parametrize("target", runnable_targets())
def test_halves_that_only_move(target: str) -> None:
    """Known ones, too, keep their bits."""
    net = Net()
    known, x = ALL[: 2 * 3 * 40].reshape(2, 3, 40), ALL[::7][: 2 * 3 * 40].reshape(2, 3, 40)
    joined = net.apply(Concat(1), net.known(known, FLOAT16), net.arrives(x, element=FLOAT16))
    (found,) = native(compilation(net.graph(net.apply(Transpose(), joined)), target), net.feeds).values()
    np.testing.assert_array_equal(found.view(np.uint16), np.concatenate([known, x], 1).transpose().view(np.uint16))
