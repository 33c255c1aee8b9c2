"""`lower` says the same as `reference`: the pieces, evaluated here in float64 by plain loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from cnncc.computation import Contraction, Join, Part, Pointwise, Reduction, Reshape, WindowReduction
from cnncc.expr import Arg, Number

from . import oracles
from .cases import data, each_sample

MEANING = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "maximum": max,
    "sqrt": math.sqrt,
    "exp": math.exp,
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
    result = np.zeros(shape)
    for where in product(*map(range, shape)):
        arguments = [
            float(operand[tuple(0 if n == 1 else where[d] for d, n in zip(dims, operand.shape, strict=True))])
            for operand, dims in zip(operands, computation.dims, strict=True)
        ]
        result[where] = value(computation.expr, arguments)
    return result


def reduction(computation, x, shape):
    result = np.full(shape, -math.inf if computation.combine == "maximum" else 0.0)
    for where in product(*map(range, x.shape)):
        kept = tuple(0 if axis in computation.axes else at for axis, at in enumerate(where))
        result[kept] = MEANING[computation.combine](result[kept], float(x[where]))
    return result


def window_reduction(computation, x):
    kinds = {"none": "sum", "taps": "average", "valid": "average"}
    kind = "max" if computation.combine == "maximum" else kinds[computation.divisor]
    return oracles.pool(x, kind, count_padding=computation.divisor == "taps", **geometry(computation.window))


def contraction(computation, operands):
    assert computation.bias == (len(operands) == 3)
    assert operands[0].shape[1] == computation.channels
    assert operands[1].shape[0] == computation.outputs
    return oracles.conv(*operands, groups=computation.groups, flip=computation.flip, **geometry(computation.window))


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
        case Reshape():
            return np.array([operands[0][where] for where in product(*map(range, operands[0].shape))]).reshape(shape)
        case Join():
            return oracles.concat(*operands, axis=computation.axis)
        case Part():
            axis, size = computation.axis, operands[0].shape[computation.axis]
            sizes = [computation.begin, shape[axis], size - computation.begin - shape[axis]]
            return oracles.split(operands[0], sizes, axis)[1]
    raise AssertionError(f"unknown computation {computation}")


@each_sample
def test_the_pieces_compute_the_reference(sample):
    arrays = data(sample, seed=2)
    lowering = sample.op.lower(*sample.types)
    known = list(arrays)
    for piece in lowering.pieces:
        result = evaluate(piece.computation, [known[operand] for operand in piece.operands], piece.type.shape)
        assert result.shape == piece.type.shape
        known.append(result)
    references = sample.op.reference(*arrays)
    for reference, index in zip(references, lowering.results, strict=True):
        np.testing.assert_allclose(reference, known[index], rtol=2.0**-24 * 1.01, atol=1e-12)
