"""Telling on standard error how far something has come: a bar on a terminal, some lines elsewhere."""

from __future__ import annotations

import sys
from typing import Self

WIDTH = 24
LINES = 5  # about so many where the stream is no terminal


class Progress:
    """Called with the part that is done (0 to 1) and what is being done; a terminal's bar goes away at the end."""

    def __init__(self, what: str):
        self.what = what
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._told = -1

    def __call__(self, done: float, text: str) -> None:
        if self._terminal:
            filled = round(WIDTH * done)
            self._write(f"\r{self.what} [{'#' * filled}{'.' * (WIDTH - filled)}] {done:4.0%} {text}\x1b[K")
        elif int(LINES * done) > self._told:
            self._told = int(LINES * done)
            self._write(f"{self.what}: {done:.0%}, {text}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        """Progress that nobody can read is no failure."""
        try:
            if sys.stderr is not None:
                sys.stderr.write(text)
                sys.stderr.flush()
        except OSError:
            pass
