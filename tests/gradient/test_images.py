"""Whether the number of images of a gradient is free: where images stay apart, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import interpret, learn, nn, ops
from cnncc.batching import images_of
from cnncc.interpreter import run
from tests.gradient.support import fed, of_op
from tests.graphs import Net
from tests.ops.cases import data, each_float_sample


def network(n=None):
    layers = [
        nn.Conv(4, 3, stride=2, padding=1, name="conv"),
        nn.BatchNorm(name="norm"),
        nn.ReLU(),
        nn.Conv(6, 1, stride=2, bias=False),
        nn.MaxPool(2, 1),
        nn.Flatten(),
        nn.Dense(5),
        nn.Softmax(),
    ]
    return nn.Sequential(*layers, input=(2, 12, 12), seed=0).graph


def test_images_stay_apart_in_a_gradient_by_images():
    """Also in parts that no window reaches: a 1×1 convolution with a stride skips three of four elements."""
    slopes = learn.gradient(network(), of="output", by="input")
    assert images_of(slopes).batched == {"input": True, "d_output": True}
    rng = np.random.default_rng(0)
    x, counts = (rng.standard_normal((3, *shape)).astype(np.float32) for shape in ((2, 12, 12), (5,)))
    together = interpret(slopes, x, counts)
    for k in range(3):
        for whole, one in zip(together, interpret(slopes, x[k : k + 1], counts[k : k + 1]), strict=True):
            np.testing.assert_array_equal(whole[k : k + 1], one)


def test_a_gradient_by_weights_is_a_sum_over_images():
    slopes = learn.gradient(network(), of="output", by=("input", "conv.weights"))
    assert images_of(slopes).batched is None
    assert images_of(slopes).fixed == "the gradient by 'conv.weights' is a sum over the images"


@each_float_sample
def test_what_is_proved_free_is(sample):
    """For each op: if the number of images is free, three images have the gradients of each."""
    graph = of_op(sample.op, *sample.types)
    try:
        slopes = learn.gradient(graph, of="y", by="x0")
    except Exception:
        return
    images = images_of(slopes)
    if images.batched is None or not images.batched["x0"]:
        return
    feeds = fed(*data(sample)) | {"d_y": np.random.default_rng(1).standard_normal(graph.type(graph.outputs["y"]).shape)}
    three = {
        name: np.concatenate([feeds[name][:1] * (k + 1) for k in range(3)]) if carries else feeds[name]
        for name, carries in images.batched.items()
    }
    three = {name: np.asarray(array, np.float32) for name, array in three.items()}
    together = run(slopes, three)
    for k in range(3):
        alone = run(slopes, {n: a[k : k + 1] if images.batched[n] else a for n, a in three.items()})
        for name, array in alone.items():
            np.testing.assert_array_equal(together[name][k : k + 1], array)


def test_one_image_does_not_hide_the_sum():
    """Of one image a sum over images is no sum, but the graph still says so."""
    net = Net()
    x, w = net.input(1, 3), net.weights(4, 3, arrive=True)
    slopes = learn.gradient(net.graph(net.apply(ops.Dense(), x, w)), of="y0", by=("w",))
    assert images_of(slopes).batched is None


def test_a_layer_that_mixes_images_is_named():
    net = Net()
    y = net.apply(ops.BatchStandardization(), net.input(4, 3), net.known(np.ones(3)), net.known(np.ones(3)))
    slopes = learn.gradient(net.graph(y), of="y0", by="x")
    assert images_of(slopes).fixed == "layer 'batchstandardization' (BatchStandardization) mixes images"


def test_inputs_that_keep_their_shape_do_so():
    from dataclasses import replace

    net = Net()
    graph = net.graph(net.apply(ops.Mul(), net.input(1, 3), net.input(1, 3, name="scale")))
    slopes = learn.gradient(replace(graph, kept=("scale",)), of="y0", by="x")
    assert slopes.kept == ("scale",)
    assert images_of(slopes).batched == {"x": True, "scale": False, "d_y0": True}


@pytest.mark.parametrize("by", ["x", "w"])
def test_a_fixed_number_stays_fixed(by):
    from dataclasses import replace

    net = Net()
    graph = net.graph(net.apply(ops.Dense(), net.input(2, 3), net.weights(4, 3, arrive=True)))
    slopes = learn.gradient(replace(graph, fixed="somebody has counted"), of="y0", by=by)
    assert slopes.fixed == "somebody has counted"
