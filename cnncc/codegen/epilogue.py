"""The epilogue of a tile: bias, activation, residual and pooling on registers, then the one store."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..computation import Combine
from ..elements import Element
from ..expr import Expr, arguments_of, typed
from ..plan.kernels import Epilogue, Pooling
from .emitter import Emitter
from .expression import emit
from .memory import Access
from .registers import Index, Ssa

Key = tuple[int, int, int]  # row of the tile, column (or vector of columns), vector of channels (or channel)


@dataclass(frozen=True)
class ResultVector:
    """One register of results: the logical position of lane 0, and the number of lanes with results."""

    position: tuple[Index, ...]
    value: Ssa
    lanes: int


def finish(
    e: Emitter,
    epilogue: Epilogue,
    cells: Mapping[Key, ResultVector],
    pooled: Mapping[Key, tuple[Index, ...]],
    lane_axis: int,
    target: Access,
    operands: Sequence[Access],
) -> None:
    """Apply the epilogue to a tile of sums and store it; `pooled` gives the position of each stored register."""
    element = e.target.mac.sum
    cells = {key: _apply(e, epilogue.before, cell, element, lane_axis, operands) for key, cell in cells.items()}
    if epilogue.pool:
        element = typed(epilogue.before, [element, *(operand.read_as for operand in operands)])
        cells = _pool(e, epilogue.pool, cells, pooled, lane_axis, len(target.view.shape))
        cells = {key: _apply(e, epilogue.after, cell, element, lane_axis, operands) for key, cell in cells.items()}
    for cell in cells.values():
        target.store(e.resize(cell.value, cell.lanes), target.offset(cell.position), lane_axis)


def _apply(
    e: Emitter, expr: Expr, cell: ResultVector, element: Element, lane_axis: int, operands: Sequence[Access]
) -> ResultVector:
    """The cell with an expression of its value, of such an element, and of the operands at its position."""
    used = arguments_of(expr)
    width = cell.value.lanes
    arguments = [cell.value]
    for number, operand in enumerate(operands, start=1):
        if number not in used:
            arguments.append(cell.value)  # a placeholder: the expression does not use it
            continue
        loaded = operand.load(operand.offset(cell.position), lane_axis, cell.lanes)
        arguments.append(e.resize(loaded, width))
    elements = [element, *(operand.read_as for operand in operands)]
    return ResultVector(cell.position, emit(e, expr, arguments, elements, width), cell.lanes)


COMBINE: Mapping[Combine, Callable[[Emitter, Ssa, Ssa], Ssa]] = {
    "maximum": lambda e, a, b: e.maximum(a, b),
    "minimum": lambda e, a, b: e.minimum(a, b),
    "add": lambda e, a, b: e.binary("add", a, b),
    "multiply": lambda e, a, b: e.binary("multiply", a, b),
    "fmax": lambda e, a, b: e.select(e.compare(">", b, a), b, a),
}


def identity(kind: Combine, element: Element) -> float:
    """What changes nothing that it is combined with."""
    if kind in ("add", "multiply"):
        return 0.0 if kind == "add" else 1.0
    if element.is_float:
        return math.inf if kind == "minimum" else -math.inf
    return element.most if kind == "minimum" else element.least


def combine(e: Emitter, kind: Combine, a: Ssa, b: Ssa) -> Ssa:
    """Two partial results of a reduction combined."""
    return COMBINE[kind](e, a, b)


def combine_all(e: Emitter, kind: Combine, values: Sequence[Ssa]) -> Ssa:
    """All partial results combined, from the first to the last."""
    if kind in ("maximum", "minimum") and len(values) > 2:
        return e.extreme(kind, values)
    return functools.reduce(functools.partial(combine, e, kind), values)


def _pool(
    e: Emitter,
    pool: Pooling,
    cells: Mapping[Key, ResultVector],
    pooled: Mapping[Key, tuple[Index, ...]],
    lane_axis: int,
    rank: int,
) -> dict[Key, ResultVector]:
    """Each window of registers reduced to one register, in row-major order of the window."""
    across = pool.kernel[-1]
    height = pool.kernel[0] if len(pool.kernel) > 1 else 1
    along_columns = lane_axis == rank - 1
    result: dict[Key, ResultVector] = {}
    for key, position in pooled.items():
        row, column, channel = key
        if along_columns:
            members = _apart(e, pool, [cells[row * height + y, column, channel].value for y in range(height)])
        else:
            window = itertools.product(range(height), range(across))
            members = [cells[row * height + y, column * across + x, channel].value for y, x in window]
        value = combine_all(e, pool.combine, members)
        if pool.average:
            value = e.binary("divide", value, e.number(float(math.prod(pool.kernel)), value.lanes))
        lanes = value.lanes if along_columns else cells[row * height, column * across, channel].lanes
        result[key] = ResultVector(position, value, lanes)
    return result


def _apart(e: Emitter, pool: Pooling, rows: Sequence[Ssa]) -> list[Ssa]:
    """With lanes along columns: the elements of the windows, each a vector with a lane for every window.

    A maximum does not depend on the order: reducing rows first, in full vectors, leaves fewer vectors to split.
    """
    if pool.combine in ("maximum", "minimum"):
        rows = [combine_all(e, pool.combine, rows)]
    across = pool.kernel[-1]
    return [e.shuffle(row, None, range(x, row.lanes, across)) for row in rows for x in range(across)]
