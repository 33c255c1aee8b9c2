"""Gradients of moves: each element of the result gives its gradient back to the element that it was."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..computation import (
    Arrangement,
    Broadcast,
    Concatenate,
    ConstantPad,
    Interleave,
    Permute,
    RowMajorReshape,
    StridedSlice,
    Take,
    replaced,
)
from ..elements import INT32
from ..expr import Arg, Expr, select
from .pieces import Pieces, Step
from .pointwise import summed_along

MOST_LOOKUPS = 4
"""Times that one element is read, up to which g is looked up as often rather than added up by index."""


def arrangement(step: Step, c: Arrangement) -> list[int | None]:
    pieces, g, (x, *_) = step.pieces, step.g, step.x
    shape = pieces.shape(x)
    match c:
        case RowMajorReshape():
            return [pieces.reshape(g, shape)]
        case Permute(axes):
            return [pieces.transpose(g, [axes.index(axis) for axis in range(len(axes))])]
        case Broadcast():
            return [summed_along(pieces, g, range(len(shape)), shape)]
        case Concatenate(axis):
            return _parts(step, axis)
        case Interleave(axis):
            return [pieces.part(g, axis, k, pieces.shape(x)[axis], len(step.x)) for k, x in enumerate(step.x)]
        case ConstantPad(begins):
            for axis, (begin, size) in enumerate(zip(begins, shape, strict=True)):
                g = pieces.part(g, axis, begin, size)
            return [g]
        case StridedSlice(axis, begin, stride):
            return [_slice(pieces, g, axis, begin, stride, shape)]
        case Take(axis, indices):
            return [_take(step, axis, indices)]
    raise AssertionError(f"no gradient of {c}")


def _parts(step: Step, axis: int) -> list[int | None]:
    begin, found = 0, list[int | None]()
    for x in step.x:
        size = step.pieces.shape(x)[axis]
        found.append(step.pieces.part(step.g, axis, begin, size))
        begin += size
    return found


def _slice(pieces: Pieces, g: int, axis: int, begin: int, step: int, shape: tuple[int, ...]) -> int:
    """Zeros between the elements of g, and around them."""
    count = pieces.shape(g)[axis]
    if step < 0:
        g, begin, step = pieces.part(g, axis, count - 1, count, -1), begin + (count - 1) * step, -step
    if step > 1 and count > 1:
        g = pieces.interleave([g, *[pieces.zeros(g, pieces.shape(g))] * (step - 1)], axis)
        g = pieces.part(g, axis, 0, (count - 1) * step + 1)
    return pieces.padded(g, replaced((0,) * len(shape), axis, begin), shape)


def _take(step: Step, axis: int, indices: tuple[int, ...]) -> int:
    """g at the first place where an element was read, at the second…, for elements that were read so often."""
    pieces, x = step.pieces, step.x[0]
    shape, rank = pieces.shape(x), len(pieces.shape(x))
    most = max(Counter(indices).values())
    if most > MOST_LOOKUPS:
        along = replaced((1,) * rank, axis, len(indices))
        return pieces.added_up(step.g, pieces.known(np.array(indices, INT32.numpy).reshape(along)), axis, x)
    places = [[j for j, index in enumerate(indices) if index == k] for k in range(shape[axis])]
    total: Expr | None = None
    operands: list[int] = []
    for turn in range(most):
        at = [own[turn] if turn < len(own) else 0 for own in places]
        there = np.array([turn < len(own) for own in places]).reshape(replaced((1,) * rank, axis, shape[axis]))
        share: Expr = Arg(len(operands))
        operands.append(pieces.lookup(step.g, axis, at))
        if not there.all():
            share = select(Arg(len(operands)), share, 0)
            operands.append(pieces.known(there))
        total = share if total is None else total + share
    assert total is not None
    return operands[0] if total == Arg(0) else pieces.pointwise(total, operands)
