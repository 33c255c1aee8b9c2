"""How good a network is while it learns: predictions in native code, from the very memory that steps update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import interpreter
from ..api import compile
from ..batching import each_image
from ..ir import Builder, Graph, Value
from ..op import Constant
from ..runtime.model import Model
from ..types import Array, TensorType
from .data import Examples
from .losses import CORRECT, LOSS, PREDICTION, WANTED, Loss, judged
from .metrics import Metrics, expect_meaning
from .net import Net
from .step import Step
from .training import predicted


@dataclass(frozen=True)
class Judgement:
    """The mean loss, the share of right predictions if that means something, and metrics by name."""

    loss: float
    accuracy: float | None
    metrics: Mapping[str, float]


class Evaluation:
    """Judges a step's network, as it is for use: with statistics that are kept, and nothing left out."""

    def __init__(self, step: Step, graph: Graph, metrics: Metrics, **options: Any):
        self.loss, self.metrics = step.loss, metrics
        reading = inference(each_image(graph), step.training.graph, {PREDICTION: predicted(graph, step.loss)})
        self.model = Model(compile(reading, **options).executable, threads=step.model.threads, state=step.model)

    def __call__(self, x: Examples, y: Array) -> Judgement:
        """The judgement of these examples."""
        with np.errstate(all="ignore"):
            prediction = self.model(dict(x))
            outputs = interpreter.run(
                judging(self.loss, TensorType(prediction.shape), TensorType.of(y)),
                {PREDICTION: prediction, WANTED: y},
            )
            correct = outputs.get(CORRECT)
            accuracy = None if correct is None else float(correct) / y.size
            return Judgement(float(outputs[LOSS]), accuracy, self.metrics(prediction, y))


def evaluation(
    step: Step, graph: Graph, metrics: Metrics, held: object | None, options: Mapping[str, Any]
) -> Evaluation | None:
    """What judges by examples that are held out, if any are. Raises UsageError for metrics that mean nothing."""
    correct = CORRECT in step.training.graph.outputs
    expect_meaning(metrics, correct=correct, classes=step.classes, judged=held is not None)
    return None if held is None else Evaluation(step, graph, metrics, **options)


def inference(graph: Graph, step: Graph, outputs: Mapping[str, Value]) -> Graph:
    """The network for use with these outputs, and with the states of a step in place of its parameters."""
    states, builder = step.states, Builder(graph.name, graph.labels)
    builder.kept, builder.fixed = graph.kept, graph.fixed
    for name in states:
        builder.state(step.initial(name), name, element=states[name].dtype)
    for node in graph:
        if not (isinstance(node.op, Constant) and node.name in states):
            builder.add(node.op, node.inputs, node.name, node.where)
    return builder.graph(outputs)


def judging(loss: Loss, prediction: TensorType, wanted: TensorType) -> Graph:
    """The graph of a loss alone."""
    net = Net(Builder("judging")).at(LOSS)
    given = net.builder.input(PREDICTION, prediction), net.builder.input(WANTED, wanted)
    return net.builder.graph(judged(net, loss, *given))
