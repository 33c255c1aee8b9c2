"""Time that must not be overrun by work that cannot be stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Budget:
    """So many seconds from now. A piece of work begins if it will end in time, going by the longest of its kind so far.

    Of the first of a kind nothing is known: it begins while there is time, and is all that can overrun the budget.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]):
        self.seconds, self.clock, self.begin = seconds, clock, clock()
        self.longest: dict[str, float] = defaultdict(float)

    def allows(self, *kinds: str, part: float = 1.0) -> bool:
        """Whether pieces of these kinds, one after the other, would end within a part of the time."""
        needed = sum(self.longest[kind] for kind in kinds)
        return self.clock() - self.begin + needed < part * self.seconds

    @contextmanager
    def work(self, kind: str) -> Iterator[None]:
        """Around a piece of work; one that is interrupted tells nothing."""
        begin = self.clock()
        yield
        self.longest[kind] = max(self.longest[kind], self.clock() - begin)
