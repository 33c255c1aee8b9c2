"""Compiled gradients against interpreted ones, layer by layer, within derived bounds; the same bits for all threads."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import learn, nn, ops
from cnncc.check.model import check, random_feeds
from cnncc.compiler import Compilation, Options, resolve_target
from tests.graphs import Net, compilation, native


def lenet():
    layers = [
        *(nn.Conv(4, 5, padding="same", name="conv1"), nn.Tanh(), nn.MaxPool(2)),
        *(nn.Conv(6, 5, name="conv2"), nn.ReLU(), nn.MaxPool(2), nn.Flatten()),
        *(nn.Dense(20, name="dense1"), nn.ReLU(), nn.Dense(10, name="dense2"), nn.Softmax()),
    ]
    graph = nn.Sequential(*layers, input=(1, 14, 14), seed=0).graph
    return graph, "output", [node.name for node in graph if node.op.source]


def residual():
    """A block of a residual network, normalised by the batch, with a projection; three images."""
    net, ones = Net(1), np.ones(8, np.float32)
    x = net.input(3, 4, 6, 6)

    def normalised(value):
        return net.apply(ops.BatchStandardization(), value, net.arrives(ones, "scale"), net.arrives(0 * ones, "shift"))

    def conv(value, channels, kernel, stride, padding):
        return net.apply(
            ops.Conv((kernel, kernel), stride, padding=padding),
            value,
            net.weights(8, channels, kernel, kernel, arrive=True),
        )

    first = net.apply(ops.Relu(), normalised(conv(x, 4, 3, 2, 1)))
    second = normalised(conv(first, 8, 3, 1, 1))
    total = net.apply(ops.Relu(), net.apply(ops.Add(), second, conv(x, 4, 1, 2, 0)))
    loss = net.apply(ops.ReduceMean(None, False), net.apply(ops.GlobalAveragePool(), total))
    graph = net.graph(loss)
    return graph, "y0", list(graph.inputs)


def depthwise():
    net = Net(2)
    x, w = net.input(2, 6, 7, 7), net.weights(6, 1, 3, 3, arrive=True)
    each = net.apply(ops.Conv((3, 3), 2, padding=1, groups=6), x, w, net.arrives(net.random(6), "b"))
    grouped = net.apply(ops.Conv((2, 2), groups=3), net.apply(ops.Silu(), each), net.weights(6, 2, 2, 2, arrive=True))
    graph = net.graph(net.apply(ops.MaxPool((3, 3), 1, 1), grouped))
    return graph, "y0", list(graph.inputs)


def indexed():
    """Reads and writes at indices, orders, running sums, places of extremes."""
    net = Net(3)
    x = net.input(2, 9, 5)
    best = net.apply(ops.TopK(4, 1), x)
    places = net.builder.add(ops.TopK(4, 1), (x,))[1]
    read = net.builder.add(ops.GatherElements(1), (net.apply(ops.CumSum(1), x), places))[0]
    graph = net.graph(net.apply(ops.Mul(), best, net.apply(ops.Mul(), read, net.apply(ops.ReduceMax((1,)), x))))
    return graph, "y0", ["x"]


@pytest.mark.parametrize("network", [lenet, residual, depthwise, indexed])
def test_each_layer_is_within_its_bound(network):
    graph, of, by = network()
    slopes = learn.gradient(graph, of=of, by=by)
    report = check(slopes, Options(resolve_target("host")), random_feeds(slopes, 1), threads=2)
    assert report.ok, [(finding.layer, finding.op, str(finding)) for finding in report.culprits][:3]
    assert len(report.kernels) > 5


def test_the_number_of_threads_changes_no_bit():
    graph, of, by = residual()
    slopes = learn.gradient(graph, of=of, by=by)
    feeds = random_feeds(slopes, 2)
    compiled = compilation(slopes)
    one = native(compiled, feeds)
    for name, array in native(compiled, feeds, 3).items():
        np.testing.assert_array_equal(array, one[name])


def test_a_free_number_of_images_is_free_in_native_code():
    model = nn.Sequential(
        nn.Conv(4, 3, stride=2, name="conv"), nn.ReLU(), nn.Flatten(), nn.Dense(3), input=(1, 9, 9), seed=0
    )
    slopes = learn.gradient(model, of="output", by="input")
    rng = np.random.default_rng(0)
    feeds = {"input": rng.standard_normal((3, 1, 9, 9)), "d_output": rng.standard_normal((3, 3))}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    compiled = Compilation(slopes, Options(resolve_target("host")))
    whole = native(compiled, feeds)
    for k in range(3):
        alone = native(compiled, {name: array[k : k + 1] for name, array in feeds.items()})
        for name, array in alone.items():
            np.testing.assert_array_equal(whole[name][k : k + 1], array)
