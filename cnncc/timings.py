"""How long the stages of a compilation take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .terminal import log

Listener = Callable[[str | None], None]
"""Told the stage that runs from now on, or None when none does any more."""


@dataclass(frozen=True)
class Timing:
    """The seconds that a stage took by itself: those of stages inside of it count for these alone."""

    stage: str
    seconds: float


class Stopwatch:
    """Adds up the time of stages, which may lie inside of each other; tells a listener what runs, the log what ran."""

    def __init__(self, listener: Listener | None = None):
        self.listener = listener
        self._seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    @property
    def timings(self) -> tuple[Timing, ...]:
        """What ended so far, in the order in which the stages began."""
        return tuple(Timing(stage, seconds) for stage, seconds in self._seconds.items())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time spent inside belongs to this stage, also if it ends with an error."""
        self._turn()
        self._seconds.setdefault(name, 0.0)
        self._running.append(name)
        self._tell()
        try:
            yield
        finally:
            self._turn()
            log("%s took %.3f s", self._running.pop(), self._seconds[name])
            self._tell()

    def _turn(self) -> None:
        """Give the time since the last turn to the stage that ran."""
        now = time.perf_counter()
        if self._running:
            self._seconds[self._running[-1]] += now - self._since
        self._since = now

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener(self._running[-1] if self._running else None)
