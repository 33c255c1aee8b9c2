"""The decisions between layers as sentences with numbers: borders, streams, copies, places of results, images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..plan import PlanOptions
from ..plan.borders import border_cycles, may_bring, wanted_borders
from ..plan.bufferization import Bufferization
from ..plan.jobs import PlannedOp, layers_of
from ..plan.plan import Plan, Step
from ..plan.tensors import Tensor, node_of
from ..plan.text import copied_bytes, split_words
from .reasons import Choice
from .standing import Standing

COPIES: Mapping[str, str] = {
    "copy": ": its kernel reads another order of memory",
    "bordered": ", where it has the border that windows read",
    "output": ", since it is computed elsewhere or in another order",
    "update": ", since it is computed elsewhere or in another order",
    "stored": ", since the state is read until then",
}
"""What a copy is for, by the kind of tensor that it makes."""


class Decisions:
    """Tells of the decisions that concern a layer."""

    def __init__(self, plan: Plan, found: Mapping[str, Any], standing: Standing):
        self.plan, self.standing = plan, standing
        self.options: PlanOptions = found["options"]
        self.bufferization: Bufferization = found["bufferization"]
        self.wanted = wanted_borders(self.bufferization)
        self.spent = border_cycles(self.bufferization, self.wanted)
        jobs = self.bufferization.layout.jobs
        self.jobs: dict[str, list[PlannedOp]] = {}
        for job, layers in zip(jobs, layers_of(jobs), strict=True):
            self.jobs.setdefault(layers[0], []).append(job)

    def of(self, layer: str, numbers: Sequence[int], choices: Sequence[Choice]) -> tuple[str, ...]:
        """All sentences about a layer with the steps of these numbers."""
        steps = [(number, self.plan.steps[number]) for number in numbers]
        found = [
            *self.borders(layer),
            *self.streams(numbers),
            *self.copies(layer, steps),
            *self.splits(steps),
            *self.expressions(layer, steps),
            *self.places(layer, steps),
            *self.images(steps),
        ]
        return tuple(dict.fromkeys(found))

    def borders(self, layer: str) -> Iterator[str]:
        """Whether the image that a window reads brings a border, and what that saves and costs."""
        for job in self.jobs.get(layer, ()):
            if job.kernel and any(any(axis.reach) for axis in job.kernel.window):
                reach = ", ".join("+".join(map(str, axis.reach)) for axis in job.kernel.window)
                root, _ = self.bufferization.root(job.operands[0])
                if root in self.bufferization.borders:
                    how = "its image lies in memory with a border that is filled beforehand (halo)"
                else:
                    how = "its image has no border, and the kernel tests its edges (clip)"
                yield f"its window reaches {reach} elements beyond the image: {how}; {self.border_reason(root)}"

    def border_reason(self, root: Tensor) -> str:
        """Why the buffer of a tensor brings a border, or brings none."""
        if root in self.bufferization.callers:
            return "it lies in the caller's memory"
        if root in self.bufferization.links:
            return "a ring of rows has none"
        if self.options.save_memory or self.options.borders == "none":
            return "the options of the plan allow none"
        if root not in self.wanted:
            return "it is tested as fast as a border is read, or its axes lie otherwise in memory"
        if not may_bring(self.bufferization, root):
            return "other steps read that memory by other axes, or add along it"
        saved, spent = self.wanted[root].saved, self.spent[root]
        if math.isinf(spent):
            return "there is no memory for one"
        return f"tests would take {saved:,.0f} cycles, a border {spent:,.0f}"

    def streams(self, numbers: Sequence[int]) -> Iterator[str]:
        """The chains of steps in which it runs a few rows at a time."""
        for stage in self.plan.stages:
            if len(stage.steps) < 2 or not set(stage.steps) & set(numbers):
                continue
            rings = [self.plan.steps[member].target for member in stage.steps[:-1]]
            held = sum(self.plan.buffer(view).nbytes for view in rings)
            whole = sum(self.plan.buffer(view).dtype.bytes * math.prod(view.shape) for view in rings)
            first, *_, last = (self.plan.steps[member].name for member in stage.steps)
            yield (
                f"it runs in a stream of {len(stage.steps)} steps, from '{first}' to '{last}', {stage.block} rows at a "
                f"time: rings of {held:,} bytes in place of tensors of {whole:,}"
            )

    def copies(self, layer: str, steps: Sequence[tuple[int, Step]]) -> Iterator[str]:
        """Copies that it needs, and what for."""
        kinds = {job.work.name: job.result.kind for job in self.jobs.get(layer, ()) if job.is_copy}
        for number, step in steps:
            if size := copied_bytes(self.plan, step):
                why = COPIES.get(kinds[step.name], "") if step.name in kinds else ""
                source, target = step.sources[0].buffer, step.target.buffer
                yield f"step {number} copies {size:,} bytes of '{source}' to '{target}'{why}"

    def splits(self, steps: Sequence[tuple[int, Step]]) -> Iterator[str]:
        for number, step in steps:
            if step.split:
                yield f"step {number} stands {split_words(step.split)}"

    def expressions(self, layer: str, steps: Sequence[tuple[int, Step]]) -> Iterator[str]:
        """What it computes besides its own."""
        if inside := self.standing.inside(layer):
            names = ", ".join(f"'{name}'" for name in inside)
            yield f"it computes {names} where it reads the values, once more for each reader: they are not stored"
        for number, step in steps:
            if len(step.layers) > 1:
                names = ", ".join(f"'{name}'" for name in step.layers[1:])
                yield f"step {number} computes {names} as well, fibre by fibre, without storing what is between"

    def places(self, layer: str, steps: Sequence[tuple[int, Step]]) -> Iterator[str]:
        """Where its result lies: inside of another one, in the caller's memory, over what it reads."""
        for job in self.jobs.get(layer, ()):
            if (place := self.bufferization.inside.get(job.result)) and not job.is_copy:
                yield f"its result is computed at its place inside of '{node_of(place.tensor)}', which so needs no copy"
        for number, step in steps:
            space, name = self.plan.buffer(step.target).space, step.target.buffer
            if space in ("output", "state"):
                yield f"step {number} writes to the caller's memory: '{name}'"
            if over := self.plan.buffer(step.target).over:
                yield f"'{name}' takes the place of '{over}', which nobody reads any more when it is written"
            if any(source.buffer == name for source in step.sources):
                yield f"step {number} works in place: '{name}' is read and written"

    def images(self, steps: Sequence[tuple[int, Step]]) -> Iterator[str]:
        """Whether several images of a call share its weights."""
        block = self.plan.block
        if block and any(number in block.steps for number, _ in steps):
            yield (
                f"in calls of at least {block.least} images, up to {block.images} of them are computed at once: its "
                "weights are then read once for all of these"
            )
