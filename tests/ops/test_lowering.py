"""`lower` says the same as `reference`: the pieces, evaluated here in float64 by plain loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from cnncc.computation import (
    Broadcast,
    Concatenate,
    ConstantPad,
    ConstantTensor,
    Contraction,
    Interleave,
    Lookup,
    Permute,
    Pointwise,
    Reduction,
    RowMajorReshape,
    Scatter,
    StridedSlice,
    Take,
    WindowReduction,
)
from cnncc.elements import INTEGERS
from cnncc.expr import Arg, Number
from cnncc.lines import ExtremePlace, Linewise, Ranked, Ranking, Running

from . import oracles, oracles_exact, oracles_indexed, oracles_moving, oracles_order
from .cases import data, each_sample
from .oracles_exact import number, wrapped

MEANING = {
    **oracles_exact.MEANING,
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "maximum": max,
    "fmax": max,
    "minimum": min,
    "absolute": abs,
    "negate": lambda a: -a,
    "floor": math.floor,
    "ceil": math.ceil,
    "rint": round,
    "sign": lambda a: (a > 0) - (a < 0),
    "where_less": lambda x, y, a, b: a if x < y else b,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "softplus": lambda a: max(a, 0) + math.log1p(math.exp(-abs(a))),
    "tanh": math.tanh,
    "sigmoid": lambda a: 0.5 * (1 + math.tanh(a / 2)),
    "erf": math.erf,
    "sin": math.sin,
    **{name: getattr(math, name) for name in ("cos", "tan", "asin", "acos", "atan")},
    **{name: getattr(math, name) for name in ("sinh", "cosh", "asinh", "acosh", "atanh")},
    "power": lambda a, b: math.pow(a, b) if isinstance(a, float) else oracles_exact.power(a, b),
    "nearest": lambda a: float(np.float32(a)),
    "is_nan": math.isnan,
    "multiply_add": lambda a, b, c: a * b + c,
}


def value(expr, arguments):
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return expr.value
    return MEANING[expr.function](*(value(part, arguments) for part in expr.arguments))


def geometry(window):
    return {
        "kernel": tuple(axis.kernel for axis in window),
        "stride": tuple(axis.stride for axis in window),
        "dilation": tuple(axis.dilation for axis in window),
        "padding": tuple((axis.low, axis.high) for axis in window),
    }


def pointwise(computation, operands, shape):
    result = np.zeros(shape, float if all(operand.dtype.kind == "f" for operand in operands) else object)
    for where in product(*map(range, shape)):
        arguments = [
            number(operand[tuple(0 if n == 1 else where[d] for d, n in zip(dims, operand.shape, strict=True))])
            for operand, dims in zip(operands, computation.dims, strict=True)
        ]
        result[where] = value(computation.expr, arguments)
    return result


NEUTRAL = {"add": 0, "multiply": 1, "maximum": -math.inf, "minimum": math.inf, "fmax": -math.inf}


def reduction(computation, x, shape):
    result = np.full(shape, NEUTRAL[computation.combine], float if x.dtype.kind == "f" else object)
    for where in product(*map(range, x.shape)):
        kept = tuple(0 if axis in computation.axes else at for axis, at in enumerate(where))
        result[kept] = MEANING[computation.combine](result[kept], number(x[where]))
    return result


def window_reduction(computation, x):
    """Sums are divided by the taps that count: of the input widened by `counted`, or all."""
    kind = "max" if computation.combine == "maximum" else "sum"
    result = oracles.pool(x, kind, **geometry(computation.window))
    divisors = [taps_counted(computation, axis) for axis in range(len(computation.window))]
    for where in product(*map(range, result.shape)):
        result[where] /= math.prod(counts[i] for counts, i in zip(divisors, where[2:], strict=True))
    return result


def taps_counted(computation, axis):
    window, (low, high) = computation.window[axis], computation.margins(axis)
    taps = [
        [o * window.stride + t * window.dilation - window.low for t in range(window.kernel)] for o in range(window.out)
    ]
    inside = [sum(-low <= place < window.size + high for place in row) for row in taps]
    return {"none": [1] * window.out, "taps": [window.kernel] * window.out, "valid": inside}[computation.divisor]


def contraction(c, operands):
    assert c.bias == (len(operands) == 3)
    assert operands[0].shape[1] == c.channels
    assert operands[1].shape[1 if c.weights_per_image else 0] == c.outputs
    attributes = {"groups": c.groups, "flip": c.flip, **geometry(c.window)}
    x, w, *bias = operands
    if not c.weights_per_image:
        return oracles.conv(x, w, *bias, **attributes)
    images = [oracles.conv(image[None], own, *bias, **attributes) for image, own in zip(x, w, strict=True)]
    return np.concatenate(images)


def along_lines(c, operands):
    """Lines, one by one, by the loops of the oracles."""
    x, of_lines = operands[0], oracles_order.of_lines
    match c:
        case ExtremePlace():
            sign = 1 if c.extreme == "maximum" else -1
            return of_lines(x, c.axis, lambda line: [oracles_order.extreme_place(line, sign, c.last)]).astype(int)
        case Ranking():
            return of_lines(x, c.axis, lambda line: oracles_order.ranking(line, c.count, c.largest)).astype(int)
        case Ranked():
            ours = evaluate(Ranking(c.axis, c.count, c.largest), operands[:1], operands[1].shape)
            np.testing.assert_array_equal(ours, operands[1])
            return of_lines(x, c.axis, lambda line: [line[k] for k in oracles_order.ranking(line, c.count, c.largest)])
        case Running():
            product = c.combine == "multiply"
            return of_lines(x, c.axis, lambda line: oracles_order.running(line, c.exclusive, c.reverse, product))
    raise AssertionError(f"unknown computation {c}")


def moved(c, operands, shape):
    """Arrangements, element by element, by the loops of the oracles."""
    x = operands[0]
    match c:
        case RowMajorReshape():
            return oracles_moving.row_major(x, shape)
        case Permute():
            return oracles_moving.transpose(x, c.axes)
        case StridedSlice():
            places = [c.begin + c.step * i for i in range(shape[c.axis])]
            assert all(0 <= place < x.shape[c.axis] for place in places)
            return oracles_moving.gather(x, tuple(places), c.axis)
        case Take():
            return oracles_moving.gather(x, c.indices, c.axis)
        case Broadcast():
            return oracles_moving.expand(x, shape)
        case Interleave():
            return oracles_moving.fetched(
                x,
                shape,
                lambda w: operands[w[c.axis] % len(operands)][oracles_moving.at(w, c.axis, w[c.axis] // len(operands))],
            )
        case ConstantPad():
            sizes = zip(c.begins, x.shape, shape, strict=True)
            pads = [(begin, outer - begin - size) for begin, size, outer in sizes]
            return oracles_moving.pad(x, pads, "constant", c.value)
    raise AssertionError(f"unknown computation {c}")


def evaluate(computation, operands, shape):
    match computation:
        case Contraction():
            return contraction(computation, operands)
        case WindowReduction():
            return window_reduction(computation, *operands)
        case Pointwise():
            return pointwise(computation, operands, shape)
        case Reduction():
            return reduction(computation, *operands, shape)
        case Linewise():
            return along_lines(computation, operands)
        case Concatenate():
            return oracles.concat(*operands, axis=computation.axis)
        case ConstantTensor():
            return np.array(computation.values, None if computation.element.is_float else int).reshape(shape)
        case Lookup():
            return oracles_indexed.lookup(*operands, computation.axis)
        case Scatter():
            return oracles_indexed.scatter(*operands, computation.axis, computation.combine)
    return moved(computation, operands, shape)


@each_sample
def test_the_pieces_compute_the_reference(sample):
    arrays = data(sample, seed=2)
    lowering = sample.op.lower(*sample.types)
    known = list(arrays)
    for piece in lowering.pieces:
        result = evaluate(piece.computation, [known[operand] for operand in piece.operands], piece.type.shape)
        assert result.shape == piece.type.shape, piece
        whole = piece.type.dtype in INTEGERS and result.dtype.kind == "f"  # what only moved
        known.append(result.astype(np.int64) if whole else result)
    references = sample.op.reference(*arrays)
    for reference, index in zip(references, lowering.results, strict=True):
        if reference.dtype != np.float32:
            np.testing.assert_array_equal(reference, wrapped(known[index], reference.dtype))
        else:
            np.testing.assert_allclose(reference, known[index].astype(float), rtol=2.0**-24 * 1.01, atol=1e-12)
