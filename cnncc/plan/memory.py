"""Places in the arena: buffers whose lives do not overlap share memory.

Offsets are found greedily, the largest buffer first, each at the lowest place that is free during its whole
life (Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020, section 4.2). The
lower bound is the largest sum of buffers alive at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ALIGNMENT = 64


@dataclass(frozen=True)
class Life:
    """A buffer of `size` bytes that is alive from stage `first` to stage `last`, both included."""

    size: int
    first: int
    last: int

    def meets(self, other: Life) -> bool:
        return self.first <= other.last and other.first <= self.last


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def assign(lives: Mapping[str, Life]) -> tuple[dict[str, int], int]:
    """Byte offset of each buffer, and the size of the arena."""
    placed: dict[str, int] = {}
    order = sorted(lives, key=lambda name: (-lives[name].size, lives[name].first, name))
    for name in order:
        life = lives[name]
        taken = sorted(
            (placed[other], placed[other] + aligned(lives[other].size)) for other in placed if life.meets(lives[other])
        )
        offset = 0
        for begin, end in taken:
            if offset + life.size <= begin:
                break
            offset = max(offset, end)
        placed[name] = offset
    return placed, max((placed[name] + aligned(lives[name].size) for name in lives), default=0)


def lower_bound(lives: Mapping[str, Life]) -> int:
    """The largest number of bytes alive at any stage."""
    stages = {life.first for life in lives.values()}
    return max(
        (sum(aligned(life.size) for life in lives.values() if life.first <= at <= life.last) for at in stages),
        default=0,
    )
