"""Several sizes of one model: what `shapes` says, and how the programs of the sizes are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .errors import DifferenceError, ModelError, PassError, UsageError

Size = dict[str, tuple[int, ...]]
"""The shapes of some inputs by name."""

ANY = "any"
MOST = 16
"""Sizes of one model: in a list, in a library, and compiled at the same time in Python."""


def is_open(shapes: Any) -> bool:
    """Whether `shapes` asks for more than one size: the word "any", or a list of shapes for some input.

    Raises UsageError for another word.
    """
    if isinstance(shapes, str) and shapes != ANY:
        raise UsageError(f"shapes={shapes!r}: expected shapes of inputs by name, or {ANY!r}")
    return shapes == ANY or (isinstance(shapes, Mapping) and any(map(_is_list, shapes.values())))


def expect_one(shapes: Any, what: str) -> None:
    """Raise UsageError if `shapes` asks for more than one size, where `what` takes one."""
    if is_open(shapes):
        raise UsageError(f"{what} takes one size: give one shape for each input")


def listed(shapes: Any) -> list[Size]:
    """The sizes that a list names: the first shapes of the inputs, the second ones…; one shape alone holds for all.

    "any" names none. Raises UsageError for lists that do not fit together, too many sizes, or one that comes again.
    """
    if shapes == ANY:
        return []
    lists = {name: list(value) for name, value in shapes.items() if _is_list(value)}
    (first, count), *others = ((name, len(value)) for name, value in lists.items())
    for name, number in others:
        if number != count:
            raise UsageError(
                f"input '{first}' has {count} shapes and input '{name}' {number}: expected as many, or one for all"
            )
    if count > MOST:
        raise UsageError(f"{count} sizes are given, at most {MOST} fit into one model")
    sizes = [
        {name: _shape(name, lists[name][number] if name in lists else value) for name, value in shapes.items()}
        for number in range(count)
    ]
    for number, size in enumerate(sizes):
        if size in sizes[:number]:
            raise UsageError(f"size {told(size)} is given twice")
    return sizes


def larger(size: Mapping[str, Sequence[int]], ports: Mapping[str, Sequence[int | str] | None]) -> Iterator[Size]:
    """Sizes near one that a model cannot have: its open axes behind the first, rounded up to powers of two, up to 128.

    `ports` has the shapes of the inputs with names for open axes, or None for one that is open in all.
    """
    found: list[Size] = [{name: tuple(shape) for name, shape in size.items()}]
    for step in (2, 4, 8, 16, 32, 64, 128):
        near = {name: tuple(_rounded(shape, ports[name], step)) for name, shape in size.items()}
        if near not in found:
            found.append(near)
            yield near


def _rounded(shape: Sequence[int], stated: Sequence[int | str] | None, step: int) -> Iterator[int]:
    for axis, length in enumerate(shape):
        fixed = axis == 0 or (stated is not None and not isinstance(stated[axis], str))
        yield length if fixed else max(1, -(-length // step)) * step


def told(size: Mapping[str, Sequence[int]]) -> str:
    """A size in words."""
    return ", ".join(f"{name}={tuple(shape)}" for name, shape in size.items())


@contextmanager
def telling(size: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """What is wrong with the model at a size is told with the size, if one is named."""
    try:
        yield
    except PassError:  # a mistake of ours
        raise
    except (ModelError, DifferenceError) as error:
        if not size:
            raise
        kind = ModelError if isinstance(error, ModelError) else DifferenceError
        raise kind(f"with {told(size)}: {error}") from None


def suffixes(sizes: Sequence[Sequence[Sequence[int]]]) -> list[str]:
    """What the names of a library's programs end in, from the shapes of all inputs at each size.

    The lengths of the axes that differ stand between `x`, those of several inputs between `_`. Of an input whose number
    of axes differs, these are all axes.
    """
    parts = [_differing(shapes) for shapes in zip(*sizes, strict=True)]
    return ["_".join(part for part in words if part) for words in zip(*parts, strict=True)]


def _differing(shapes: Sequence[Sequence[int]]) -> list[str]:
    """The axes of one input that differ, for each size."""
    same_rank = len(set(map(len, shapes))) == 1
    axes = [axis for axis, lengths in enumerate(zip(*shapes, strict=False)) if len(set(lengths)) > 1]
    if not same_rank:
        return ["x".join(map(str, shape)) or "scalar" for shape in shapes]
    return ["x".join(str(shape[axis]) for axis in axes) for shape in shapes]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(item, list | tuple) for item in value)


def _shape(name: str, value: Any) -> tuple[int, ...]:
    """Raises UsageError for anything but whole numbers that are not negative."""
    sizes = tuple(value) if isinstance(value, list | tuple) else (None,)
    if any(type(size) is not int or size < 0 for size in sizes):
        raise UsageError(f"input '{name}': {value!r} is not a shape")
    return sizes
