"""Inputs whose values are known when compiling: they become weights of the file, so all that follows is folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...allowance import charge
from ...errors import UsageError
from ...types import Array
from .messages import listed, short

TYPES = ("bool", "float16", "float32", "float64", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)))
"""Element types of an input that can be fixed: known values may have more types than those that arrive."""


def check_fixed(fixed: Mapping[str, Array], names: Sequence[str], file: Path) -> None:
    """Raise UsageError for a value whose name is no input."""
    for name in fixed:
        if name not in names:
            told = listed([short(name) for name in names], 10)
            raise UsageError(f"a value is given for '{short(name)}', but the inputs of '{file}' are {told}")


def fixed_array(name: str, dtype: str, shape: Sequence[int | str] | None, given: Array) -> Array:
    """What an input of this type and shape holds, if it is fixed to `given`.

    A value of fewer axes, or with axes of one element, is repeated along the sizes that the file states; dimensions
    that it leaves open are those of the value, or 1. Raises UsageError for a value that does not fit, or that the type
    cannot hold.
    """
    if dtype not in TYPES:
        raise UsageError(f"input '{name}' of type {dtype} cannot be fixed, only those of {', '.join(TYPES)}")
    with np.errstate(all="ignore"):
        held = given.astype(dtype)
    if np.dtype(dtype).kind != "f" and not np.array_equal(held, given):
        raise UsageError(f"input '{name}' of type {dtype} is fixed to a value that this type cannot hold")
    try:
        repeated = np.broadcast_to(held, _sizes(held.shape, shape))
    except ValueError:
        told = f"({', '.join(map(str, shape or ()))})"
        raise UsageError(f"input '{name}' is {told}, but is fixed to a value of shape {given.shape}") from None
    charge(repeated.nbytes, f"the value of input '{name}'")
    return repeated.copy()


def _sizes(given: tuple[int, ...], stated: Sequence[int | str] | None) -> tuple[int, ...]:
    """The stated sizes, with those of the value in place of open ones."""
    if stated is None:
        return given
    aligned: Sequence[Any] = (1,) * (len(stated) - len(given)) + given
    return tuple(own if isinstance(own, int) else size for own, size in zip(stated, aligned, strict=False))
