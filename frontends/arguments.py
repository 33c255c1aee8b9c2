"""What users give to layers: names, whole numbers, sizes and paddings, each checked where it is given."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from ..errors import CnnccError, Location, ModelError, ShapeError
from ..types import TensorType
from ..windows import Padding

_NAME = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)


@contextmanager
def located(node: str | None, where: Location | None) -> Iterator[None]:
    """Adds the layer and the user's line to errors raised in the block."""
    try:
        yield
    except CnnccError as error:
        raise error.at(node, where) from None


def checked_name(name: str, where: Location | None) -> str:
    """`name`, if it is valid in the graph's text and in file formats; raises ModelError otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ModelError(
            f"name {name!r}: expected a letter or '_', then letters, digits and any of '_./-'", where=where
        )
    return name


def _as_whole(number: Any, least: int | None) -> int | None:
    """`number` as an int; None if it is below `least` or not a whole number (bool and float are not)."""
    try:
        value = None if isinstance(number, bool) else operator.index(number)
    except TypeError:
        return None
    return value if value is not None and (least is None or value >= least) else None


def whole(number: Any, what: str, least: int | None = 1) -> int:
    """`number` as an int of at least `least`; raises ShapeError for anything else."""
    value = _as_whole(number, least)
    if value is None:
        limit = "" if least is None else f" of at least {least}"
        raise ShapeError(f"{what} {number!r}: expected a whole number{limit}")
    return value


def wholes(numbers: Any, what: str, least: int = 1) -> tuple[int, ...]:
    """`numbers` as a tuple of ints of at least `least`; raises ShapeError for anything else."""
    if isinstance(numbers, str) or not isinstance(numbers, Sequence):
        raise ShapeError(f"{what} {numbers!r}: expected a tuple of whole numbers")
    values = [_as_whole(number, least) for number in numbers]
    if None in values:
        raise ShapeError(f"{what} {numbers!r}: expected whole numbers of at least {least}")
    return tuple(value for value in values if value is not None)


def sizes(value: Any, what: str, least: int = 1) -> int | tuple[int, ...]:
    """A whole number, or one for each axis; raises ShapeError for anything else."""
    return wholes(value, what, least) if isinstance(value, Sequence) else whole(value, what, least)


def paddings(value: Any, what: str = "padding") -> Padding:
    """Padding with lists as tuples, since an op is hashable; the op's type rule validates names and counts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Sequence):
        return whole(value, what, least=0)
    return cast(Padding, tuple(sizes(entry, what, 0) for entry in value))


def spread(value: int | tuple[int, ...], x: TensorType, what: str) -> tuple[int, ...]:
    """One number for every spatial axis of x, or the given numbers, of which there must be as many as axes."""
    rank = x.rank - 2
    if not 1 <= rank <= 3:
        raise ShapeError(f"expected a tensor (N, C, 1 to 3 spatial axes), got {x}")
    values = (value,) * rank if isinstance(value, int) else value
    if len(values) != rank:
        raise ShapeError(f"{what} {values} has {len(values)} entries, but {x} has {rank} spatial axes")
    return values
