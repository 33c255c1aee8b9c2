"""Resize, and Upsample before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...errors import ModelError
from . import parameters
from .call import Call, Result, Unsupported


def upsample(call: Call) -> Result:
    """Opset 7 gives the scales as an attribute, 9 as an input; both count from the first element."""
    scales = call.attribute("scales", (1.0,)) if call.version < 9 else floats(call, 1)
    mode = "linear" if (name := call.attribute("mode", "nearest")) in ("bilinear", "trilinear") else name
    return resized(call, {"scales": spatial(call, scales, 1)}, mode, "asymmetric", "floor")


def resize(call: Call) -> Result:
    if call.version < 11:
        return first_resize(call)
    call.only("antialias", 0)
    call.only("exclude_outside", 0)
    call.only("keep_aspect_ratio_policy", "stretch")
    call.ignore("extrapolation_value")  # of tf_crop_and_resize, which our op does not know
    return resized(
        call,
        wanted(call),
        call.attribute("mode", "nearest"),
        call.attribute("coordinate_transformation_mode", "half_pixel"),
        call.attribute("nearest_mode", "round_prefer_floor"),
        call.attribute("cubic_coeff_a", -0.75),
    )


def first_resize(call: Call) -> Result:
    """Opset 10, whose nearest element is the one after where an axis shrinks, else the one before."""
    scales = spatial(call, floats(call, 1), 1)
    shrinks, grows = any(scale < 1 for scale in scales), any(scale > 1 for scale in scales)
    mode = call.attribute("mode", "nearest")
    if mode == "nearest" and shrinks and grows:
        raise Unsupported(f"{call.operator} of opset 10 that shrinks one axis and enlarges another is not supported")
    return resized(call, {"scales": scales}, mode, "asymmetric", "ceil" if shrinks else "floor")


COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")


def resized(
    call: Call, target: dict[str, Any], mode: str, coordinates: str, nearest: str, cubic: float = -0.75
) -> Result:
    if coordinates not in COORDINATES:
        raise Unsupported(f"{call.operator} with coordinate_transformation_mode={coordinates!r} is not supported")
    op = ops.Resize(**target, mode=mode, coordinates=coordinates, nearest=nearest, cubic=cubic)
    return call.add(op, call.value(0))


def wanted(call: Call) -> dict[str, Any]:
    """The scales or the sizes of the spatial axes, from inputs 2 and 3, of which one is there (or not empty)."""
    shape = call.shape(0)
    axes = parameters.front_all(call.integers("axes", range(len(shape))), len(shape))
    if call.has(3) and (sizes := call.sizes(3, "sizes")):
        given = dict(zip(axes, sizes, strict=True))
        return {"sizes": spatial(call, [given.get(axis, size) for axis, size in enumerate(shape)], shape[:2])}
    factors = dict(zip(axes, floats(call, 2), strict=True))
    return {"scales": spatial(call, [factors.get(axis, 1.0) for axis in range(len(shape))], 1)}


def floats(call: Call, index: int) -> tuple[float, ...]:
    """The scales as decimals that round to the float32 numbers in the file: 0.7 is meant, not 0.699999988."""
    array = call.array(index, "scales")
    if not array.size:
        raise ModelError(f"{call.operator} with neither scales nor sizes")
    return tuple(float(str(scale)) for scale in array)


def spatial(call: Call, numbers: Sequence[Any], unchanged: Any) -> tuple[Any, ...]:
    """The numbers of the spatial axes, if images and channels stay what they are."""
    if len(numbers) != len(call.shape(0)):
        raise ModelError(f"{call.operator} of {len(call.shape(0))} axes with {len(numbers)} scales or sizes")
    if np.any(np.asarray(numbers[:2]) != unchanged):
        raise Unsupported(f"{call.operator} of images or channels is not supported")
    return tuple(numbers[2:])
