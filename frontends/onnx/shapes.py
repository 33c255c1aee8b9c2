"""Operators that arrange elements, and those that only pass values on."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...allowance import charge
from ...errors import ModelError
from ...types import DType
from . import parameters
from .call import NUMBER_BYTES, Call, Result, Unsupported


def same(call: Call) -> Result:
    """The input itself: nothing is left of the operator."""
    return call.tensor(0)


def constant(call: Call) -> Result:
    """Whichever attribute holds the value."""
    for name, dtype in {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64}.items():
        if (number := call.optional(name)) is not None:
            return np.array(number, dtype)
    if (numbers := call.optional("value_ints")) is not None:
        return np.array(numbers, np.int64)
    value = call.optional("value")
    if not isinstance(value, np.ndarray):
        raise Unsupported(f"Constant without a tensor (it has {', '.join(call.node.attributes)}) is not supported")
    return value


def shape(call: Call) -> Result:
    """Shapes are known at compile time."""
    return np.array(call.shape(0)[slice(call.attribute("start", 0), call.optional("end"))], np.int64)


def size(call: Call) -> Result:
    return np.array(np.prod(call.shape(0), dtype=np.int64))


def cast(call: Call) -> Result:
    """From float32 to float32, or from bytes (pictures) to float32; opset 5 and before name the type."""
    call.ignore("saturate", "round_mode")
    call.only("to", 1, "FLOAT")
    x = call.value(0)
    return call.add(ops.ImageToTensor(), x) if call.type(x).dtype is DType.uint8 else x


def dropout(call: Call) -> Result:
    """The identity; a mask that somebody reads is refused by the importer."""
    call.ignore("ratio", "seed", "is_test")
    if call.has(2) and call.array(2, "training_mode").any():
        raise Unsupported("Dropout in training mode is not supported")
    return call.tensor(0)


def reshape(call: Call) -> Result:
    """The number of images is kept open where the target repeats it."""
    old, new = call.shape(0), parameters.new_shape(call)
    images = (0,) if old[:1] == new[:1] else new[:1]
    return call.add(ops.Reshape((*images, *new[1:])), call.value(0))


def flatten(call: Call) -> Result:
    return call.add(ops.Flatten(call.attribute("axis", 1)), call.value(0))


def squeeze(call: Call) -> Result:
    return call.add(ops.Squeeze(call.setting("axes", 1)), call.value(0))


def unsqueeze(call: Call) -> Result:
    if (axes := call.setting("axes", 1)) is None:
        raise ModelError("Unsqueeze without axes")
    return call.add(ops.Unsqueeze(axes), call.value(0))


def transpose(call: Call) -> Result:
    return call.add(ops.Transpose(parameters.permutation(call)), call.value(0))


def concat(call: Call) -> Result:
    return call.add(ops.Concat(call.attribute("axis", 1 if call.version < 4 else 0)), *call.values())


def split(call: Call) -> Result:
    axis = parameters.axis(call, 0, len(call.shape(0)))
    return call.add_all(ops.Split(parameters.split_sizes(call, axis), axis), call.value(0))


def part(call: Call) -> Result:
    begins, ends = call.setting("starts", 1), call.setting("ends", 2)
    if begins is None or ends is None:
        raise ModelError("Slice without starts or ends")
    return call.add(ops.Slice(begins, ends, call.setting("axes", 3), call.setting("steps", 4)), call.value(0))


def gather(call: Call) -> Result:
    indices = call.array(1, "indices").astype(np.int64)
    charge(NUMBER_BYTES * indices.size, f"{indices.size} indices of Gather")
    return call.add(ops.Gather(nested(indices.tolist()), call.attribute("axis", 0)), call.value(0))


def nested(indices: object) -> object:
    """Lists as tuples, which an op can hold."""
    return tuple(map(nested, indices)) if isinstance(indices, list) else indices


def expand(call: Call) -> Result:
    return call.add(ops.Expand(call.setting("shape", 1) or ()), call.value(0))


def tile(call: Call) -> Result:
    return call.add(ops.Tile(call.setting("repeats", 1) or ()), call.value(0))


def pad(call: Call) -> Result:
    """Pads as (begins…, ends…), of `axes` only if there are any; the value is an attribute up to opset 10."""
    rank = len(call.shape(0))
    older = "paddings" if call.version < 2 else "pads"
    pads = call.setting(older, 1) or (0,) * 2 * rank
    axes = parameters.axes(call, 3, rank) or range(rank)
    number = call.attribute("value", 0.0)
    if call.has(2):
        number = float(call.array(2, "its value").reshape(()))
    half = len(pads) // 2
    widths = dict(zip(axes, zip(pads[:half], pads[half:], strict=True), strict=True))
    sides = tuple(widths.get(axis, (0, 0)) for axis in range(rank))
    return call.add(ops.Pad(sides, call.attribute("mode", "constant"), number), call.value(0))


def depth_to_space(call: Call) -> Result:
    return call.add(ops.DepthToSpace(call.attribute("blocksize", 0), call.attribute("mode", "DCR")), call.value(0))


def space_to_depth(call: Call) -> Result:
    return call.add(ops.SpaceToDepth(call.attribute("blocksize", 0)), call.value(0))
