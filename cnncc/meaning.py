"""What each computation means, in NumPy: floats in float64, nothing rounded; whole numbers bit for bit.

This is the definition of a `Computed` node, what is computed of constants when compiling, and what derivatives are
measured with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .computation import (
    Arrangement,
    Computation,
    Contraction,
    Lookup,
    Pointwise,
    Reduction,
    Scatter,
    WindowReduction,
)
from .elements import element_of
from .expr import evaluate
from .lines import Linewise
from .sums import contract, slide
from .types import Array


def meaning(computation: Computation, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """The result, of `shape`, from operands whose floats are in float64."""
    with np.errstate(all="ignore"):
        result = np.asarray(_meaning(computation, operands, shape), order="C")
        return result.astype(np.float64, copy=False) if result.dtype.kind == "f" else result


def _meaning(c: Computation, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
    match c:
        case Contraction():
            return contract(c, *operands)
        case WindowReduction():
            return _window_reduction(c, operands[0])
        case Pointwise():
            return pointwise(c, operands, shape)
        case Reduction():
            return c.over(operands[0], getattr(np, c.combine)).astype(operands[0].dtype, copy=False)
        case Linewise():
            return c.made(operands)
        case Arrangement():
            return c.arrange(operands, shape)
        case Lookup() | Scatter():
            return c.apply(operands, shape)


def pointwise(c: Pointwise, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """The expression, with each operand's axes moved to where it runs along the result's."""
    aligned = [_aligned(x, dims, len(shape)) for x, dims in zip(operands, c.dims, strict=True)]
    return np.broadcast_to(evaluate(c.expr, aligned), shape).copy()


def _aligned(x: Array, dims: tuple[int, ...], rank: int) -> Array:
    full = [1] * rank
    for axis, size in zip(dims, x.shape, strict=True):
        full[axis] = size
    return x.reshape(full)


def _window_reduction(c: WindowReduction, x: Array) -> Array:
    if c.combine == "maximum":
        least = -np.inf if x.dtype.kind == "f" else element_of(x).least
        return slide(c.window, x, np.maximum, least)
    return slide(c.window, x, np.add, 0.0) / divisor(c, x.shape)


def divisor(c: WindowReduction, shape: tuple[int, ...]) -> Array:
    """By what the sum over each window is divided, for an input of `shape`."""
    if c.divisor != "valid":
        return np.asarray(1.0 if c.divisor == "none" else float(math.prod(axis.kernel for axis in c.window)))
    margins = [c.margins(axis) for axis in range(len(c.window))]
    return slide(c.window, np.ones((1, 1, *shape[2:])), np.add, 0.0, margins)
