"""Training from beginning to end: epochs of steps, judged, kept and told."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api import compile, open_source
from ..cache.sources import OnnxFile
from ..errors import LearningError, UsageError
from ..files import write_whole
from ..ir import Graph
from ..runtime.model import Model
from ..types import Array
from . import checkpoint as checkpoints
from .arguments import expect_count
from .augment import Augmentation, augmented
from .checkpoint import Standing
from .data import Examples, examples, expect_alike, wanted
from .evaluation import Evaluation
from .history import Epoch, History
from .losses import Loss
from .optimisers import Optimiser
from .schedules import Progress, Schedule, schedule_of
from .step import Step

Callback = Callable[[Epoch], object]
STOP = "stop"
NO_ONNX = "only what was learned from an ONNX model can be saved as one: cnncc.fit('model.onnx', …) is that"
READING = ("shapes", "outputs", "convert", "fixed")  # what `load_graph` takes beside a source
ORDER, CHANGES = 0, 1  # what random numbers are for


@dataclass(frozen=True)
class Patience:
    """Training ends when no epoch was better than the best one for so many epochs."""

    epochs: int

    def __post_init__(self) -> None:
        if isinstance(self.epochs, bool) or not isinstance(self.epochs, int) or self.epochs < 1:
            raise UsageError(f"Patience({self.epochs!r}): expected a whole number of epochs from 1 on")


@dataclass(frozen=True)
class Fitted:
    """What training made: the graph with its new weights, these by name, and the history.

    `source` is the ONNX model, if it was one.
    """

    graph: Graph
    weights: Mapping[str, Array]
    history: History
    source: OnnxFile | None = None

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
    loss: str | Loss = "cross-entropy",
    optimiser: str | Optimiser = "sgd",
    schedule: str | Schedule = "constant",
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
    are left out of it. `validation` are other examples (x, y), or the share of the last ones that is held out. `train`
    are patterns for the names of the parameters that learn. `keep` 'best' gives the weights of the best epoch, 'last'
    those of the last one. `augment` changes the images of each batch. A callback is given each `Epoch`, and may return
    'stop'; `stop` ends training that gets no better. With `checkpoint`, the standing is written after each epoch, and
    when training is interrupted; with `resume` it goes on from there, with the bits of training that was never
    interrupted. `progress` is given a line for each epoch (else standard error is), `settled` the weights that are
    kept, however training ends. Further options are those of `cnncc.load_graph` and of `cnncc.compile`.

    Raises UsageError for arguments that make no sense, InputError for data that does not fit, LearningError for a loss
    that is no number any more, and what `Step` raises.
    """
    if keep not in ("best", "last"):
        raise UsageError(f"keep={keep!r}: expected 'best' or 'last'")
    expect_count("epochs", epochs)
    graph, original = _read(source, {name: options.pop(name) for name in READING if name in options})
    step = Step(graph, loss=loss, optimiser=optimiser, batch=batch, train=train, clip=clip, seed=seed, **options)
    training = Training(
        graph,
        step,
        Data.of(step, x, y, validation),
        epochs,
        schedule_of(schedule),
        list(augment) if isinstance(augment, Sequence) else [augment],
        options,
    )
    training.told = progress or _tell
    if checkpoint is not None:
        training.keep_at(checkpoint, resume=resume)
    elif resume:
        raise UsageError("resume=True needs the path of a checkpoint")
    patience = Patience(stop) if isinstance(stop, int) else stop
    watchers = list(callbacks) if isinstance(callbacks, Sequence) else [callbacks]
    try:
        training.run(patience, watchers)
    finally:
        training.settle(best=keep == "best")
        if settled is not None:
            settled(step.weights)
    return Fitted(graph.with_constants(step.weights), step.weights, training.history, original)


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


@dataclass(frozen=True)
class Data:
    """Examples to learn from, and others to be judged by, if there are any."""

    x: Examples
    y: Array
    held: tuple[Examples, Array] | None = None

    @staticmethod
    def of(step: Step, x: Any, y: Any, validation: float | tuple[Any, Any] | None) -> Data:
        """Checked arrays. Raises InputError and UsageError."""
        arrays, truth = _checked(step, x, y)
        held = None
        if isinstance(validation, tuple):
            held = _checked(step, *validation)
        elif validation is not None:
            if isinstance(validation, bool) or not isinstance(validation, int | float) or not 0 < validation < 1:
                raise UsageError(f"validation={validation!r}: expected a share between 0 and 1, or (x, y)")
            count = max(1, round(validation * len(truth)))
            held = {name: array[-count:] for name, array in arrays.items()}, truth[-count:]
            arrays, truth = {name: array[:-count] for name, array in arrays.items()}, truth[:-count]
        if len(truth) < step.batch:
            raise UsageError(f"a batch of {step.batch} images is larger than the data, which are {len(truth)}")
        return Data(arrays, truth, held)


def _checked(step: Step, x: Any, y: Any) -> tuple[Examples, Array]:
    arrays = examples(step.inputs, x)
    truth = wanted(step.training.graph.inputs[step.training.wanted], step.classes, y)
    expect_alike(arrays, truth)
    return arrays, truth


class Training:
    """A training under way; `standing` is all that it consists of."""

    def __init__(
        self,
        graph: Graph,
        step: Step,
        data: Data,
        epochs: int,
        schedule: Schedule,
        changes: Sequence[Augmentation],
        options: Mapping[str, Any],
    ):
        self.step, self.data, self.epochs, self.schedule, self.changes = step, data, epochs, schedule, changes
        self.each = len(data.y) // step.batch
        self.evaluation = Evaluation(step, graph, **options) if data.held else None
        self.standing = Standing(step.block.copy(), step.block.copy())
        self.path: str | os.PathLike[str] | None = None
        self.identity = self._identity()
        self.told: Callable[[str], object] = _tell

    @property
    def history(self) -> History:
        return History(self.standing.epochs)

    def _identity(self) -> dict[str, str]:
        """What the checkpoint of this training has to be of."""
        held = {f"held {name}": array for name, array in self.data.held[0].items()} if self.data.held else {}
        return checkpoints.identity(
            {
                "model, loss, optimiser or batch": self.step.training.graph.hash,
                "data": checkpoints.digest({**self.data.x, **held, "y": self.data.y}),
                "seed": str(self.step.seed),
                "schedule or augmentation": f"{self.schedule!r} {self.changes!r} {self.epochs}",
            }
        )

    def keep_at(self, path: str | os.PathLike[str], *, resume: bool) -> None:
        """Write checkpoints to `path`, the first one now: so a folder that cannot be written is found at once."""
        if resume:
            self.standing = checkpoints.load(path, self.identity, self.step.block.size)
            self.step.block[:] = self.standing.state
            self.step.number = len(self.standing.epochs) * self.each + self.standing.batches
        self.path = path
        self.save()

    def save(self) -> None:
        """The checkpoint of the last finished step."""
        self.standing.state = self.step.block.copy()
        if self.path is not None:
            checkpoints.save(self.path, self.standing, self.identity)

    def run(self, patience: Patience | None, callbacks: Sequence[Callback]) -> None:
        """All epochs that are left."""
        while len(self.standing.epochs) < self.epochs and not self._is_over(patience):
            epoch = self.epoch()
            self.save()
            self.told(f"{epoch} ({len(self.standing.epochs)} of {self.epochs})")
            if [callback(epoch) for callback in callbacks].count(STOP):
                break

    def _is_over(self, patience: Patience | None) -> bool:
        judged = [epoch.judged for epoch in self.standing.epochs]
        if patience is None or not judged:
            return False
        return len(judged) - 1 - judged.index(min(judged)) >= patience.epochs

    def epoch(self) -> Epoch:
        """The rest of an epoch; raises LearningError."""
        standing, number, begin = self.standing, len(self.standing.epochs), time.monotonic()
        order = np.random.default_rng([self.step.seed, ORDER, number]).permutation(len(self.data.y))
        rate = 0.0
        while standing.batches < self.each:
            chosen = order[standing.batches * self.step.batch :][: self.step.batch]
            rate = self.rate()
            loss = self.batch(chosen, rate)
            if not math.isfinite(loss):
                raise self._diverged(f"the loss is {loss:g}", rate)
            standing.loss += loss
            standing.correct += self.step.correct or 0
            standing.batches += 1
        if self._spoiled():
            raise self._diverged("a state has become infinite", rate)
        return self._judged(number, rate, time.monotonic() - begin)

    def rate(self) -> float:
        """The rate of the next step."""
        values = [epoch.judged for epoch in self.standing.epochs]
        factor = self.schedule(Progress(self.step.number, self.epochs * self.each, self.each, values))
        return self.step.optimiser.rate * float(factor)

    def batch(self, chosen: Array, rate: float) -> float:
        """One step; returns its loss."""
        arrays = {name: array[chosen] for name, array in self.data.x.items()}
        first = next(iter(arrays))
        arrays[first] = augmented(arrays[first], self.changes, [self.step.seed, CHANGES, self.step.number])
        return self.step.run(arrays, self.data.y[chosen], rate)

    def _judged(self, number: int, rate: float, seconds: float) -> Epoch:
        """The record of the epoch that is over, which becomes part of the standing."""
        standing = self.standing
        judged = self.evaluation(*self.data.held) if self.evaluation and self.data.held else None
        images = self.each * self.step.batch
        epoch = Epoch(
            number,
            standing.loss / self.each,
            rate,
            None if self.step.correct is None else standing.correct / (images * self.data.y[0].size),
            judged.loss if judged else None,
            judged.accuracy if judged else None,
            seconds,
        )
        if all(epoch.judged < earlier.judged for earlier in standing.epochs):
            standing.best = self.step.block.copy()
        standing.epochs.append(epoch)
        standing.batches, standing.loss, standing.correct = 0, 0.0, 0.0
        return epoch

    def _spoiled(self) -> list[str]:
        """The states that are not finite."""
        states = self.step.state
        return [name for name in states if states[name].dtype.kind == "f" and not np.isfinite(states[name]).all()]

    def _diverged(self, what: str, rate: float) -> LearningError:
        """The error for numbers that are none any more; the states are those of the last good epoch again."""
        spoiled = self._spoiled()
        first = f"; the first state that is not finite is '{spoiled[0]}'" if spoiled else ""
        self.step.block[:] = self.standing.state
        place = f"step {self.step.number} (epoch {len(self.standing.epochs) + 1}), at a rate of {rate:g}"
        return LearningError(f"{what} in {place}{first}: a lower rate, a warm-up or clip= may help")

    def settle(self, *, best: bool) -> None:
        """The states that are left behind, and the checkpoint of what is finished, however training ended."""
        if sys.exc_info()[0] is KeyboardInterrupt:
            self.save()
        if best and self.standing.epochs:
            self.step.block[:] = self.standing.best


def _tell(text: str) -> None:
    """Progress on standard error, one line an epoch."""
    if sys.stderr is not None:
        print(text, file=sys.stderr)
