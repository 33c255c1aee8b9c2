"""The memory picture: each buffer of the workspace as a box over the steps in which it is alive, at its offset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .chart import EM, WIDTH, Scale, label, picture, shortened
from .facts import Facts, Stopped
from .html import Html, join, missing, table, tag
from .numbers import digits, nbytes

if TYPE_CHECKING:
    from ..explain import Explanation
    from ..plan.memory_picture import BufferLife, MemoryPicture

HEIGHT, STRIP, LEFT, TOP, RIGHT, AXIS = 300, 60, 84, 16, 12, 34


def memory(facts: Facts) -> Html:
    if isinstance(facts.reasons, Stopped):
        return missing(facts.reasons.why)
    reasons, found = facts.reasons, facts.reasons.memory
    parts = [tag("p", _told(found))]
    for space, size, told in (
        ("arena", found.arena_bytes, "The arena"),
        ("ring", found.shard_bytes, "Rings: memory of each thread, in which a stream keeps the rows between its steps"),
    ):
        lives = [life for life in found.buffers if life.space == space]
        if lives and size:
            parts += [tag("h3", told), _drawn(lives, size, reasons, space == "arena")]
    if found.peak_buffers:
        rows = [(name, f"{size:,}") for name, size in found.peak_buffers]
        parts += [
            tag("h3", f"Alive at the peak, at layer {found.peak_layer}"),
            table(("buffer", "bytes"), rows, right=(1,)),
        ]
    return join(parts)


def _told(found: MemoryPicture) -> str:
    header = f"a header of {nbytes(found.header_bytes)}, " if found.header_bytes else ""
    arena = "no arena"
    if found.arena_bytes:
        arena = (
            f"an arena of {nbytes(found.arena_bytes)}, {digits(found.ratio)} times its lower bound of "
            f"{nbytes(found.arena_bound)} (the most that is alive at once, at layer {found.peak_layer})"
        )
    rings = f", and rings of {nbytes(found.shard_bytes)} for each thread" if found.shard_bytes else ""
    return f"A call works in {nbytes(found.workspace_bytes)}: {header}{arena}{rings}."


def _drawn(lives: Sequence[BufferLife], size: int, reasons: Explanation, arena: bool) -> Html:
    """Buffers by step and offset; for the arena also the bound, and the bytes that are alive at each stage."""
    count = 1 + max(step.number for layer in reasons.layers for step in layer.steps)
    x = Scale(0, count, LEFT, WIDTH - RIGHT)
    y = Scale(0, size, TOP + HEIGHT, TOP)
    parts = [_bytes_axis(y, size), *(_buffer(life, x, y) for life in lives)]
    height = TOP + HEIGHT
    if arena:
        at = y.at(min(reasons.memory.arena_bound, size))
        told = f"bound {nbytes(reasons.memory.arena_bound)}"
        parts.append(tag("line", tag("title", told), x1=x.begin, x2=x.end, y1=at, y2=at, class_="bound"))
        parts.append(_alive(reasons, x, height + 14))
        height += 14 + STRIP
    parts.append(_steps_axis(count, x, height))
    return picture(height + AXIS, "memory over the steps", parts)


def _buffer(life: BufferLife, x: Scale, y: Scale) -> Html:
    left, right = x.at(life.first_step), x.at(life.last_step + 1)
    top, bottom = y.at(life.offset + life.bytes), y.at(life.offset)
    wide, high = max(right - left - 1, 1), max(bottom - top - 1, 1)
    told = f"{life.name}\n{life.bytes:,} bytes at {life.offset:,}, steps {life.first_step} to {life.last_step}"
    box = tag("rect", tag("title", told), x=left, y=top, width=f"{wide:.1f}", height=f"{high:.1f}", class_="buffer")
    fits = int((wide - 8) / EM)
    if high < 15 or fits < 4:
        return box
    return join(box, label(shortened(life.name, fits), left + wide / 2, (top + bottom) / 2 + 4, "middle"))


def _alive(reasons: Explanation, x: Scale, top: float) -> Html:
    """The bytes that are alive at each stage, below the picture."""
    found = reasons.memory
    spans: dict[int, list[int]] = {}
    for layer in reasons.layers:
        for step in layer.steps:
            spans.setdefault(step.stage, []).append(step.number)
    y = Scale(0, max(found.alive, default=1) or 1, top + STRIP, top)
    bars = []
    for stage, steps in sorted(spans.items()):
        alive = found.alive[stage]
        left, right, high = x.at(min(steps)), x.at(max(steps) + 1), y.at(alive)
        told = f"stage {stage}: {alive:,} bytes alive"
        kind = "alive peak" if stage == found.peak_stage else "alive"
        size = {"width": f"{max(right - left - 1, 1):.1f}", "height": f"{y.begin - high:.1f}"}
        bars.append(tag("rect", tag("title", told), x=left, y=high, class_=kind, **size))
    return join(bars, label("alive", x.begin - 8, top + STRIP / 2 + 4, "end", "tick"))


def _bytes_axis(y: Scale, size: int) -> Html:
    parts = []
    for part in (0, 0.25, 0.5, 0.75, 1):
        at = y.at(part * size)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        parts.append(label(nbytes(part * size), LEFT - 8, at + 4, "end", "tick"))
    return join(parts)


def _steps_axis(count: int, x: Scale, top: float) -> Html:
    """Some of the steps' numbers."""
    every = max(1, -(-count // 16))
    ticks = [label(str(n), x.at(n + 0.5), top + 14, "middle", "tick") for n in range(0, count, every)]
    return join(ticks, label("steps of a call", (x.begin + x.end) / 2, top + 29, "middle", "axis"))
