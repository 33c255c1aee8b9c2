"""Training from beginning to end, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..api import compile, open_source
from ..cache.sources import OnnxFile
from ..errors import UsageError
from ..files import write_whole
from ..history import History
from ..ir import Graph
from ..runtime.model import Model
from ..shown import shown
from ..types import Array
from .arguments import expect_count, expect_seed, functions
from .augment import Augmentation
from .course import Callback, Course, Data, Patience, patience_of
from .evaluation import evaluation
from .losses import LayerLoss, Loss
from .metrics import Metric, metrics_of
from .optimisers import Optimiser
from .schedules import Schedule, schedule_of
from .step import Step
from .telling import Telling

NO_ONNX = "only what was learned from an ONNX model can be saved as one: cnncc.fit('model.onnx', …) is that"
READING = ("shapes", "outputs", "convert", "fixed")  # what `load_graph` takes beside a source


@dataclass(frozen=True)
class Fitted:
    """What training made: the graph with its new weights, these by name, and the history.

    `source` is the ONNX model, if it was one.
    """

    graph: Graph
    weights: Mapping[str, Array]
    history: History
    source: OnnxFile | None = None

    def __repr__(self) -> str:
        last = f": {self.history[-1]}" if len(self.history) else ""
        return f"<Fitted '{self.graph.name}', {len(self.weights)} learned arrays{last}>"

    def _repr_html_(self) -> str:
        """The history and a drawing, for notebooks."""
        return shown("fitted", self)

    def compile(self, **options: Any) -> Model:
        """The network in native code; options are those of `cnncc.compile`."""
        model: Model = compile(self.graph, **options)
        return model

    def save_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the ONNX model with what was learned in place of its own weights, whole or not at all.

        All else stays as it is; only weights from other files are in this one. What the file has in shorter floats is
        rounded to these. The file is read again before it is written: it is the learned graph. Raises UsageError for
        what was no ONNX model, ModelError where a parameter is no array of the file but computed from others, or is one
        with another parameter (the sentence names it), OutputError for a file that cannot be written.
        """
        if self.source is None:
            raise UsageError(NO_ONNX)
        content = self.source.holding(self.weights)
        write_whole(path, "ONNX model", lambda stream: stream.write(content))


def fit(
    source: Any,
    x: Any,
    y: Any,
    *,
    epochs: int = 10,
    batch: int = 32,
    loss: str | Loss | LayerLoss = "cross-entropy",
    optimiser: str | Optimiser = "sgd",
    schedule: str | Schedule = "constant",
    metrics: str | Metric | Sequence[str | Metric] = (),
    validation: float | tuple[Any, Any] | None = None,
    train: Sequence[str] | None = None,
    clip: float | None = None,
    augment: Augmentation | Sequence[Augmentation] = (),
    stop: Patience | int | None = None,
    keep: str = "best",
    callbacks: Callback | Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
    settled: Callable[[Mapping[str, Array]], object] | None = None,
    **options: Any,
) -> Fitted:
    """Train a network on examples x and what is wanted for each, y; both are arrays (x a dict for several inputs).

    `source` is what `cnncc.load_graph` takes. Images are shuffled anew for each epoch; those that do not fill a batch
    are left out of it. `validation` are other examples (x, y), or the share of the last ones that is held out;
    `metrics` are told of them. `train` are patterns for the names of the parameters that learn. `keep` 'best' gives the
    weights of the best epoch, 'last' those of the last one. `augment` changes the images of each batch. A callback is
    given each `Epoch`, and may return 'stop'; `stop` ends training that gets no better. With `checkpoint`, the standing
    is written after each epoch, and when training is interrupted; with `resume` it goes on from there, with the bits of
    training that was never interrupted. `progress` is given a line for each epoch (else standard error is), `settled`
    the weights that are kept, however training ends. Further options are those of `load_graph` and `cnncc.compile`.

    Raises UsageError for arguments that make no sense, InputError for data that does not fit, LearningError for a loss
    that is no number any more, and what `Step` raises.
    """
    if "inputs" in options:
        raise UsageError("fit trains the network on what it reads: an Image comes in front of it when it is compiled")
    expect_sense(epochs=epochs, keep=keep, checkpoint=checkpoint, resume=resume, seed=seed)
    patience, watchers, changes = patience_of(stop), functions("callbacks", callbacks), functions("augment", augment)
    rates, told, telling = schedule_of(schedule), metrics_of(metrics), Telling(progress)
    graph, original = _read(source, {name: options.pop(name) for name in READING if name in options})
    step = Step(graph, loss=loss, optimiser=optimiser, batch=batch, train=train, clip=clip, seed=seed, **options)
    data = Data.of(step, x, y, validation)
    course = Course(step, data, evaluation(step, graph, told, data.held, options), epochs, rates, changes)
    course.telling = telling
    try:
        course.begin(checkpoint, resume=resume)
        course.run(patience, watchers)
    finally:
        course.settle(best=keep == "best")
        if settled is not None:
            settled(step.weights)
    return Fitted(graph.with_constants(step.weights), step.weights, course.history, original)


def expect_sense(*, epochs: int, keep: str, checkpoint: object, resume: bool, seed: int) -> None:
    """Raise UsageError for arguments that are wrong whatever the network is."""
    expect_count("epochs", epochs)
    expect_seed(seed)
    if keep not in ("best", "last"):
        raise UsageError(f"keep={keep!r}: expected 'best' or 'last'")
    if checkpoint is not None and not isinstance(checkpoint, str | os.PathLike):
        raise UsageError(f"checkpoint={checkpoint!r}: expected the path of a file")
    if checkpoint is None and resume:
        raise UsageError("resume=True needs the path of a checkpoint")


def _read(source: Any, how: Mapping[str, Any]) -> tuple[Graph, OnnxFile | None]:
    """The graph of a source, and the source itself as it is now, if it is an ONNX model."""
    opened = source if isinstance(source, OnnxFile) else open_source(source, **how)
    if not isinstance(opened, OnnxFile):
        return opened, None
    original = opened.at(opened.shapes)
    return opened.graph, original


def fit_network(network: Any, x: Any, y: Any, **how: Any) -> History:
    """`fit` of a model made with `cnncc.nn`, which then has the weights that are kept."""
    return fit(network, x, y, settled=lambda weights: network.assign({**network.weights, **weights}), **how).history
