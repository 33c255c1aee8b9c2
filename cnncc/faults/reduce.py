"""A failing graph becomes a small one that fails in the same way.

This is delta debugging (Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002) with steps that
know graphs: `shrink` makes candidates, a predicate tells whether they still fail, and the first that does takes the
place of the case, until none does or the time is over. Ctrl-C ends the search as well: the best so far stays.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from . import shrink
from .excerpt import Case

Predicate = Callable[[Case], bool]
Progress = Callable[[float, str], None]

INTERRUPTED = "interrupted"

STAGES: tuple[tuple[str, Callable[[Case], Iterator[Case]]], ...] = (
    ("beginning and end", shrink.halves),
    ("outputs", shrink.single_outputs),
    ("layers", shrink.without_one),
    ("data", shrink.seeded),
    ("shapes", shrink.smaller_shapes),
    ("data", shrink.seeded),
)
"""What is tried, in turns until nothing gets smaller: whole ends first, shapes when few layers are left."""


@dataclass(frozen=True)
class Reduced:
    """The smallest case, how many candidates were tried, and why the search ended before it was complete, if it did."""

    case: Case
    tried: int
    stopped: str = ""

    @property
    def interrupted(self) -> bool:
        return self.stopped == INTERRUPTED


class Search:
    """One search; `fails` is asked about each candidate once."""

    def __init__(self, case: Case, fails: Predicate, seconds: float, progress: Progress):
        self.case, self.fails, self.progress = case, fails, progress
        self.begin, self.seconds = time.monotonic(), seconds
        self.asked: set[str] = {_key(case)}

    def run(self, layer: str) -> Reduced:
        """The smallest case that was found; `layer` is where the failure may be."""
        stopped = ""
        try:
            self._take(lambda case: shrink.around(case, layer), f"layer '{layer}'")
            while self._turn():
                pass
        except _Late:
            stopped = f"{self.seconds:.0f} s are over"
        except KeyboardInterrupt:
            stopped = INTERRUPTED
        return Reduced(self.case, len(self.asked) - 1, stopped)

    def _turn(self) -> bool:
        """All steps once; whether one of them made the case smaller."""
        before = self.case
        for what, step in STAGES:
            self._take(step, what)
        return self.case is not before

    def _take(self, step: Callable[[Case], Iterator[Case]], what: str) -> None:
        """Let one step make the case smaller as long as it can."""
        while (found := next((case for case in step(self.case) if self._is_failing(case, what)), None)) is not None:
            self.case = found

    def _is_failing(self, case: Case, what: str) -> bool:
        passed = time.monotonic() - self.begin
        if passed > self.seconds:
            raise _Late
        key = _key(case)
        if key in self.asked:
            return False
        self.asked.add(key)
        count = len(shrink.computed(self.case.graph))
        self.progress(passed / self.seconds, f"{count} layer(s), {what}")
        return self.fails(case)


class _Late(Exception):
    """The time is over."""


def _key(case: Case) -> str:
    """A text that is the same for the same graph and data."""
    state = hashlib.sha256(case.graph.canonical().encode())
    for name, data in case.feeds.items():
        state.update(f"{name} {data.dtype} {data.shape}".encode() + np.ascontiguousarray(data).tobytes())
    return state.hexdigest()


def reduce(case: Case, fails: Predicate, seconds: float, layer: str = "", progress: Progress | None = None) -> Reduced:
    """The smallest case that still fails, within about so many seconds; `layer` is tried first."""
    return Search(case, fails, seconds, progress or (lambda done, text: None)).run(layer)
