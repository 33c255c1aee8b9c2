"""Blocks of images: which stages compute several images of a call at once, and the memory between them.

A program computes one image after the other. Where that wastes time, since a stage is bound by its weights, the images
of a call are taken in blocks: such a stage computes all images of the block as rows (`kernels/image_rows.py`), other
stages run image by image. A buffer that is touched in more than one *run* of stages then has a piece for each image of
the block; runs are such a stage by itself, and the stages between two of them. What remains of a call, with fewer
images than fill half a register tile, runs as it does for one image.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from ..machine.target import Target
from .cost.images import fits, noticeable, worthwhile
from .kernels.base import OverImages
from .lower import LoweredGraph
from .memory import least_memory
from .once import own_outputs
from .options import PlanOptions
from .plan import ImageBlock, Schedule, Step, runs_of
from .views import ROW_AXIS, Buffer, View


@dataclass(frozen=True)
class _Form:
    """A step over a block of images, with its costs."""

    step: Step
    over: OverImages

    @property
    def saved(self) -> float:
        """Cycles that a full block saves for each image."""
        return self.over.single - self.over.cycles[-1] / len(self.over.cycles)


def in_blocks(s: Schedule, works: LoweredGraph, target: Target, options: PlanOptions) -> Schedule:
    """The schedule with the block of images that saves time, if one does and the options allow it.

    Of too many stages in blocks, those that save least are left out until the memory suffices.
    """
    images = 1 if options.save_memory or not target.l2 else options.images_at_once
    if images < 2 or not works.batchable:
        return s
    alone = {name for name, batched in works.batched.items() if not batched} | written_once(s) | own_outputs(s, works)
    forms = dict(_forms(s, target, images, alone))
    before = least_memory(s)
    whole = sum(step.cycles(target) for step in s.steps)
    while forms and noticeable(target.core, sum(form.saved for form in forms.values()), whole):
        found = _with_block(s, images, forms)
        if fits(least_memory(found), before):
            return found
        del forms[min(forms, key=lambda number: forms[number].saved)]
    return s


def _forms(s: Schedule, target: Target, images: int, alone: Set[str]) -> Iterator[tuple[int, _Form]]:
    """The stages that are worth computing in blocks, with their steps; buffers `alone` are the same for all images."""
    for number, stage in enumerate(s.stages):
        step = s.steps[stage.steps[-1]]
        over = step.kernel.over_images(target, images) if len(stage.steps) == 1 else None
        views = _views(step, images, s.buffers, alone) if over else None
        if over and views:
            *sources, result = views
            form = _Form(Step(step.name, over.kernel, tuple(sources), result, row_multiple=over.grain), over)
            if _worthwhile([form], images):
                yield number, form


def _worthwhile(forms: Collection[_Form], images: int) -> bool:
    """Whether so many images are faster together than one after the other."""
    together = sum(form.over.cycles[images - 1] for form in forms)
    return worthwhile(together, images * sum(form.over.single for form in forms))


def _with_block(s: Schedule, images: int, forms: Mapping[int, _Form]) -> Schedule:
    """The schedule with these stages in blocks, and a piece of each shared buffer for every image."""
    steps = {s.stages[number].steps[0]: form.step for number, form in forms.items()}
    slower = [n for n in range(2, images + 1) if not _worthwhile(forms.values(), n)]
    block = ImageBlock(images, max(slower, default=1) + 1, steps)
    first: dict[str, tuple[int, int]] = {}
    several: set[str] = set()
    once = written_once(s)
    for stage, run in zip(s.stages, runs_of(s.stages, block), strict=True):
        for name in (view.buffer for member in stage.steps for view in s.steps[member].views):
            if name not in once and (first.setdefault(name, run) != run or stage.steps[0] in steps):
                several.add(name)
    buffers = {
        name: replace(buffer, images=images) if name in several and buffer.space in ("arena", "ring") else buffer
        for name, buffer in s.buffers.items()
    }
    return replace(s, buffers=buffers, block=block)


def written_once(s: Schedule) -> set[str]:
    """The buffers that are the same for all images, since stages wrote them that run once a call."""
    return {s.steps[number].target.buffer for stage in s.stages if stage.once for number in stage.steps}


# Views


def _views(step: Step, images: int, buffers: Mapping[str, Buffer], alone: Set[str]) -> list[View] | None:
    """The views of a step over the rows of all images; None if one of them has no constant distance between images."""
    found: list[View | None] = []
    for at, view in enumerate((*step.sources, step.target)):
        buffer = buffers[view.buffer]
        if at == 1:  # the packed weights, which stay as they are
            found.append(view if buffer.space == "weights" or buffer.name in alone else None)
            continue
        pitch = 0 if buffer.space == "weights" or buffer.name in alone else buffer.pitch
        whole = _flat(view) if at == 0 else view
        found.append(whole and over_images(whole, images, pitch))
    views = [view for view in found if view]
    return views if len(views) == len(found) else None


def _flat(view: View) -> View | None:
    """An image with the pixels of a window as large as it merged into its channels, as packed weights have them."""
    spatial = math.prod(view.shape[ROW_AXIS:])
    if spatial == 1 or view.rank == ROW_AXIS + 1:
        return view
    last = (0, *range(ROW_AXIS, view.rank), 1)
    return view.transpose(last).unfold((1, spatial * view.shape[1]))


def over_images(view: View, images: int, pitch: int) -> View | None:
    """A view (1, channels, positions…) as (1, channels, rows) of several images, which lie `pitch` elements apart.

    None if the positions of one image are not followed by those of the next at an even distance.
    """
    positions = math.prod(view.shape[ROW_AXIS:])
    stride = pitch if positions == 1 else view.strides[ROW_AXIS]
    tables = any(axis > 1 for axis, _ in view.lookups)
    if view.shape[0] != 1 or view.ring or tables or stride * positions != pitch or (positions > 1 and view.rank > 3):
        return None
    return replace(view, shape=(1, view.shape[1], images * positions), strides=(*view.strides[:2], stride), border=())
