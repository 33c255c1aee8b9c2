"""Sequences and optional values: what they hold is known at import, so they need no layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import ops
from ...allowance import charge
from ...errors import ModelError, ShapeError
from ...ir import Value
from ...types import Array
from . import parameters, shapes
from .call import ABSENT, NUMBER_BYTES, Items, NodeContext, Result, Tensor, Unsupported, whole

MOST_ITEMS = 10_000
"""Tensors in a sequence."""


def construct(call: NodeContext) -> Result:
    return Items(call.tensor(index) for index in range(call.count))


def empty(call: NodeContext) -> Result:
    call.ignore("dtype")
    return Items([])


def length(call: NodeContext) -> Result:
    return np.array(len(call.items(0)), np.int64)


def at(call: NodeContext) -> Result:
    items = call.items(0)
    return items[position(call, 1, len(items) - 1)]


def insert(call: NodeContext) -> Result:
    """In front of a position; without one at the end."""
    items = call.items(0)
    place = position(call, 2, len(items)) if call.has(2) else len(items)
    return Items([*items[:place], call.tensor(1), *items[place:]][: expected(len(items) + 1)])


def erase(call: NodeContext) -> Result:
    """The tensor at a position; without one the last."""
    items = call.items(0)
    if not items:
        raise ModelError("SequenceErase of a sequence without tensors")
    place = position(call, 1, len(items) - 1) if call.has(1) else len(items) - 1
    return Items([*items[:place], *items[place + 1 :]])


def position(call: NodeContext, index: int, last: int) -> int:
    """A known position from 0 to `last`, also counted from the end. Raises ModelError for one outside."""
    found = whole(call.deciding(call.array(index, "a position")), "a position")
    if found.size != 1:
        raise ModelError(f"a position of shape {found.shape}, expected a number")
    place = int(found.reshape(()))
    if not -last - (call.operator != "SequenceInsert") <= place <= last:
        raise ModelError(f"position {place} does not exist in a sequence of {len(call.items(0))} tensors")
    return place if place >= 0 else place + len(call.items(0))


def joined(call: NodeContext) -> Result:
    """The tensors along an axis, or with a new one that counts them."""
    return concatenated(call, call.items(0), call.required("axis", int), new=bool(call.attribute("new_axis", 0)))


def concatenated(call: NodeContext, tensors: Sequence[Tensor], axis: int, *, new: bool, role: str = "") -> Tensor:
    """Tensors in a row along an axis, which is a new one if so said: in NumPy if all are known, else by layers."""
    if not tensors:
        raise Unsupported(f"{call.operator} of no tensors is not supported")
    if not any(isinstance(tensor, Value) for tensor in tensors):
        return _known(call, [tensor for tensor in tensors if not isinstance(tensor, Value)], axis, new)
    name = f"{call.name}.{role or 'item'}"
    values = [call.layer(tensor, name) for tensor in tensors if new or not _adds_nothing(call, tensor, tensors, axis)]
    if new:
        rank = call.type(values[0]).rank + 1
        front = (parameters.front(axis, rank),)
        values = [call.add(ops.Unsqueeze(front), value, role=role or "item") for value in values]
    if len(values) == 1:
        return values[0]
    return call.add(ops.Concat(axis), *values, role=role)


def _adds_nothing(call: NodeContext, tensor: Tensor, tensors: Sequence[Tensor], axis: int) -> bool:
    """Whether it is of size 0 along the axis, and as the values else."""
    if isinstance(tensor, Value):
        return False
    shape = [*next(call.type(each).shape for each in tensors if isinstance(each, Value))]
    shape[parameters.front(axis, len(shape))] = 0
    return tensor.shape == tuple(shape)


def _known(call: NodeContext, arrays: Sequence[Array], axis: int, new: bool) -> Array:
    if len({array.dtype for array in arrays if array.dtype != object}) > 1:
        raise ModelError(f"{call.operator} of tensors of different types")
    parameters.room(call, (sum(array.size for array in arrays),), *arrays)
    return np.stack(arrays, axis) if new else np.concatenate(arrays, axis)


def split(call: NodeContext) -> Result:
    """Parts of given sizes, or all of one size but the last, or of size 1, then without the axis if so said."""
    shape = call.shape(0)
    axis, keep = parameters.axis(call, 0, len(shape)), bool(call.attribute("keepdims", 1))
    sizes = _sizes(call, shape[axis])
    gone = not keep and not call.has(1)
    tensor = call.tensor(0)
    if isinstance(tensor, Value) and gone:
        values = call.add_all(ops.Split(sizes, axis), tensor) if len(sizes) > 1 else (tensor,)
        return Items(call.add(ops.Squeeze((axis,)), value, role="item") for value in values)
    if isinstance(tensor, Value):
        return Items(shapes.parts(call, tensor, axis, sizes) if len(sizes) > 1 else (tensor,))
    parts = np.split(tensor, np.cumsum(sizes)[:-1], axis)
    return Items([part.squeeze(axis) for part in parts] if gone else parts)


def _sizes(call: NodeContext, total: int) -> tuple[int, ...]:
    """The sizes of the parts of an axis. Raises ModelError if they are too many, ShapeError for wrong ones."""
    if not call.has(1):
        return (1,) * expected(total)
    given = call.deciding(call.array(1, "sizes"))
    if given.ndim == 0:
        size = int(whole(given, "a size").reshape(()))
        if size < 1:
            raise ShapeError(f"parts of {size} elements")
        count = expected(-(-total // size))
        return (*(size,) * (count - 1), total - size * (count - 1))
    charge(NUMBER_BYTES * expected(given.size), "sizes of SplitToSequence")
    sizes = tuple(map(int, whole(given, "sizes")))
    if sum(sizes) != total or min(sizes, default=-1) < 0:
        raise ShapeError(f"sizes {sizes} do not add up to the {total} elements of the axis")
    return sizes


def expected(count: int) -> int:
    """`count`, if a sequence can have so many tensors. Raises ModelError otherwise."""
    if count > MOST_ITEMS:
        raise ModelError(f"a sequence of {count} tensors: at most {MOST_ITEMS} are imported")
    return count


def optional(call: NodeContext) -> Result:
    """The value itself, or none."""
    call.ignore("type")
    return call.anything(0) if call.has(0) else ABSENT


def has_element(call: NodeContext) -> Result:
    return np.array(call.has(0) and call.anything(0) is not ABSENT)


def element(call: NodeContext) -> Result:
    if (found := call.anything(0)) is ABSENT:
        raise ModelError("OptionalGetElement of nothing")
    return found
