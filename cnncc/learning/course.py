"""A training under way: epochs of steps, judged, kept and told."""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import LearningError, UsageError
from ..history import Epoch, History
from ..types import Array
from . import checkpoint as checkpoints
from .augment import Augmentation, augmented
from .checkpoint import Standing
from .data import Examples, examples, expect_alike, wanted
from .divergence import first_fault, spoiled
from .evaluation import Evaluation
from .schedules import Progress, Schedule
from .step import Step
from .telling import Telling

Callback = Callable[[Epoch], object]
STOP = "stop"
ORDER, CHANGES = 0, 1  # what random numbers are for


@dataclass(frozen=True)
class Patience:
    """Training ends when no epoch was better than the best one for so many epochs."""

    epochs: int

    def __post_init__(self) -> None:
        if isinstance(self.epochs, bool) or not isinstance(self.epochs, int) or self.epochs < 1:
            raise UsageError(f"Patience({self.epochs!r}): expected a whole number of epochs from 1 on")


def patience_of(stop: Patience | int | None) -> int | None:
    """For how many epochs training may get no better. Raises UsageError."""
    return None if stop is None else (stop if isinstance(stop, Patience) else Patience(stop)).epochs


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
        if isinstance(validation, tuple | list) and len(validation) == 2:
            held = _checked(step, *validation)
        elif validation is not None:
            if isinstance(validation, bool) or not isinstance(validation, int | float) or not 0 < validation < 1:
                told = repr(validation) if isinstance(validation, int | float | str) else type(validation).__name__
                raise UsageError(f"validation={told}: expected a share between 0 and 1, or (x, y)")
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


class Course:
    """A training under way; `standing` is all that it consists of."""

    def __init__(
        self,
        step: Step,
        data: Data,
        judge: Evaluation | None,
        epochs: int,
        schedule: Schedule,
        changes: Sequence[Augmentation],
    ):
        self.step, self.data, self.epochs, self.schedule, self.changes = step, data, epochs, schedule, changes
        self.each = len(data.y) // step.batch
        self.judge = judge
        self.standing, self.saved = Standing(step.block.copy(), step.block.copy()), 0
        self.path: str | os.PathLike[str] | None = None
        self.identity = self._identity()
        self.telling = Telling(None)
        self.rate = 0.0
        """Of the last step."""
        self._orders: tuple[int, Array] = -1, np.zeros(0, np.int64)

    @property
    def history(self) -> History:
        return History(self.standing.epochs)

    def _identity(self) -> dict[str, str]:
        """What the checkpoint of this training has to be of."""
        judged = {**self.data.held[0], "y": self.data.held[1]} if self.data.held else {}
        held = {f"held {name}": array for name, array in judged.items()}
        return checkpoints.identity(
            {
                "model, loss, optimiser or batch": self.step.training.graph.hash,
                "data": checkpoints.digest({**self.data.x, **held, "y": self.data.y}),
                "seed": str(self.step.seed),
                "number of epochs": str(self.epochs),
                # the address of a function is another one in each process
                "schedule or augmentation": re.sub(" at 0x[0-9a-f]+", "", f"{self.schedule!r} {self.changes!r}"),
            }
        )

    def begin(self, path: str | os.PathLike[str] | None, *, resume: bool) -> None:
        """Write checkpoints to `path`, the first one now: so a folder that cannot be written is found at once."""
        if path is not None and resume:
            self.standing = checkpoints.load(
                path, self.identity, self.step.model.executable.states, self.step.block.size
            )
            self.step.block[:] = self.standing.state
            self.step.number = len(self.standing.epochs) * self.each + self.standing.batches
        self.path = path
        self.save()

    def save(self) -> None:
        """The checkpoint of the last finished step."""
        self.standing.state, self.saved = self.step.block.copy(), self.step.number
        if self.path is not None:
            checkpoints.save(self.path, self.standing, self.identity, self.step.model.executable.states)

    def run(self, patience: int | None, callbacks: Sequence[Callback]) -> None:
        """All epochs that are left, or until none was better than the best one for `patience` epochs."""
        while len(self.standing.epochs) < self.epochs and not self._is_over(patience):
            epoch = self.epoch()
            self.save()
            self.telling.epoch(f"{epoch} ({len(self.standing.epochs)} of {self.epochs})")
            if [callback(epoch) for callback in callbacks].count(STOP):
                break

    def _is_over(self, patience: int | None) -> bool:
        judged = [epoch.judged for epoch in self.standing.epochs]
        if patience is None or not judged:
            return False
        return len(judged) - 1 - judged.index(min(judged)) >= patience

    def epoch(self) -> Epoch:
        """The rest of an epoch; raises LearningError."""
        standing, number, begin = self.standing, len(self.standing.epochs), time.monotonic()
        while standing.batches < self.each:
            loss = self.batch()
            if not math.isfinite(loss):
                raise self._diverged(f"the loss is {loss:g}")
            standing.loss += loss
            standing.correct += self.step.correct or 0
            standing.batches += 1
            self.telling.step(number, standing.batches / self.each, standing.loss / standing.batches)
        if spoiled(self.step.state):
            raise self._diverged("a state has become infinite")
        return self._judged(number, time.monotonic() - begin)

    def _next_rate(self) -> float:
        values = [epoch.judged for epoch in self.standing.epochs]
        factor = self.schedule(Progress(self.step.number, self.epochs * self.each, self.each, values))
        if not isinstance(factor, int | float | np.number) or not 0 <= factor < math.inf:
            told = f"the schedule gave {factor!r} in step {self.step.number + 1}"
            raise UsageError(f"{told}: expected a finite number from 0 on, by which the rate is multiplied")
        return self.step.optimiser.rate * float(factor)

    def batch(self) -> float:
        """The next step, which its number says all of; returns its loss."""
        epoch, place = divmod(self.step.number, self.each)
        chosen = self._order(epoch)[place * self.step.batch :][: self.step.batch]
        arrays = {name: array[chosen] for name, array in self.data.x.items()}
        first = next(iter(arrays))
        arrays[first] = augmented(arrays[first], self.changes, [self.step.seed, CHANGES, self.step.number])
        self.rate = self._next_rate()
        return self.step.run(arrays, self.data.y[chosen], self.rate)

    def _order(self, epoch: int) -> Array:
        """The order of the examples in an epoch."""
        if self._orders[0] != epoch:
            order = np.random.default_rng([self.step.seed, ORDER, epoch]).permutation(len(self.data.y))
            self._orders = epoch, order
        return self._orders[1]

    def _judged(self, number: int, seconds: float) -> Epoch:
        """The record of the epoch that is over, which becomes part of the standing."""
        standing = self.standing
        judged = self.judge(*self.data.held) if self.judge and self.data.held else None
        images = self.each * self.step.batch
        epoch = Epoch(
            number,
            standing.loss / self.each,
            self.rate,
            None if self.step.correct is None else standing.correct / (images * self.data.y[0].size),
            judged.loss if judged else None,
            judged.accuracy if judged else None,
            seconds,
            judged.metrics if judged else {},
        )
        if all(epoch.judged < earlier.judged for earlier in standing.epochs):
            standing.best = self.step.block.copy()
        standing.epochs.append(epoch)
        standing.batches, standing.loss, standing.correct = 0, 0.0, 0.0
        return epoch

    def _diverged(self, what: str) -> LearningError:
        """The error for numbers that are none any more; the states are those of the last good epoch again."""
        place = f"step {self.step.number} (epoch {len(self.standing.epochs) + 1}), at a rate of {self.rate:g}"
        self.telling.wipe()
        fault = first_fault(self.step, self.standing.state, self.saved, self.batch)
        self.step.block[:] = self.standing.state
        told = f"; {fault}" if fault else ""
        return LearningError(f"{what} in {place}{told}: a lower rate, a warm-up or clip= may help")

    def settle(self, *, best: bool) -> None:
        """The states that are left behind, and the checkpoint of what is finished, however training ended."""
        self.telling.wipe()
        if sys.exc_info()[0] is KeyboardInterrupt:
            self.save()
        if best and self.standing.epochs:
            self.step.block[:] = self.standing.best
