"""The arrays that a network learns from: images and what is wanted for each, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..elements import INT32, Element
from ..errors import InputError
from ..types import Array, TensorType

Examples = Mapping[str, Array]


def examples(inputs: Mapping[str, TensorType], x: Any) -> dict[str, Array]:
    """The arrays of all inputs by name, of any number of images. `x` is one array, or a dict of several.

    Floats of other widths are rounded. Raises InputError for a name, shape or element type that does not fit, and for
    NaN.
    """
    given = dict(x) if isinstance(x, Mapping) else {next(iter(inputs)): x}
    if given.keys() != inputs.keys():
        wanted, came = (", ".join(map(repr, names)) for names in (inputs, given))
        raise InputError(f"the network takes the inputs {wanted}, got {came}")
    return {name: _fitting(f"x of input '{name}'", type, given[name]) for name, type in inputs.items()}


def wanted(type: TensorType, classes: int | None, y: Any) -> Array:
    """What is wanted: labels below `classes`, or floats of the shape of `type` beside N. Raises InputError."""
    if type.dtype is not INT32 or classes is None:
        return _fitting("y", type, y)
    labels = _array("y", y)
    if labels.dtype.kind == "f" and labels.size and (labels == np.floor(labels)).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise InputError(f"y are labels, expected whole numbers, got {labels.dtype}")
    if labels.ndim != type.rank or labels.shape[1:] != type.shape[1:]:
        raise InputError(f"y must have the shape (N{_rest(type)}), got {labels.shape}")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        at = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
        raise InputError(f"label {labels.flat[at]} (number {at}) is outside of the classes 0 to {classes - 1}")
    return labels.astype(np.int32)


def expect_alike(x: Examples, y: Array) -> int:
    """The number of examples. Raises InputError if x and y have not the same, or none."""
    counts = {name: len(array) for name, array in x.items()} | {"y": len(y)}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InputError(f"x and y must have the same number of examples, but {told}")
    if not len(y):
        raise InputError("there is no data: expected at least one example")
    return len(y)


def _fitting(what: str, type: TensorType, given: Any) -> Array:
    array = _array(what, given)
    if type.dtype.is_float and array.dtype.kind == "f":
        array = _rounded(what, array, type.dtype)
    if array.dtype != type.dtype.numpy:
        raise InputError(f"{what} must be {type.dtype}, got {array.dtype}")
    if array.ndim != type.rank or array.shape[1:] != type.shape[1:]:
        raise InputError(f"{what} must have the shape (N{_rest(type)}), got {array.shape}")
    if array.dtype.kind == "f" and np.isnan(array).any():
        at = int(np.argwhere(np.isnan(array))[0][0])
        raise InputError(f"{what} holds NaN, first in example {at}")
    return array


def _array(what: str, given: Any) -> Array:
    try:
        return np.asarray(given)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{what} is no array: {error}") from None


def _rounded(what: str, array: Array, element: Element) -> Array:
    """Floats of another width. Raises InputError for a finite number beyond its range."""
    with np.errstate(over="ignore"):
        result = array.astype(element.numpy, copy=False)
    if result is not array and (lost := np.isinf(result) & np.isfinite(array)).any():
        at = int(np.argwhere(lost)[0][0])
        raise InputError(f"{what} holds {array[lost][0]:g} in example {at}, which is beyond {element}")
    return result


def _rest(type: TensorType) -> str:
    return "".join(f", {size}" for size in type.shape[1:])
