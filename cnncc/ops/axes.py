"""Axes as users count them: also from the back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import SupportsIndex

from ..errors import ShapeError

MAX_TABLE = 2**20
"""Elements of an axis that an op looks up one by one, each through an entry of a table made at compile time."""


def axis_of(axis: int, rank: int) -> int:
    """`axis` counted from the front; raises ShapeError outside [−rank, rank) or if it is no whole number."""
    if isinstance(axis, bool) or not isinstance(axis, SupportsIndex):
        raise ShapeError(f"axis {axis!r} is not a whole number")
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Several different axes counted from the front; raises ShapeError if one is missing or named twice."""
    found = tuple(axis_of(axis, rank) for axis in axes)
    if len(set(found)) < len(found):
        raise ShapeError(f"axes {tuple(axes)} name an axis twice")
    return found


def expect_tables(sizes: Iterable[int]) -> None:
    """Raise ShapeError for an axis that would need too large a table: making it would take minutes, or the memory."""
    for size in sizes:
        if size > MAX_TABLE:
            raise ShapeError(f"an axis of {size} elements, each looked up in a table: at most {MAX_TABLE} fit")
