"""Gradients of element-wise expressions: another expression, and sums over what was repeated."""

from __future__ import annotations

from collections.abc import Sequence

from ..computation import Pointwise
from ..expr import Arg, Expr, arguments_of, substitute
from ..tangent import ZERO, tangent
from .pieces import Pieces, Step


def pointwise(step: Step, c: Pointwise) -> list[int | None]:
    """g times the derivative by each operand (`tangent`); an operand read in two places has a share for each."""
    return [_by_operand(step, c, k) if wanted else None for k, wanted in enumerate(step.wanted)]


def counts(c: Pointwise, operand: int) -> bool:
    """Whether the result changes with an operand, other than in steps."""
    return tangent(c.expr, operand, Arg(len(c.dims) + 1), Arg(len(c.dims))) != ZERO


def by_result(c: Pointwise) -> Expr | None:
    """The derivative of an expression of one operand, as one of g and of its result; None if that does not suffice."""
    if len(c.dims) != 1 or c.dims[0] != tuple(range(len(c.dims[0]))):
        return None
    slope = tangent(c.expr, 0, Arg(1), Arg(2))
    return None if 0 in arguments_of(slope) else substitute(slope, {1: Arg(0), 2: Arg(1)})


def _by_operand(step: Step, c: Pointwise, k: int) -> int:
    pieces, shape = step.pieces, step.pieces.shape(step.y)
    g, y, every = Arg(0), Arg(len(step.x) + 1), tuple(range(len(shape)))
    own = substitute(c.expr, {place: Arg(place + 1) for place in range(len(step.x))})
    slope = tangent(own, k + 1, g, y)
    # g comes first: the result gets the memory order of the first operand, and the walk goes on with what is near.
    operands, dims = (step.g, *step.x, step.y), (every, *c.dims, every)
    whole = step.g if slope == g else pieces.expr(slope, operands, dims, shape)
    return summed_along(pieces, whole, c.dims[k], pieces.shape(step.x[k]))


def summed_along(pieces: Pieces, whole: int, dims: Sequence[int], own: Sequence[int]) -> int:
    """What an operand of shape `own` along axes `dims` gets of `whole`: the sum over the axes where it is repeated."""
    shape = pieces.shape(whole)
    sizes = dict(zip(dims, own, strict=True))
    repeated = [axis for axis, size in enumerate(shape) if sizes.get(axis, 1) == 1 and size > 1]
    if repeated:
        whole = pieces.reduce(whole, repeated, "add")
    order = sorted(dims)
    ordered = pieces.reshape(whole, [sizes[axis] for axis in order])
    places = [order.index(axis) for axis in dims]
    return ordered if places == sorted(places) else pieces.transpose(ordered, places)
