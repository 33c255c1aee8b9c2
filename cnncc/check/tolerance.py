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
  - a NaN or an infinity stands in the same Winograd tile (see `check.winograd`), or among the weights of its filter;
  - a value without a bound went in.

Whole numbers and truth values are exact: their bound is 0, and `compare` wants them equal. It is infinite where errors
of floats decide what they are: two floats that are compared lie within their errors of each other, a float becomes a
whole number and its bound reaches over to the next one, or it may change its place in an order (see `check.order`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..computation import (
    Arrangement,
    Computation,
    ConstantPad,
    ConstantTensor,
    Contraction,
    Lookup,
    Pointwise,
    Reduction,
    Scatter,
    WindowReduction,
)
from ..cook_toom import Tiling
from ..elements import element_of
from ..expr import evaluate_with_error
from ..functions import TINY, UNIT
from ..interpreter import evaluate
from ..ir import Graph, Value
from ..lines import ExtremePlace, Linewise, Ranked, Ranking, Running
from ..meaning import divisor
from ..op import Constant, Op, rounded
from ..ops.fused import Fused
from ..sums import contract, per_channel, slide
from ..types import Array, TensorType
from . import combining, indexed, order
from . import winograd as tolerance_winograd
from .algorithms import DIRECT, Algorithms
from .bound import Bound, same


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
                return indexed.looked_up(computation, *map(indexed.spread, operands))
            case Scatter():
                return indexed.scattered(computation, *map(indexed.spread, operands))


def _any_contraction(c: Contraction, operands: Sequence[Bound], how: Algorithms) -> Bound:
    """A direct sum, or one by Winograd's transforms with any of the chosen sizes of tiles."""
    image, weights, *bias = operands
    operands = [image, Bound(weights.reference, how.error_of_weights(weights.reference, weights.error)), *bias]
    direct, chosen = _contraction(c, operands), how.tiles.get(replace(c, flip=False), ())
    if not chosen:
        return direct
    bounds = [_winograd(c, operands, tiling, direct.reference) for tiling in chosen]
    return Bound(direct.reference, np.maximum.reduce([direct.error, *(bound.error for bound in bounds)]))


def _winograd(c: Contraction, operands: Sequence[Bound], tiling: Tiling, value: Array) -> Bound:
    """As `_contraction`, with the sizes and the number of roundings of the transforms."""
    (ax, ex), (aw, ew) = combining.sizes(operands[0]), combining.sizes(operands[1])
    size, lost = tolerance_winograd.sizes(c, tiling, ax + ex, aw + ew)
    carried = lost + contract(c, ax, ew) + contract(c, ex, aw + ew)
    if c.bias:
        ab, eb = (per_channel(part, value.ndim) for part in combining.sizes(operands[2]))
        size, carried = size + ab + eb, carried + eb
    bound = combining.summed(value, carried, size, tolerance_winograd.roundings(c, tiling) + 2)
    x, w = (~np.isfinite(bound.reference) for bound in operands[:2])
    filters = np.asarray(w.any(axis=tuple(range(1, w.ndim))))
    spoilt = tolerance_winograd.reached(c, tiling.steps, x) | per_channel(filters, value.ndim)
    return Bound(value, np.where(spoilt, np.inf, bound.error))


def _contraction(c: Contraction, operands: Sequence[Bound]) -> Bound:
    """Σ|x|eʷ + Σeˣ(|w| + eʷ) + eᵇ from the operands and γ(n + 2) Σ(|x| + eˣ)(|w| + eʷ) + n·2^-149 of its own.

    n counts the products and the bias; the two terms more cover the roundings of this analysis.
    """
    x, w = operands[:2]
    value = contract(c, *(bound.reference for bound in operands))
    (ax, ex), (aw, ew) = combining.sizes(x), combining.sizes(w)
    size, carried = contract(c, ax + ex, aw + ew), np.zeros(())
    if ex.any() or ew.any():
        carried = contract(c, ax, ew) + contract(c, ex, aw + ew)
    if c.bias:
        ab, eb = (per_channel(part, value.ndim) for part in combining.sizes(operands[2]))
        size, carried = size + ab + eb, carried + eb
    n = math.prod(w.reference.shape[2 if c.weights_per_image else 1 :]) + c.bias
    # 0·∞ is NaN: whether weights are exactly 0, or infinite where a kernel may skip padding, decides everything.
    certain = bool(np.isfinite(w.reference).all() and not ((aw <= ew) & (ew > 0)).any())
    return combining.summed(value, carried, size, n + 2, certain)


def _window_reduction(c: WindowReduction, x: Bound) -> Bound:
    """Maximum: see `combining.extreme`; of whole numbers exact. Sum: Σe + γ(n)Σ(|x| + e), then the division."""
    if not x.is_float:
        value = slide(c.window, x.reference, np.maximum, element_of(x.reference).least)
        return Bound(value, slide(c.window, x.error, np.maximum, 0.0))
    if c.combine == "maximum":
        return combining.extreme("maximum", x, lambda array, combine: slide(c.window, array, combine, -np.inf))
    size, error = combining.sizes(x)
    least = x.reference - error
    taps = math.prod(axis.kernel for axis in c.window)
    value = slide(c.window, x.reference, np.add, 0.0)
    size, carried = slide(c.window, size + error, np.add, 0.0), slide(c.window, error, np.add, 0.0)
    bound = combining.not_negative(
        combining.summed(value, carried, size, taps, underflow=0.0), slide(c.window, least, np.minimum, 0.0)
    )
    if c.divisor == "none":
        return bound
    count = divisor(c, x.reference.shape)
    mean = bound.reference / count  # or times a rounded reciprocal: two roundings more
    rounding = np.where(np.isfinite(mean), 3 * UNIT * (np.abs(mean) + bound.error) + TINY, 0.0)
    return Bound(mean, bound.error / count + rounding)


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
    return combining.combined(c.combine, x, math.prod(x.reference.shape[axis] for axis in c.axes), c.over)


def _linewise(c: Linewise, x: Bound) -> Bound:
    match c:
        case ExtremePlace():
            return order.extreme_place(c, x)
        case Ranking():
            return order.ranking(c, x)
        case Ranked():
            return order.ranked(c, x)
        case Running(combine="multiply"):
            return combining.combined("multiply", x, x.reference.shape[c.axis], c.along)
        case Running():
            return _running_sum(c, x)
    raise AssertionError(f"no bound of {c}")


def _running_sum(c: Running, x: Bound) -> Bound:
    """As that of `_reduction`, of the elements up to each one."""
    value = c.made([x.reference])
    if not x.is_float:
        return Bound(value, np.where(c.made([np.isinf(x.error).astype(np.int64)]) > 0, np.inf, 0.0))
    size, error = combining.sizes(x)
    return combining.summed(value, c.made([error]), c.made([size + error]), x.reference.shape[c.axis], underflow=0.0)


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
