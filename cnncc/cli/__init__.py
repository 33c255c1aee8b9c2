"""The command line: `cnncc VERB …`.

Every failure is one sentence on standard error that begins with `cnncc: `; nothing is half written. Exit codes:

    0  ok
    1  internal error (a bug of cnncc, please report it) or no memory left
    2  wrong usage: unknown verb, option, target, pass, stage, kind of artefact or model file
    3  the model (script, layers, weights) is wrong
    4  the input data is wrong
    5  a result cannot be written, or a tool or engine that is needed is missing
    6  `check` found a difference
    7  native code was refused or failed
    8  training whose loss is no number any more
  130  interrupted (Ctrl-C)
  141  the reader of the output went away

CNNCC_TRACEBACK=1 in the environment shows the Python traceback of any error.
"""

from __future__ import annotations

# Nothing is imported here: until `main` runs, Ctrl-C would print a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command (default: that of the process); the answer is its exit code."""
    try:
        from .interrupts import handled

        with handled():
            from .failures import explained

            return explained(lambda: _run(argv))
    except KeyboardInterrupt:  # before or after the rest could tell
        import os

        os.write(2, b"cnncc: interrupted\n")
        return 130


def _run(argv: Sequence[str] | None) -> int:
    from .console import flush
    from .parser import parse

    arguments = parse(argv, (__doc__ or "").partition("\n\n")[2])
    if arguments is not None:
        arguments.run(arguments)
    flush()
    return 0
