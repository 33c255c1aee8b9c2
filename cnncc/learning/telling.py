"""What training tells: on a terminal a bar of the epoch under way, and everywhere a line for each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import UsageError
from ..terminal import WIPED, bar, log, on_terminal, tell

PAUSE = 0.1  # seconds between two bars: a step may take microseconds


class Telling:
    """Lines go to a function of the user's or, with a bar on a terminal, to standard error."""

    def __init__(self, line: Callable[[str], object] | None):
        if line is not None and not callable(line):
            raise UsageError(f"progress={line!r}: expected a function of a line")
        self._line = line
        self._bars = line is None and on_terminal()
        self._next = 0.0

    def step(self, epoch: int, done: float, loss: float) -> None:
        """A step of an epoch is done; `loss` is the mean of those so far."""
        if self._bars and (now := time.monotonic()) >= self._next:
            self._next = now + PAUSE
            tell(bar(f"epoch {epoch + 1}", done, f"loss {loss:.4f}"))

    def epoch(self, text: str) -> None:
        log("%s", text)
        self.wipe()
        if self._line is not None:
            self._line(text)
        else:
            tell(f"{text}\n")

    def wipe(self) -> None:
        """The bar goes away, however training ends."""
        if self._bars:
            tell(WIPED)
