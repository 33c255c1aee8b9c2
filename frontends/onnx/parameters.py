"""What operators say about axes, parts and shapes, read once for layers and for arrays known at compile time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...errors import ModelError, ShapeError
from ...types import expect_rank
from .call import Call


def axis(call: Call, default: int, rank: int, name: str = "axis") -> int:
    """An axis counted from the front."""
    return front(call.attribute(name, default), rank)


def front(axis: int, rank: int) -> int:
    if not -rank <= axis < max(rank, 1):
        raise ShapeError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % max(rank, 1)


def front_all(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(front(axis, rank) for axis in axes)


def axes(call: Call, index: int, rank: int, name: str = "axes") -> tuple[int, ...] | None:
    """Axes counted from the front; None if there are none."""
    given = call.setting(name, index)
    return None if given is None else front_all(given, rank)


def new_shape(call: Call) -> tuple[int, ...]:
    """Reshape's target with its 0 (as in the input) and −1 (whatever is left) filled in."""
    old, new = call.shape(0), call.setting("shape", 1)
    if new is None:
        raise ModelError("Reshape without a shape")
    if not call.attribute("allowzero", 0):
        if any(size == 0 and k >= len(old) for k, size in enumerate(new)):
            raise ShapeError(f"Reshape to {new} copies an axis that {old} does not have")
        new = tuple(old[k] if size == 0 else size for k, size in enumerate(new))
    rest, total = math.prod(size for size in new if size != -1), math.prod(old)
    if new.count(-1) == 1 and rest and total % rest == 0:
        new = tuple(total // rest if size == -1 else size for size in new)
    if min(new, default=0) < 0 or math.prod(new) != total:
        raise ShapeError(f"{old} cannot be reshaped to {new}")
    return new


def squeezed(call: Call) -> tuple[int, ...]:
    """The shape without `axes`, or without all axes of size 1."""
    old = call.shape(0)
    gone = axes(call, 1, len(old))
    if gone is None:
        return tuple(size for size in old if size != 1)
    if any(old[axis] != 1 for axis in gone):
        raise ShapeError(f"axes {gone} of {old} cannot be squeezed: not all have size 1")
    return tuple(size for axis, size in enumerate(old) if axis not in gone)


def unsqueezed(call: Call) -> tuple[int, ...]:
    """The shape with axes of size 1 where `axes` (of the result) say."""
    old = call.shape(0)
    rank = len(old) + len(call.setting("axes", 1) or ())
    new = axes(call, 1, rank) or ()
    sizes = iter(old)
    return tuple(1 if axis in new else next(sizes) for axis in range(rank))


def flattened(call: Call) -> tuple[int, int]:
    old = call.shape(0)
    begin = call.attribute("axis", 1)
    begin = begin if begin == len(old) else front(begin, len(old))
    return math.prod(old[:begin]), math.prod(old[begin:])


def permutation(call: Call) -> tuple[int, ...]:
    """Transpose's axes; all reversed without them."""
    rank = len(call.shape(0))
    perm = call.integers("perm", tuple(reversed(range(rank))))
    if sorted(perm) != list(range(rank)):
        raise ShapeError(f"perm {perm} is no order of the axes of {call.shape(0)}")
    return perm


def parts(call: Call) -> tuple[slice, ...]:
    """Slice's range on every axis, with plain bounds: begin, end and step, negative ends as None."""
    shape = call.shape(0)
    begins, ends = call.setting("starts", 1), call.setting("ends", 2)
    if begins is None or ends is None:
        raise ModelError("Slice without starts or ends")
    chosen = axes(call, 3, len(shape)) or tuple(range(len(begins)))
    steps = call.setting("steps", 4) or (1,) * len(begins)
    result = [slice(0, size, 1) for size in shape]
    for axis, begin, end, step in zip(chosen, begins, ends, steps, strict=True):
        first, last, stride = slice(begin, end, step).indices(shape[axis])
        result[axis] = slice(first, last if last >= 0 else None, stride)
    return tuple(result)


def split_sizes(call: Call, axis: int) -> tuple[int, ...]:
    """The sizes given, or equal ones (the last may be smaller) for `num_outputs`, else one for each output."""
    total, given = call.shape(0)[axis], call.setting("split", 1)
    if given is not None:
        return given
    count = call.attribute("num_outputs", len(call.node.outputs))
    if not 1 <= count <= len(call.node.outputs):
        raise ModelError(f"Split into {count} parts with {len(call.node.outputs)} outputs")
    size = -(-total // count)
    return (size,) * (count - 1) + (total - size * (count - 1),)


def expanded(call: Call) -> tuple[int, ...]:
    """Expand's shape: that of the input broadcast with the one asked for."""
    asked = call.setting("shape", 1) or ()
    return broadcast(call.shape(0), asked)


def broadcast(*shapes: Sequence[int]) -> tuple[int, ...]:
    for shape in shapes:
        expect_rank(len(shape))
    try:
        return tuple(int(size) for size in np.broadcast_shapes(*map(tuple, shapes)))
    except ValueError:
        raise ShapeError(f"shapes {' and '.join(map(str, shapes))} do not broadcast to one shape") from None
