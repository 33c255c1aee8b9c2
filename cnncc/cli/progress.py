"""Telling on standard error how far something has come: a bar on a terminal, some lines elsewhere."""

from __future__ import annotations

import threading
import time
from typing import Self

from ..terminal import WIPED, bar, on_terminal, tell

LINES = 5  # about so many where the stream is no terminal
PATIENCE = 1.0  # seconds of compiling without a word


class Progress:
    """Called with the part that is done (0 to 1) and what is being done; a terminal's bar goes away at the end."""

    def __init__(self, what: str):
        self.what = what
        self._terminal = on_terminal()
        self._told = -1

    def __call__(self, done: float, text: str) -> None:
        if self._terminal:
            tell(bar(self.what, done, text))
        elif int(LINES * done) > self._told:
            self._told = int(LINES * done)
            tell(f"{self.what}: {done:.0%}, {text}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            tell(WIPED)


class Compiling:
    """A stopwatch's listener: once compiling has taken a second, a terminal's last line has the stage that runs.

    Most of a long compilation may be one stage, so a timer writes the first line. It runs during stages only, and
    the line is gone before anything else is written.
    """

    def __init__(self) -> None:
        self._terminal = on_terminal()
        self._began: float | None = None
        self._stage: str | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def __call__(self, stage: str | None) -> None:
        if not self._terminal:
            return
        with self._lock:
            self._stop()
            was, self._stage = self._stage, stage
            if stage is not None:
                self._show_or_wait(stage)
            elif was is not None and self._waited >= PATIENCE:
                tell(WIPED)

    @property
    def _waited(self) -> float:
        """Seconds since the first stage."""
        if self._began is None:
            self._began = time.monotonic()
        return time.monotonic() - self._began

    def _show_or_wait(self, stage: str) -> None:
        left = PATIENCE - self._waited
        if left <= 0:
            tell(f"\rcompiling: {stage}\x1b[K")
            return
        self._timer = threading.Timer(left, self._late)
        self._timer.daemon = True
        self._timer.start()

    def _late(self) -> None:
        """What the timer does: it may have been stopped while it waited for the lock."""
        with self._lock:
            if self._timer is not None and self._stage is not None:
                tell(f"\rcompiling: {self._stage}\x1b[K")

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
