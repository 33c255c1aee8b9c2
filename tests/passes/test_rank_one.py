from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cnncc.passes.rank_one import factor, nearly, outer, same_bits
from cnncc.types import Array


def gaussian(size: int, sigma: float) -> Array:
    g = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return np.asarray(g / g.sum(), np.float32)


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


KERNELS: dict[str, Array] = {
    "box": np.full((3, 3), 1 / 9, np.float32),
    "binomial": outer(f32(1, 4, 6, 4, 1), f32(1, 4, 6, 4, 1)) / np.float32(256),
    "sobel": outer(f32(1, 2, 1), f32(1, 0, -1)),
    "sobel, other way": outer(f32(1, 0, -1), f32(1, 2, 1)),
    "gaussian 3": outer(gaussian(3, 0.8), gaussian(3, 0.8)),
    "gaussian 5": outer(gaussian(5, 1.1), gaussian(5, 1.1)),
    "gaussian 7": outer(gaussian(7, 1.7), gaussian(7, 1.7)),
    "one row": outer(f32(0, 1, 0), f32(0.1, 0.2, 0.3)),
    "power of two": outer(f32(0.5, 0.3, -0.7), f32(0.123, 0.456)),
    "rectangular": outer(f32(1, 1 / 3), f32(0.3, -0.1, 7)),
    "negative zeros": outer(f32(1, 0, -1), f32(1, 0, -1)),
    "zero": np.zeros((3, 3), np.float32),
}


@pytest.mark.parametrize("name", KERNELS)
def test_what_is_found_is_the_kernel_bit_for_bit(name: str) -> None:
    found = factor(KERNELS[name])
    assert found is not None
    u, v = found
    assert u.dtype == v.dtype == np.float32
    assert same_bits(outer(u, v), KERNELS[name])


def test_the_column_factor_stays_small() -> None:
    u, _ = factor(outer(f32(1e-30, 1, 0.5), f32(3, 1e20, 7))) or (None, None)
    assert u is not None and np.abs(u).max() == 1


def test_whatever_is_found_is_right() -> None:
    """Random factors have an arbitrary scale between them: some are missed, none is wrong."""
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(200):
        kernel = outer(rng.standard_normal(3).astype(np.float32), rng.standard_normal(3).astype(np.float32))
        pair = factor(kernel)
        if pair is not None:
            found += 1
            assert same_bits(outer(*pair), kernel)
    assert found > 20


def test_a_few_ulps_off_is_not_rank_one() -> None:
    """One ulp may still be the rounding of another u·vᵀ; four are not."""
    kernel = KERNELS["binomial"].copy()
    kernel[2, 3] *= np.float32(1 + 4 * 2.0**-23)
    assert factor(kernel) is None


def test_other_zeros_are_other_bits() -> None:
    assert factor(np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], np.float32)) is None


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e-40])
def test_odd_floats_never_match(odd: float) -> None:
    kernel = np.ones((3, 3), np.float32)
    kernel[1, 1] = odd
    assert factor(kernel) is None
    assert factor(np.full((3, 3), odd, np.float32)) is None


def test_ordinary_kernels_do_not_match() -> None:
    rng = np.random.default_rng(2)
    assert all(factor(rng.standard_normal((3, 3)).astype(np.float32)) is None for _ in range(50))


@pytest.mark.parametrize("scale", [1e38, 1e-37])
def test_extreme_kernels_raise_no_warnings(scale: float) -> None:
    rng = np.random.default_rng(3)
    kernel = (outer(f32(1, 2, 3), f32(1, 0, -1)) * np.float32(scale)).astype(np.float32)
    found = factor(kernel)
    assert found is not None and same_bits(outer(*found), kernel)
    for _ in range(20):
        factor(kernel * (1 + rng.integers(-2, 3, (3, 3)) * 2.0**-23).astype(np.float32))


@pytest.mark.parametrize("size", [3, 5, 7])
def test_what_was_multiplied_in_double_precision_fits_nearly(size: int) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        u, v = rng.standard_normal((2, size))
        kernel = np.outer(u, v).astype(np.float32)
        found = nearly(kernel)
        assert found is not None and found[0].dtype == found[1].dtype == np.float32
        product = np.outer(*(vector.astype(np.float64) for vector in found))
        assert np.all(np.abs(product - kernel) <= 2.0**-23 * np.abs(product))


def test_zeros_must_be_zeros() -> None:
    found = nearly(outer(f32(0.1, 0, 0.7), f32(0.3, 0.9, 0)))
    assert found is not None and found[0][1] == 0 and found[1][2] == 0
    assert nearly(np.zeros((3, 3), np.float32)) is None


def test_three_roundings_off_is_not_near() -> None:
    kernel = KERNELS["binomial"].copy()
    kernel[2, 3] *= np.float32(1 + 5 * 2.0**-23)
    assert nearly(kernel) is None
    assert nearly(np.random.default_rng(5).standard_normal((3, 3)).astype(np.float32)) is None


@pytest.mark.parametrize("find", [factor, nearly])
@pytest.mark.parametrize("exponent", [-120, -60, 0, 60, 120, 126, 127])
def test_factors_are_finite_and_the_first_is_small(find: Callable[[Array], object], exponent: int) -> None:
    """Also of kernels at the ends of the range, whose singular value is beyond it."""
    rng, found = np.random.default_rng(3), 0
    for _ in range(60):
        exact = np.multiply.outer(rng.uniform(0.5, 1, 3), rng.uniform(0.5, 1, 3)) * 2.0**exponent
        pair = find(exact.astype(np.float32))
        if pair is not None:
            u, v = pair
            found += 1
            assert np.isfinite(u).all() and np.isfinite(v).all()
            assert np.abs(u).max() <= 1 or exponent > 120
    assert found > 5
