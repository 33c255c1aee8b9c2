"""A training step in PyTorch, made of our graph: the loss and all gradients of the first step are ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncc import cli, learn, nn, ops
from cnncc.check.model import random_feeds
from cnncc.cut import with_needed
from cnncc.errors import PeerError
from cnncc.ir import Graph
from cnncc.learning.losses import Loss
from cnncc.learning.recipe import Recipe
from cnncc.measure.steps import Kept, Task, expect_same_step, in_torch, loss_in_torch, optimiser_in_torch, ours
from cnncc.measure.torch_network import LAYERS, TorchNetwork
from tests.graphs import Net

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.tools

ALONG = {
    "Conv": [
        ops.Conv((3, 2), (2, 1), (1, 2), "same"),
        ops.Conv((3,), 2, padding=((2, 0),), flip=True),
        ops.Conv((2, 3, 1), padding="full"),
        ops.Conv((3, 3), groups=2, padding=1),
    ],
    "ConvTranspose": [
        ops.ConvTranspose((3, 2), 2, padding=1, output_padding=1),
        ops.ConvTranspose((3,), (2,), (2,), padding="same"),
        ops.ConvTranspose((2, 2), 1, 1, "valid", 0, 2),
    ],
    "MaxPool": [ops.MaxPool((3, 2), 2, "same"), ops.MaxPool((2,), ceil_mode=True), ops.MaxPool((3, 3), 1, 1, 2)],
    "AveragePool": [
        ops.AveragePool((3, 3), 2, 1),
        ops.AveragePool((2, 2), 1, ((0, 1), (1, 0)), count_padding=True),
        ops.AveragePool((2,)),
    ],
    "Dropout": [ops.Dropout(0.3), ops.Dropout(0.0)],
    "Gelu": [ops.Gelu(), ops.Gelu("tanh")],
    "Clip": [ops.Clip(-0.5, 0.5), ops.Clip(None, 0.2), ops.Clip()],
    "GroupNormalization": [ops.GroupNormalization(2)],
    "LayerNormalization": [ops.LayerNormalization(1), ops.LayerNormalization(-1)],
    "Reshape": [ops.Reshape((0, -1, 2))],
    "Squeeze": [ops.Squeeze((2,))],
    "Transpose": [ops.Transpose((0, 2, 1))],
    "Unsqueeze": [ops.Unsqueeze((2,))],
    "ReduceMean": [ops.ReduceMean((-1,), False)],
    "ReduceSum": [ops.ReduceSum((1, 2))],
}
CASES = [
    *(op for each in ALONG.values() for op in each),
    *(getattr(ops, name)() for name in sorted(LAYERS.keys() - ALONG.keys())),
    ops.BatchNormalization(1e-3),
]


def around(op: Any) -> Graph:
    """A convolution or a dense layer, the op on its result, a dense head."""
    net = Net(3)
    rank = getattr(op, "kernel", None)
    spatial = (7,) * (1 if op.name in ("Transpose", "Reshape") else len(rank) if rank else 2)
    if op.name in ("Dense", "MatMul"):
        first = net.apply(ops.Dense(), net.input(1, 5), net.weights(6, 5))
    else:
        kernel = (2,) * len(spatial)
        first = net.apply(ops.Conv(kernel), net.input(1, 3, *spatial), net.weights(4, 3, *kernel))
    shape = net.shape(first)
    more = {
        "Conv": lambda: [net.weights(6, 4 // op.groups, *op.kernel), net.weights(6)],
        "ConvTranspose": lambda: [net.weights(4, 3, *op.kernel), net.weights(3 * op.groups)],
        "Dense": lambda: [net.weights(3, 6), net.weights(3)],
        "MatMul": lambda: [net.weights(6, 3)],
        "LayerNormalization": lambda: [net.weights(*shape[op.axis % len(shape) :]) for _ in range(2)],
        "BatchNormalization": lambda: [*(net.weights(4) for _ in range(3)), net.known(np.ones(4, np.float32))],
        **{name: lambda: [net.weights(4), net.weights(4)] for name in ("GroupNormalization", "InstanceNormalization")},
        **{name: lambda: [first] for name in ("Add", "Sub", "Mul", "Concat")},
        "Div": lambda: [net.apply(ops.Exp(), first)],
    }
    if op.name == "Squeeze":
        first = net.apply(ops.Unsqueeze((2,)), first)
    y = net.apply(op, first, *more.get(op.name, list)())
    flat = net.apply(ops.Flatten(), y)
    head = net.apply(ops.Dense(), flat, net.weights(3, net.shape(flat)[1]))
    return with_needed(net.graph(head), {"y0": head})


def task(network: Graph, loss: Loss, optimiser: Any, **how: Any) -> Task:
    recipe = Recipe(loss, optimiser, 4, **how)
    step = recipe.training(network)
    feeds = recipe.trial(step, random_feeds(step.graph, 0))
    return Task(network, recipe, {name: feeds[name] for name in step.graph.inputs}, {})


class Told:
    """What an engine made, in place of its process."""

    engine = "torch"

    def __init__(self, arrays: list[np.ndarray]):
        self.outputs = lambda: arrays


def expect_alike(given: Task) -> None:
    _, read = ours(given, 1)
    for channels_last in (False, True):
        expect_same_step(Told(in_torch(given, 1, channels_last=channels_last)[1]()), read())  # type: ignore[arg-type]


@pytest.mark.parametrize("op", CASES, ids=str)
def test_each_layer_has_our_gradients(op: Any) -> None:
    expect_alike(task(around(op), learn.CrossEntropy(), learn.SGD(0.1)))


LOSSES = [
    learn.CrossEntropy(0.2),
    learn.CrossEntropy(0.1, probabilities=True),
    learn.MeanSquares(),
    learn.BinaryCrossEntropy(),
]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("positions", [False, True])
def test_each_loss(loss: Loss, positions: bool) -> None:
    layers = [nn.Conv(3, 3)] if positions else [nn.Flatten(), nn.Dense(3), nn.Softmax()]
    expect_alike(task(nn.Sequential(*layers, input=(2, 5, 4), seed=0).graph, loss, learn.SGD(), clip=0.01))


OPTIMISERS = [learn.SGD(0.1, 0.9, True, 0.1), learn.SGD(0.1, decay=0.2), learn.AdamW(0.01, 0.8, 0.9, 1e-3, 0.3)]


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_each_optimiser(optimiser: Any) -> None:
    """After some steps the parameters are the same."""
    network = nn.Sequential(nn.Dense(6), nn.Tanh(), nn.Dense(3), input=(5,), seed=0)
    given = task(network.graph, learn.CrossEntropy(), optimiser)
    step = learn.Step(network.graph, **vars(given.recipe))
    run = step.model.bind(dict(given.feeds))
    theirs = TorchNetwork(network.graph, next(iter(network.graph.outputs.values())), step.training.trained)
    cost = loss_in_torch(torch, given.recipe.loss, torch.from_numpy(given.feeds["wanted"]).long())
    stepper = optimiser_in_torch(torch, optimiser, list(theirs.parameters.values()))
    for _ in range(4):
        run()
        stepper.zero_grad()
        cost(theirs({"input": torch.from_numpy(given.feeds["input"])})).backward()
        stepper.step()
    for name, tensor in theirs.parameters.items():
        np.testing.assert_allclose(step.state[name], tensor.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_what_is_not_compared() -> None:
    layers = nn.Sequential(nn.Conv(2, 3), nn.Resize(scales=(2.0, 2.0)), nn.Flatten(), nn.Dense(2), input=(1, 5, 5))
    with pytest.raises(PeerError, match=r"layer 'resize1' is a Resize, which is not compared with PyTorch"):
        in_torch(task(layers.graph, learn.CrossEntropy(), learn.SGD()), 1, channels_last=False)
    with pytest.raises(PeerError, match="the optimiser Kept"):
        optimiser_in_torch(torch, Kept(), [])


def test_another_step_is_refused() -> None:
    given = task(around(ops.Relu()), learn.CrossEntropy(), learn.SGD())
    _, read = ours(given, 1)
    loss, first, *others = read()
    with pytest.raises(PeerError, match=r"engine 'torch' computes another step: gradient 1 is .* of its size apart"):
        expect_same_step(Told([loss, first * 1.1, *others]), read())  # type: ignore[arg-type]
    with pytest.raises(PeerError, match="the loss is nan of its size apart"):
        expect_same_step(Told([loss * np.nan, first, *others]), read())  # type: ignore[arg-type]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "net.py"
    script.write_text("from cnncc import nn\nmodel = nn.Sequential(nn.Dense(3), input=(5,), seed=0, name='net')\n")
    assert cli.main(["bench", str(script), "--step", "--against", "torch", "--seconds", "0.1", "--json"]) == 0
    engines = json.loads(capsys.readouterr().out)["against"]
    assert [each["engine"] for each in engines] == ["cnncc", "torch", "torch channels last"]
    assert all(each["difference"] < 1e-4 for each in engines)
