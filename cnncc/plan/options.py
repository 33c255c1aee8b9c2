"""What may be chosen about a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Streaming = Literal["none", "pools", "chains"]


@dataclass(frozen=True)
class PlanOptions:
    """What may be chosen about a plan.

    `streaming` 'pools' feeds overlapping pools through a ring of rows, 'chains' runs every chain that it can a
    few rows at a time, 'none' stores every tensor whole. `border_limit` is how much a buffer may grow by
    bringing its border (1.4: by 40 %, reached at about 11²), small ones apart; beyond it kernels clip at the edges.
    1 means no borders at all.
    `choices` are pairs (signature, label): the candidate to take for a contraction (see `plan.candidates`) in place
    of the cheapest by the model. `source` is the file that they come from: then they must all fit.
    """

    streaming: Streaming = "pools"
    border_limit: float = 1.4
    choices: tuple[tuple[str, str], ...] = ()
    source: str = field(default="", repr=False, compare=False)
