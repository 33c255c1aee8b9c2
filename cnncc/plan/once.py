"""Stages that depend on no image: they run once a call, before its first image.

An input that all images share may be weights that arrive, and a state is the same for all. What is computed from such
values alone, most often weights in the order in which a kernel reads them, is the same for all images. Such stages come
first, and the buffers that they write stay as they are until the call ends. So does an output that depends on no image.
"""

from __future__ import annotations

from dataclasses import replace

from ..machine.target import Target
from .cost.images import fits
from .lower import LoweredGraph
from .memory import least_memory
from .options import PlanOptions
from .plan import Schedule, Stage


def once_first(s: Schedule, works: LoweredGraph, target: Target, options: PlanOptions) -> Schedule:
    """The schedule with these stages in front, if what they keep is not much more than what arrived."""
    if not works.batchable or options.save_memory or not target.l2:
        return s
    shared = {name for name, batched in works.batched.items() if not batched}
    kept = kept_buffers(s, shared, own_outputs(s, works))
    once = [stage for stage in s.stages if s.steps[stage.steps[0]].target.buffer in kept]
    if not once:
        return s
    others = tuple(stage for stage in s.stages if stage not in once)
    moved = replace(s, stages=(*(replace(stage, once=True) for stage in once), *others))
    arrived = sum(
        buffer.nbytes
        for buffer in s.buffers.values()
        if buffer.space == "state" or (buffer.space == "input" and buffer.name in shared)
    )
    return moved if fits(least_memory(moved), least_memory(s) + arrived) else s


def own_outputs(s: Schedule, works: LoweredGraph) -> set[str]:
    """The buffers of the outputs that are the same for all images."""
    places = {works.places[name] for name in works.own}
    return {name for name, buffer in s.buffers.items() if buffer.space == "output" and buffer.place in places}


def kept_buffers(s: Schedule, shared: set[str], own: set[str]) -> set[str]:
    """The buffers of the arena, and `own` outputs, that only stages write which read nothing but `shared` inputs,
    states, weights and each other.

    At least one of these reads something: a border that is filled belongs to what it surrounds.
    """
    writers: dict[str, list[Stage]] = {}
    for stage in s.stages:
        for number in stage.steps:
            writers.setdefault(s.steps[number].target.buffer, []).append(stage)
    kept: set[str] = set()
    for name, stages in writers.items():  # in the order of the stages, so what is read has been looked at
        sources = [source.buffer for stage in stages for source in s.steps[stage.steps[0]].sources]
        plain = all(len(stage.steps) == 1 and s.steps[stage.steps[0]].scratch is None for stage in stages)
        known = all(source in shared | kept or s.buffers[source].space in ("weights", "state") for source in sources)
        if plain and known and sources and (s.buffers[name].space == "arena" or name in own):
            kept.add(name)
    return kept
