"""Spectral pooling against the paper's crop of NumPy's Fourier transform."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.ops import SpectralPool


def cropped(x, sizes):
    """The centre of the shifted spectrum, transformed back; the real part. All unitary."""
    spectrum = np.fft.fftshift(np.fft.fft2(x, norm="ortho"), axes=(-2, -1))
    for axis, size in zip((-2, -1), sizes, strict=True):
        centre = x.shape[axis] // 2
        spectrum = spectrum.take(range(centre - size // 2, centre - size // 2 + size), axis)
    return np.fft.ifft2(np.fft.ifftshift(spectrum, axes=(-2, -1)), norm="ortho").real


@pytest.mark.parametrize("sizes", [(3, 5), (1, 1), (5, 7), (3, 4), (4, 5), (2, 1)])
@pytest.mark.parametrize("shape", [(8, 9), (7, 7)])
def test_the_papers_map_unless_both_sizes_are_even(sizes, shape, rng):
    x = rng.standard_normal((2, 3, *shape)).astype(np.float32)
    (found,) = SpectralPool(sizes).reference(x)
    np.testing.assert_allclose(found, cropped(x.astype(float), sizes), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sizes", [(4, 4), (2, 6)])
def test_both_even_differ_in_the_highest_coefficient_only(sizes, rng):
    x = rng.standard_normal((1, 1, 9, 8)).astype(np.float32)
    (found,) = SpectralPool(sizes).reference(x)
    difference = found - cropped(x.astype(float), sizes)
    signs = (-1.0) ** np.add.outer(*map(np.arange, sizes))
    np.testing.assert_allclose(difference[0, 0], difference[0, 0, 0, 0] * signs, atol=1e-6)


def test_sizes_of_the_image_change_nothing(rng):
    x = rng.standard_normal((1, 2, 6, 5)).astype(np.float32)
    np.testing.assert_array_equal(SpectralPool((6, 5)).reference(x)[0], x)


def test_a_constant_image_keeps_its_energy():
    (found,) = SpectralPool((4, 3)).reference(np.ones((1, 1, 8, 12), np.float32))
    np.testing.assert_allclose(found, np.sqrt(8 / 4 * 12 / 3), rtol=1e-6)
