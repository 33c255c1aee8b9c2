"""The options of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Streaming = Literal["none", "pools", "cost", "chains", "memory"]
Sharing = Literal["cost", "all"]
Borders = Literal["cost", "all", "none"]


@dataclass(frozen=True)
class PlanOptions:
    """The options of a plan.

    `streaming` 'none' stores every tensor whole; 'pools' feeds overlapping pools through a ring of rows. 'cost' also
    runs chains of layers a few rows at a time where that saves more than it costs (see `plan.stream`); 'chains' runs
    every possible chain so, and 'memory' those that together take the least memory (see `plan.minimise`).
    `borders` 'cost' gives a buffer the border that windows read where that saves more than it costs (see
    `plan.borders`), 'all' each that may have one, 'none' none: then kernels clip at the edges.
    `sharing` 'cost' runs stages that take less time than a barrier on one shard (see `plan.stage_partition`); 'all'
    divides every stage.
    `images_at_once` is the most images of a call that layers bound by their weights compute together, where that saves
    time (see `plan.image_blocks`); 1 computes image by image, and so do plans that save memory.
    `choices` are pairs (signature, label): the candidate to take for a contraction (see `plan.candidates`) in place
    of the cheapest by the model. With `replaceable` weights, arrays that are equal by chance are stored apart, so that
    others can take their places. `source` is the file that they come from, if any: then they must all fit the model.
    """

    streaming: Streaming = "cost"
    borders: Borders = "cost"
    choices: tuple[tuple[str, str], ...] = ()
    sharing: Sharing = "cost"
    images_at_once: int = 16
    replaceable: bool = False
    source: str = field(default="", repr=False, compare=False)

    @property
    def save_memory(self) -> bool:
        """Whether the plan saves memory at the cost of cycles."""
        return self.streaming in ("chains", "memory")
