"""Oracles of ops that compare the elements of a line, add them up, or choose by their place: line by line, in loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from cnncc.types import Array

from .oracles_exact import Scalar, number

Line = list[Scalar]


def lines(x: Array, axis: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], Line]]:
    """What comes before the axis, what comes behind it, and the elements, of each line."""
    for before in product(*map(range, x.shape[:axis])):
        for behind in product(*map(range, x.shape[axis + 1 :])):
            yield before, behind, [number(x[(*before, at, *behind)]) for at in range(x.shape[axis])]


def of_lines(x: Array, axis: int, function: Callable[[Line], Line]) -> Array:
    """Each line replaced by what a function makes of it."""
    axis %= x.ndim
    made = {(before, behind): function(line) for before, behind, line in lines(x, axis)}
    length = len(next(iter(made.values())))
    result = np.zeros((*x.shape[:axis], length, *x.shape[axis + 1 :]), float if x.dtype.kind == "f" else object)
    for (before, behind), line in made.items():
        for at, value in enumerate(line):
            result[(*before, at, *behind)] = value
    return result


def extreme_place(line: Line, sign: int, last: bool) -> int:
    """By walking: the first NaN, or the last, beats all numbers."""
    best = 0
    for at, value in enumerate(line):
        old, nan = line[best], math.isnan(value)
        better = not math.isnan(old) and (nan or sign * value > sign * old or (last and value == old))
        best = at if better or (nan and last) else best
    return best


def place_of(op: Any, x: Array, sign: int) -> list[Array]:
    found = of_lines(x, op.axis, lambda line: [extreme_place(line, sign, op.select_last_index)])
    return [found if op.keepdims else found.squeeze(op.axis)]


def hardmax(op: Any, x: Array) -> list[Array]:
    def one_of(line: Line) -> Line:
        best = extreme_place(line, 1, last=False)
        return [float(at == best) for at in range(len(line))]

    return [of_lines(x, op.axis, one_of)]


def ranking(line: Line, k: int, largest: bool) -> list[int]:
    """One after the other is taken out: NaN counts as more than infinity, of equal ones the first."""
    left, found = list(range(len(line))), []
    for _ in range(k):
        best = left[0]
        for at in left:
            a, b = (math.isnan(line[place]) for place in (at, best))
            more, less = (a > b) or line[at] > line[best], (a < b) or line[at] < line[best]
            best = at if (more if largest else less) else best
        found.append(best)
        left.remove(best)
    return found


def top_k(op: Any, x: Array) -> list[Array]:
    def chosen(line: Line) -> Line:
        return [line[at] for at in ranking(line, op.k, op.largest)]

    return [of_lines(x, op.axis, chosen), of_lines(x, op.axis, lambda line: [*ranking(line, op.k, op.largest)])]


def running(line: Line, exclusive: bool, reverse: bool, product: bool = False) -> Line:
    add = math.prod if product else math.fsum if isinstance(line[0], float) else sum
    results = []
    for at in range(len(line)):
        part = line[at + exclusive :] if reverse else line[: at + (not exclusive)]
        results.append(add(part))
    return results


def trilu(op: Any, x: Array) -> list[Array]:
    result = np.zeros(x.shape, x.dtype if x.dtype.kind == "f" else object)
    for where in product(*map(range, x.shape)):
        row, column = where[-2:]
        kept = column - row >= op.k if op.upper else column - row <= op.k
        result[where] = number(x[where]) if kept else 0
    return [result]


def one_hot(op: Any, indices: Array, values: Array) -> list[Array]:
    axis = op.axis % (indices.ndim + 1)
    off, on = map(number, values)
    shape = (*indices.shape[:axis], op.depth, *indices.shape[axis:])
    result = np.full(shape, off, float if values.dtype.kind == "f" else object)
    for where in product(*map(range, indices.shape)):
        index = int(number(indices[where]))
        if (-op.depth if op.from_back else 0) <= index < op.depth:
            result[(*where[:axis], index % op.depth, *where[axis:])] = on
    return [result]


Oracle = Callable[[Any, Sequence[Array]], list[Array]]
ORACLES: dict[str, Oracle] = {
    "ArgMax": lambda op, x: place_of(op, x[0], 1),
    "ArgMin": lambda op, x: place_of(op, x[0], -1),
    "CumSum": lambda op, x: [of_lines(x[0], op.axis, lambda line: running(line, op.exclusive, op.reverse))],
    "CumProd": lambda op, x: [of_lines(x[0], op.axis, lambda line: running(line, op.exclusive, op.reverse, True))],
    "Hardmax": lambda op, x: hardmax(op, x[0]),
    "OneHot": lambda op, x: one_hot(op, *x),
    "TopK": lambda op, x: top_k(op, x[0]),
    "Trilu": lambda op, x: trilu(op, x[0]),
}
