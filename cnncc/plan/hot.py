"""Which buffers are hot: bytes that a call of one image reads and writes in each, as if registers held nothing.

A multiply-add reads an element of its image and one of its weights; a window over a pool, each of its elements; what a
step reads besides, one element for each of its results. Tiles keep some of that in registers, in each layer about the
same part of both, so the order tells what belongs in the fastest memory. The bytes themselves are an upper bound, but
for scratch memory, which counts as written and read once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from .memory import root_of
from .plan import Plan, Step
from .views import View


@dataclass
class HotBuffer:
    """A buffer of `bytes` bytes at `offset` of its space, and what a call reads and writes there, in bytes."""

    name: str
    space: str
    offset: int
    bytes: int
    read: int = 0
    written: int = 0
    layers: list[str] = field(default_factory=list)

    @property
    def heat(self) -> float:
        """How many times a call reads or writes each byte, on average."""
        return (self.read + self.written) / max(self.bytes, 1)


def hot_buffers(plan: Plan) -> list[HotBuffer]:
    """All buffers that the steps touch, the hottest first. Buffers that lie over each other are one."""
    found: dict[str, HotBuffer] = {}
    for step in plan.steps:
        for view, read, written in _uses(step):
            buffer, root = plan.buffer(view), plan.buffers[root_of(plan.buffers, view.buffer)]
            entry = found.setdefault(root.name, HotBuffer(root.name, root.space, root.place, root.nbytes))
            entry.bytes = max(entry.bytes, buffer.nbytes)
            entry.read += read * buffer.dtype.bytes
            entry.written += written * buffer.dtype.bytes
            entry.layers += [] if step.name in entry.layers else [step.name]
    return sorted(found.values(), key=lambda entry: (-entry.heat, entry.name))


def _uses(step: Step) -> Iterator[tuple[View, int, int]]:
    """Each view of a step, with the elements that it reads and writes there."""
    results, multiplied = math.prod(step.target.shape), step.kernel.multiplied(step.target)
    window = math.prod(axis.kernel for axis in step.kernel.own_window)
    for number, view in enumerate(step.sources):
        if multiplied:
            yield view, multiplied if number < 2 else results, 0
        else:
            yield view, max(step.kernel.touched(view), results * window) if number == 0 else results, 0
    yield step.target, 0, step.kernel.touched(step.target)
    if step.scratch:
        size = step.kernel.touched(step.scratch)
        yield step.scratch, size, size
