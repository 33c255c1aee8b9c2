"""What may be chosen about a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Streaming = Literal["none", "pools", "cost", "chains"]
Sharing = Literal["cost", "all"]


@dataclass(frozen=True)
class PlanOptions:
    """What may be chosen about a plan.

    `streaming` 'none' stores every tensor whole, 'pools' feeds overlapping pools through a ring of rows, 'cost' also
    runs chains of layers a few rows at a time where that saves more than it costs (see `plan.stream`), 'chains' runs
    every chain that can. `border_limit` is how much a buffer may grow by bringing its border (1.4: by 40 %, reached at
    about 11²), small ones apart; beyond it kernels clip at the edges. 1 means no borders at all.
    `sharing` 'cost' leaves to one shard what is done sooner than shards have met (see `plan.shards`), 'all' shares
    every stage.
    `choices` are pairs (signature, label): the candidate to take for a contraction (see `plan.candidates`) in place
    of the cheapest by the model. `source` is the file that they come from: then they must all fit.
    """

    streaming: Streaming = "cost"
    border_limit: float = 1.4
    choices: tuple[tuple[str, str], ...] = ()
    sharing: Sharing = "cost"
    source: str = field(default="", repr=False, compare=False)

    @property
    def frugal(self) -> bool:
        """Whether memory counts more than cycles."""
        return self.streaming == "chains"

    @property
    def growth(self) -> float:
        """How much a buffer may grow by its border: `border_limit`, or not at all where memory counts."""
        return 1.0 if self.frugal else self.border_limit
