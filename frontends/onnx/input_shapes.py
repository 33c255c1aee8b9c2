"""The shapes of inputs: as the file declares them, as they are given, and what is said of those that stay open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...elements import Element
from ...errors import ModelError, ShapeError, UsageError
from ...types import TensorType, port_type
from .messages import listed, short
from .read import Declared, OnnxModel

Shapes = Mapping[str, Sequence[int]]


def check_names(shapes: Shapes, model: OnnxModel) -> None:
    """Raise UsageError for a shape with a name that is no input."""
    names = [declared.name for declared in model.inputs]
    for name in shapes:
        if name not in names:
            told = listed([short(name) for name in names], 10)
            raise UsageError(f"a shape is given for '{name}', but the inputs of '{model.file}' are {told}")


def input_type(declared: Declared, shape: tuple[int, ...], element: Element) -> TensorType:
    """The type of an input. Raises ShapeError if it is too large."""
    try:
        return port_type(shape, element)
    except ShapeError as error:
        raise ShapeError(f"input '{declared.name}': {error.message}") from None


def _fits(shape: Sequence[int | str] | None, given: Sequence[int]) -> bool:
    """Whether a given shape has the rank and the fixed sizes of a declared one."""
    if shape is None:
        return True
    same = (isinstance(n, str) or n == new for n, new in zip(shape, given, strict=False))
    return len(given) == len(shape) and all(same)


def static_shape(declared: Declared, given: Sequence[int] | None) -> tuple[int, ...] | None:
    """The shape without open dimensions; None if some stay. Raises UsageError if `given` contradicts it."""
    if given is not None:
        if not _fits(declared.shape, given):
            told = f"shape {tuple(given)} is given for input '{declared.name}', which the model declares"
            raise UsageError(f"{told} {_told(declared)}")
        return tuple(given)
    static = tuple(size for size in _sizes(declared) if isinstance(size, int))
    return None if declared.shape is None or len(static) != len(declared.shape) else static


def still_open(inputs: Sequence[Declared]) -> ModelError:
    """What is said of inputs with open dimensions: what to type, with a blank for each of these."""
    told = " and ".join(f"input '{declared.name}' is {_told(declared)}" for declared in inputs)
    blanks = {
        declared.name: ", ".join(str(n) if isinstance(n, int) else "…" for n in _sizes(declared)) or "…"
        for declared in inputs
    }
    shapes = ", ".join(f"{name!r}: ({sizes})" for name, sizes in blanks.items())
    options = " ".join(f"--shape {name}={sizes.replace(' ', '')}" for name, sizes in blanks.items())
    whose = "its" if len(inputs) == 1 else "their"
    return ModelError(
        f"{told}: give {whose} open dimensions, shapes={{{shapes}}} (on the command line {options}), "
        'or shapes="any" in Python, which compiles each size when it comes'
    )


def _told(declared: Declared) -> str:
    return f"({', '.join(map(str, declared.shape))})" if declared.shape is not None else "of any rank"


def _sizes(declared: Declared) -> tuple[int | str, ...]:
    """The sizes, with one image where their number is open."""
    return tuple(1 if k == 0 and isinstance(n, str) else n for k, n in enumerate(declared.shape or ()))
