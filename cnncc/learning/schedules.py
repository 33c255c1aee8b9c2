"""Schedules: by what the rate of an optimiser is multiplied in each step.

A schedule is a function of how far training is, so that training that goes on gets the rates that it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class Progress:
    """How far training is: `step` of `steps` in all, `each` of them an epoch; by what the epochs so far were judged."""

    step: int
    steps: int
    each: int
    values: Sequence[float] = ()

    @property
    def epoch(self) -> int:
        return self.step // self.each


Schedule = Callable[[Progress], float]


@dataclass(frozen=True)
class Constant:
    """1; with `warmup`, from almost 0 up to it in so many epochs."""

    warmup: float = 0.0

    def __call__(self, progress: Progress) -> float:
        return warmed(progress, self.warmup)


@dataclass(frozen=True)
class Steps:
    """Multiplied by `factor` after every `every` epochs."""

    every: int
    factor: float = 0.1
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 < self.factor <= 1:
            raise UsageError(f"{self}: expected every from 1 on, and a factor above 0 and up to 1")

    def __call__(self, progress: Progress) -> float:
        return warmed(progress, self.warmup) * self.factor ** (progress.epoch // self.every)


@dataclass(frozen=True)
class Cosine:
    """From 1 down to `last`, along half a cosine (Loshchilov and Hutter, 2017)."""

    warmup: float = 0.0
    last: float = 0.0

    def __call__(self, progress: Progress) -> float:
        begin = self.warmup * progress.each
        part = max(0.0, progress.step - begin) / max(1.0, progress.steps - begin)
        return warmed(progress, self.warmup) * (self.last + (1 - self.last) * (1 + math.cos(math.pi * part)) / 2)


@dataclass(frozen=True)
class OneCycle:
    """From `first` up to 1 in the share `rise` of all steps, then down to `last`, both along cosines (Smith, 2018)."""

    rise: float = 0.3
    first: float = 0.04
    last: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 < self.rise < 1:
            raise UsageError(f"{self}: expected a rise between 0 and 1")

    def __call__(self, progress: Progress) -> float:
        part = progress.step / progress.steps
        begin, way = (self.first, part / self.rise) if part < self.rise else (self.last, (1 - part) / (1 - self.rise))
        return begin + (1 - begin) * (1 - math.cos(math.pi * way)) / 2


@dataclass(frozen=True)
class Plateau:
    """Multiplied by `factor` whenever no epoch was better than the best one for `patience` epochs."""

    patience: int = 5
    factor: float = 0.5
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if self.patience < 1 or not 0 < self.factor < 1:
            raise UsageError(f"{self}: expected a patience from 1 on, and a factor between 0 and 1")

    def __call__(self, progress: Progress) -> float:
        best, waited, times = math.inf, 0, 0
        for value in progress.values:
            best, waited = (value, 0) if value < best else (best, waited + 1)
            if waited == self.patience:
                waited, times = 0, times + 1
        return warmed(progress, self.warmup) * self.factor**times


def warmed(progress: Progress, epochs: float) -> float:
    """The share of the rate in a step of the first so many epochs; 1 later."""
    steps = epochs * progress.each
    return min(1.0, (progress.step + 1) / steps) if steps > 0 else 1.0


SCHEDULES: Mapping[str, Schedule] = {
    "constant": Constant(),
    "step": Steps(10),
    "cosine": Cosine(),
    "one-cycle": OneCycle(),
    "plateau": Plateau(),
}


def schedule_of(given: str | Schedule) -> Schedule:
    """A schedule, or that of a name. Raises UsageError for an unknown one."""
    if isinstance(given, str):
        if given not in SCHEDULES:
            raise UsageError(f"unknown schedule '{given}': expected {' or '.join(map(repr, SCHEDULES))}")
        return SCHEDULES[given]
    if not callable(given):
        raise UsageError(f"schedule={given!r}: expected a name or a function of how far training is")
    return given
