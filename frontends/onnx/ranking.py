"""Operators that compare the elements along an axis, add them up, or choose by their places.

Each has a row, and a fold for known inputs, which keeps their element type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ...errors import ModelError
from ...types import Array
from . import parameters
from .call import NodeContext, Result
from .parameters import room

PlaceOf = Callable[[int, bool, bool], ops.ArgMax | ops.ArgMin]


def place_of(op: PlaceOf) -> tuple[Callable[[NodeContext], Result], Callable[[NodeContext], Any]]:
    """Row and fold of ArgMax or ArgMin."""

    def made(call: NodeContext) -> ops.ArgMax | ops.ArgMin:
        axis = parameters.axis(call, 0, len(call.shape(0)))
        return op(axis, bool(call.attribute("keepdims", 1)), bool(call.attribute("select_last_index", 0)))

    def folded(call: NodeContext) -> Any:
        x, found = call.array(0, "inputs"), made(call)
        room(call, [size for axis, size in enumerate(x.shape) if axis != found.axis])
        places = found.found(x.ndim).made([x])
        return places if found.keepdims else places.squeeze(found.axis)

    return lambda call: call.add(made(call), call.value(0)), folded


arg_max, fold_arg_max = place_of(ops.ArgMax)
arg_min, fold_arg_min = place_of(ops.ArgMin)


def number(call: NodeContext, index: int, what: str) -> int:
    """A whole number from a known input. Raises ModelError for several."""
    numbers = call.sizes(index, what)
    if len(numbers) != 1:
        raise ModelError(f"{what} of {call.operator} has {len(numbers)} elements, expected one")
    return numbers[0]


def ranked(call: NodeContext) -> ops.TopK:
    """`k` is an attribute up to opset 9; the results are in order, also where `sorted` leaves that open."""
    k = call.required("k", int) if call.version < 10 else number(call, 1, "k")
    call.ignore("sorted")
    return ops.TopK(k, parameters.axis(call, -1, len(call.shape(0))), bool(call.attribute("largest", 1)))


def top_k(call: NodeContext) -> Result:
    return call.add_all(ranked(call), call.value(0))


def fold_top_k(call: NodeContext) -> list[Array]:
    x, op = call.array(0, "inputs"), ranked(call)
    op.expect_k(x.shape[op.axis])
    room(call, x.shape, x)
    places = op.ranking(x.ndim).made([x])
    return [np.take_along_axis(x, places, op.axis), places]


def cumulative(
    op: type[ops.CumSum] | type[ops.CumProd],
) -> tuple[Callable[[NodeContext], Result], Callable[[NodeContext], Any]]:
    """Row and fold of CumSum or CumProd."""

    def made(call: NodeContext) -> ops.CumSum | ops.CumProd:
        axis = parameters.front(number(call, 1, "axis"), len(call.shape(0)))
        return op(axis, bool(call.attribute("exclusive", 0)), bool(call.attribute("reverse", 0)))

    def folded(call: NodeContext) -> Any:
        x = call.array(0, "inputs")
        room(call, x.shape, x)
        return made(call).running(x.ndim).made([x])

    return lambda call: call.add(made(call), call.value(0)), folded


cum_sum, fold_cum_sum = cumulative(ops.CumSum)
cum_prod, fold_cum_prod = cumulative(ops.CumProd)


def triangle(call: NodeContext) -> ops.Trilu:
    return ops.Trilu(bool(call.attribute("upper", 1)), number(call, 1, "k") if call.has(1) else 0)


def trilu(call: NodeContext) -> Result:
    return call.add(triangle(call), call.value(0))


def fold_trilu(call: NodeContext) -> Any:
    x, op = call.array(0, "inputs"), triangle(call)
    room(call, x.shape, x)
    return op.kept(x)


def at_index(call: NodeContext) -> ops.OneHot:
    """From opset 11 on an index below 0 counts from the back."""
    axis = parameters.axis(call, -1, len(call.shape(0)) + 1)
    return ops.OneHot(number(call, 1, "depth"), axis, call.version >= 11)


def one_hot(call: NodeContext) -> Result:
    return call.add(at_index(call), call.value(0), call.value(2))


def fold_one_hot(call: NodeContext) -> Any:
    indices, values, op = call.array(0, "inputs"), call.array(2, "values"), at_index(call)
    room(call, (*indices.shape, op.depth), values)
    return op.chosen(indices, values)
