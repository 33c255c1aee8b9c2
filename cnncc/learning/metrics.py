"""Metrics: what is told of a prediction beside its loss, found on the host from the validation data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from ..types import Array
from .arguments import expect_count

Metric = Callable[[Array, Array], float]
"""A function of the predictions (N, …) and of what was wanted, such as labels (N,); returns a number.

The prediction is what the loss takes: what stands before a last Softmax or Sigmoid that the loss takes into itself.
"""

ACCURACY = "accuracy"


@dataclass(frozen=True)
class TopK:
    """The share of labels that are among the `k` classes of the largest values; of equal ones the first counts more."""

    k: int

    def __post_init__(self) -> None:
        expect_count("k", self.k)

    def __str__(self) -> str:
        return f"top-{self.k}"

    def __call__(self, prediction: Array, wanted: Array) -> float:
        labels = np.expand_dims(wanted, 1)
        own = np.take_along_axis(prediction, labels, 1)
        before = np.arange(prediction.shape[1]).reshape(-1, *(1,) * (prediction.ndim - 2)) < labels
        ahead = (prediction > own) | ((prediction == own) & before)
        return float((ahead.sum(1) < self.k).mean())


@dataclass(frozen=True)
class Metrics:
    """Metrics by their names; the accuracy is the loss's own, wherever that means something."""

    functions: dict[str, Metric]
    accuracy: bool = False

    def __call__(self, prediction: Array, wanted: Array) -> dict[str, float]:
        """The values. Raises UsageError for a function that returns no number."""
        return {name: self._number(name, prediction, wanted) for name in self.functions}

    def _number(self, name: str, prediction: Array, wanted: Array) -> float:
        found = np.asarray(self.functions[name](prediction, wanted))
        if found.shape or found.dtype.kind not in "biuf":
            raise UsageError(f"metric '{name}' must return a number, got {found.dtype} of shape {found.shape}")
        return float(found)


def metrics_of(given: Any) -> Metrics:
    """Metrics from names ('accuracy', 'top-5') and functions, of one or several. Raises UsageError for others."""
    several: Iterable[Any] = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    functions: dict[str, Metric] = {}
    accuracy = False
    for each in several:
        if each == ACCURACY:
            accuracy = True
            continue
        metric = _named(each) if isinstance(each, str) else each
        if not callable(metric):
            raise UsageError(f"metric {each!r}: expected a name or a function of a prediction and what was wanted")
        name = str(metric) if isinstance(metric, TopK) else getattr(metric, "__name__", type(metric).__name__)
        if name in functions:
            raise UsageError(f"two metrics are called '{name}'")
        functions[name] = metric
    return Metrics(functions, accuracy)


def _named(name: str) -> Metric:
    kind, _, number = name.partition("-")
    if kind != "top" or not (number.isascii() and number.isdigit() and 0 < len(number) < 9):
        raise UsageError(f"unknown metric '{name}': expected 'accuracy', 'top-5' (or of another number), or a function")
    return TopK(int(number))


def expect_meaning(metrics: Metrics, *, correct: bool, classes: int | None, judged: bool) -> None:
    """Raise UsageError for metrics that mean nothing: for this loss, its labels, or without validation data."""
    if metrics.accuracy and not correct:
        raise UsageError("metric 'accuracy' means nothing for this loss")
    for name, metric in metrics.functions.items():
        if not judged:
            raise UsageError(f"metric '{name}' is found from validation data, and there are none: give validation=")
        if isinstance(metric, TopK) and classes is None:
            raise UsageError(f"metric '{name}' takes labels, which this loss does not")
        if isinstance(metric, TopK) and classes is not None and metric.k >= classes:
            raise UsageError(f"metric '{name}' of {classes} classes is 1 always: expected fewer")
