"""Operators that arrange elements, and those that return their input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ... import ops
from ...elements import COMPUTED, ELEMENTS, FLOAT16, FLOAT32, UINT8, VALUES
from ...errors import ModelError
from ...ir import Value
from ...op import either
from ...types import Array
from ..counts import vector
from . import parameters
from .call import NodeContext, Result, Tensor, Unsupported
from .floats import WIDE
from .folding import DTYPES
from .known import as_type


def same(call: NodeContext) -> Result:
    """The input itself, without a layer."""
    return call.anything(0)


def constant(call: NodeContext) -> Result:
    """The value, from the attribute that has it."""
    for name, dtype in {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64}.items():
        if (number := call.optional(name)) is not None:
            return np.array(number, dtype)
    if (numbers := call.optional("value_ints")) is not None:
        return np.array(numbers, np.int64)
    value = call.optional("value")
    if not isinstance(value, np.ndarray):
        raise Unsupported(f"Constant without a tensor (it has {', '.join(call.node.attributes)}) is not supported")
    return value


def shape(call: NodeContext) -> Result:
    """Shapes are known at compile time."""
    return vector(call.shape(0)[slice(call.attribute("start", 0), call.optional("end"))])


def size(call: NodeContext) -> Result:
    return vector(math.prod(call.shape(0)))


def eye_like(call: NodeContext) -> Array:
    """Ones on diagonal `k` of a matrix of the input's shape; of its element type, unless `dtype` tells another."""
    rows, columns = call.shape(0)
    number = call.optional("dtype")
    if number is not None and number not in DTYPES:
        raise Unsupported(f"EyeLike of element type {number} is not supported")
    dtype = np.dtype(call.stated(0) if number is None else DTYPES[number])
    parameters.room(call, (rows, columns), np.empty(0, dtype))
    return np.eye(rows, columns, call.attribute("k", 0), dtype)


def cast(call: NodeContext) -> Result:
    """To the type that `to` names."""
    return converted(call, element_type(call))


def cast_like(call: NodeContext) -> Result:
    """To the type of input 1; a known value stays known, and needs no layer."""
    known, to = call.known(0), call.stated(1)
    if known is None or known.dtype == object:
        return converted(call, to)
    call.ignore("saturate", "round_mode")
    parameters.room(call, known.shape, np.empty(0, to))
    return as_type(known, to)


def converted(call: NodeContext, to: str) -> Result:
    """Input 0 as another element type. Other floats are computed with as float32: a conversion to halves only rounds.

    What float32 holds may become float64; whether anything may be computed with it then, the importer decides.
    """
    call.ignore("saturate", "round_mode")
    x = call.value(0)
    own, picture = call.type(x).dtype, len(call.shape(0)) >= 2 and call.arrives(x)
    if to == FLOAT16.name:
        return call.state(call.add(ops.Cast(FLOAT32.name), call.add(ops.Cast(to), x, role=to)), to)
    if to == WIDE and own.exact_in(FLOAT32):
        return call.state(cast_to(call, x, FLOAT32.name), to)
    if call.stated(0) == to:
        return x
    if ELEMENTS.get(to) not in COMPUTED:
        told = f"{call.operator} of {own} values computed at run time to {to} is not supported, only to"
        raise Unsupported(f"{told} {either(VALUES)}")
    if own is UINT8 and to == FLOAT32.name and picture:
        return call.add(ops.ImageToTensor(), x)
    return cast_to(call, x, to)


def cast_to(call: NodeContext, x: Value, to: str) -> Value:
    """A layer also where floats stay what they are in the graph: in the file the result has a type of its own."""
    return call.add(ops.Identity() if call.type(x).dtype.name == to else ops.Cast(to), x)


def element_type(call: NodeContext) -> str:
    """The result type of Cast; up to opset 5 a text."""
    to = call.optional("to")
    names = {"FLOAT": "float32", "DOUBLE": "float64"}
    dtype = names.get(to, to.lower()) if isinstance(to, str) else DTYPES.get(to, f"element type {to}")
    if to is None:
        raise ModelError("Cast without to")
    return dtype


def dropout(call: NodeContext) -> Result:
    """The identity; the mask, if one reads it, says of every element that it is kept, up to opset 9 by ones."""
    call.ignore("seed")
    ratio = call.known(1) if call.has(1) else call.optional("ratio")
    trains = call.has(2) and call.array(2, "training_mode").any() and (ratio is None or np.any(ratio))
    if trains or (call.optional("is_test") == 0 and call.version < 7):
        raise Unsupported("Dropout in training mode is not supported")
    return (call.tensor(0), kept(call)) if call.version >= 7 and call.reads(1) else call.tensor(0)


def kept(call: NodeContext) -> Value:
    """True for every element, NaN included."""
    x = call.value(0)
    same, other = call.add(ops.Equal(), x, x, role="same"), call.add(ops.NotEqual(), x, x, role="other")
    mask = call.add(ops.Or(), same, other, role="mask")
    return mask if call.version >= 10 else call.add(ops.Cast("float32"), mask, role="ones")


def reshape(call: NodeContext) -> Result:
    """Reshape; the first size stays open if the target repeats it."""
    old, new = call.shape(0), parameters.new_shape(call)
    first = (0,) if old and old[:1] == new[:1] else new[:1]
    return call.add(ops.Reshape((*first, *new[1:])), call.value(0))


def flatten(call: NodeContext) -> Result:
    return call.add(ops.Flatten(call.attribute("axis", 1)), call.value(0))


def squeeze(call: NodeContext) -> Result:
    return call.add(ops.Squeeze(call.setting("axes", 1)), call.value(0))


def unsqueeze(call: NodeContext) -> Result:
    if (axes := call.setting("axes", 1)) is None:
        raise ModelError("Unsqueeze without axes")
    return call.add(ops.Unsqueeze(axes), call.value(0))


def transpose(call: NodeContext) -> Result:
    return call.add(ops.Transpose(parameters.permutation(call)), call.value(0))


def concat(call: NodeContext) -> Result:
    """Operands of size 0 along the axis are left out."""
    axis = parameters.concat_axis(call)
    shapes = [call.shape(index) for index in range(call.count)]
    hollow = [*next((shape for shape in shapes if 0 not in shape), ())]
    if hollow:
        hollow[parameters.front(axis, len(hollow))] = 0
    values = [call.value(k) for k, shape in enumerate(shapes) if 0 not in shape or shape != tuple(hollow)]
    return call.add(ops.Concat(axis), *values)


def split(call: NodeContext) -> Result:
    axis = parameters.axis(call, 0, len(call.shape(0)))
    sizes = parameters.split_sizes(call, axis)
    return parts(call, call.value(0), axis, sizes)


def parts(call: NodeContext, x: Value, axis: int, sizes: tuple[int, ...]) -> Sequence[Tensor]:
    """The parts of a value along an axis; those without elements are known arrays."""
    if all(sizes) or not any(sizes):
        return call.add_all(ops.Split(sizes, axis), x)
    type = call.type(x)
    values = iter(call.add_all(ops.Split(tuple(filter(None, sizes)), axis), x))
    hollow = np.empty((*type.shape[:axis], 0, *type.shape[axis + 1 :]), type.dtype.numpy)
    return [next(values) if size else hollow for size in sizes]


def part(call: NodeContext) -> Result:
    begins, ends = call.setting("starts", 1), call.setting("ends", 2)
    if begins is None or ends is None:
        raise ModelError("Slice without starts or ends")
    return call.add(ops.Slice(begins, ends, call.setting("axes", 3), call.setting("steps", 4)), call.value(0))


def expand(call: NodeContext) -> Result:
    if not call.has(1):
        raise ModelError("Expand without shape")
    return call.add(ops.Expand(parameters.expansion(call.shape(0), call.sizes(1, "shape"))), call.value(0))


def tile(call: NodeContext) -> Result:
    """Up to opset 5 a number of repeats and an axis."""
    if call.version < 6:
        ones = [1] * len(call.shape(0))
        ones[parameters.front(int(call.array(2, "an axis").item()), len(ones))] = int(call.array(1, "tiles").item())
        return call.add(ops.Tile(tuple(ones)), call.value(0))
    return call.add(ops.Tile(call.numbers("repeats", 1)), call.value(0))


def pad(call: NodeContext) -> Result:
    """The value is an attribute up to opset 10."""
    number = call.attribute("value", 0.0)
    if call.has(2):
        number = call.array(2, "its value").reshape(()).item()
    return call.add(ops.Pad(parameters.sides(call), call.attribute("mode", "constant"), number), call.value(0))


def depth_to_space(call: NodeContext) -> Result:
    return call.add(ops.DepthToSpace(call.required("blocksize", int), call.attribute("mode", "DCR")), call.value(0))


def space_to_depth(call: NodeContext) -> Result:
    call.only("mode", "DCR")
    return call.add(ops.SpaceToDepth(call.required("blocksize", int)), call.value(0))
