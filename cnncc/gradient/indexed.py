"""Gradients of reads and writes at indices that arrive: a read goes back as a sum of writes, a write as a read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ..computation import Lookup, Scatter
from ..elements import INT32
from ..expr import Arg, equal, less, maximum, minimum, select
from ..ops.gather import front
from .pieces import NoGradient, Step


def lookup(step: Step, c: Lookup) -> list[int | None]:
    """Each element gets the sum of g over all that read it; an index beyond either end has read the element there."""
    pieces, (x, indices) = step.pieces, step.x
    size = pieces.shape(x)[c.axis]
    inside = minimum(maximum(front(Arg(0), size), 0), size - 1)
    return [pieces.added_up(step.g, pieces.pointwise(inside, (indices,)), c.axis, x), None]


def scatter(step: Step, c: Scatter) -> list[int | None]:
    """By x: g where it counts. By the updates: g where they were written, and count.

    Of updates that replace, the last one counts; of an extreme, what comes first: x, then the updates in their order.
    """
    by_x, by_updates = BY_X[c.combine], BY_UPDATES[c.combine]
    return [by_x(step, c) if step.wanted[0] else None, None, by_updates(step, c) if step.wanted[2] else None]


def _all(step: Step, c: Scatter) -> int:
    return step.g


def _not_replaced(step: Step, c: Scatter) -> int:
    pieces, (_, indices, updates) = step.pieces, step.x
    nothing = pieces.zeros(step.g, pieces.shape(updates))
    return pieces.scattered(step.g, indices, nothing, c.axis, "replace")


def _times_updates(step: Step, c: Scatter) -> int:
    pieces, (x, indices, updates) = step.pieces, step.x
    ones = pieces.pointwise(Arg(0) + 1, (pieces.zeros(step.g, pieces.shape(x)),))
    factor = pieces.scattered(ones, indices, updates, c.axis, "multiply")
    return pieces.pointwise(Arg(0) * Arg(1), (step.g, factor))


def _where_extreme(step: Step, c: Scatter) -> int:
    return step.pieces.pointwise(select(equal(Arg(0), Arg(1)), Arg(2), 0), (step.x[0], step.y, step.g))


def _written(step: Step, c: Scatter) -> int:
    """g where an update was added; 0 where its index does not exist."""
    size = step.pieces.shape(step.y)[c.axis]
    index, read = front(Arg(0), size), _read(step, c, step.g)
    return step.pieces.pointwise(select(less(index, 0), 0, select(less(index, size), Arg(1), 0)), (step.x[1], read))


def _last(step: Step, c: Scatter) -> int:
    """Numbers that are written like the updates tell which one stayed."""
    pieces, whole = step.pieces, step.pieces.shape(step.y)
    none = pieces.repeat(pieces.known(np.full((1,) * len(whole), -1, INT32.numpy)), whole)
    return _of_number(step, c, pieces.scattered(none, step.x[1], _numbers(step), c.axis, "replace"))


def _first_extreme(step: Step, c: Scatter) -> int:
    """The lowest number of the updates that are the result tells which one counts; where x is the result, none does."""
    pieces, (x, indices, updates) = step.pieces, step.x
    count = math.prod(pieces.shape(updates))
    taken = pieces.known(np.full((1,) * len(pieces.shape(x)), -1, INT32.numpy))
    none = pieces.pointwise(select(equal(Arg(0), Arg(1)), Arg(2), count), (x, step.y, taken))
    own = (updates, _read(step, c, step.y), _numbers(step))
    extreme = pieces.pointwise(select(equal(Arg(0), Arg(1)), Arg(2), count), own)
    return _of_number(step, c, pieces.scattered(none, indices, extreme, c.axis, "minimum"))


def _no_factor(step: Step, c: Scatter) -> int:
    raise NoGradient("multiplies by updates, and has no gradient by them here")


def _numbers(step: Step) -> int:
    """The number of each update in row-major order."""
    shape = step.pieces.shape(step.x[2])
    return step.pieces.known(np.arange(math.prod(shape), dtype=INT32.numpy).reshape(shape))


def _read(step: Step, c: Scatter, x: int) -> int:
    """x at the indices of the updates."""
    return step.pieces.add(Lookup(c.axis), (x, step.x[1]), step.pieces.shape(step.x[2]))


def _of_number(step: Step, c: Scatter, counted: int) -> int:
    """g for the updates whose number stands where they were written."""
    own = (_read(step, c, counted), _numbers(step), _read(step, c, step.g))
    return step.pieces.pointwise(select(equal(Arg(0), Arg(1)), Arg(2), 0), own)


Rule = Callable[[Step, Scatter], int]

BY_X: Mapping[str, Rule] = {
    "add": _all,
    "replace": _not_replaced,
    "multiply": _times_updates,
    "maximum": _where_extreme,
    "minimum": _where_extreme,
}
BY_UPDATES: Mapping[str, Rule] = {
    "add": _written,
    "replace": _last,
    "multiply": _no_factor,
    "maximum": _first_extreme,
    "minimum": _first_extreme,
}
