"""Writing to standard output, which may be full, closed, or unable to spell a character."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..errors import OutputError

CHUNK = 1 << 14  # an unbuffered stream takes part of a larger text and says nothing when its reader goes away


def say(text: str) -> None:
    """One line, or several, on standard output. Raises OutputError if it takes no more."""
    stream = sys.stdout
    if stream is None:  # the process was started without one
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    spelled = text.encode(encoding, "replace").decode(encoding) + "\n"
    try:
        for start in range(0, len(spelled), CHUNK):
            stream.write(spelled[start : start + CHUNK])
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error) from error


def flush() -> None:
    """Hand everything to the system while an error can still be reported."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error) from error


def abandon() -> None:
    """Let what is still in the buffer go nowhere, so that the interpreter does not complain at its end."""
    try:
        number = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass  # not a file: nothing is left in it


def _unwritable(error: OSError) -> OutputError:
    abandon()
    return OutputError(f"cannot write to standard output: {error.strerror or error}")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns side by side; those numbered in `right` end together."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join(map(line, (heads, *rows)))
