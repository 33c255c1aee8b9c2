"""Resize, and Upsample before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...errors import ModelError, ShapeError
from . import parameters
from .call import NodeContext, Result, Unsupported


def upsample(call: NodeContext) -> Result:
    """Scales are two attributes in opset 1, one in 7, an input in 9; all coordinates count from the first element."""
    scales: tuple[float, ...]
    if call.version < 7:
        scales = (1.0, 1.0, call.required("height_scale", float), call.required("width_scale", float))
    else:
        scales = call.required("scales", tuple) if call.version < 9 else floats(call, 1)
    if min(scales, default=1) < 1:
        raise ShapeError(f"scales {scales}: {call.operator} takes numbers from 1 on")
    mode = "linear" if (name := call.attribute("mode", "nearest")) in ("bilinear", "trilinear") else name
    return resized(call, {"scales": spatial(call, scales, 1)}, mode, "asymmetric", "floor")


def resize(call: NodeContext) -> Result:
    if call.version < 11:
        return first_resize(call)
    target, mode = wanted(call), call.attribute("mode", "nearest")
    if mode != "nearest" and shrinks(call, target):
        call.only("antialias", 0)
    if mode == "cubic":
        call.only("exclude_outside", 0)
    if "sizes" in target:
        call.only("keep_aspect_ratio_policy", "stretch")
    call.ignore("antialias", "exclude_outside", "keep_aspect_ratio_policy")  # where they have no effect
    call.ignore("extrapolation_value")  # of tf_crop_and_resize, which the op does not support
    return resized(
        call,
        target,
        mode,
        call.attribute("coordinate_transformation_mode", "half_pixel"),
        call.attribute("nearest_mode", "round_prefer_floor"),
        call.attribute("cubic_coeff_a", -0.75),
    )


def shrinks(call: NodeContext, target: dict[str, Any]) -> bool:
    sizes = call.shape(0)[2:]
    return any(scale < 1 for scale in target.get("scales", ())) or any(
        new < old for new, old in zip(target.get("sizes", ()), sizes, strict=False)
    )


def first_resize(call: NodeContext) -> Result:
    """Opset 10: the nearest element is the next one if an axis shrinks, else the one before."""
    scales, mode = spatial(call, floats(call, 1), 1), call.attribute("mode", "nearest")
    less, more = tuple(min(scale, 1.0) for scale in scales), tuple(max(scale, 1.0) for scale in scales)
    if mode != "nearest" or scales in (less, more):
        return resized(call, {"scales": scales}, mode, "asymmetric", "floor" if scales == more else "ceil")
    op = ops.Resize(scales=less, mode=mode, coordinates="asymmetric", nearest="ceil")
    smaller = call.add(op, call.value(0), role="smaller")
    return call.add(ops.Resize(scales=more, mode=mode, coordinates="asymmetric", nearest="floor"), smaller)


COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")


def resized(
    call: NodeContext, target: dict[str, Any], mode: str, coordinates: str, nearest: str, cubic: float = -0.75
) -> Result:
    if coordinates not in COORDINATES:
        raise Unsupported(f"{call.operator} with coordinate_transformation_mode={coordinates!r} is not supported")
    op = ops.Resize(**target, mode=mode, coordinates=coordinates, nearest=nearest, cubic=cubic)
    return call.add(op, call.value(0))


def wanted(call: NodeContext) -> dict[str, Any]:
    """The scales or the sizes of the spatial axes, from inputs 2 and 3, one of which is present and not empty."""
    shape = call.shape(0)
    axes = parameters.front_all(call.integers("axes", range(len(shape))), len(shape))
    if call.has(3) and (sizes := call.sizes(3, "sizes")):
        given = dict(zip(axes, sizes, strict=True))
        return {"sizes": spatial(call, [given.get(axis, size) for axis, size in enumerate(shape)], shape[:2])}
    factors = dict(zip(axes, floats(call, 2), strict=True))
    return {"scales": spatial(call, [factors.get(axis, 1.0) for axis in range(len(shape))], 1)}


def floats(call: NodeContext, index: int) -> tuple[float, ...]:
    """The scales as the shortest decimals that round to the float32 numbers in the file: 0.7, not 0.699999988."""
    array = call.array(index, "scales")
    if not array.size:
        raise ModelError(f"{call.operator} with neither scales nor sizes")
    return tuple(float(str(scale)) for scale in array)


def spatial(call: NodeContext, numbers: Sequence[Any], unchanged: Any) -> tuple[Any, ...]:
    """The numbers of the spatial axes, if those of images and channels are `unchanged`."""
    if len(numbers) != len(call.shape(0)):
        raise ModelError(f"{call.operator} of {len(call.shape(0))} axes with {len(numbers)} scales or sizes")
    if np.any(np.asarray(numbers[:2]) != unchanged):
        raise Unsupported(f"{call.operator} of images or channels is not supported")
    return tuple(numbers[2:])
