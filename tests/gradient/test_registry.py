"""Every op of the registry: its gradient is that of central differences in float64, or it is stated why it has none."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.elements import FLOAT32
from cnncc.errors import ModelError, UsageError
from cnncc.expr import Arg
from cnncc.gradient import differentiated, rules
from cnncc.op import REGISTRY
from tests.ops.cases import data, label, samples

from .support import CLOSE, fed, of_op, off

STEPS = ("Ceil", "Floor", "Hardmax", "Round", "Sign")
"""Functions that change in steps."""
FLAT = {
    **{(name, 0): "it changes in steps" for name in STEPS},
    ("OneHot", 0): "an index, also one that is a float, names a place",
    ("GridSample", 1): "with mode 'nearest', coordinates name a place",
}
"""Inputs by which an op that makes floats has no slope."""
REFUSED = {
    ("ReduceProd", 0): "derivatives of a product are products of all other elements",
    ("CumProd", 0): "as above",
    ("ScatterElements", 2): "with reduction 'mul' each update is a factor",
    ("ScatterND", 2): "with reduction 'mul' each update is a factor",
}
NO_FLOATS = """
    And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Equal Greater GreaterOrEqual IsInf IsNaN
    Less LessOrEqual MaxPoolIndices Not NotEqual Or Quantize Xor
""".split()
"""Ops that make float32 of nothing but other elements, or make others: there is nothing to differentiate."""

CASES = [
    pytest.param(sample, number, place, id=f"{label(sample)}-{number}-{place}")
    for sample in samples()
    for number, type in enumerate(sample.op.infer(*sample.types))
    for place, own in enumerate(sample.types)
    if type.dtype is own.dtype is FLOAT32
]


def arrays(sample):
    """Data where differences are exact enough: away from poles and ends."""
    found = data(sample, seed=3)
    return [x * np.float32(0.9) for x in found] if sample.op.name in ("Acos", "Asin", "Atanh") else found


@pytest.mark.parametrize("sample, number, place", CASES)
def test_the_gradient_is_that_of_central_differences(sample, number, place):
    graph, of, by = of_op(sample.op, *sample.types), f"y{number or ''}", f"x{place}"
    try:
        assert off(graph, of, by, fed(*arrays(sample))) < CLOSE
    except UsageError as error:
        assert error.node == "layer" and "has no slope" in error.message
        assert (sample.op.name, place) in FLAT
        assert sample.op.name != "GridSample" or sample.op.mode == "nearest"
    except ModelError:
        assert (sample.op.name, place) in REFUSED
        assert getattr(sample.op, "reduction", "mul") == "mul"


@pytest.mark.parametrize("name, place", FLAT)
def test_what_is_said_to_be_flat_is(name, place):
    told = [error for error in refusals(name, place) if isinstance(error, UsageError)]
    assert told


@pytest.mark.parametrize("name, place", REFUSED)
def test_what_is_said_to_be_refused_is(name, place):
    told = [error for error in refusals(name, place) if isinstance(error, ModelError)]
    assert told and all(error.node == "layer" and f"'y' to 'x{place}'" in error.message for error in told)


def refusals(name, place):
    for sample in REGISTRY[name].samples():
        if len(sample.types) > place and sample.types[place].dtype is FLOAT32:
            try:
                differentiated(of_op(sample.op, *sample.types), "y", (f"x{place}",))
            except (ModelError, UsageError) as error:
                yield error


def test_every_other_op_has_a_gradient():
    assert {name for name in REGISTRY if name not in {case.values[0].op.name for case in CASES}} == set(NO_FLOATS)


RULES = {
    "contraction": ("Conv", 1),
    "window_reduction": ("AveragePool", 0),
    "pointwise": ("Tanh", 0),
    "reduction": ("ReduceSum", 0),
    "arrangement": ("Transpose", 0),
    "linewise": ("CumSum", 0),
    "lookup": ("GatherElements", 0),
    "scatter": ("ScatterND", 2),
}
"""For each rule an op, and an input of it, whose gradient goes through it."""


@pytest.mark.parametrize("rule", RULES)
def test_a_wrong_rule_is_found(rule, monkeypatch):
    """An error of a thousandth in what one rule makes; unbroken, the same sample passes."""
    right, (name, place) = getattr(rules, rule), RULES[rule]
    sample = next(iter(REGISTRY[name].samples()))
    graph, feeds = of_op(sample.op, *sample.types), fed(*arrays(sample))
    assert off(graph, "y", f"x{place}", feeds) < CLOSE

    def wrong(step, computation):
        return [None if g is None else larger(step.pieces, g) for g in right(step, computation)]

    monkeypatch.setattr(rules, rule, wrong)
    assert off(graph, "y", f"x{place}", feeds) > 10 * CLOSE


def larger(pieces, g):
    shape = pieces.shape(g)
    return pieces.expr(1.001 * Arg(0), (g,), (tuple(range(len(shape))),), shape)
