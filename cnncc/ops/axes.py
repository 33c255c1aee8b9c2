"""Axes as users count them: also from the back."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ShapeError


def axis_of(axis: int, rank: int) -> int:
    """`axis` counted from the front; raises ShapeError outside [−rank, rank)."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Several different axes counted from the front; raises ShapeError if one is missing or named twice."""
    found = tuple(axis_of(axis, rank) for axis in axes)
    if len(set(found)) < len(found):
        raise ShapeError(f"axes {tuple(axes)} name an axis twice")
    return found
