"""What a model answers for one file, as columns: the best classes, and every other output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..plain import number
from ..types import Array
from .journal import Row
from .mapping import AnyModel, Mapped


class Table:
    """Columns `file`, `class`, `score`, `class_2`, … and `error`; others are called like their outputs.

    The first output gives the `top` best classes where it is a vector of floats for each image; with `top` 0, and every
    other output, it is a column of numbers: one, or nested lists.
    """

    def __init__(self, model: AnyModel, top: int):
        self._labels, self._top = model.labels, top
        self._ranked = model.outputs[0].name if top and _is_vector(model) else None
        others = [port.name for port in model.outputs if port.name != self._ranked]
        taken = {"file", "error", *(name for name, _ in self._classes())}
        self._named = {name: name if name not in taken else f"output_{name}" for name in others}

    @property
    def columns(self) -> tuple[str, ...]:
        ranked = [name for names in self._classes() for name in names]
        return "file", *ranked, *self._named.values(), "error"

    def row(self, answer: Mapped) -> Row:
        """The cells of all columns by name; those without a value are None."""
        cells: dict[str, Any] = {**dict.fromkeys(self.columns), "file": answer.file, "error": answer.error or None}
        if not answer.error:
            cells.update(self._best(answer.outputs))
            cells.update({column: plain(answer.outputs[name]) for name, column in self._named.items()})
        return cells

    def _classes(self) -> Iterator[tuple[str, str]]:
        for place in range(self._top if self._ranked else 0):
            end = f"_{place + 1}" if place else ""
            yield f"class{end}", f"score{end}"

    def _best(self, outputs: dict[str, Array]) -> Iterator[tuple[str, Any]]:
        if self._ranked is None:
            return
        scores = outputs[self._ranked]
        best = np.argsort(-scores, kind="stable")[: self._top]
        for (name, score), at in zip(self._classes(), best.tolist(), strict=False):
            yield name, self._labels[at] if len(self._labels) == len(scores) else at
            yield score, number(float(str(scores[at])))  # the shortest digits that are this float


def _is_vector(model: AnyModel) -> bool:
    port = model.outputs[0]
    return (
        port.shape is not None and len(port.shape) == 2 and port.shape[1] != 1 and str(port.dtype).startswith("float")
    )


def plain(array: Array) -> Any:
    """An array as nested lists of numbers, or one number if it has one element; what JSON has no number for is text."""
    flat = [number(value) for value in array.ravel().tolist()]
    if len(flat) == 1:
        return flat[0]
    for size in reversed(array.shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat
