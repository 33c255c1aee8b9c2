"""The best quotient of polynomials for a function on an interval: what the coefficients called BEST claim to be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial import Polynomial

from cnncc.types import Array

POINTS = 4001  # where the error is looked at, denser towards both ends
EXCHANGES = 12


def best_quotient(
    function: Callable[[Array], Array], degrees: tuple[int, int], end: float
) -> tuple[Polynomial, Polynomial, float]:
    """Numerator and denominator (1 at 0) of these degrees with the least relative error on [0, end], and this error.

    Remez's exchange: at m + n + 2 points the error is ±E in turns; at first these are Chebyshev's, then those where it
    is largest between its changes of sign. Computed on [0, 1], where powers are of one size.
    """
    count = sum(degrees) + 2
    dense = (1 - np.cos(np.linspace(0, np.pi, POINTS))) / 2
    values = function(dense * end)
    chosen = (1 - np.cos((2 * np.arange(count) + 1) * np.pi / (2 * count))) / 2
    level = 0.0
    for _ in range(EXCHANGES):
        top, bottom, level = _levelled(chosen, function(chosen * end), degrees, level)
        error = top(dense) / bottom(dense) / values - 1
        changes = np.flatnonzero(np.sign(error[1:]) != np.sign(error[:-1])) + 1
        peaks = [int(part[np.abs(error[part]).argmax()]) for part in np.split(np.arange(POINTS), changes)]
        while len(peaks) > count:
            peaks = peaks[1:] if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else peaks[:-1]
        chosen = dense[peaks]
    coefficients = [np.asarray(part.coef, np.float64) for part in (top, bottom)]
    unscaled = [Polynomial(part / end ** np.arange(part.size)) for part in coefficients]
    return unscaled[0], unscaled[1], float(np.abs(error).max())


def _levelled(x: Array, y: Array, degrees: tuple[int, int], level: float) -> tuple[Polynomial, Polynomial, float]:
    """The quotient whose relative errors at `x` are ±E in turns, and E; linear in all but E times the denominator."""
    m, n = degrees
    turns = (-1.0) ** np.arange(x.size)
    bottom = Polynomial([1.0])
    for _ in range(8):
        wanted = y * (1 + turns * level)
        columns = [x**k for k in range(m + 1)] + [-wanted * x**k for k in range(1, n + 1)] + [-turns * y * bottom(x)]
        solution = np.linalg.solve(np.stack(columns, 1), wanted)
        bottom = Polynomial([1.0, *solution[m + 1 : -1]])
        level += float(solution[-1])
    return Polynomial(solution[: m + 1]), bottom, level
