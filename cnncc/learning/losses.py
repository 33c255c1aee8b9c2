"""Losses: what a prediction costs beside what was wanted, a mean over the images of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

import numpy as np

from ..elements import INT32
from ..errors import UsageError
from ..expr import Arg, unary
from ..ir import Graph, Value
from ..ops import ArgMax, Cast, Equal, Greater, LogSoftmax, Mul, OneHot, ReduceMean, ReduceSum, Sub
from ..types import TensorType
from .net import Net

LOSS, CORRECT = "loss", "correct"
PREDICTION, WANTED = "prediction", "wanted"

LayerLoss = Callable[[Any, Any], Any]
"""A function of tensors of `cnncc.nn` that returns one (see `LossOf`)."""


class Loss(Protocol):
    """A loss. `final` is the op of a last layer that it takes into itself: what stands before it is the prediction."""

    final: ClassVar[str]

    def wanted(self, prediction: TensorType) -> TensorType:
        """The type of what is wanted, for a prediction of this type."""

    def cost(self, net: Net, prediction: Value, wanted: Value) -> Value:
        """The loss of a batch: one number."""

    def correct(self, net: Net, prediction: Value, wanted: Value) -> Value | None:
        """How many predictions of the batch are right, as a number; None if that means nothing."""


@dataclass(frozen=True)
class CrossEntropy:
    """−Σ q · log softmax(prediction), over the classes along axis 1, a mean over images and positions.

    What is wanted are the numbers of classes (int32), or with `probabilities` a distribution for each position. With
    `smoothing` s, that moves by the share s towards all classes alike (Szegedy and others, 2016).
    """

    smoothing: float = 0.0
    probabilities: bool = False
    final: ClassVar[str] = "Softmax"

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"smoothing={self.smoothing!r}: expected a number from 0 on and below 1")

    def wanted(self, prediction: TensorType) -> TensorType:
        if prediction.rank < 2 or prediction.shape[1] < 2:
            raise UsageError(f"cross-entropy takes a prediction of (N, classes, …), got {prediction}")
        shape = (prediction.shape[0], *prediction.shape[2:])
        return prediction if self.probabilities else TensorType(shape, INT32)

    def cost(self, net: Net, prediction: Value, wanted: Value) -> Value:
        classes, shape = net.shape(prediction)[1], net.shape(prediction)
        if self.probabilities:
            share = wanted
            if self.smoothing:
                share = net.expression(Arg(0) * (1 - self.smoothing) + self.smoothing / classes, wanted, like=wanted)
        else:
            off = self.smoothing / classes
            values = net.known(np.array([off, off + 1 - self.smoothing]))
            share = net.one(OneHot(classes, 1, from_back=False), wanted, values)
        logs = net.one(LogSoftmax(1), prediction)
        total = net.one(ReduceSum(keepdims=False), net.one(Mul(), share, logs))
        return net.one(Mul(), total, net.number(-classes / math.prod(shape)))

    def correct(self, net: Net, prediction: Value, wanted: Value) -> Value | None:
        right = net.one(ArgMax(1, keepdims=False), prediction)
        given = ArgMax(1, keepdims=False) if self.probabilities else Cast("int64")
        truth = net.one(given, wanted)
        hits = net.one(Cast("float32"), net.one(Equal(), right, truth))
        return net.one(ReduceSum(keepdims=False), hits)


@dataclass(frozen=True)
class MeanSquares:
    """The mean of (prediction − wanted)² over all elements."""

    final: ClassVar[str] = ""

    def wanted(self, prediction: TensorType) -> TensorType:
        return prediction

    def cost(self, net: Net, prediction: Value, wanted: Value) -> Value:
        off = net.one(Sub(), prediction, wanted)
        return net.one(ReduceMean(keepdims=False), net.one(Mul(), off, off))

    def correct(self, net: Net, prediction: Value, wanted: Value) -> Value | None:
        return None


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """softplus(x) − wanted · x for a prediction sigmoid(x), a mean over all elements; wanted are probabilities."""

    final: ClassVar[str] = "Sigmoid"

    def wanted(self, prediction: TensorType) -> TensorType:
        return prediction

    def cost(self, net: Net, prediction: Value, wanted: Value) -> Value:
        each = net.expression(unary("softplus", Arg(0)) - Arg(1) * Arg(0), prediction, wanted, like=prediction)
        return net.one(ReduceMean(keepdims=False), each)

    def correct(self, net: Net, prediction: Value, wanted: Value) -> Value | None:
        """On the same side of a half, which is that of 0 before the sigmoid."""
        sides = [net.one(Greater(), value, net.number(bound)) for value, bound in ((prediction, 0.0), (wanted, 0.5))]
        hits = net.one(Cast("float32"), net.one(Equal(), *sides))
        return net.one(ReduceSum(keepdims=False), hits)


@dataclass(frozen=True)
class LossOf:
    """The loss that a function of layers makes: of a prediction (N, …) and of what is wanted, tensors of `cnncc.nn`.

    It returns the loss as a number, or a value for each image or element, of which the mean is taken. What is wanted
    has the shape of the prediction; with `labels` it is the numbers of classes, int32 (N, positions…).
    """

    function: LayerLoss
    labels: bool = False
    final: ClassVar[str] = ""

    def wanted(self, prediction: TensorType) -> TensorType:
        return CrossEntropy().wanted(prediction) if self.labels else prediction

    def cost(self, net: Net, prediction: Value, wanted: Value) -> Value:
        graph = self.layers(net.type(prediction), net.type(wanted))
        made = {Value(PREDICTION): prediction, Value(WANTED): wanted}
        for node in graph:
            if node.op.source != "input":
                net.at(f"{LOSS}.{node.name}", node.where, node.op)
                made.update(zip(node.values, net.add(node.op, *(made[value] for value in node.inputs)), strict=True))
        (result,) = (made[value] for value in graph.outputs.values())
        net.at(LOSS)
        return net.one(ReduceMean(keepdims=False), result) if net.shape(result) else result

    def layers(self, prediction: TensorType, wanted: TensorType) -> Graph:
        """The function's layers. Raises UsageError for one that returns no layer's value."""
        from ..frontends import dsl as nn

        given = [
            nn.Input(type.shape[1:], name, batch=type.shape[0], dtype=type.dtype.name)
            for name, type in ((PREDICTION, prediction), (WANTED, wanted))
        ]
        result = self.function(*given)
        if not isinstance(result, nn.Tensor):
            raise UsageError(f"the loss {_named(self.function)} must return a layer's value, got {result!r}")
        return nn.Model(given, result).graph

    def correct(self, net: Net, prediction: Value, wanted: Value) -> Value | None:
        return CrossEntropy().correct(net, prediction, wanted) if self.labels else None


def _named(function: object) -> str:
    return str(getattr(function, "__name__", function))


def judged(net: Net, loss: Loss, prediction: Value, wanted: Value) -> dict[str, Value]:
    """The outputs of a graph that judges a prediction: the loss, and how many are correct if that means something."""
    cost, correct = loss.cost(net, prediction, wanted), loss.correct(net, prediction, wanted)
    return {LOSS: cost} if correct is None else {LOSS: cost, CORRECT: correct}


LOSSES: Mapping[str, Loss] = {
    "cross-entropy": CrossEntropy(),
    "mean-squares": MeanSquares(),
    "binary-cross-entropy": BinaryCrossEntropy(),
}


def loss_of(given: str | Loss | LayerLoss) -> Loss:
    """A loss, or that of a name or a function of layers. Raises UsageError for an unknown one."""
    if not isinstance(given, str):
        if hasattr(given, "cost"):
            return cast("Loss", given)
        if not callable(given):
            raise UsageError(f"loss={given!r}: expected a name, an object of cnncc.learn, or a function of layers")
        return LossOf(given)
    if given not in LOSSES:
        raise UsageError(
            f"unknown loss '{given}': expected {' or '.join(map(repr, LOSSES))}, or an object of cnncc.learn"
        )
    return LOSSES[given]
