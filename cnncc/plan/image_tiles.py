"""Tiles of images: stages that compute each image by itself run one after the other for a few images at a time.

Where all images arrive together, as in a step of training, a stage has the tensors of all of them. Of 128 images a
small network has more than the third cache holds: what one stage wrote comes back from memory for the next one. Images
are independent up to the first sum over them. So neighbours that divide images run in tiles (the loops over images are
fused): for so many images as the second cache holds of all that they touch, one stage after the other, then for the
next ones.

Stages are brought next to each other for it: what a later one needs beside the earlier ones comes before all of them,
and what else reads their results comes after. Any order of partitions is right where no barrier stands between two
stages: then partition p of one touches nothing that another partition of the other one writes (see `depend`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

from ..machine.target import Target
from .cost.images import AHEAD, exceeds_caches, fits, images_of_tile
from .memory import least_memory
from .plan import ImageTile, Schedule, Stage, Step


def in_image_tiles(s: Schedule, target: Target) -> Schedule:
    """The schedule with stages in tiles, where their tensors exceed the last cache and memory does not grow much."""
    if not target.l2 or not exceeds_caches(target, sum(buffer.nbytes for buffer in s.buffers.values())):
        return s
    moved = replace(s, stages=tuple(Ordering(s, target).stages()))
    return moved if fits(least_memory(moved), least_memory(s)) else s


def tiled(stages: Sequence[Stage]) -> list[list[Stage]]:
    """The stages that run tile by tile together, others alone: no barrier stands between, nor a stage of one shard."""
    groups: list[list[Stage]] = []
    for before, stage in itertools.pairwise([None, *stages]):
        assert stage is not None
        together = before and stage.tile and stage.tile == before.tile and stage.shared and before.shared
        if together and not stage.barrier:
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def settled(s: Schedule) -> Schedule:
    """The schedule with its last barriers: a stage that they leave alone has no tile."""
    groups = ([replace(group[0], tile=None)] if len(group) == 1 else group for group in tiled(s.stages))
    return replace(s, stages=tuple(itertools.chain(*groups)))


class Ordering:
    """The stages in a new order; `before` has the earlier ones that each has to follow."""

    def __init__(self, s: Schedule, target: Target):
        self.s, self.target, self.before = s, target, dependences(s)

    def step(self, at: int) -> Step:
        return self.s.steps[self.s.stages[at].steps[-1]]

    def divides(self, at: int) -> bool:
        """Whether a stage is one step, whose partitions are single images."""
        return len(self.s.stages[at].steps) == 1 and self.step(at).by_images and self.step(at).granularity == 1

    def stages(self) -> Iterator[Stage]:
        left = list(range(len(self.s.stages)))
        while left:
            run, needed = self.run(left)
            images = self.images(run)
            tile = ImageTile(self.s.stages[run[0]].steps[0], images) if images else None
            yield from (self.s.stages[at] for at in needed)
            yield from (replace(self.s.stages[at], tile=tile) for at in run)
            left = [at for at in left if at not in {*run, *needed}]

    def run(self, left: Sequence[int]) -> tuple[list[int], list[int]]:
        """The stages that share tiles with the first one of those `left`, and what has to come before them."""
        first, *others = left
        run, needed, later, waiting = [first], set[int](), set[int](), set(left)
        for at in others[:AHEAD] if self.divides(first) else ():
            before = self.before[at] & waiting
            alike = self.divides(at) and self.step(at).units == self.step(first).units
            if before & later or (before & {*run} and not (alike and self.images([*run, at]))):
                later.add(at)
            elif before & {*run}:
                needed |= self.all_before(before - {*run}, waiting)
                run.append(at)
        return run, sorted(needed)

    def all_before(self, stages: Set[int], waiting: Set[int]) -> set[int]:
        """These stages, and all that they have to follow."""
        found, queue = set[int](), list(stages)
        while queue:
            at = queue.pop()
            if at not in found:
                found.add(at)
                queue += self.before[at] & waiting
        return found

    def images(self, run: Sequence[int]) -> int:
        """The images of a tile; 0 if there is nothing to gain."""
        if len(run) < 2:
            return 0
        count, touched = self.step(run[0]).units, dict[str, int]()
        for step, view in ((self.step(at), view) for at in run for view in self.step(at).views):
            if view.shape[:1] == (count,):
                size = self.s.buffers[view.buffer].dtype.bytes * step.kernel.touched(view)
                touched[view.buffer] = max(touched.get(view.buffer, 0), size)
        return images_of_tile(self.target, count, sum(touched.values()))


def dependences(s: Schedule) -> list[set[int]]:
    """For each stage the earlier ones that write a buffer that it touches, or touch one that it writes."""
    touched: dict[str, set[int]] = {}
    written: dict[str, set[int]] = {}
    found: list[set[int]] = []
    for at, stage in enumerate(s.stages):
        steps = [s.steps[number] for number in stage.steps]
        writes = {step.target.buffer for step in steps}
        touches = {view.buffer for step in steps for view in step.views}
        found.append(set[int]().union(*(written.get(name, ()) for name in touches)))
        found[-1].update(*(touched.get(name, ()) for name in writes))
        for name in touches:
            touched.setdefault(name, set()).add(at)
        for name in writes:
            written.setdefault(name, set()).add(at)
    return found
