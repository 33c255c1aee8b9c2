"""A time limit for work that cannot be interrupted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Budget:
    """`seconds` from now on. Work starts only if it will end in time, estimated by the longest work of its kind so far.

    The first work of a kind has no estimate. It starts while there is any time left, so it alone can exceed the limit.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]):
        self.seconds, self.clock, self.begin = seconds, clock, clock()
        self.longest: dict[str, float] = defaultdict(float)

    def allows(self, *kinds: str, part: float = 1.0) -> bool:
        """Whether work of these kinds, one after the other, would end within `part` of the time."""
        needed = sum(self.longest[kind] for kind in kinds)
        return self.clock() - self.begin + needed < part * self.seconds

    @contextmanager
    def work(self, kind: str) -> Iterator[None]:
        """The context in which work of this kind runs; interrupted work is not counted."""
        begin = self.clock()
        yield
        self.longest[kind] = max(self.longest[kind], self.clock() - begin)
