"""Gradients of sums and extremes over whole axes."""

from __future__ import annotations

import math

import numpy as np

from ..computation import Reduction
from ..elements import INT32
from ..expr import Arg, equal, select
from .pieces import NoGradient, Step


def reduction(step: Step, c: Reduction) -> list[int | None]:
    """Of a sum: g, repeated. Of an extreme: g for the first element, in row-major order, that is it."""
    pieces, (x,) = step.pieces, step.x
    if c.combine == "add":
        return [pieces.repeat(step.g, pieces.shape(x))]
    if c.combine == "multiply":
        raise NoGradient("is a product of elements, which has no gradient here")
    sizes = [size if axis in c.axes else 1 for axis, size in enumerate(pieces.shape(x))]
    count = math.prod(sizes)
    numbers = pieces.known(np.arange(count, dtype=INT32.numpy).reshape(sizes))
    found = pieces.pointwise(select(equal(Arg(0), Arg(1)), Arg(2), count), (x, step.y, numbers))
    first = pieces.reduce(found, c.axes, "minimum")
    return [pieces.pointwise(select(equal(Arg(0), Arg(1)), Arg(2), 0), (first, numbers, step.g))]
