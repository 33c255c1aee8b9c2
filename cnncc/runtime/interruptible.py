"""Calls that take seconds, and Ctrl-C.

Python hands a signal to its main thread alone, between two of its instructions, so not while the thread is in native
code. A long call therefore runs in a thread of its own, and the main thread waits in a way that Ctrl-C ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

LONG = 1_000_000_000
"""Modelled cycles of a call that is long, 0.3 s and more; the thread of its own takes 0.1 ms."""


def matters(cycles: float) -> bool:
    """Whether a call of so many cycles, by this thread, would keep a signal waiting."""
    return cycles > LONG and threading.current_thread() is threading.main_thread()


def interruptible(call: Callable[[], object], abandoned: Callable[[], object]) -> None:
    """Run `call` in a thread of its own, and raise what it raised.

    If a signal ends the wait, `abandoned` is called and the signal's exception goes on at once. The call runs to its
    end in the background, in memory that it keeps.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="cnncc-call", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        abandoned()
        raise
    if raised:
        raise raised[0]
