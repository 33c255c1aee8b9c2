"""Metrics, losses of one's own, and what training tells while it runs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from cnncc import learn, nn
from cnncc.check.model import check, random_feeds
from cnncc.compiler import Options, resolve_target
from cnncc.errors import CnnccError, UsageError
from cnncc.learning import telling
from cnncc.types import Array

from .networks import examples, small

X, Y = examples()


def test_top_k_against_a_sort() -> None:
    rng = np.random.default_rng(0)
    prediction = rng.integers(0, 4, (50, 6, 3)).astype(np.float32)  # ties
    wanted = rng.integers(0, 6, (50, 3))
    order = np.argsort(-prediction, axis=1, kind="stable")
    for k in range(1, 6):
        expected = (order[:, :k] == wanted[:, None]).any(1).mean()
        assert learn.TopK(k)(prediction, wanted) == pytest.approx(expected)
    assert learn.TopK(1)(prediction, wanted) == (prediction.argmax(1) == wanted).mean()


def largest(prediction: Array, wanted: Array) -> float:
    return float(prediction.max())


def test_validation_reports_metrics() -> None:
    lines: list[str] = []
    network = small()
    metrics = ("accuracy", "top-2", largest)
    history = network.fit(X, Y, epochs=2, batch=16, validation=0.25, metrics=metrics, progress=lines.append)
    for epoch, line in zip(history, lines, strict=True):
        assert list(epoch.metrics) == ["top-2", "largest"]
        assert epoch.validation_accuracy is not None and epoch.metrics["top-2"] >= epoch.validation_accuracy
        assert f"top-2 {epoch.metrics['top-2']:.4g}, largest " in line
    assert '"top-2"' in history.to_json()


@pytest.mark.parametrize(
    ("metric", "message"),
    [("accuracy", "metric 'accuracy' means nothing for this loss"), ("top-2", "'top-2' takes labels, which this loss")],
)
def test_metrics_that_mean_nothing(metric: str, message: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dense(4), input=(1, 6, 6))
    with pytest.raises(UsageError, match=message):
        network.fit(X, np.zeros((96, 4), np.float32), loss="mean-squares", metrics=metric, validation=0.5)


def odd(prediction: Array, wanted: Array) -> Array:
    return wanted


def test_a_metric_that_is_no_number() -> None:
    with pytest.raises(UsageError, match=r"metric 'odd' must return a number, got int32 of shape \(48,\)"):
        small().fit(X, Y, epochs=1, batch=16, validation=0.5, metrics=odd, progress=lambda line: None)


def huber(prediction: Any, wanted: Any) -> Any:
    """A value for each element: the mean is taken."""
    off = abs(prediction - wanted)
    return nn.Where()(off > 1.0, off - 0.5, off * off * 0.5)


def cubes(prediction: Any, wanted: Any) -> Any:
    """One number."""
    off = abs(prediction - wanted)
    return nn.ReduceMean()(off * off * off)


def margin(prediction: Any, wanted: Any) -> Any:
    """A value for each image, from its label (Crammer and Singer, 2001)."""
    own = nn.GatherElements(1)(prediction, nn.Unsqueeze((1,))(wanted))
    others = nn.ReLU()(prediction - own + 1.0)
    return nn.ReduceSum((1,), keepdims=False)(others) - 1.0


def hubers(off: Array) -> Any:
    return np.where(np.abs(off) > 1, np.abs(off) - 0.5, off**2 / 2).mean()


@pytest.mark.parametrize(
    ("loss", "expected"), [(huber, hubers), (cubes, lambda off: (np.abs(off) ** 3).mean())], ids=["elements", "number"]
)
def test_any_function_of_layers_is_a_loss(loss: Any, expected: Any) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dense(4, name="d"), input=(1, 6, 6), seed=0)
    truth = np.random.default_rng(0).normal(0, 2, (96, 4)).astype(np.float32)
    step = learn.Step(network, loss=loss, batch=96)
    weights = {name: array.astype(np.float64) for name, array in network.weights.items()}
    off = X.reshape(96, 36) @ weights["d.weights"].T + weights["d.bias"] - truth
    assert step(X, truth) == pytest.approx(expected(off), rel=1e-5)
    report = check(step.training.graph, Options(resolve_target("host")), random_feeds(step.training.graph, 96))
    assert report.ok, report.culprits
    how: dict[str, Any] = {"validation": 0.25, "batch": 24, "progress": lambda line: None}
    losses = [epoch.judged for epoch in network.fit(X, truth, loss=loss, epochs=8, optimiser=learn.AdamW(0.05), **how)]
    assert losses[7] < losses[0]


def test_a_loss_of_labels() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dense(4, name="d"), input=(1, 6, 6), seed=0)
    loss = learn.LossOf(margin, labels=True)
    scores = X.reshape(96, 36) @ network.weights["d.weights"].T + network.weights["d.bias"]
    own = np.take_along_axis(scores, Y[:, None], 1)
    expected = np.maximum(0, scores - own + 1).sum(1).mean() - 1
    assert learn.Step(network, loss=loss, batch=96)(X, Y) == pytest.approx(expected, rel=1e-5)
    history = network.fit(X, Y, loss=loss, epochs=8, batch=16, validation=0.25, progress=lambda line: None)
    assert history.best.validation_accuracy is not None and history.best.validation_accuracy > 0.4


def test_a_loss_that_reads_nothing_of_the_network() -> None:
    with pytest.raises(CnnccError):
        learn.Step(small(), loss=lambda prediction, wanted: wanted * 2.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_and_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    monkeypatch.setattr(telling, "PAUSE", 0.0)
    small().fit(X, Y, epochs=1, batch=48)
    bars, lines = terminal.getvalue().split("\r\x1b[K")[0].split("\r"), terminal.getvalue().split("\x1b[K")[-2:]
    assert [bar.split("loss")[0] for bar in bars[1:]] == [
        f"epoch 1 [{'#' * 12}{'.' * 12}]  50% ",
        f"epoch 1 [{'#' * 24}] 100% ",
    ]
    assert lines[0].startswith("epoch 1: loss ") and lines[0].endswith("(1 of 1)\n\r")


def test_elsewhere_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    small().fit(X, Y, epochs=2, batch=48)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["epoch 1", "epoch 2"]
