"""The bytes that the steps of a plan read and write, by the level of memory that holds them.

The level follows from the *reuse distance*: the bytes that were touched since this memory was touched last (over
several calls), as in a cache that evicts the least recently used lines (Mattson and others, *Evaluation Techniques for
Storage Hierarchies*, 1970).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence

from .plan import Plan, Step
from .views import Buffer, View

LEVELS = ("L1", "L2", "L3", "DRAM")


def level_of(sizes: Sequence[int], distance: int) -> str:
    """The level that holds memory whose last access was `distance` bytes of traffic ago, in caches of these sizes."""
    return next((name for name, size in zip(LEVELS, sizes, strict=False) if distance <= size), LEVELS[-1])


def step_traffic(plan: Plan, level: Callable[[int], str]) -> list[dict[str, int]]:
    """For each step the bytes that it reads and writes, each once, by the `level` that holds what lies so far back."""
    traffic: list[dict[str, int]] = [{} for _ in plan.steps]
    recent: dict[str, int] = {}  # bytes of each buffer, ordered by its last access
    for calls in range(2):  # the first one fills the caches
        for number, buffer, held, moved in touches(plan):
            own = _span(plan.buffers[buffer])
            spans = {other: _span(plan.buffers[other]) for other in recent}
            place = level(_distance(recent, {other for other in recent if _meet(own, spans[other])}, held))
            held = max(held, recent.get(buffer, 0))
            for other in [other for other in recent if _covers(own, spans[other])]:
                del recent[other]
            recent[buffer] = held
            if calls:
                traffic[number][place] = traffic[number].get(place, 0) + moved
    return traffic


def _distance(recent: dict[str, int], same: Container[str], held: int) -> int:
    """Bytes that were touched since the last access to one of `same`, that buffer included; unlimited if none was."""
    distance = held
    for other in reversed(recent):
        if other in same:
            return distance
        distance += recent[other]
    return 1 << 62


Span = tuple[str, int, int]


def _span(buffer: Buffer) -> Span:
    """The memory of a buffer; buffers overlap if their live ranges do not."""
    if buffer.space in ("arena", "ring"):
        return buffer.space, buffer.place, buffer.place + buffer.nbytes
    return buffer.name, 0, buffer.nbytes


def _meet(a: Span, b: Span) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]


def _covers(a: Span, b: Span) -> bool:
    return a[0] == b[0] and a[1] <= b[1] and b[2] <= a[2]


def touches(plan: Plan) -> Iterator[tuple[int, str, int, int]]:
    """(step, buffer, bytes of the buffer that it occupies, bytes that it moves) for each view of each step."""
    for number, step in enumerate(plan.steps):
        for view in dict.fromkeys((*step.sources, step.target)):
            size = moved_bytes(plan, step, view)
            yield number, view.buffer, min(size, plan.buffer(view).nbytes), size


def moved_bytes(plan: Plan, step: Step, view: View) -> int:
    """The bytes of a view that a step reads or writes, each once."""
    return plan.buffer(view).dtype.bytes * step.kernel.touched(view)
