"""The bounds hold for float32 evaluations of every op on wild data: huge, tiny, signed zeros, infinities, NaN.

The pieces of `lower` are evaluated here in float32, each operation rounded on its own, in the plain order.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from cnncc.check.bound import Bound, compare
from cnncc.check.tolerance import op_bounds
from cnncc.computation import Contraction, Pointwise, Reduction, WindowReduction
from cnncc.expr import Apply, Arg, Number, evaluate
from cnncc.functions import FUNCTIONS
from cnncc.lines import Running
from cnncc.ops.elementwise import widened

from . import test_lowering
from .cases import each_float_sample
from .oracles import windows

F32 = np.float32
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1.2e-38, 1e-20, -1e-20, 1e20, 3e38, -3e38, np.inf, -np.inf, np.nan]


def held(array):
    """What a tensor holds: floats rounded, others as they are."""
    return rounded(array) if np.asarray(array).dtype.kind == "f" else np.asarray(array)


def rounded(array):
    with np.errstate(all="ignore"):
        return np.asarray(array).astype(F32)


def expression(expr, arguments):
    """Each function in float64 and rounded: what IEEE float32 arithmetic gives. Others than floats are exact."""
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return F32(expr.value)
    parts = [widened(np.asarray(expression(part, arguments))) for part in expr.arguments]
    with np.errstate(all="ignore"):
        if expr.function == "multiply_add":
            return rounded(rounded(parts[0] * parts[1]).astype(float) + parts[2])
        if all(part.dtype.kind == "f" for part in parts):
            return held(FUNCTIONS[expr.function].meaning(*parts))
        # A number beside whole numbers is one of them.
        alone = [part if isinstance(part, Number) else Arg(at) for at, part in enumerate(expr.arguments)]
        return held(evaluate(Apply(expr.function, tuple(alone)), parts))


def pointwise(computation, operands, shape):
    aligned = []
    for operand, dims in zip(operands, computation.dims, strict=True):
        full = [1] * len(shape)
        for axis, size in zip(dims, operand.shape, strict=True):
            full[axis] = size
        aligned.append(operand.reshape(full))
    return np.broadcast_to(expression(computation.expr, aligned), shape)


def contraction(c, operands):
    x, w = operands[:2]
    if c.weights_per_image:
        one = replace(c, weights_per_image=False)
        return np.concatenate([contraction(one, [x[i : i + 1], w[i], *operands[2:]]) for i in range(len(x))])
    taps = [axis.kernel for axis in c.window]
    geometry = test_lowering.geometry(c.window)
    axes = windows(
        [axis.size for axis in c.window], *(geometry[k] for k in ("kernel", "stride", "dilation", "padding"))
    )
    out = np.zeros((x.shape[0], c.outputs, *map(len, axes)), F32)
    if c.bias:
        out += operands[2].reshape(-1, *[1] * len(taps))
    group = c.outputs // c.groups
    for o, channel in product(range(c.outputs), range(w.shape[1])):
        for tap in product(*map(range, taps)):
            used = tuple(k - 1 - t for k, t in zip(taps, tap, strict=True)) if c.flip else tap
            places = [[row[t] for row in axis] for axis, t in zip(axes, tap, strict=True)]
            seen = x[:, o // group * w.shape[1] + channel]
            for number, places_of_axis in enumerate(places, 1):
                padded = np.concatenate([seen, np.zeros_like(seen.take([0], number))], number)
                seen = padded.take([-1 if place is None else place for place in places_of_axis], number)
            out[:, o] += seen * w[(o, channel, *used)]
    return out


def reduced(combine, parts):
    """In float32, one after the other."""
    function = getattr(np, combine)
    total = parts[0]
    for part in parts[1:]:
        total = function(total, part)
    return total


def reduction(c, x):
    for axis in c.axes:
        x = reduced(c.combine, [x.take([i], axis) for i in range(x.shape[axis])])
    return x


def running(c, x):
    size, sums = x.shape[c.axis], []
    order = [[at] for at in range(size)[:: -1 if c.reverse else 1]]
    first = x.take([0], c.axis)
    total, combine = (np.zeros_like(first), np.add) if c.combine == "add" else (np.ones_like(first), np.multiply)
    for at in order:
        sums.append(total if c.exclusive else combine(total, x.take(at, c.axis)))
        total = combine(total, x.take(at, c.axis))
    return np.concatenate(sums[:: -1 if c.reverse else 1], c.axis)


def window_reduction(c, x):
    geometry = test_lowering.geometry(c.window)
    axes = windows(x.shape[2:], *(geometry[k] for k in ("kernel", "stride", "dilation", "padding")))
    out = np.zeros((*x.shape[:2], *map(len, axes)), F32)
    for spot in product(*map(range, out.shape[2:])):
        places = list(product(*(axis[at] for axis, at in zip(axes, spot, strict=True))))
        seen = [x[(slice(None), slice(None), *place)] for place in places if None not in place]
        total = reduced(c.combine, seen)
        counts = [test_lowering.taps_counted(c, axis)[at] for axis, at in enumerate(spot)]
        divisor = math.prod(counts)
        out[(slice(None), slice(None), *spot)] = total * F32(F32(1) / F32(divisor))
    return out


def in_float32(op, types, arrays):
    lowering = op.lower(*types)
    known = list(arrays)
    for piece in lowering.pieces:
        operands, shape = [known[index] for index in piece.operands], piece.type.shape
        with np.errstate(all="ignore"):
            match piece.computation:
                case Contraction():
                    result = contraction(piece.computation, operands)
                case WindowReduction():
                    result = window_reduction(piece.computation, *operands)
                case Reduction():
                    result = reduction(piece.computation, *operands)
                case Running():
                    result = running(piece.computation, *operands)
                case Pointwise():
                    result = pointwise(piece.computation, operands, shape)
                case _:
                    result = test_lowering.evaluate(piece.computation, operands, shape)
        known.append(rounded(result) if piece.type.dtype.is_float else np.asarray(result, piece.type.dtype.numpy))
    return [known[index] for index in lowering.results]


def wild(shape, rng, share):
    """Normal data of all magnitudes with a share of special values."""
    scale = 10.0 ** rng.integers(-30, 30) if rng.random() < 0.3 else 1.0
    values = rounded(rng.standard_normal(shape) * scale)
    return np.where(rng.random(shape) < share, rng.choice(rounded(SPECIAL), shape), values)


@each_float_sample
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_float32_stays_inside_on_wild_data(sample, share, rng):
    for _ in range(8):
        arrays = [wild(shape, rng, share) for shape in sample.shapes]
        bounds = op_bounds(sample.op, [Bound.exact(array) for array in arrays])
        for bound, actual in zip(bounds, in_float32(sample.op, sample.types, arrays), strict=True):
            found = compare(actual, bound)
            told = f"{actual[found.index]} for {bound.reference[found.index]} ± {bound.error[found.index]}"
            assert found.ok, told
