"""Axes, slices and shapes from the attributes and inputs of operators, for layers and for folding alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...allowance import charge
from ...errors import ModelError, ShapeError
from ...types import MAX_ELEMENTS, Array, expect_rank
from ..counts import equal
from .call import NodeContext


def axis(call: NodeContext, default: int, rank: int, name: str = "axis") -> int:
    """An axis counted from the front."""
    return front(call.attribute(name, default), rank)


def front(axis: int, rank: int) -> int:
    if not -rank <= axis < max(rank, 1):
        raise ShapeError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % max(rank, 1)


def front_all(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(front(axis, rank) for axis in axes)


def axes(call: NodeContext, index: int, rank: int, name: str = "axes") -> tuple[int, ...] | None:
    """Axes counted from the front; None if there are none."""
    given = call.setting(name, index)
    return None if given is None else front_all(given, rank)


def concat_axis(call: NodeContext) -> int:
    """The axis as in the file; required from opset 4 on."""
    return call.attribute("axis", 1) if call.version < 4 else call.required("axis", int)


def new_shape(call: NodeContext) -> tuple[int, ...]:
    """Reshape's target with 0 (the size of the input) and −1 (all remaining elements) replaced."""
    old, new = call.shape(0), _target(call)
    if not call.attribute("allowzero", 0):
        new = _with_copies(old, new)
    if old and new[:1] == (-1,) and -1 not in new[1:] and 0 < math.prod(old[1:]) == math.prod(new[1:]):
        return (old[0], *new[1:])
    return _with_the_rest(old, new)


def _with_copies(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    """`new` with the size of the input's axis in place of each 0."""
    if any(size == 0 and k >= len(old) for k, size in enumerate(new)):
        raise ShapeError(f"Reshape to {new} copies an axis that {old} does not have")
    return tuple(old[k] if size == 0 else size for k, size in enumerate(new))


def _with_the_rest(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    """`new` with what is left of the elements in place of −1."""
    # If both begin with the same size, N is left out of the arithmetic.
    begin = int(bool(old) and old[:1] == new[:1] and 0 not in old[1:])
    rest, total = math.prod(size for size in new[begin:] if size != -1), math.prod(old[begin:])
    if new.count(-1) == 1 and rest and total % rest == 0:
        new = tuple(total // rest if size == -1 else size for size in new)
    if any(size < 0 for size in new) or math.prod(new[begin:]) != total:
        raise ShapeError(f"{old} cannot be reshaped to {new}")
    return new


def _target(call: NodeContext) -> tuple[int, ...]:
    """Reshape's target as in the file: an attribute up to opset 4, then an input."""
    given = call.integers("shape", ()) if "shape" in call.node.attributes else None
    if given is None and not call.has(1):
        raise ModelError("Reshape without a shape")
    return call.sizes(1, "shape") if given is None else given


def squeezed(call: NodeContext) -> tuple[int, ...]:
    """The shape without `axes`, or without all axes of size 1."""
    old = call.shape(0)
    gone = axes(call, 1, len(old))
    if gone is None:
        return tuple(size for size in old if size != 1)
    if any(old[axis] != 1 for axis in gone):
        raise ShapeError(f"axes {gone} of {old} cannot be squeezed: not all have size 1")
    return tuple(size for axis, size in enumerate(old) if axis not in gone)


def unsqueezed(call: NodeContext) -> tuple[int, ...]:
    """The shape with axes of size 1 inserted at `axes` (of the result)."""
    old = call.shape(0)
    rank = len(old) + len(call.setting("axes", 1) or ())
    new = axes(call, 1, rank) or ()
    if len(set(new)) != len(new):
        raise ShapeError(f"axes {new} of {call.operator}: one is named twice")
    sizes = iter(old)
    return tuple(1 if axis in new else next(sizes) for axis in range(rank))


def flattened(call: NodeContext) -> tuple[int, int]:
    old = call.shape(0)
    begin = call.attribute("axis", 1)
    begin = begin if begin == len(old) else front(begin, len(old))
    return math.prod(old[:begin]), math.prod(old[begin:])


def permutation(call: NodeContext) -> tuple[int, ...]:
    """Transpose's axes; in reverse order if there are none."""
    rank = len(call.shape(0))
    perm = call.integers("perm", tuple(reversed(range(rank))))
    if sorted(perm) != list(range(rank)):
        raise ShapeError(f"perm {perm} is no order of the axes of {call.shape(0)}")
    return perm


def parts(call: NodeContext) -> tuple[slice, ...]:
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


def split_sizes(call: NodeContext, axis: int) -> tuple[int, ...]:
    """The given sizes, or equal ones, one for each output; from opset 18 on the last may be smaller."""
    total, given = call.shape(0)[axis], call.setting("split", 1)
    if given is not None:
        if sum(given) != total or min(given) < 0:
            raise ShapeError(f"sizes {given} do not add up to the {total} elements of axis {axis}")
        return given
    count = len(call.node.outputs)
    if (asked := call.attribute("num_outputs", count)) != count:
        raise ShapeError(f"num_outputs={asked} does not agree with the {count} outputs")
    if call.version < 18 and total % count:
        raise ShapeError(f"{total} elements cannot be split into {count} equal parts")
    size = -(-total // count)
    last = total - size * (count - 1)
    if last < 0:
        raise ShapeError(f"{total} elements cannot be split into {count} parts of {size}")
    return (*(size,) * (count - 1), last)


def expanded(call: NodeContext) -> tuple[int, ...]:
    """Expand's shape: the input's shape and the given one, broadcast to each other."""
    return broadcast(call.shape(0), call.numbers("shape", 1))


def sides(call: NodeContext) -> tuple[tuple[int, int], ...]:
    """Pad's widths before and behind each axis. They are (begins…, ends…), for `axes` only if these are given."""
    rank = len(call.shape(0))
    older = "paddings" if call.version < 2 else "pads"
    pads = call.numbers(older, 1)
    chosen = axes(call, 3, rank) or range(rank)
    half = len(pads) // 2
    widths = dict(zip(chosen, zip(pads[:half], pads[half:], strict=True), strict=True))
    return tuple(widths.get(axis, (0, 0)) for axis in range(rank))


def beside(call: NodeContext) -> tuple[int, ...]:
    """The shape with which input 1 broadcasts to input 0: up to opset 6 its axes match those from `axis` on.

    Without `axis` they match the last ones, as in NumPy.
    """
    ours, rank = call.shape(1), len(call.shape(0))
    if call.version >= 7:
        return ours
    call.only("broadcast", 0, 1)
    first = axis(call, 0, rank) if "axis" in call.node.attributes else rank - len(ours)
    behind = rank - len(ours) - first
    if behind < 0 < len(ours):
        raise ShapeError(f"{ours} does not lie within the axes of {call.shape(0)} from axis {first} on")
    return (*ours, *(1,) * behind) if ours else ours


def expansion(old: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """Sizes that expand `old` to `new`; the first is 1 if it equals the tensor's own for every number of images."""
    own = len(old) == len(new) > 0 and equal(old[0], new[0])
    return (1, *new[1:]) if own else tuple(new)


def broadcast(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape to which all of them broadcast; it does not read the value of a count."""
    rank = max(map(len, shapes), default=0)
    expect_rank(rank)
    found: list[int] = []
    for sizes in zip(*((*(1,) * (rank - len(shape)), *shape) for shape in shapes), strict=True):
        large = [size for size in sizes if not equal(size, 1)] or [1]
        if not all(equal(large[0], size) for size in large):
            raise ShapeError(f"shapes {' and '.join(map(str, shapes))} do not broadcast to one shape")
        found.append(large[0])
    return tuple(found)


def room(call: NodeContext, shape: Sequence[int], *like: Array) -> tuple[int, ...]:
    """`shape`, for a result that is about to be made, with elements of the size of those of `like`.

    Every row calls it before it makes an array; a view of the input needs no memory. Raises ShapeError
    for a shape that no tensor can have, ModelError if the constants would exceed their allowance.
    """
    sizes = tuple(int(size) for size in shape)
    expect_rank(len(sizes))
    if min(sizes, default=1) < 0 or math.prod(sizes) > MAX_ELEMENTS:
        raise ShapeError(f"{sizes} is no shape that a constant can have: 0 to {MAX_ELEMENTS} elements fit")
    width = max((array.dtype.itemsize for array in like), default=8)
    charge(math.prod(sizes) * width, f"{call.operator} of shape {sizes}")
    return sizes
