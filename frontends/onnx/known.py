"""More operators on known arrays: limits, borders, positions, bits, and reductions also of nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from ...elements import ELEMENTS
from ...errors import ModelError, ShapeError
from ...integers import converted
from ...types import Array
from . import parameters
from .call import NodeContext, Unsupported
from .floats import LARGEST
from .parameters import room


def powers_of_e() -> list[int]:
    """The least whole numbers of which the logarithm is 1, 2, 3… or more, as far as int64 goes."""
    with localcontext(prec=60):
        return [int(Decimal(k).exp()) + 1 for k in range(1, 44)]


POWERS_OF_E = np.array(powers_of_e(), np.int64)


def clip(call: NodeContext) -> Array:
    """Bounds are attributes up to opset 10; a missing one is the largest number (not ∞) from opset 6 on."""
    x = call.array(0, "inputs")
    room(call, x.shape, x)
    most = LARGEST.get(x.dtype.name) if call.version >= 6 else None
    low, high = _limit(call, "min", 1, x, most and -most), _limit(call, "max", 2, x, most)
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _limit(call: NodeContext, name: str, index: int, x: Array, missing: Any) -> Any:
    if not call.has(index):
        given = call.optional(name)
        given = missing if given is None else given
        return None if given is None else np.asarray(given, x.dtype)
    array = call.array(index, name)
    if array.size != 1 or (array.dtype != x.dtype and object not in (array.dtype, x.dtype)):
        raise ModelError(f"{name} of {array.dtype} and shape {array.shape}, expected a number of {x.dtype}")
    return array.reshape(())


def pad(call: NodeContext) -> Array:
    """Negative widths take elements away, before others repeat what is left."""
    x = call.array(0, "inputs")
    sides, mode = parameters.sides(call), call.attribute("mode", "constant")
    value = call.array(2, "its value").reshape(()) if call.has(2) else call.attribute("value", 0.0)
    room(call, [size + begin + end for size, (begin, end) in zip(x.shape, sides, strict=True)], x)
    if mode not in ("constant", "edge", "reflect", "wrap"):
        raise Unsupported(f"Pad with mode={mode!r} is not supported")
    inner = tuple(slice(max(0, -begin), size - max(0, -end)) for size, (begin, end) in zip(x.shape, sides, strict=True))
    widths = [(max(0, begin), max(0, end)) for begin, end in sides]
    options: dict[str, Any] = {"constant_values": np.asarray(value, x.dtype)} if mode == "constant" else {}
    return np.pad(x[inner], widths, mode, **options)  # type: ignore[call-overload, no-any-return]


def non_zero(call: NodeContext) -> Array:
    """The positions of all elements that are not zero, a column for each."""
    x = call.array(0, "inputs")
    count = int(np.count_nonzero(x))
    room(call, (2 * max(x.ndim, 1), count))  # numbers, before they are in one array and then
    places = np.nonzero(np.atleast_1d(x))
    return np.stack(places) if x.ndim else np.empty((0, count), np.int64)


def is_infinite(call: NodeContext) -> Array:
    x = call.array(0, "inputs")
    room(call, x.shape, np.empty(0, bool))
    found = np.zeros(x.shape, bool)
    for name, infinity in (("detect_positive", np.inf), ("detect_negative", -np.inf)):
        if call.attribute(name, 1):
            found |= x == infinity
    return found


def as_type(x: Array, to: str) -> Array:
    """The array with elements of another type; floats become whole numbers as ops convert them."""
    whole = x.dtype.kind == "f" and to in ELEMENTS and ELEMENTS[to].is_integer
    with np.errstate(over="ignore", invalid="ignore"):
        return converted(x, ELEMENTS[to]) if whole else x.astype(to)


def cast_like(call: NodeContext) -> Array:
    x, like = call.array(0, "inputs"), call.array(1, "a value of the type")
    call.ignore("saturate", "round_mode")
    if object in (x.dtype, like.dtype):
        raise ShapeError("CastLike of numbers of images")
    room(call, x.shape, like)
    return as_type(x, like.dtype.name)


def shifted(call: NodeContext) -> Array:
    x, bits = call.array(0, "inputs"), call.array(1, "bits")
    direction = call.required("direction", str)
    if direction not in ("LEFT", "RIGHT") or x.dtype.kind != "u":
        raise ModelError(f"BitShift of {x.dtype} with direction={direction!r}")
    room(call, parameters.broadcast(x.shape, bits.shape), x)
    return np.asarray((np.left_shift if direction == "LEFT" else np.right_shift)(x, bits))


def over_all(function: Callable[..., Any], least: bool) -> Callable[..., Any]:
    """A maximum or minimum, which of no elements is the `least` or the largest number."""

    def over(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
        if x.size:
            return function(x, axis=axis, keepdims=keepdims)
        if x.dtype.kind == "f":
            start: Any = -np.inf if least else np.inf
        elif x.dtype == bool:
            start = not least
        else:
            start = np.iinfo(x.dtype).min if least else np.iinfo(x.dtype).max
        return function(x, axis=axis, keepdims=keepdims, initial=start)

    return over


def summed(before: Callable[[Any], Any], after: Callable[[Any], Any] = np.asarray) -> Callable[..., Any]:
    """A function of the sum of functions of elements; of floats in float64."""

    def over(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
        wide = x.astype(np.float64 if x.dtype.kind == "f" else np.int64)
        return after(np.asarray(np.sum(before(wide), axis=axis, keepdims=keepdims)))

    return over


def norm(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """The root of the sum of squares; of signed whole numbers as layers have it (`whole`), of others by floats."""
    if x.dtype.kind != "i":
        return np.sqrt(summed(np.square)(x.astype(np.float64), axis, keepdims))
    total = summed(np.square)(x, axis, keepdims)
    roots = np.array([math.isqrt(max(int(n), 0)) for n in total.reshape(-1)], np.int64).reshape(total.shape)
    upper = summed(lambda long: long * long // 2**32)(x, axis, keepdims) if x.dtype == np.int32 else 0
    return np.where(np.greater_equal(upper, 2**30), np.iinfo(x.dtype).max, np.minimum(roots, np.iinfo(x.dtype).max))


def log_sum(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """The logarithm of the sum; of whole numbers as layers have it (`whole`)."""
    total = summed(np.asarray)(x, axis, keepdims)
    if x.dtype.kind == "f":
        return np.log(total)
    return np.where(total > 0, np.searchsorted(POWERS_OF_E, total, "right"), np.iinfo(x.dtype).min)


def log_sum_exp(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """log Σ exp(x − m) + m with the maximum m; −∞ of no elements."""
    wide = x.astype(np.float64)
    most = np.max(wide, axis=axis, keepdims=True, initial=-np.inf)
    most = np.where(np.isfinite(most), most, 0)
    total = np.log(np.sum(np.exp(wide - most), axis=axis, keepdims=True)) + most
    return np.sum(total, axis=axis, keepdims=keepdims)  # of one element each


FOLDS: dict[str, Callable[[NodeContext], Any]] = {
    "BitShift": shifted,
    "CastLike": cast_like,
    "Clip": clip,
    "IsInf": is_infinite,
    "NonZero": non_zero,
    "Pad": pad,
}
