"""What cannot be differentiated, in one sentence with the layer, the way and the user's line."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import learn, nn, ops
from cnncc.elements import FLOAT16, INT32, UINT8
from cnncc.errors import Location, ModelError, UsageError
from tests.graphs import Net


def dense(**layers):
    net = Net()
    x, w = net.input(2, 3), net.weights(4, 3, arrive=True)
    return net, x, net.apply(ops.Dense(), x, w)


def refused(kind, graph, **asked):
    with pytest.raises(kind) as error:
        learn.gradient(graph, **asked)
    return str(error.value)


def test_a_layer_without_a_gradient():
    net, _, y = dense()
    net.builder.add(ops.ReduceProd((1,)), (y,), "product", Location("net.py", 7))
    told = refused(ModelError, net.graph(net.builder.nodes["product"].values[0]), of="y0", by=("x", "w"))
    assert told == (
        "layer 'product': ReduceProd is a product of elements, which has no gradient here "
        "(on the way from 'y0' to 'x' and 'w') (at net.py:7)"
    )


def test_a_layer_without_a_gradient_names_only_what_stands_behind_it():
    net, x, y = dense()
    product = net.apply(ops.ReduceProd((1,)), x)
    graph = net.graph(net.apply(ops.Mul(), product, y))
    assert "(on the way from 'y0' to 'x')" in refused(ModelError, graph, of="y0", by=("x", "w"))
    assert list(learn.gradient(graph, of="y0", by="w").outputs) == ["y0", "d_w"]


def test_updates_that_are_factors():
    net = Net()
    indices = net.arrives(np.zeros((2, 1)), "indices", INT32)
    scattered = net.apply(ops.ScatterElements(1, "mul"), net.input(2, 3), indices, net.input(2, 1, name="updates"))
    told = refused(ModelError, net.graph(scattered), of="y0", by="updates")
    assert told == (
        "layer 'scatterelements': ScatterElements multiplies by updates, and has no gradient by them here "
        "(on the way from 'y0' to 'updates')"
    )


def test_a_flat_layer_in_the_way():
    net, _, y = dense()
    net.builder.add(ops.Round(), (y,), "steps", Location("net.py", 9))
    graph = net.graph(net.apply(ops.Relu(), net.builder.nodes["steps"].values[0]))
    assert refused(UsageError, graph, of="y0", by="w") == (
        "layer 'steps': Round has no slope by what it reads, so no gradient of 'y0' reaches 'w' (at net.py:9)"
    )


def test_places_are_flat():
    net, _, y = dense()
    place = net.apply(ops.Cast("float32"), net.apply(ops.ArgMax(1), y))
    assert refused(UsageError, net.graph(place), of="y0", by="x") == (
        "layer 'argmax': ArgMax has no slope by what it reads, so no gradient of 'y0' reaches 'x'"
    )


def test_what_does_not_depend():
    net, _, y = dense()
    graph = net.graph(y, net.apply(ops.Relu(), net.input(1, 2, name="other")))
    assert refused(UsageError, graph, of="y0", by=("x", "other")) == (
        "'y0' does not depend on 'other', so it has no gradient by it"
    )


@pytest.mark.parametrize("element", [UINT8, INT32, FLOAT16])
def test_values_that_are_not_float32(element):
    net = Net()
    x = net.arrives(np.ones((1, 2)), "x", element)
    graph = net.graph(net.apply(ops.Cast("float32"), x))
    assert refused(UsageError, graph, of="y0", by="x") == (
        f"'x' is {element}[1, 2]: gradients are of float32 values by float32 values"
    )


def test_a_result_that_is_not_float32():
    net, _, y = dense()
    graph = net.graph(net.apply(ops.ArgMax(1), y))
    assert refused(UsageError, graph, of="y0", by="x").startswith("'y0' is int64[2, 1]: gradients are of float32")


MODEL = nn.Sequential(nn.Dense(3, name="dense"), input=(4,), seed=0)


def test_unknown_names():
    assert refused(UsageError, MODEL, of="out", by="input").startswith("the model has no layer or tensor 'out'")
    told = refused(UsageError, MODEL, of="output", by=("dense.weight",))
    assert told.startswith("the model has no layer or tensor 'dense.weight': the nearest names are 'dense.weights'")


@pytest.mark.parametrize("by", [(), None, 3, ("input", 4)])
def test_names_that_are_none(by):
    assert refused(UsageError, MODEL, of="output", by=by) == (
        f"by={by!r}: expected names of inputs, weights or layers, such as ('input',)"
    )


def test_of_that_is_no_name():
    assert refused(UsageError, MODEL, of=3, by="input") == "of=3: expected the name of an output or a layer"
