"""Blocks, operators, and a layer for every op."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from cnncc import CnnccError, compile, interpret, nn
from cnncc.elements import UINT8
from cnncc.frontends.generic import activations, op_layers
from cnncc.op import REGISTRY, Sample
from cnncc.types import Array

X = nn.Input((6, 9, 8))


def feed(shape: tuple[int, ...] = (1, 6, 9, 8), seed: int = 7) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def agree(model: nn.Model) -> Array:
    """The interpreter's result, after a look at native code."""
    x = feed()
    expected: Array = interpret(model, x)
    np.testing.assert_allclose(compile(model, cache=False)(x), expected, rtol=1e-4, atol=1e-4)
    return expected


BLOCKS: list[tuple[Callable[[], nn.Layer], tuple[int, ...], str]] = [
    (
        lambda: nn.DepthwiseSeparable(10, 3, stride=2, activation="relu"),
        (1, 10, 5, 4),
        "depthwise1 depthwise1.relu conv1 conv1.relu",
    ),
    (
        lambda: nn.DepthwiseSeparable(10, 3, norm=True, activation="relu6", padding="valid"),
        (1, 10, 7, 6),
        "depthwise1 norm1 norm1.relu6 conv1 norm2 norm2.relu6",
    ),
    (lambda: nn.SpatiallySeparable(5, (3, 5), (1, 2), activation="relu"), (1, 5, 9, 4), "conv1 conv2 conv2.relu"),
    (lambda: nn.SpatiallySeparable(5, 3, padding=0), (1, 5, 7, 6), "conv1 conv2"),
    (lambda: nn.Flattened(7, 3, padding=1), (1, 7, 9, 8), "conv1 depthwise1 depthwise2"),
    (
        lambda: nn.Flattened(7, 3, norm=True, padding=((2, 1), (0, 1))),
        (1, 7, 10, 7),
        "conv1 depthwise1 depthwise2 norm1",
    ),
    (lambda: nn.Residual(nn.Conv(6, 3, padding="same"), activation="relu"), (1, 6, 9, 8), "conv1 add1 add1.relu"),
    (
        lambda: nn.Residual([nn.Conv(4, 3), nn.BatchNorm()], shortcut=nn.Conv(4, 3)),
        (1, 4, 7, 6),
        "chain1.conv1 chain1.norm1 conv1 add1",
    ),
    (
        lambda: nn.Parallel(nn.Conv(2, 1), [nn.MaxPool(3, 1, "same"), nn.Conv(3, 1)], nn.ReLU()),
        (1, 11, 9, 8),
        "conv1 chain1.maxpool1 chain1.conv1 relu1 concat1",
    ),
    (
        lambda: nn.SqueezeExcite(2),
        (1, 6, 9, 8),
        "globalaveragepool1 conv1 conv1.relu conv2 conv2.sigmoid mul1",
    ),
    (lambda: nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv(2, 1))), (1, 2, 9, 8), "relu1 chain1.conv1"),
]


@pytest.mark.parametrize(("make", "shape", "names"), BLOCKS)
def test_shapes_and_names(make: Callable[[], nn.Layer], shape: tuple[int, ...], names: str) -> None:
    block = make()
    (result,) = block.apply((X,), {}, None)
    assert result.shape == shape
    model = nn.Model(X, result)
    nodes = [node.name for node in model.graph if node.op.source is None]
    assert nodes == [f"{block.kind}1.{name}" for name in names.split()]
    assert agree(model).shape == shape


def test_an_inception_joins_four_branches() -> None:
    result = nn.Inception(3, (2, 4), (2, 5), 1)(X)
    assert result.shape == (1, 13, 9, 8)
    agree(nn.Model(X, result))


def test_passes_in_one_and_three_dimensions() -> None:
    assert nn.SpatiallySeparable(4, 5)(nn.Input((2, 20))).shape == (1, 4, 20)
    volume = nn.Input((2, 5, 6, 7))
    model = nn.Model(volume, nn.Flattened(4, 3)(volume))
    kernels = [array.shape[2:] for name, array in model.weights.items() if name.endswith("weights")]
    assert kernels == [(1, 1, 1), (3, 1, 1), (1, 3, 1), (1, 1, 3)]


def test_a_pass_is_as_good_as_the_dense_kernel() -> None:
    x = nn.Input((1, 9, 8))
    block = nn.SpatiallySeparable(1, 3)
    taken, dense = nn.Model(x, block(x)), nn.Model(x, nn.Conv(1, 3, padding="same", name="dense")(x))
    column, row = feed((1, 1, 3, 1)), feed((1, 1, 1, 3), 8)
    taken.assign(
        {"passes1.conv1.weights": column, "passes1.conv2.weights": row, "passes1.conv2.bias": np.zeros(1, "f")}
    )
    dense.assign({"dense.weights": column * row, "dense.bias": np.zeros(1, np.float32)})
    image = feed((1, 1, 9, 8), 9)
    np.testing.assert_allclose(interpret(taken, image), interpret(dense, image), rtol=1e-4, atol=1e-5)


def test_a_block_called_twice_shares_its_weights() -> None:
    block = nn.Residual(nn.Conv(6, 3, padding="same"))
    model = nn.Model(X, block(block(X)))
    assert list(model.weights) == ["residual1.conv1.weights", "residual1.conv1.bias"]
    assert "residual1.conv1_1" in model.graph.nodes


def test_names_inside_blocks() -> None:
    model = nn.Sequential(
        nn.Residual(nn.Conv(6, 1, name="own"), nn.Conv(6, 1), name="first"),
        nn.Residual(nn.Conv(6, 1)),
        input=(6, 9, 8),
    )
    assert list(model.weights)[::2] == ["own.weights", "first.conv1.weights", "residual1.conv1.weights"]


def test_errors_inside_blocks_tell_the_line_of_the_layer() -> None:
    wide = nn.Conv(8, 11)
    with pytest.raises(CnnccError) as info:
        nn.Sequential(nn.Residual(wide), input=(6, 9, 8))
    assert info.value.node == "conv"
    assert info.value.where == wide.where
    with pytest.raises(CnnccError, match=r"layer 'add': shapes .* do not broadcast"):
        nn.Residual(nn.Conv(5, 3))(X)


class Twice(nn.Block):
    """A user's own block."""

    kind = "twice"

    def wire(self, x: nn.Tensor, parts: Any) -> nn.Tensor:
        (part,) = parts
        return nn.Add()(nn.Chain(part)(x), x)


def test_blocks_of_ones_own() -> None:
    agree(nn.Model(X, Twice(nn.Conv(6, 3, padding="same"))(X)))


def test_operators() -> None:
    other = nn.Conv(6, 1, name="other")(X)
    result = -(2 * X - other / 3.0) * (1 - X) + 4 / (X * X + 1)
    model = nn.Model(X, result)
    x = feed().astype(np.float64)
    o = interpret(nn.Model(X, other), feed())
    np.testing.assert_allclose(agree(model), -(2 * x - o / 3) * (1 - x) + 4 / (x * x + 1), rtol=1e-4, atol=1e-4)


def test_constants() -> None:
    slope = np.arange(6, dtype=np.float32).reshape(6, 1, 1)
    result = agree(nn.Model(X, X * nn.Constant(slope)))
    np.testing.assert_array_equal(result, feed() * slope)
    with pytest.raises(CnnccError, match="a constant holds numbers, got 'x'"):
        nn.Constant("x")
    with pytest.raises(CnnccError, match="a constant holds values that are not finite"):
        X + float("inf")


@pytest.mark.parametrize("name", sorted(activations()))
def test_activations_by_name(name: str) -> None:
    graph = nn.Model(X, nn.Conv(2, 1, activation=name.title())(X)).graph
    assert graph[f"conv1.{name}"].op == activations()[name]


def test_activations_with_attributes_and_underscores() -> None:
    by_name = nn.Conv(2, 1, activation="leaky_relu")(X)
    by_layer = nn.Conv(2, 1, activation=nn.LeakyReLU(0.3))(X)
    assert [str(t.call.op) for t in (by_name, by_layer) if t.call] == ["LeakyRelu()", "LeakyRelu(alpha=0.3)"]
    assert by_layer.call and by_layer.call.suffix == ".leakyrelu"


def test_names_in_the_papers_spelling() -> None:
    for name in "ReLU LeakyReLU PReLU ReLU6 ELU SELU GELU SiLU Mish Sigmoid Tanh HardSwish Softplus Softmax".split():
        assert issubclass(getattr(nn, name), nn.Layer), name
    assert nn.ReLU is nn.ReLU
    assert "GELU" in dir(nn) and "Residual" in dir(nn)
    with pytest.raises(AttributeError, match=r"module 'cnncc\.nn' has no layer 'Reluu'"):
        nn.Reluu  # noqa: B018


def generic_samples() -> list[Sample]:
    own = {layer.op_type.__name__ for layer in op_layers().values()}
    cases = {name: [sample for sample in op.samples() if UINT8 not in sample.elements] for name, op in REGISTRY.items()}
    return [found[0] for name, found in cases.items() if name in own]  # inputs of bytes are pictures


@pytest.mark.parametrize("sample", generic_samples(), ids=lambda sample: sample.op.name)
def test_every_op_is_a_layer(sample: Sample) -> None:
    """With the attributes given by name; numbers of NumPy and lists do as well."""
    op = sample.op
    layer = next(layer for layer in op_layers().values() if layer.op_type is type(op) and not layer.presets)
    attributes = {field.name: getattr(op, field.name) for field in fields(op)}
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in attributes.items()}
    inputs = [nn.Input(x.shape, f"x{k}", batch=None, dtype=x.dtype.name) for k, x in enumerate(sample.types)]
    for given in (attributes, listed):
        results = layer(**given, name="it")(*inputs)
        several = results if isinstance(results, tuple) else (results,)
        model = nn.Model(inputs, several)
        graph = model.graph
        (row,) = model.summary().rows
        assert all(seen >= 1 for seen in row.seen)
        assert graph["it"].op == op
        assert graph["it"].types == op.infer(*sample.types)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nn.LeakyReLU(beta=1),
            "layer 'leakyrelu': takes the attributes alpha, got 'beta'",
        ),
        (lambda: nn.Sigmoid(1, 2), "layer 'sigmoid': takes the attributes (none), got 2 of them"),
        (
            lambda: nn.MaxPool(2, kernel=3),
            "layer 'maxpool': takes the attributes kernel, stride, padding, dilation, ceil_mode, got 'kernel'",
        ),
        (lambda: nn.LRN(), "layer 'lrn': needs the attribute size"),
        (lambda: nn.LeakyReLU("a"), "layer 'leakyrelu': alpha 'a': expected a finite number"),
        (lambda: nn.LeakyReLU(float("nan")), "layer 'leakyrelu': alpha nan: expected a finite number"),
        (lambda: nn.Clip(0, "six"), "layer 'clip': maximum 'six': expected a finite number"),
        (lambda: nn.LRN(2.5), "layer 'lrn': size 2.5: expected a whole number"),
        (lambda: nn.MaxPool(2, ceil_mode=1), "layer 'maxpool': ceil_mode 1: expected True or False"),
        (lambda: nn.Residual(), "layer 'residual': needs a body"),
        (lambda: nn.Parallel(), "layer 'parallel': needs at least one branch"),
        (
            lambda: nn.Parallel(nn.ReLU),
            "Parallel takes layers, got <class 'cnncc.nn.ReLU'> (are its parentheses missing?)",
        ),
        (
            lambda: nn.Sequential(nn.Sequential(nn.ReLU(), input=(3,)), input=(3,)),
            "Sequential takes layers, got <Sequential 'model'> (without `input` it is a layer)",
        ),
        (lambda: nn.SqueezeExcite(0), "layer 'excite': reduction 0: expected a whole number of at least 1"),
        (
            lambda: nn.DepthwiseSeparable(8, 0),
            "layer 'separable': kernel 0: expected a whole number of at least 1",
        ),
        (
            lambda: nn.ConvTranspose(8, 3, output_padding=-1),
            "layer 'transposed': output_padding -1: expected a whole number of at least 0",
        ),
        (lambda: nn.GroupNorm(4)(X), "layer 'norm': groups=4 does not divide the 6 channels"),
    ],
)
def test_message_and_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(CnnccError) as info:
        make()
    assert str(info.value) == f"{message} (at {__file__}:{make.__code__.co_firstlineno})"


def test_transposed_convolution_and_norms() -> None:
    for layer, shape in (
        (nn.ConvTranspose(4, 2, stride=2), (1, 4, 18, 16)),
        (nn.ConvTranspose(4, 3, 2, padding=1, output_padding=1, groups=2, activation="relu"), (1, 4, 18, 16)),
        (nn.ConvTranspose(4, 4, 2, padding="same", bias=False), (1, 4, 18, 16)),
        (nn.InstanceNorm(), (1, 6, 9, 8)),
        (nn.GroupNorm(3), (1, 6, 9, 8)),
        (nn.LayerNorm(axis=1), (1, 6, 9, 8)),
        (nn.BatchNorm(batch_statistics=True), (1, 6, 9, 8)),
        (nn.PReLU(), (1, 6, 9, 8)),
    ):
        assert agree(nn.Model(X, layer(X))).shape == shape
