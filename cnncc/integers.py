"""Arithmetic of whole numbers and conversions between elements, in NumPy, with a value for all operands.

Sums, differences and products wrap modulo 2^n, as NumPy's do. What processors disagree on is settled here, and nothing
traps:

    x / 0 = 0        as NumPy and ARM's processors have it, and as a ratio of counts that are all 0 should be
    x mod 0 = x      so that (x / y) · y + x mod y = x holds for every y
    least / −1 = least, least mod −1 = 0        the quotient wraps, as every other result does
    float to integer: toward zero, to the nearest end of the range beyond it, and NaN to 0
    x shifted by the number of its bits or more = 0
    x to a negative power: 1 and −1 keep their size, all else is 0, as 1 / x toward zero (and 1 / 0) is
    an index of a read beyond either end is the one there; of a write, it writes nothing
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .elements import FLOAT32, Element
from .types import Array


def quotient(x: Array, y: Array) -> Array:
    """x / y toward zero, as in C and ONNX."""
    with np.errstate(all="ignore"):
        exact = (x - remainder(x, y)) // _plain(y)
        return np.asarray(np.where(y == 0, np.zeros_like(x), np.where(y == -1, np.negative(x), exact)), x.dtype)


def remainder(x: Array, y: Array) -> Array:
    """x − (x / y) · y, with the sign of x: C's `%`, and ONNX's Mod with fmod=1."""
    return np.asarray(np.where(y == 0, x, np.fmod(x, _plain(y))), x.dtype)


def modulo(x: Array, y: Array) -> Array:
    """The same with the sign of y: Python's `%`, and ONNX's Mod."""
    rest = remainder(x, y)
    with np.errstate(all="ignore"):
        return np.asarray(np.where((y != 0) & (rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest), x.dtype)


def shifted_left(x: Array, y: Array) -> Array:
    """x · 2^y, for numbers without a sign."""
    return np.left_shift(x, y)  # NumPy's shifts by too many bits give 0


def shifted_right(x: Array, y: Array) -> Array:
    """x / 2^y, rounded down, for numbers without a sign."""
    return np.right_shift(x, y)


def power(x: Array, y: Array) -> Array:
    """x to the power of y modulo 2^n, by squaring (Knuth, vol. 2, 4.6.3)."""
    one = np.ones((), x.dtype)
    result, square = np.broadcast_arrays(one, x, y)[:2]
    with np.errstate(all="ignore"):
        for bit in range(8 * x.dtype.itemsize - (x.dtype.kind == "i")):
            result = np.where((y >> y.dtype.type(bit)) & one == 1, result * square, result)
            square = square * square
        inverse = np.where((x == 1) | (x == -1), np.where(y & one == 1, x, one), one - one)
        return np.asarray(np.where(y < 0, inverse, result), x.dtype)


def _plain(y: Array) -> Array:
    """The divisor where dividing is plain; 1 in place of 0 and −1, whose results are stated above."""
    return np.where((y == 0) | (y == -1), np.ones_like(y), y)


def converted(x: Array, element: Element) -> Array:
    """x as `element`: see above for floats; integers wrap to fewer bits; all but 0 (also NaN) is true.

    What becomes a float is rounded to the nearest one, of two to the even one; float64 stays what it is, as it stands
    for numbers that are floats already, and holds shorter ones as rounded.
    """
    if x.dtype.kind == "f":
        if element.is_float:
            return x if element.digits >= FLOAT32.digits else _shortened(x, element)
        return x != 0 if element.kind == "truth" else _cut(x, element)
    made = x.astype(element.numpy)
    return made.astype(FLOAT32.numpy) if element.is_float else made


def conversion(element: Element) -> Callable[[Array], Array]:
    return lambda x: converted(x, element)


def _shortened(x: Array, element: Element) -> Array:
    with np.errstate(over="ignore"):
        return x.astype(FLOAT32.numpy).astype(element.numpy).astype(x.dtype)


def from_the_front(indices: Array, size: int) -> Array:
    """Indices of an axis of `size` elements, counted from its front; those below 0 count from its end."""
    return np.where(indices < 0, indices + size, indices)


def clamped(indices: Array, size: int) -> Array:
    """Indices counted from the front, those beyond either end as the index there."""
    return np.clip(from_the_front(indices, size), 0, size - 1)


def _cut(x: Array, element: Element) -> Array:
    low, high = float(element.least), float(element.most + 1)  # powers of two: floats, too, however many bits
    inside = (x >= low) & (x < high)  # and not NaN
    beyond = np.where(x >= high, element.most, np.where(x < low, element.least, 0)).astype(element.numpy)
    return np.where(inside, np.where(inside, x, 0).astype(element.numpy), beyond)
