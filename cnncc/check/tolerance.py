"""Derived tolerances: how far float32 code may lie from the interpreter, element by element.

This is running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3)
over the whole graph. Each value carries a bound on |native − interpreter|; each computation turns the bounds
of its operands into one for its result, in the model of his section 2.2,

    fl(x op y) = (x op y)(1 + δ) + η,    |δ| ≤ u = 2^-24,    |η| ≤ 2^-149 (underflow).

For a sum of n products in any order, with or without fused multiply-add, his sections 3.1 and 4.2 give

    |ŝ − s| ≤ γ(n) Σ|xᵢ||wᵢ|,    γ(n) = n u / (1 − n u)

(`check.winograd` has the sizes and counts of convolutions that the plan computes by transforms), and operands
that are off by at most eˣ and eʷ add Σ(|x| + eˣ)(|w| + eʷ) − Σ|x||w|. Weights that the plan stores as float16 are
off by their own rounding, at most 2^-11 |w|, or 2^-25 below 2^-14 (see `check.algorithms`). The interpreter sums in
float64 and rounds once where a value leaves its node: half a unit in the last place more.

NaN and infinities have no distance. Where one is certain (it does not hinge on rounding) the bound is 0 and
native code must show the same: also where the definition's float64 result lies beyond float32, for then float32
overflows in any order. The bound is infinite, nothing contradicts it and `compare` counts it, where

  - float32 overflows on its way to a result that the definition, in float64, still reaches (the square of 1e30), or may
    overflow: the result, or a partial sum or product, comes within its bound of float32's end;
  - an error decides between a number and NaN or an infinity: a divisor, or the argument of a root or logarithm, that
    may be 0 or of the other sign; ∞ · w where w may be 0, or beside infinite weights;
  - a NaN or an infinity stands in the same Winograd tile (see `check.winograd`);
  - a value without a bound went in.

Whole numbers and truth values are exact: their bound is 0, and `compare` wants them equal. It is infinite where errors
of floats decide what they are: two floats that are compared lie within their errors of each other, a float becomes a
whole number and its bound reaches over to the next one, or it may change its place in an order (see `check.order`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..computation import (
    Arrangement,
    Combine,
    Computation,
    ConstantPad,
    ConstantTensor,
    Contraction,
    Lookup,
    Pointwise,
    Reduction,
    Scatter,
    WindowReduction,
    replaced,
)
from ..elements import FLOAT32, element_of
from ..expr import evaluate_with_error
from ..functions import LARGEST, OVERFLOW, TINY, UNIT
from ..interpreter import evaluate
from ..ir import Graph, Value
from ..lines import ExtremePlace, Linewise, Ranked, Ranking, RunningSum
from ..op import Constant, Op, rounded
from ..ops.fused import Fused
from ..types import Array, TensorType
from . import order
from . import winograd as tolerance_winograd
from .algorithms import DIRECT, Algorithms
from .bound import Bound, same
from .sums import contract, per_channel, slide
from .winograd import Steps

NORMAL = FLOAT32.normal  # below it, digits are lost


def bounds(
    graph: Graph, feeds: Mapping[str, Array], *, exact_constants: bool = True, how: Algorithms = DIRECT
) -> dict[Value, Bound]:
    """For each value the interpreter's result and a bound on what float32 code may differ from it.

    With `exact_constants` native code reads the same constants (native against interpreter, one graph).
    Without, constants that a pass computed and rounded count as off by u·|c|: this bounds how far the
    interpreter of a rewritten graph lies from exact arithmetic on the graph before. Raises InputError like
    `interpreter.evaluate`.
    """
    values = evaluate(graph, feeds)
    found: dict[Value, Bound] = {}
    for node in graph:
        if isinstance(node.op, Constant) and node.op.rounded and not exact_constants:
            data = node.op.data.astype(np.float64)
            results = [Bound(data, UNIT * np.abs(data) + TINY)]
        elif node.op.source:
            results = [Bound.exact(values[value]) for value in node.values]
        else:
            results = op_bounds(node.op, [found[value] for value in node.inputs], how.of(node.name))
        found.update(zip(node.values, results, strict=True))
    return found


def rewrite_bounds(before: Graph, after: Graph, feeds: Mapping[str, Array]) -> dict[str, Bound]:
    """For each output: the interpreter's result before passes and how far the rewritten graph's may lie from it.

    Both lie within their own bound of what exact arithmetic makes of the graph before; the sum bounds their
    distance.
    """
    old, new = bounds(before, feeds), bounds(after, feeds, exact_constants=False)
    return {
        name: Bound(old[value].reference, old[value].error + new[after.outputs[name]].error)
        for name, value in before.outputs.items()
    }


def op_bounds(op: Op, inputs: Sequence[Bound], how: Algorithms = DIRECT) -> list[Bound]:
    """The bound of each output of `op`, from those of its inputs."""
    if isinstance(op, Fused):
        return [_fused(op, inputs, how)]
    lowering = op.lower(*(TensorType.of(bound.reference) for bound in inputs))
    known = list(inputs)
    for piece in lowering.pieces:
        operands = [known[index] for index in piece.operands]
        known.append(_apply(piece.computation, operands, piece.type, how))
    references = op.reference(*(bound.held for bound in inputs))
    pairs = zip(references, lowering.results, strict=True)
    return [_as_interpreted(reference, known[index]) for reference, index in pairs]


def _fused(op: Fused, inputs: Sequence[Bound], how: Algorithms) -> Bound:
    """Stage by stage; the interpreter rounds after each, whether or not native code does."""
    own, *extras = op.split(inputs)
    (running,) = op_bounds(op.anchor, own, how)
    for stage, extra in zip(op.epilogue, extras, strict=True):
        (running,) = op_bounds(stage.op, stage.arguments(running, extra))
    return running


def _as_interpreted(reference: Array, bound: Bound) -> Bound:
    """`bound` around the interpreter's float32 result instead of the float64 one, by as much as they are apart.

    Where float32 overflows for certain and the definition does not, nothing is held.
    """
    if not bound.is_float:
        return Bound(reference, bound.error)
    reference = reference.astype(np.float64)
    finite = np.isfinite(reference) & np.isfinite(bound.reference)
    with np.errstate(all="ignore"):
        moved = np.where(finite, np.abs(reference - bound.reference), 0.0)
    alike = finite | same(reference, bound.reference)
    return Bound(reference, np.where(alike, bound.error + moved, np.inf))


def _apply(computation: Computation, operands: Sequence[Bound], type: TensorType, how: Algorithms) -> Bound:
    """The result of one computation in float64, and the bound of its float32 evaluation."""
    with np.errstate(all="ignore"):
        match computation:
            case Contraction():
                return _any_contraction(computation, operands, how)
            case WindowReduction():
                return _window_reduction(computation, operands[0])
            case Pointwise():
                return _pointwise(computation, operands, type.shape)
            case Reduction():
                return _reduction(computation, operands[0])
            case Linewise():
                return _linewise(computation, operands[0])
            case Arrangement():
                return _arranged(computation, operands, type)
            case Lookup():
                return _looked_up(computation, *map(_spread, operands))
            case Scatter():
                return _scattered(computation, *map(_spread, operands))


def _gamma(n: int | Array) -> float | Array:
    return n * UNIT / (1 - n * UNIT)


def _sum(
    value: Array, carried: Array, size: Array, n: int | Array, certain: bool = True, underflow: float = TINY
) -> Bound:
    """A float32 sum of n terms whose absolute values add up to `size`; each lost `underflow` when it was made.

    The error is infinite where a partial sum may overflow, and where `value` is not finite without being
    `certain` to be. The sum overflows in any order where all of it does and its terms of the other sign do not.
    """
    own = _gamma(n) * size + n * underflow
    error = np.where(np.isfinite(value), carried + own, 0.0)
    against = (size - np.abs(value) + carried) / 2 + own
    overflows = np.isfinite(value) & (np.abs(value) - error >= OVERFLOW) & (against <= LARGEST)
    sure = (size + own <= LARGEST) & (np.isfinite(value) | certain)
    sure |= np.isnan(value) & np.isfinite(size) & certain  # which no order of the others changes
    error = np.where(overflows, 0.0, np.where(sure, error, np.inf))
    return Bound(np.where(overflows, np.copysign(np.inf, value), value), error)


def _sizes(bound: Bound) -> tuple[Array, Array]:
    """|value| and error, with 0 for a value that is not finite: it is certain, or its error is infinite."""
    return np.where(np.isfinite(bound.reference), np.abs(bound.reference), 0.0), bound.error


def _any_contraction(c: Contraction, operands: Sequence[Bound], how: Algorithms) -> Bound:
    """A direct sum, or one by Winograd's transforms with any of the chosen sizes of tiles."""
    image, weights, *bias = operands
    operands = [image, Bound(weights.reference, how.error_of_weights(weights.reference, weights.error)), *bias]
    direct, chosen = _contraction(c, operands), how.tiles.get(replace(c, flip=False), ())
    if not chosen:
        return direct
    bounds = [_winograd(c, operands, steps, direct.reference) for steps in chosen]
    return Bound(direct.reference, np.maximum.reduce([direct.error, *(bound.error for bound in bounds)]))


def _winograd(c: Contraction, operands: Sequence[Bound], steps: Steps, value: Array) -> Bound:
    """As `_contraction`, with the sizes and the number of roundings of the transforms."""
    (ax, ex), (aw, ew) = _sizes(operands[0]), _sizes(operands[1])
    size, lost = tolerance_winograd.sizes(c, steps, ax + ex, aw + ew)
    carried = lost + contract(c, ax, ew) + contract(c, ex, aw + ew)
    if c.bias:
        ab, eb = (per_channel(part, value.ndim) for part in _sizes(operands[2]))
        size, carried = size + ab + eb, carried + eb
    bound = _sum(value, carried, size, tolerance_winograd.roundings(c, steps) + 2)
    spoilt = tolerance_winograd.reached(c, steps, ~np.isfinite(operands[0].reference))
    return Bound(value, np.where(spoilt, np.inf, bound.error))


def _contraction(c: Contraction, operands: Sequence[Bound]) -> Bound:
    """Σ|x|eʷ + Σeˣ(|w| + eʷ) + eᵇ from the operands and γ(n + 2) Σ(|x| + eˣ)(|w| + eʷ) + n·2^-149 of its own.

    n counts the products and the bias; the two terms more cover the roundings of this analysis.
    """
    x, w = operands[:2]
    value = contract(c, *(bound.reference for bound in operands))
    (ax, ex), (aw, ew) = _sizes(x), _sizes(w)
    size, carried = contract(c, ax + ex, aw + ew), np.zeros(())
    if ex.any() or ew.any():
        carried = contract(c, ax, ew) + contract(c, ex, aw + ew)
    if c.bias:
        ab, eb = (per_channel(part, value.ndim) for part in _sizes(operands[2]))
        size, carried = size + ab + eb, carried + eb
    n = math.prod(w.reference.shape[2 if c.weights_per_image else 1 :]) + c.bias
    # 0·∞ is NaN: whether weights are exactly 0, or infinite where a kernel may skip padding, decides everything.
    certain = bool(np.isfinite(w.reference).all() and not ((aw <= ew) & (ew > 0)).any())
    return _sum(value, carried, size, n + 2, certain)


def _window_reduction(c: WindowReduction, x: Bound) -> Bound:
    """Maximum: see `_extreme`; of whole numbers exact. Sum: Σe + γ(n)Σ(|x| + e), then the division."""
    if not x.is_float:
        value = slide(c.window, x.reference, np.maximum, element_of(x.reference).least)
        return Bound(value, slide(c.window, x.error, np.maximum, 0.0))
    if c.combine == "maximum":
        return _extreme(x, lambda array: slide(c.window, array, np.maximum, -np.inf))
    size, error = _sizes(x)
    least = x.reference - error
    taps = math.prod(axis.kernel for axis in c.window)
    value = slide(c.window, x.reference, np.add, 0.0)
    size, carried = slide(c.window, size + error, np.add, 0.0), slide(c.window, error, np.add, 0.0)
    bound = _not_negative(_sum(value, carried, size, taps, underflow=0.0), slide(c.window, least, np.minimum, 0.0))
    if c.divisor == "none":
        return bound
    ones = [c.margins(axis) for axis in range(len(c.window))]
    inside = slide(c.window, np.ones(x.reference.shape), np.add, 0.0, ones)
    divisor = inside if c.divisor == "valid" else np.asarray(float(taps))
    mean = bound.reference / divisor  # or times a rounded reciprocal: two roundings more
    rounding = np.where(np.isfinite(mean), 3 * UNIT * (np.abs(mean) + bound.error) + TINY, 0.0)
    return Bound(mean, bound.error / divisor + rounding)


def _pointwise(c: Pointwise, operands: Sequence[Bound], shape: tuple[int, ...]) -> Bound:
    """The rules of `expr.FUNCTIONS`, with each operand's axes moved to where it runs along the output's."""
    aligned = []
    for bound, dims in zip(operands, c.dims, strict=True):
        full = [1] * len(shape)
        for axis, size in zip(dims, bound.reference.shape, strict=True):
            full[axis] = size
        aligned.append((bound.reference.reshape(full), bound.error.reshape(full)))
    value, error = evaluate_with_error(c.expr, aligned)
    return Bound(np.broadcast_to(value, shape), np.broadcast_to(error, shape))


def _reduction(c: Reduction, x: Bound) -> Bound:
    """As `_window_reduction`, over whole axes."""
    n = math.prod(x.reference.shape[axis] for axis in c.axes)

    def over(array: Array, combine: np.ufunc) -> Array:
        return np.asarray(combine.reduce(array, axis=c.axes, keepdims=True))

    return _combined(c.combine, x, n, over)


def _combined(combine: Combine, x: Bound, n: int | Array, over: Callable[[Array, np.ufunc], Array]) -> Bound:
    """The maximum, minimum, sum or product of n elements each, which `over` combines by a function of NumPy's."""
    if not x.is_float:
        value = over(x.reference, getattr(np, combine)).astype(x.reference.dtype)
        return Bound(value, over(x.error, np.maximum))
    if combine in ("maximum", "minimum", "fmax"):
        return _extreme(x, lambda array: over(array, getattr(np, combine)))
    size, error = _sizes(x)
    if combine == "multiply":
        return _product(x, n, over)
    total = _sum(over(x.reference, np.add), over(error, np.add), over(size + error, np.add), n, underflow=0.0)
    return _not_negative(total, over(x.reference - error, np.minimum))


def _not_negative(total: Bound, least: Array) -> Bound:
    """A sum of terms from 0 on, of which `least` is the lowest, is no negative number: from 0 to its upper end.

    So the root of a sum of squares stays bounded, however small they are.
    """
    low = (least >= 0) & (total.reference < total.error) & np.isfinite(total.error)
    middle = (total.reference + total.error) / 2
    return Bound(np.where(low, middle, total.reference), np.where(low, middle, total.error))


def _extreme(x: Bound, over: Callable[[Array], Array]) -> Bound:
    """Between the extremes of the lower and of the upper ends; NaN where one element is it for certain.

    What has no bound may be NaN, and then so is the extreme, also beside an infinity.
    """

    def some(which: Array) -> Array:
        return np.isnan(over(np.where(which, np.nan, 0.0)))

    value, above, below = over(x.reference), over(x.reference + x.error), over(x.reference - x.error)
    error = np.maximum(np.abs(above - value), np.abs(below - value))
    error = np.where(same(above, value) & same(below, value), 0.0, np.where(np.isnan(error), np.inf, error))
    unbounded = np.isinf(x.error)
    surely_nan = some(np.isnan(x.reference) & ~unbounded)
    return Bound(value, np.where(surely_nan, 0.0, np.where(some(unbounded), np.inf, error)))


def _product(x: Bound, n: int | Array, over: Callable[[Array, np.ufunc], Array]) -> Bound:
    """A float32 product of n: off by γ(n)Π(|x| + e) and the underflow of a partial product, beside what it carries.

    Uncertain where a partial product may overflow; and, beside infinite factors, where one may vanish (0 · ∞ is NaN).
    """
    infinite = ~np.isfinite(x.reference)
    size = np.where(infinite, 1.0, np.abs(x.reference))
    value, most = over(x.reference, np.multiply), over(size + x.error, np.multiply)
    grown = over(np.maximum(size + x.error, 1.0), np.multiply)
    least = np.where(size > 0, np.maximum(size - x.error, 0.0), 1.0)
    shrunk = over(np.minimum(least, 1.0), np.multiply)
    certain = (shrunk >= NORMAL) | over(np.isnan(x.reference), np.logical_or)
    carried = np.maximum(most - over(size, np.multiply), 0) * (1 + 4 * n * 2.0**-53)
    error = np.where(np.isfinite(value), carried + _gamma(n) * most + n * TINY * grown, 0.0)
    overflows = np.isfinite(value) & (np.abs(value) - error >= OVERFLOW) & certain
    sure = (grown <= LARGEST) & (np.isfinite(value) & ~over(infinite, np.logical_or) | certain)
    error = np.where(overflows, 0.0, np.where(sure, error, np.inf))
    return Bound(np.where(overflows, np.copysign(np.inf, value), value), error)


def _linewise(c: Linewise, x: Bound) -> Bound:
    match c:
        case ExtremePlace():
            return order.extreme_place(c, x)
        case Ranking():
            return order.ranking(c, x)
        case Ranked():
            return order.ranked(c, x)
        case RunningSum():
            return _running_sum(c, x)
    raise AssertionError(f"no bound of {c}")


def _running_sum(c: RunningSum, x: Bound) -> Bound:
    """As that of `_reduction`, of the elements up to each one."""
    value = c.made([x.reference])
    if not x.is_float:
        return Bound(value, np.where(c.made([np.isinf(x.error).astype(np.int64)]) > 0, np.inf, 0.0))
    size, error = _sizes(x)
    return _sum(value, c.made([error]), c.made([size + error]), x.reference.shape[c.axis], underflow=0.0)


def _arranged(c: Arrangement, operands: Sequence[Bound], type: TensorType) -> Bound:
    """Moving elements moves their errors along and adds none; a value that fills up is exact, a known one rounded.

    Bytes that become floats do so exactly.
    """
    value = c.arrange([bound.reference for bound in operands], type.shape)
    value = value.astype(np.float64) if type.dtype.is_float else value
    if isinstance(c, ConstantTensor):
        return Bound(value, np.abs(value - rounded(value)) if c.element.is_float else np.zeros(type.shape))
    exact = replace(c, value=0.0) if isinstance(c, ConstantPad) else c
    return Bound(value, exact.arrange([bound.error for bound in operands], type.shape))


def _spread(bound: Bound) -> Bound:
    """The same with an error for each element."""
    return Bound(bound.reference, np.broadcast_to(bound.error, bound.reference.shape))


def _looked_up(c: Lookup, x: Bound, indices: Bound) -> Bound:
    """The errors of elements go where the elements go; nothing is held where an index has no bound."""
    shape = replaced(x.reference.shape, c.axis, indices.reference.shape[c.axis])
    value, error = (c.apply((array, indices.reference), shape) for array in (x.reference, x.error))
    return Bound(value, np.where(np.isinf(indices.error), np.inf, error))


def _scattered(c: Scatter, x: Bound, indices: Bound, updates: Bound) -> Bound:
    """As a reduction of each element and of the updates that meet it.

    Nothing is held on the whole axis of an index that has no bound.
    """
    own, places = x.reference.size, indices.reference
    terms = Bound(
        np.concatenate([x.reference.ravel(), updates.reference.ravel()]),
        np.concatenate([x.error.ravel(), updates.error.ravel()]),
    )

    def over(array: Array, combine: np.ufunc | None) -> Array:
        parts = array[:own].reshape(x.reference.shape), array[own:].reshape(updates.reference.shape)
        return c.written(parts[0], places, parts[1], combine)

    if c.combine == "replace":
        bound = Bound(over(terms.reference, None), over(terms.error, None))
    else:
        met = over(np.ones(terms.reference.shape), np.add)
        bound = _combined(c.combine, terms, met, over)
        bound = Bound(bound.reference, np.where(met == 1, x.error, bound.error))
    unsure = np.isinf(indices.error).any(axis=c.axis, keepdims=True)
    return Bound(bound.reference, np.where(unsure, np.inf, bound.error))
