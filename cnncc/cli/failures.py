"""Errors → one sentence on standard error and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from ..errors import CnnccError
from .console import abandon
from .interrupts import INTERRUPTED, seen

INTERNAL, NO_READER = 1, 141


def explained(command: Callable[[], int]) -> int:
    """The command's exit code; whatever it raises is told in one sentence."""
    try:
        return command()
    except BrokenPipeError:
        abandon()
        return NO_READER
    except KeyboardInterrupt:
        return _tell("interrupted", INTERRUPTED)
    except CnnccError as error:
        return _tell(str(error), error.exit_code)
    except MemoryError as error:
        return _tell(f"not enough memory: {error}" if str(error) else "not enough memory", INTERNAL)
    except RecursionError:
        return _tell("the model is nested too deeply for cnncc; please report this with its script", INTERNAL)
    except Exception as error:
        if seen():  # somebody's `finally` failed after it
            return _tell("interrupted", INTERRUPTED)
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _tell(
            f"internal error, please report it with the traceback that CNNCC_TRACEBACK=1 shows: {what}", INTERNAL
        )


def _tell(sentence: str, code: int) -> int:
    """Say it on one line, whatever a foreign message holds."""
    if os.environ.get("CNNCC_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exc()
    text = " ".join(sentence.split())
    if sys.stderr is not None:
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        print(f"cnncc: {text}".encode(encoding, "replace").decode(encoding), file=sys.stderr)
    return code
