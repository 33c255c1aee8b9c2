"""Why a layer needs no step of its own, from the results of the planner's phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plan.jobs import IN_PLACE_ARRANGEMENTS, VIEW_ARRANGEMENTS
from ..plan.lower import LoweredGraph, LoweredOp
from ..plan.plan import Plan
from ..plan.tensors import Tensor, node_of


class Standing:
    """Looks a layer up among the works of the phases: lowered, with values recomputed, laid out."""

    def __init__(self, plan: Plan, found: Mapping[str, Any]):
        self.plan = plan
        self.lowered: LoweredGraph = found["lowered"]
        self.recomputed: LoweredGraph = found["recomputed"]
        self.jobs = {job.result: job for job in found["bufferization"].layout.jobs}
        self.works: dict[str, list[LoweredOp]] = {}
        for work in self.lowered.works:
            self.works.setdefault(node_of(work.result), []).append(work)
        self.readers = self.lowered.readers

    def why(self, layer: str) -> str:
        """The reason as a sentence, for a layer that no step belongs to."""
        works = self.works.get(layer, [])
        if not works:
            return "all that it reads is known when compiling, so it was computed then"
        together = [number for number, step in enumerate(self.plan.steps) if layer in step.layers]
        if together:
            owner = self.plan.steps[together[0]].layers[0]
            return f"step {together[0]} of '{owner}' computes it as well, fibre by fibre, and stores nothing between"
        makers = self.recomputed.makers
        if works[-1].result not in makers:
            into = ", ".join(dict.fromkeys(f"'{name}'" for name in self.readers_of(works[-1].result)))
            return f"its expression is computed where it is read, in {into}: its result is neither stored nor loaded"
        computation = works[-1].computation
        if isinstance(computation, VIEW_ARRANGEMENTS):
            return "it is a view: readers find its elements, by other strides, in the memory of what it reads"
        if isinstance(computation, IN_PLACE_ARRANGEMENTS):
            return "what it joins is computed at its place inside of the result: nothing moves"
        return "its readers read through it, by strides or by a table of indices: nothing moves"

    def readers_of(self, tensor: Tensor) -> list[str]:
        """The layers that read a tensor, directly or through expressions that vanished as well."""
        makers, found = self.recomputed.makers, list[str]()
        for reader in self.readers.get(tensor, []):
            found += [node_of(reader.result)] if reader.result in makers else self.readers_of(reader.result)
        return found

    def inside(self, layer: str) -> list[str]:
        """The layers whose expressions are computed where this one reads them."""
        makers = self.recomputed.makers
        return [
            name
            for name, works in self.works.items()
            if name != layer and works[-1].result not in makers and layer in self.readers_of(works[-1].result)
        ]
