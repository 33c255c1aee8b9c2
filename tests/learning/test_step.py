"""One step of training: its gradients, optimisers and losses against NumPy, and the same bits for any threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import interpreter, learn, nn
from cnncc.check.model import check, random_feeds
from cnncc.compiler import Options, resolve_target
from cnncc.errors import InputError, ModelError, UsageError
from cnncc.learning.losses import Loss
from cnncc.learning.optimisers import Optimiser
from cnncc.types import Array

from .networks import examples, small


def dense(seed: int = 0, outputs: int = 3) -> nn.Model:
    network: nn.Model = nn.Sequential(nn.Dense(outputs, name="d"), input=(5,), seed=seed)
    return network


def softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def slopes(network: nn.Model, x: Array, y: Array) -> tuple[float, Array, Array]:
    """Loss, and gradients by weights and bias, of a dense layer with cross-entropy, in float64."""
    weights, bias = (network.weights[name].astype(np.float64) for name in ("d.weights", "d.bias"))
    p = softmax(x @ weights.T + bias)
    wanted = np.eye(len(bias))[y]
    g = (p - wanted) / len(x)
    return float(-np.log(p[wanted > 0]).mean()), g.T @ x, g.sum(0)


def batch(seed: int = 0, count: int = 8) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 5)).astype(np.float32), rng.integers(0, 3, count)


SGDS = [learn.SGD(0.1), learn.SGD(0.1, decay=0.3), learn.SGD(0.1, 0.9), learn.SGD(0.1, 0.9, nesterov=True, decay=0.1)]


@pytest.mark.parametrize("optimiser", SGDS, ids=str)
def test_stochastic_gradient_descent(optimiser: learn.SGD) -> None:
    network = dense()
    step = learn.Step(network, optimiser=optimiser, batch=8)
    weights = {name: array.astype(np.float64) for name, array in network.weights.items()}
    moments = {name: np.zeros(array.shape) for name, array in weights.items()}
    for number in range(4):
        x, y = batch(number)
        loss, *found = slopes(network, x, y)
        assert step(x, y) == pytest.approx(loss, rel=1e-5)
        for name, slope in zip(weights, found, strict=True):
            if weights[name].ndim > 1:
                slope = slope + optimiser.decay * weights[name]
            moments[name] = optimiser.momentum * moments[name] + slope
            way = slope + optimiser.momentum * moments[name] if optimiser.nesterov else moments[name]
            weights[name] -= optimiser.rate * way
            np.testing.assert_allclose(step.state[name], weights[name], rtol=1e-5, atol=1e-6)
        network.assign(step.weights)


@pytest.mark.parametrize("optimiser", [learn.AdamW(0.01), learn.AdamW(0.1, 0.5, 0.9, 1e-3, 0.2)], ids=str)
def test_adam_with_decay(optimiser: learn.AdamW) -> None:
    network = dense()
    step = learn.Step(network, optimiser=optimiser, batch=8)
    weights = {name: array.astype(np.float64) for name, array in network.weights.items()}
    means = {name: np.zeros(array.shape) for name, array in weights.items()}
    squares = {name: np.zeros(array.shape) for name, array in weights.items()}
    for number in range(1, 5):
        x, y = batch(number)
        _, *found = slopes(network, x, y)
        step(x, y)
        for name, slope in zip(weights, found, strict=True):
            means[name] = optimiser.beta1 * means[name] + (1 - optimiser.beta1) * slope
            squares[name] = optimiser.beta2 * squares[name] + (1 - optimiser.beta2) * slope**2
            mean, square = means[name] / (1 - optimiser.beta1**number), squares[name] / (1 - optimiser.beta2**number)
            decay = optimiser.decay * weights[name] if weights[name].ndim > 1 else 0
            weights[name] -= optimiser.rate * (mean / (np.sqrt(square) + optimiser.epsilon) + decay)
            np.testing.assert_allclose(step.state[name], weights[name], rtol=1e-4, atol=1e-5)
        network.assign(step.weights)


def test_a_rate_for_one_step() -> None:
    network, (x, y) = dense(), batch()
    one, other = (learn.Step(network, optimiser=learn.SGD(rate), batch=8) for rate in (0.5, 0.1))
    one(x, y, rate=0.1)
    other(x, y)
    np.testing.assert_array_equal(one.state["d.weights"], other.state["d.weights"])


def test_gradients_are_clipped_by_their_norm() -> None:
    network, (x, y) = dense(), batch()
    _, weights, bias = slopes(network, x, y)
    norm = np.sqrt((weights**2).sum() + (bias**2).sum())
    step = learn.Step(network, optimiser=learn.SGD(1.0), batch=8, clip=norm / 4)
    step(x, y)
    np.testing.assert_allclose(network.weights["d.bias"] - step.state["d.bias"], bias / 4, rtol=1e-4, atol=1e-6)


def losses() -> list[tuple[Loss, Array, Any, float]]:
    """A loss, what is predicted, what is wanted, and what it then is."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4, 3))
    y, q, t = np.array([0, 2, 1, 1]), softmax(rng.standard_normal((4, 3))), rng.random((4, 3))
    logs, hot = np.log(softmax(z)), np.eye(3)[y]
    smooth = 0.7 * hot + 0.1
    return [
        (learn.CrossEntropy(), z, y, -(hot * logs).sum() / 4),
        (learn.CrossEntropy(0.3), z, y, -(smooth * logs).sum() / 4),
        (learn.CrossEntropy(probabilities=True), z, q, -(q * logs).sum() / 4),
        (learn.CrossEntropy(0.3, probabilities=True), z, q, -((0.7 * q + 0.1) * logs).sum() / 4),
        (learn.MeanSquares(), z, t, ((z - t) ** 2).mean()),
        (learn.BinaryCrossEntropy(), z, t, (np.log1p(np.exp(z)) - t * z).mean()),
    ]


@pytest.mark.parametrize(("loss", "prediction", "wanted", "value"), losses(), ids=lambda case: str(case)[:40])
def test_losses(loss: Loss, prediction: Array, wanted: Array, value: float) -> None:
    network = nn.Sequential(nn.Dense(3, name="d"), input=(3,), seed=0)
    network.assign({"d.weights": np.eye(3, dtype=np.float32), "d.bias": np.zeros(3, np.float32)})
    step = learn.Step(network, loss=loss, batch=4)
    assert step(prediction.astype(np.float32), wanted) == pytest.approx(value, rel=1e-5)
    if isinstance(loss, learn.CrossEntropy):
        truth = wanted if wanted.ndim == 1 else wanted.argmax(1)
        assert step.correct == (prediction.argmax(1) == truth).sum()
    elif isinstance(loss, learn.BinaryCrossEntropy):
        assert step.correct == ((prediction > 0) == (wanted > 0.5)).sum()
    else:
        assert step.correct is None


@pytest.mark.parametrize(("final", "loss"), [(nn.Softmax, "cross-entropy"), (nn.Sigmoid, "binary-cross-entropy")])
def test_a_last_layer_is_taken_into_the_loss(final: Any, loss: str) -> None:
    x, y = batch()
    wanted: Array = y if loss == "cross-entropy" else np.eye(3, dtype=np.float32)[y]
    bare, ended = (nn.Sequential(nn.Dense(3, name="d"), *last, input=(5,), seed=0) for last in ([], [final()]))
    steps = [learn.Step(network, loss=loss, batch=8) for network in (bare, ended)]
    assert steps[0](x, wanted) == steps[1](x, wanted)


def test_positions_of_images_are_examples_too() -> None:
    """Segmentation: a class for each pixel."""
    network = nn.Sequential(nn.Conv(3, 1, name="c"), input=(2, 4, 5), seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 2, 4, 5)).astype(np.float32), rng.integers(0, 3, (2, 4, 5))
    logs = np.log(softmax(cnncc.interpret(network, x).astype(np.float64)))
    assert learn.Step(network, batch=2)(x, y) == pytest.approx(
        -np.take_along_axis(logs, y[:, None], 1).mean(), rel=1e-5
    )


def test_batch_norm_keeps_statistics() -> None:
    network, (x, y) = small(dropout=0.0), examples(16)
    step = learn.Step(network, optimiser=learn.SGD(1e-9), batch=16)
    step(x, y)
    before = cnncc.compile(network, outputs=("conv",))(x).astype(np.float64)
    mean, variance = before.mean((0, 2, 3)), before.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(step.state["norm.mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(step.state["norm.variance"], 0.9 + 0.1 * variance, rtol=1e-4)


def test_frozen_parameters_stay_constants() -> None:
    network, (x, y) = small(), examples(16)
    step = learn.Step(network, batch=16, train=("head.*",))
    assert set(step.weights) == {"head.weights", "head.bias"}
    assert step.model.executable.state_bytes < 2000  # weights and momentum of the head, 220 numbers each, and gaps
    step(x, y)
    assert set(learn.Step(network, batch=4, train=("*.bias",)).training.trained) == {
        "conv.bias",
        "norm.bias",
        "head.bias",
    }


def test_dropout_leaves_out_other_elements_in_each_step() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Dense(1, name="d"), input=(400,), seed=0)
    network.assign({"d.weights": np.ones((1, 400), np.float32), "d.bias": np.zeros(1, np.float32)})
    x, y = np.ones((1, 400), np.float32), np.zeros((1, 1), np.float32)
    step = learn.Step(network, loss="mean-squares", optimiser=learn.SGD(1e-12), batch=1, seed=5)
    sums = [step(x, y) ** 0.5 for _ in range(4)]  # 2 for each element that stays
    assert len(set(sums)) > 1 and all(300 < total < 500 and total % 2 < 1e-3 for total in sums)
    again = learn.Step(network, loss="mean-squares", optimiser=learn.SGD(1e-12), batch=1, seed=5)
    assert [again(x, y) ** 0.5 for _ in range(4)] == sums


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_the_same_bits_for_any_number_of_threads(optimiser: str) -> None:
    x, y = examples(64)
    states = []
    for threads in (1, 2, 3):
        step = learn.Step(small(), optimiser=optimiser, batch=32, threads=threads)
        for number in range(4):
            step(x[32 * (number % 2) :][:32], y[32 * (number % 2) :][:32])
        states.append({name: array.copy() for name, array in step.state.items()})
    for other in states[1:]:
        for name, array in states[0].items():
            np.testing.assert_array_equal(other[name], array, err_msg=name)


@pytest.mark.parametrize("optimiser", [learn.SGD(0.1, 0.9), learn.AdamW(0.01)], ids=str)
def test_native_steps_are_the_interpreters(optimiser: Optimiser) -> None:
    """Layer by layer, each within its bound: bounds of whole steps say nothing."""
    graph = learn.Step(small(), optimiser=optimiser, batch=6).training.graph
    report = check(graph, Options(resolve_target("host")), random_feeds(graph, 0))
    assert not [finding for finding in report.kernels if finding.verdict == "off"]


def test_the_interpreter_learns_too() -> None:
    x, y = examples(32)
    step = learn.Step(small(dropout=0.0), batch=32)
    graph = step.training.graph
    states = {name: graph.initial(name) for name in graph.states}
    feeds = {"input": x, "wanted": y.astype(np.int32), "rate": np.float32(0.01)}
    for _ in range(3):
        outputs, states = interpreter.step(graph, {name: np.asarray(feed) for name, feed in feeds.items()}, states)
        assert step(x, y, rate=0.01) == pytest.approx(float(outputs["loss"]), rel=1e-4)
    for name, array in states.items():
        np.testing.assert_allclose(step.state[name], array, rtol=1e-2, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("network", "options", "error", "message"),
    [
        (
            small(),
            {"train": ("fc*",)},
            UsageError,
            "train: 'fc\\*' matches no parameter of model 'model': it has 'conv.w",
        ),
        (small(), {"batch": 0}, UsageError, "batch=0: expected a whole number of at least 1"),
        (small(), {"loss": "hinge"}, UsageError, "unknown loss 'hinge': expected 'cross-entropy' or "),
        (small(), {"optimiser": "lion"}, UsageError, "unknown optimiser 'lion': expected 'sgd' or 'adamw'"),
        (small(), {"batch": 1}, None, ""),
        (
            nn.Sequential(nn.ReLU(), input=(4,)),
            {},
            UsageError,
            "model 'model' has nothing to train: no layer has weights",
        ),
        (
            nn.Sequential(nn.Dense(3, name="d"), nn.BatchNorm(), input=(4,)),
            {"batch": 1},
            ModelError,
            "layer 'norm1': batch normalisation is trained with one value a channel: expected more images",
        ),
        (
            nn.Sequential(nn.Dense(3, name="d"), nn.Sign(name="s"), nn.Dense(3, name="e"), input=(4,)),
            {},
            UsageError,
            "layer 's': Sign has no slope by what it reads, so no gradient of 'loss' reaches 'd.weights'",
        ),
    ],
)
def test_networks_that_cannot_be_trained(network: nn.Model, options: Any, error: Any, message: str) -> None:
    if error is None:
        learn.Step(network, **options)
        return
    with pytest.raises(error, match=message):
        learn.Step(network, **options)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 5), np.float32), [0, 1, 2], "the step takes 4 images, got 3"),
        (np.zeros((4, 6), np.float32), [0] * 4, r"x of input 'input' must have the shape \(N, 5\), got \(4, 6\)"),
        (np.zeros((4, 5), np.int32), [0] * 4, "x of input 'input' must be float32, got int32"),
        (np.full((4, 5), np.nan), [0] * 4, "x of input 'input' holds NaN, first in example 0"),
        (np.zeros((4, 5)), [0, 1, 3, 0], r"label 3 \(number 2\) is outside of the classes 0 to 2"),
        (np.zeros((4, 5)), [0, -1, 1, 0], r"label -1 \(number 1\) is outside of the classes 0 to 2"),
        (np.zeros((4, 5)), [0.5] * 4, "y are labels, expected whole numbers, got float64"),
        (np.zeros((4, 5)), [0] * 3, "x and y must have the same number of examples, but input has 4, y has 3"),
        (np.zeros((4, 5)), np.zeros((4, 2), int), r"y must have the shape \(N\), got \(4, 2\)"),
        ({"z": np.zeros((4, 5))}, [0] * 4, "the network takes the inputs 'input', got 'z'"),
    ],
)
def test_data_that_does_not_fit(x: Any, y: Any, message: str) -> None:
    step = learn.Step(dense(), batch=4)
    before = step.state["d.weights"].copy()
    with pytest.raises(InputError, match=message):
        step(x, np.asarray(y))
    np.testing.assert_array_equal(step.state["d.weights"], before)


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf"), "fast", True])
def test_rates_that_are_none(rate: Any) -> None:
    with pytest.raises(UsageError, match="expected a positive, finite number"):
        learn.SGD(rate)
    with pytest.raises(UsageError, match="expected a positive, finite number"):
        learn.Step(dense(), batch=4)(np.zeros((4, 5)), [0] * 4, rate)
