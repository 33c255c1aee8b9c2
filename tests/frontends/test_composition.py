"""Both ways of writing a model, shapes, names, sharing and weights that arrive at run time."""

from __future__ import annotations

import numpy as np

from cnncc import nn
from cnncc.interpreter import run
from cnncc.ir import Graph


def names(graph: Graph) -> list[str]:
    return list(graph.nodes)


def small_sequential(seed: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv(4, 3, padding="same", activation="relu"),
        nn.MaxPool(2),
        nn.Conv(6, 3),
        nn.BatchNorm(),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dense(5, name="classes"),
        nn.Softmax(),
        input=(1, 8, 8),
        name="small",
        labels=("a", "b", "c", "d", "e"),
        seed=seed,
    )


def small_functional() -> nn.Model:
    x = nn.Input((1, 8, 8))
    y = nn.MaxPool(2)(nn.Conv(4, 3, padding="same", activation="relu")(x))
    y = nn.ReLU()(nn.BatchNorm()(nn.Conv(6, 3)(y)))
    y = nn.Softmax()(nn.Dense(5, name="classes")(nn.Flatten()(y)))
    return nn.Model(x, y, name="small", labels="abcde")


def test_both_ways_give_equal_graphs() -> None:
    one, other = small_sequential().graph, small_functional().graph
    assert one == other
    assert one.hash == other.hash


def test_names_and_shapes() -> None:
    graph = small_sequential().graph
    assert names(graph) == [
        *("input", "conv1.weights", "conv1.bias", "conv1", "conv1.relu", "maxpool1"),
        *("conv2.weights", "conv2.bias", "conv2"),
        *("norm1.scale", "norm1.bias", "norm1.mean", "norm1.variance", "norm1", "relu1", "flatten1"),
        *("classes.weights", "classes.bias", "classes", "softmax1"),
    ]
    assert graph["conv2.weights"].types[0].shape == (6, 4, 3, 3)
    assert graph["classes.weights"].types[0].shape == (5, 24)
    assert graph.type(graph.outputs["output"]).shape == (1, 5)
    assert graph.labels == ("a", "b", "c", "d", "e")


def test_nodes_remember_the_users_line() -> None:
    graph = small_sequential().graph
    line = small_sequential.__code__.co_firstlineno
    where = [graph[name].where for name in ("conv1", "maxpool1", "conv2")]
    assert [(w.file, w.line - line) for w in where if w] == [(__file__, 2), (__file__, 3), (__file__, 4)]


def test_a_kernel_number_counts_for_every_spatial_axis() -> None:
    for shape, kernel in (((2, 9), (3,)), ((2, 9, 9), (3, 3)), ((2, 9, 9, 9), (3, 3, 3))):
        tensor = nn.Conv(4, 3)(nn.Input(shape))
        assert tensor.shape == (1, 4, *(7 for _ in kernel))
    assert nn.MaxPool((3, 2), stride=(1, 2))(nn.Input((2, 9, 9))).shape == (1, 2, 7, 4)


def test_depthwise_has_its_own_filters_for_each_channel() -> None:
    x = nn.Input((3, 8, 8))
    model = nn.Model(x, nn.DepthwiseConv(3, padding=1, multiplier=2)(x))
    assert model.weights["depthwise1.weights"].shape == (6, 1, 3, 3)
    assert model.outputs["output"].shape == (1, 6, 8, 8)


def test_several_inputs_and_outputs() -> None:
    a, b = nn.Input((4, 6, 6), name="a"), nn.Input((2, 6, 6), name="b", batch=1)
    left, right = nn.Split((1, 3))(a)
    joined = nn.Concat()([left, b])
    same = nn.Concat(axis=1)(left, b)
    model = nn.Model([a, b], {"joined": joined + same, "right": right, "b": b})
    graph = model.graph
    assert list(graph.inputs) == ["a", "b"]
    assert {name: graph.type(value).shape for name, value in graph.outputs.items()} == {
        "joined": (1, 3, 6, 6),
        "right": (1, 3, 6, 6),
        "b": (1, 2, 6, 6),
    }
    random = np.random.default_rng(1)
    feeds = {name: random.standard_normal(type.shape, np.float32) for name, type in graph.inputs.items()}
    result = run(graph, feeds)
    np.testing.assert_array_equal(result["joined"], 2 * np.concatenate([feeds["a"][:, :1], feeds["b"]], axis=1))
    np.testing.assert_array_equal(result["right"], feeds["a"][:, 1:])


def test_a_list_of_outputs_is_numbered() -> None:
    x = nn.Input((3,))
    assert list(nn.Model(x, [x, nn.ReLU()(x)]).graph.outputs) == ["output1", "output2"]


def test_a_layer_called_twice_shares_its_weights() -> None:
    conv, x = nn.Conv(3, 3, padding="same"), nn.Input((3, 6, 6))
    graph = nn.Model(x, conv(conv(x)) + x).graph
    assert names(graph) == ["input", "conv1.weights", "conv1.bias", "conv1", "conv1_1", "add1"]
    assert graph["conv1"].inputs[1:] == graph["conv1_1"].inputs[1:]


def test_weights_at_run_time() -> None:
    x, w = nn.Input((2, 5, 5)), nn.Input((4, 2, 3, 3), name="w", batch=None)
    b = nn.Input((4,), name="b", batch=None)
    conv = nn.Conv(4, 3)
    free, half = nn.Model([x, w, b], conv(x, weights=w, bias=b)), nn.Model([x, w], conv(x, weights=w))
    assert free.weights == {}
    assert list(half.weights) == ["conv1.bias"]
    random = np.random.default_rng(2)
    feeds = {name: random.standard_normal(type.shape, np.float32) for name, type in free.graph.inputs.items()}
    fixed = nn.Model(x, conv(x))
    fixed.assign({"conv1.weights": feeds["w"], "conv1.bias": feeds["b"]})
    expected = run(fixed.graph, {"input": feeds["input"]})["output"]
    np.testing.assert_array_equal(run(free.graph, feeds)["output"], expected)


def test_given_names_are_kept_and_numbers_avoid_them() -> None:
    x = nn.Input((1, 8, 8), name="conv1")
    y = nn.Conv(1, 1)(nn.Conv(1, 1, name="conv2")(nn.Conv(1, 1)(x)))
    assert [n for n in names(nn.Model(x, y).graph) if "." not in n] == ["conv1", "conv3", "conv2", "conv4"]


def test_a_number_does_not_run_into_the_digits_of_a_kind() -> None:
    x = nn.Input((3, 8, 8))
    clip = nn.ReLU6(name="relu6")
    assert names(nn.Model(x, nn.ReLU6()(nn.ReLU6()(x))).graph) == ["input", "relu6_1", "relu6_2"]
    assert len(set(names(nn.Model(x, nn.ReLU6()(clip(clip(x)))).graph))) == 4


def test_a_long_chain_needs_no_recursion() -> None:
    x = nn.Input((1,))
    tensor: nn.Tensor = x
    for _ in range(3000):
        tensor = nn.ReLU()(tensor)
    assert len(nn.Model(x, tensor).graph.nodes) == 3001


def test_a_lattice_is_walked_once() -> None:
    x = nn.Input((1,))
    tensor: nn.Tensor = x
    for _ in range(200):
        tensor = tensor + tensor
    assert len(nn.Model(x, tensor).graph.nodes) == 201
