"""Resize, and Upsample before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import ops
from ...errors import ModelError, ShapeError
from ...ops.resampling import COORDINATES
from ..counts import equal
from . import parameters
from .call import NodeContext, Result, Unsupported


def upsample(call: NodeContext) -> Result:
    """Scales are two attributes in opset 1, one in 7, an input in 9; all coordinates count from the first element."""
    scales: tuple[float, ...]
    if call.version < 7:
        scales = (1.0, 1.0, call.required("height_scale", float), call.required("width_scale", float))
    else:
        scales = call.required("scales", tuple) if call.version < 9 else floats(call, 1, "scales")
    if min(scales, default=1) < 1:
        raise ShapeError(f"scales {scales}: {call.operator} takes numbers from 1 on")
    mode = "linear" if (name := call.attribute("mode", "nearest")) in ("bilinear", "trilinear") else name
    op = ops.Resize(**changed(call, "scales", scales), mode=mode, coordinates="asymmetric", nearest="floor")
    return call.add(op, call.value(0))


def first_resize(call: NodeContext) -> Result:
    """Opset 10: the nearest element is the next one if an axis shrinks, else the one before."""
    scales, mode = floats(call, 1, "scales"), call.attribute("mode", "nearest")
    less, more = tuple(min(scale, 1.0) for scale in scales), tuple(max(scale, 1.0) for scale in scales)
    how: dict[str, Any] = {"mode": mode, "coordinates": "asymmetric"}
    if mode != "nearest" or scales in (less, more):
        op = ops.Resize(**changed(call, "scales", scales), **how, nearest="floor" if scales == more else "ceil")
        return call.add(op, call.value(0))
    op = ops.Resize(**changed(call, "scales", less), **how, nearest="ceil")
    smaller = call.add(op, call.value(0), role="smaller")
    return call.add(ops.Resize(**changed(call, "scales", more), **how, nearest="floor"), smaller)


def resize(call: NodeContext) -> Result:
    if call.version < 11:
        return first_resize(call)
    coordinates = call.attribute("coordinate_transformation_mode", "half_pixel")
    if coordinates not in COORDINATES:
        raise Unsupported(f"{call.operator} with coordinate_transformation_mode={coordinates!r} is not supported")
    op = ops.Resize(
        **wanted(call, coordinates == "tf_crop_and_resize"),
        mode=call.attribute("mode", "nearest"),
        coordinates=coordinates,
        nearest=call.attribute("nearest_mode", "round_prefer_floor"),
        cubic=call.attribute("cubic_coeff_a", -0.75),
        antialias=bool(call.attribute("antialias", 0)),
        exclude_outside=bool(call.attribute("exclude_outside", 0)),
    )
    return call.add(op, call.value(0))


def wanted(call: NodeContext, crops: bool) -> dict[str, Any]:
    """What input 1 (the region) and inputs 2 and 3 (scales or sizes, one of which is present and not empty) ask for.

    A policy other than 'stretch' takes one scale for all axes that have sizes, so none of them is left out.
    """
    rank = len(call.shape(0))
    axes = parameters.front_all(call.integers("axes", range(rank)), rank)
    policy, value = call.attribute("keep_aspect_ratio_policy", "stretch"), call.attribute("extrapolation_value", 0.0)
    roi = floats(call, 1, "roi") if crops else ()
    regions = dict(zip(axes, zip(roi[: len(axes)], roi[len(axes) :], strict=True), strict=True)) if crops else {}
    if call.has(3) and (sizes := call.sizes(3, "sizes")):
        if policy == "stretch":
            how = changed(call, "sizes", sizes, axes, regions)
        else:
            how = {"sizes": sizes, "axes": axes, "policy": policy}
            expect_one_each(call, sizes, axes)
    else:
        how = changed(call, "scales", floats(call, 2, "scales"), axes, regions)
    if crops:
        kept = how.get("axes", range(2, rank))
        how |= {"roi": tuple(regions.get(axis, (0.0, 1.0))[end] for end in (0, 1) for axis in kept)}
        how |= {"extrapolation": value}
    return how


def changed(
    call: NodeContext,
    what: str,
    numbers: Sequence[Any],
    axes: Sequence[int] | None = None,
    regions: Mapping[int, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """Scales or sizes of the axes that change: without `axes` if only spatial ones do, the form of the op itself."""
    shape = call.shape(0)
    axes = range(len(shape)) if axes is None else axes
    expect_one_each(call, numbers, axes)
    given = dict(zip(axes, numbers, strict=True))
    same: Sequence[Any] = shape if what == "sizes" else (1.0,) * len(shape)
    crops = {axis for axis, region in (regions or {}).items() if region != (0.0, 1.0)}
    moved = [axis for axis in sorted(given) if axis in crops or not equal(given[axis], same[axis])]
    if len(shape) > 2 and all(axis >= 2 for axis in moved):
        return {what: tuple(given.get(axis, same[axis]) for axis in range(2, len(shape)))}
    return {what: tuple(given[axis] for axis in moved), "axes": tuple(moved)}


def expect_one_each(call: NodeContext, numbers: Sequence[Any], axes: Sequence[int]) -> None:
    if len(numbers) != len(axes):
        raise ModelError(f"{call.operator} of {len(axes)} axes with {len(numbers)} scales or sizes")


def center_crop_pad(call: NodeContext) -> Result:
    """The middle of each axis that has more elements than wanted; as much of zeros around one that has fewer."""
    shape = call.shape(0)
    axes = parameters.front_all(call.integers("axes", range(len(shape))), len(shape))
    wanted = dict(zip(axes, call.sizes(1, "shape"), strict=True))
    more = {axis: size - shape[axis] for axis, size in wanted.items() if not equal(size, shape[axis])}
    cut = {axis: -by // 2 for axis, by in more.items() if by < 0}
    ends = [begin + wanted[axis] for axis, begin in cut.items()]
    middle = call.value(0)
    if cut:
        middle = call.add(ops.Slice((*cut.values(),), (*ends,), (*cut,)), middle, role="middle")
    sides = [max(more.get(axis, 0), 0) for axis in range(len(shape))]
    return call.add(ops.Pad(tuple((by // 2, by - by // 2) for by in sides)), middle)


def floats(call: NodeContext, index: int, what: str) -> tuple[float, ...]:
    """Numbers as the shortest decimals that round to the float32 ones in the file: 0.7, not 0.699999988."""
    array = call.array(index, what)
    if not array.size:
        raise ModelError(f"{call.operator} without {what if what == 'roi' else 'scales and sizes'}")
    return tuple(float(str(number)) for number in array.reshape(-1))
