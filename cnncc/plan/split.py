"""Splitting a fused node: a pool, and what follows it, as steps of their own behind the contraction.

A fused node is a permission. A pool in registers saves a store and a load of each sum, but the sums of its windows then
bound the tile: windows of more sums than registers have no tile at all, and a Winograd tile has to hold whole windows.
So the layout compares both ways by cost:

    fused     the contraction with its pool
    split     the contraction alone  +  the pool's step  +  the step of what follows it  +  the transfer between them

What stands before the pool stays in registers. It never pays to split that off: the most that a lack of registers costs
it is a store and a load of each sum, and so much the split costs as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..computation import Pointwise, WindowReduction
from ..elements import FLOAT32
from ..expr import RUNNING, Apply, Arg, Expr, Number, arguments_of, substitute, typed
from ..machine.target import Target
from ..types import TensorType
from ..windows import WindowAxis
from .candidates import signature
from .cost import step, transfer
from .kernels import Candidate, Convolution, Epilogue, Kernel, Layer, Pooling, elementwise, window
from .kernels.base import row_need
from .lower import LoweredOp, Operand
from .stream import cycles_of_rounds
from .tensors import Tensor
from .views import Order, channels_last, dense_view, planar


@dataclass(frozen=True)
class Parts:
    """A lowered op with what its kernel holds in registers, the steps behind it, and the types of all their results."""

    held: LoweredOp
    steps: tuple[LoweredOp, ...] = ()
    types: dict[Tensor, TensorType] = field(default_factory=dict)


def fused(work: LoweredOp) -> Parts:
    """All in registers. Clamps follow an extreme: there is less to clamp then."""
    if not of_extremes(work):
        return Parts(work)
    before, clamp = clamped(work.before)
    return Parts(replace(work, before=before, after=substitute(work.after, {0: clamp})))


def split(work: LoweredOp, types: dict[Tensor, TensorType]) -> Parts:
    """The contraction with what stands before its pool, then the pool, then what follows it.

    Clamps that follow an extreme go before it, into registers.
    """
    value, clamp = clamped(work.after)
    if of_extremes(work) and value == RUNNING:
        work = replace(work, before=substitute(clamp, {0: work.before}), after=RUNNING)
    pool, result = work.pool, types[work.result]
    assert pool is not None
    sums, pooled = (Tensor("apart", (work.result,), (number,)) for number in range(2))
    before, extras = renumbered(work.before, work.extras)
    element = typed(before, [FLOAT32, *(types[extra.tensor].dtype for extra in extras)])
    held = replace(work, result=sums, before=before, pool=None, after=RUNNING, extras=extras)
    whole = TensorType((*result.shape[:2], *(axis.size for axis in pool.window)), element)
    if work.after == RUNNING:
        return Parts(held, (LoweredOp(work.name, pool, [sums], work.result),), {sums: whole, work.result: result})
    after, extras = renumbered(work.after, work.extras)
    dims = tuple(range(result.rank)), *(extra.dims for extra in extras)
    last = LoweredOp(work.name, Pointwise(after, dims), [pooled, *(extra.tensor for extra in extras)], work.result)
    between = {sums: whole, pooled: TensorType(result.shape, element)}
    return Parts(held, (LoweredOp(work.name, pool, [sums], pooled), last), between | {work.result: result})


def renumbered(expr: Expr, extras: list[Operand]) -> tuple[Expr, list[Operand]]:
    """An expression of the running value and of those of `extras` that it reads, and these."""
    used = sorted(arguments_of(expr) - {0})
    places: dict[int, Expr] = {number: Arg(place) for place, number in enumerate(used, start=1)}
    return substitute(expr, places), [extras[number - 1] for number in used]


def of_extremes(work: LoweredOp) -> bool:
    """Whether its pool is a maximum or minimum."""
    return work.pool is not None and work.pool.combine in ("maximum", "minimum")


def clamped(expr: Expr) -> tuple[Expr, Expr]:
    """(what `expr` clamps, how it clamps the running value): its outermost maxima and minima with numbers.

    Clamping is monotone, so it may change places with a maximum or minimum over several values.
    """
    if isinstance(expr, Apply) and expr.function in ("maximum", "minimum"):
        value, limit = expr.arguments
        if isinstance(limit, Number):
            inner, outer = clamped(value)
            return inner, Apply(expr.function, (outer, limit))
    return expr, RUNNING


# Ways


@dataclass(frozen=True)
class Way:
    """One way to divide a contraction and its epilogue among kernels, and the layer that its own kernel computes."""

    parts: Parts
    layer: Layer


def held_epilogue(work: LoweredOp) -> Epilogue:
    """What a lowered op does to its sums in registers."""
    pool, pooling = work.pool, None
    if pool:
        pooling = Pooling(tuple(axis.kernel for axis in pool.window), pool.combine, pool.divisor != "none")
    return Epilogue(work.before, pooling, work.after, len(work.extras))


def merged_positions(way: Way) -> Way:
    """A 1×1 convolution over all positions as one axis, where nothing depends on the others; else the way itself."""
    c, epilogue = way.layer.contraction, way.layer.epilogue
    if c.weights_per_image or len(c.window) < 2 or epilogue.pool or not all(map(is_point, c.window)):
        return way
    positions = math.prod(way.layer.stored)
    flat = replace(c, window=(WindowAxis(positions),))
    # There is nothing to transform.
    layer = replace(way.layer, contraction=flat, stored=(positions,), tame=True, arriving=0)
    return replace(way, layer=layer)


def is_point(window: WindowAxis) -> bool:
    """Whether a window has one tap on each axis and visits every element."""
    return window == WindowAxis(window.size)


def signature_of(ways: Sequence[Way]) -> str:
    """What the candidates of all ways depend on: a step more behind the pool has a cost of its own."""
    return signature(ways[0].layer) + (" then" if len(ways[-1].parts.steps) > 1 else "")


def with_steps(target: Target, ways: Sequence[Way], found: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """The candidates of all ways, with the cycles of the steps behind them."""
    return [
        with_steps_of(target, way.parts, candidate) if way.parts.steps else candidate
        for way, candidates in zip(ways, found, strict=True)
        for candidate in candidates
    ]


def with_steps_of(target: Target, parts: Parts, candidate: Candidate) -> Candidate:
    """A candidate for a contraction whose pool is apart; its cycles are those of one image."""
    type = parts.types[parts.held.result]
    order = channels_last(type.rank) if candidate.kernel.lanes_along == "channels" else planar(type.rank)
    cycles = candidate.cycles + cycles_apart(target, parts, candidate.kernel, order) / type.shape[0]
    cycles *= 1.0 if target.l2 else step.SHORT_OF_MEMORY
    return Candidate(f"split pool, {candidate.label}", cycles, candidate.kernel, split=True)


# Cost


def cycles_apart(target: Target, parts: Parts, contraction: Convolution, order: Order) -> float:
    """Cycles of the steps behind a contraction that writes in `order`, and of the tensor between them, for all images.

    That tensor goes out of the second cache and comes back, or through a ring, whichever is cheaper.
    """
    steps = sum(_step_cycles(target, work, parts.types, order) for work in parts.steps)
    pool = parts.steps[0]
    assert isinstance(pool.computation, WindowReduction)
    types = [parts.types[parts.held.result], parts.types[pool.result]]
    way = transfer.round_trip(target, types[0].nbytes)
    if contraction.streams and not contraction.prefers_many_rows and types[0].rank > 3:
        needs = [contraction.row_need, row_need(pool.computation.window)]
        way = min(way, cycles_of_rounds(target, needs, types))
    return steps + way


def _step_cycles(target: Target, work: LoweredOp, types: dict[Tensor, TensorType], order: Order) -> float:
    """Cycles of a pool, or of an expression, by its kernel."""
    result = dense_view("result", types[work.result].shape, order)
    kernel: Kernel
    if isinstance(work.computation, WindowReduction):
        kernel = window.kernel(target, work.computation, result)
    else:
        assert isinstance(work.computation, Pointwise)
        kernel = elementwise.kernel(target, work.computation.expr, len(work.operands), result)
    return kernel.cycles(target, [dense_view("source", types[work.operands[0]].shape, order)], result)
