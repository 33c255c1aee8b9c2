"""Telling how far something has come: on standard error, where somebody may look at it, and to `logging`."""

from __future__ import annotations

import sys

WIDTH = 24
WIPED = "\r\x1b[K"


def on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def tell(text: str) -> None:
    """Progress that nobody can read is no failure."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except OSError:
        pass


def log(text: str, *values: object) -> None:
    """An event of level INFO for the logger `cnncc`: whoever listens has imported `logging`, others need not wait."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("cnncc").info(text, *values)


def bar(what: str, done: float, text: str) -> str:
    """A terminal's line: the part that is done (0 to 1), and what is being done."""
    filled = round(WIDTH * done)
    return f"\r{what} [{'#' * filled}{'.' * (WIDTH - filled)}] {done:4.0%} {text}\x1b[K"
