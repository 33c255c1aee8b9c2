"""The plan as text: the steps with their kernels and views, and the arena as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .candidates import Split
from .hot import hot_buffers
from .memory_picture import SPACES, MemoryPicture, memory_picture
from .plan import Plan, Step
from .views import View, channels_last, elements

WIDEST_PICTURE = 80  # stages that the picture of the arena can show


def show_plan(plan: Plan) -> str:
    """Every step in order: kernel, tile, lanes and multiply-adds, then its views; streams and barriers between them."""
    target, macs = plan.target, sum(step.macs for step in plan.steps)
    unit = "one image at a time" if plan.batchable else f"all {plan.images} image(s) at once"
    lines = [
        f"plan of '{plan.name}' for {target.name} ({target.lanes} lanes, {target.registers} registers), {unit}: "
        f"{len(plan.steps)} steps in {len(plan.stages)} stages, {macs:,} multiply-adds, {_copies(plan)}"
    ]
    if plan.block:
        lines[0] += f"; up to {plan.block.images} images at once in stages that say so, from {plan.block.least} on"
    for number, stage in enumerate(plan.stages):
        head = f"stage {number}"
        if len(stage.steps) > 1:
            rings = sum(plan.buffer(plan.steps[member].target).nbytes for member in stage.steps[:-1])
            head += f", a stream of {len(stage.steps)} steps in blocks of {stage.block} rows, rings of {rings:,} bytes"
        head += ", once a call" * stage.once + ", after a barrier" * stage.barrier
        head += f", in tiles of {stage.tile.images} image(s)" if stage.tile else ""
        lines += [
            "",
            head
            + (", by one shard" if stage.single_shard else ", by every shard for itself" if stage.replicated else ""),
        ]
        for member in stage.steps:
            lines += _step(plan, member)
    return "\n".join(lines)


def show_memory(plan: Plan) -> str:
    """The workspace: every buffer with its offset and its live range in stages, and the bytes of borders."""
    memory = memory_picture(plan)
    return "\n".join(
        [
            f"workspace of '{plan.name}': {memory.workspace_bytes:,} bytes with one shard",
            f"  header      {memory.header_bytes:>12,}",
            f"  arena       {memory.arena_bytes:>12,}  (lower bound {memory.arena_bound:,}, ratio {memory.ratio:.2f})",
            f"  rings       {memory.shard_bytes:>12,}  for each shard",
            f"weights       {memory.weights_bytes:>12,}",
            *(line for space in SPACES for line in _buffers(memory, space)),
            *_borders(plan),
            *_hot(plan),
        ]
    )


def view_order(view: View) -> str:
    """The name of a view's order in memory."""
    if view.ring:
        return f"ring of {view.ring}"
    real = [axis for axis, size in enumerate(view.shape) if size > 1]
    if any(view.strides[axis] == 0 for axis in real):
        return "repeated" if all(view.strides[axis] == 0 for axis in real) else "repeated in part"
    order = sorted(real, key=lambda axis: -abs(view.strides[axis]))
    if order == real:
        return "planar"
    last = [axis for axis in channels_last(view.rank) if axis in real]
    return "channels last" if order == last else f"order {tuple(order)}"


def copied_bytes(plan: Plan, step: Step) -> int:
    """Bytes that a move writes, which equal those that it reads."""
    return size_of(plan, step.target) if step.kernel.is_copy else 0


def size_of(plan: Plan, view: View, border: Sequence[tuple[int, int]] = ()) -> int:
    """Bytes of a view, with a border around its spatial axes."""
    sides = [(0, 0), (0, 0), *border] if border else None
    return plan.buffer(view).dtype.bytes * elements(view.shape, sides)


def _copies(plan: Plan) -> str:
    """The number of copies that are left, with their bytes."""
    sizes = [size for step in plan.steps if (size := copied_bytes(plan, step))]
    return f"{len(sizes)} {'copy' if len(sizes) == 1 else 'copies'} of {sum(sizes):,} bytes" if sizes else "no copies"


# Steps


def _step(plan: Plan, number: int) -> Iterator[str]:
    step = plan.steps[number]
    macs, copied = step.macs, copied_bytes(plan, step)
    cost = f"; {macs:,} multiply-adds" if macs else f"; {copied:,} bytes" if copied else ""
    shared = ", shared by images" * step.by_images
    yield f"  {number:3} {step.name}: {step.kernel.describe()}{shared}{cost}"
    if step.split:
        yield f"        {'split':8} {split_words(step.split)}"
    if plan.block and number in plan.block.steps:
        yield f"      images at once: {plan.block.steps[number].kernel.describe()}"
    names = roles_of(step)
    for role, view in zip(names, step.sources, strict=True):
        border = border_words(plan, step, view) if role == names[0] else ""
        yield f"        {role:8} {_view(plan, view)}{border}"
    yield f"        {'result':8} {_view(plan, step.target)}"


def split_words(split: Split) -> str:
    """Why a step is not in the epilogue of the layer before it, with the cycles of both ways."""
    apart = f"behind the layer, not in its registers: {split.cycles:,.0f} cycles with the layer"
    return f"{apart}, {split.fused:,.0f} in registers" if math.isfinite(split.fused) else f"{apart}; no tile holds it"


def roles_of(step: Step) -> list[str]:
    return step.kernel.roles + [f"extra {number}" for number in range(1, len(step.operands) + 1)]


def _view(plan: Plan, view: View) -> str:
    order = f" {view_order(view)}" if view.rank > 1 else ""
    buffer = plan.buffer(view)
    stored = f" of {buffer.dtype}, {buffer.nbytes:,} bytes" if buffer.dtype.role == "carried" else ""
    return f"{view.buffer} {view.shape}{order}, {buffer.space}{stored}"


def border_words(plan: Plan, step: Step, view: View) -> str:
    """How a kernel treats the edges of its image (halo or clip), with the bytes of both ways."""
    reach = _reach(step)
    if not any(map(any, reach)):
        return ""
    clip, halo = size_of(plan, view), size_of(plan, view, reach)
    sides = ", ".join(f"{low}+{high}" for low, high in reach)
    how = "halo" if _brings_border(view, reach) else "clip"
    return f"; {how} {sides} (with halo {halo:,} bytes, clipped {clip:,})"


def _reach(step: Step) -> list[tuple[int, int]]:
    """Elements beyond each spatial edge that the window of a step reads."""
    return [axis.reach for axis in step.kernel.own_window]


def _brings_border(view: View, reach: Sequence[tuple[int, int]]) -> bool:
    brought = view.border[2:] or ((0, 0),) * len(reach)
    return all(have[0] >= want[0] and have[1] >= want[1] for have, want in zip(brought, reach, strict=True))


# Memory


def _buffers(memory: MemoryPicture, space: str) -> Iterator[str]:
    """Each buffer of a space by offset, with its live range as numbers and, if the stages fit on a line, a picture."""
    found = [life for life in memory.buffers if life.space == space]
    if not found:
        return
    yield ""
    stages = len(memory.alive)
    picture = stages <= WIDEST_PICTURE
    width = max(len("buffer"), *(len(life.name) for life in found))
    heading = "  stages" if picture else ""
    yield f"{space:>8} at         bytes  life      {'buffer':{width}}{heading}".rstrip()
    for life in found:
        span = f"{life.first}..{life.last}"
        drawn = "".join("#" if life.first <= at <= life.last else "." for at in range(stages)) if picture else ""
        yield f"{life.offset:>11,}  {life.bytes:>12,}  {span:8}  {life.name:{width}}  {drawn}".rstrip()


def _hot(plan: Plan) -> Iterator[str]:
    """What a call of one image reads and writes in each buffer: see `hot_buffers`."""
    heads = ("space", "buffer", "bytes", "read", "written", "times each")
    yield from ("", "uses of a call, the hottest first, if registers held nothing")
    found = [
        (use.space, use.name, f"{use.bytes:,}", f"{use.read:,}", f"{use.written:,}", f"{use.heat:,.1f}")
        for use in hot_buffers(plan)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *found, strict=True)]
    for row in (heads, *found):
        cells = [
            f"{cell:{'<' if at < 2 else '>'}{width}}" for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def _borders(plan: Plan) -> Iterator[str]:
    """The bytes of borders: of buffers that bring one, and of those whose readers clip instead."""
    inside = {step.target.buffer: step.target for step in plan.steps if step.kernel.only_border}
    lines = []
    for name, view in inside.items():
        halo, clip = plan.buffers[name].nbytes, size_of(plan, view)
        lines.append(f"  {name}: halo, {halo:,} bytes; clip would take {clip:,} ({halo - clip:,} less)")
    for name, (clip, halo) in _clipped(plan).items():
        lines.append(f"  {name}: clip, {clip:,} bytes; halo would take {halo:,} ({halo - clip:,} more)")
    if lines:
        yield from ("", "borders", *lines)


def _clipped(plan: Plan) -> dict[str, tuple[int, int]]:
    """Buffers of the arena whose readers clip: (bytes without a border, bytes with the largest border read)."""
    found: dict[str, tuple[int, int]] = {}
    for step in plan.steps:
        reach = _reach(step)
        if not any(map(any, reach)) or plan.buffer(step.sources[0]).space != "arena":
            continue
        view = step.sources[0]
        if not _brings_border(view, reach):
            sizes = size_of(plan, view), size_of(plan, view, reach)
            found[view.buffer] = max(found.get(view.buffer, sizes), sizes)
    return found
