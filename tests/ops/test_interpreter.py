"""The interpreter: values by name, and what it says about inputs that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.errors import InputError
from cnncc.interpreter import evaluate, run
from cnncc.ir import Builder, Value
from cnncc.ops import Add, Conv, Dense, Flatten, ReduceSum, Relu, SpectralPool, Split
from cnncc.types import TensorType


def network(images=1):
    """Two inputs, weights, several outputs."""
    rng = np.random.default_rng(3)
    b = Builder("small")
    x = b.input("x", TensorType((images, 2, 4, 4)))
    z = b.input("z", TensorType((images, 3, 4, 4)))
    w = b.constant(rng.standard_normal((3, 2, 3, 3)), "w")
    (c,) = b.add(Conv((3, 3), padding="same"), (x, w), "conv")
    (s,) = b.add(Add(), (c, z), "sum")
    (r,) = b.add(Relu(), (s,), "relu")
    low, high = b.add(Split((1, 2)), (r,), "parts")
    return b.graph({"low": low, "high": high})


def test_every_value_is_there_in_float32(make_feeds):
    graph = network()
    values = evaluate(graph, make_feeds(graph))
    assert set(values) == {value for node in graph for value in node.values}
    for value, array in values.items():
        assert array.dtype == np.float32
        assert array.shape == graph.type(value).shape
    np.testing.assert_array_equal(values[Value("relu")][:, 1:], values[Value("parts", 1)])


def test_outputs_come_by_name(make_feeds):
    graph = network()
    feeds = make_feeds(graph)
    values, outputs = evaluate(graph, feeds), run(graph, feeds)
    assert list(outputs) == ["low", "high"]
    np.testing.assert_array_equal(outputs["high"], values[Value("parts", 1)])


def test_the_order_in_memory_is_that_of_the_axes():
    """It decides in which order NumPy sums: a reference or a caller that turns axes must not change a bit."""
    builder = Builder()
    x = builder.input("x", TensorType((2, 3, 4, 5)))
    (y,) = builder.add(SpectralPool((2, 3)), (x,))
    (total,) = builder.add(ReduceSum(), (y,))
    data = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    values = evaluate(builder.graph({"y": total}), {"x": np.asfortranarray(data)})
    assert all(array.flags.c_contiguous for array in values.values())
    assert values[total].shape == (1, 1, 1, 1)


def test_another_number_of_images_gives_each_its_own_result(make_feeds):
    three = make_feeds(network(3))
    together = run(network(), three)
    for k in range(3):
        alone = run(network(), {name: array[k : k + 1] for name, array in three.items()})
        for name, result in alone.items():
            np.testing.assert_array_equal(together[name][k : k + 1], result)


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "model 'small' takes the inputs 'x', 'z', got none"),
        ({"x": ones(1, 2, 4, 4), "y": ones(1)}, "model 'small' takes the inputs 'x', 'z', got 'x', 'y'"),
        (
            {"x": ones(1, 2, 4, 4), "z": ones(1, 3, 4, 5)},
            "input 'z' must have shape (1, 3, 4, 4) (the number of images may differ), got (1, 3, 4, 5)",
        ),
        (
            {"x": ones(2, 4, 4), "z": ones(1, 3, 4, 4)},
            "input 'x' must have shape (1, 2, 4, 4) (the number of images may differ), got (2, 4, 4)",
        ),
        (
            {"x": ones(0, 2, 4, 4), "z": ones(0, 3, 4, 4)},
            "input 'x' must have shape (1, 2, 4, 4) (the number of images may differ), got (0, 2, 4, 4)",
        ),
        (
            {"x": ones(2, 2, 4, 4), "z": ones(1, 3, 4, 4)},
            "inputs must have the same number of images, but 'x' has 2, 'z' has 1",
        ),
        ({"x": np.ones((1, 2, 4, 4)), "z": ones(1, 3, 4, 4)}, "input 'x' must be float32, got float64"),
    ],
)
def test_inputs_that_do_not_fit(feeds, message):
    with pytest.raises(InputError) as caught:
        evaluate(network(), feeds)
    assert str(caught.value) == message


def test_a_graph_that_is_not_batchable_keeps_its_n():
    b = Builder("flat")
    (y,) = b.add(Flatten(0), (b.input("x", TensorType((2, 3))),))
    with pytest.raises(InputError) as caught:
        run(b.graph({"y": y}), {"x": ones(3, 3)})
    assert str(caught.value) == (
        "input 'x' must have shape (2, 3), got (3, 3); "
        "layer 'flatten' (Flatten) mixes images, so that the number of images is fixed at 2"
    )


def test_weights_given_at_run_time_keep_their_shape():
    b = Builder()
    (y,) = b.add(Dense(), (b.input("x", TensorType((1, 3))), b.input("w", TensorType((2, 3)))))
    graph = b.graph({"y": y})
    assert run(graph, {"x": ones(5, 3), "w": ones(2, 3)})["y"].shape == (5, 2)
    with pytest.raises(InputError) as caught:
        run(graph, {"x": ones(1, 3), "w": ones(3, 3)})
    assert str(caught.value) == "input 'w' must have shape (2, 3), got (3, 3)"
