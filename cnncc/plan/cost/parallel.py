"""Cycles that several shards add or save: barriers, cache lines written by other shards, uneven partitions."""

from __future__ import annotations

import math

from ...core import Core
from .transfer import BYTES

TYPICAL = 2  # shards for which stages are divided
BALANCED = (2, 4)  # the numbers of shards for which the partition of a step is balanced
FASTER = 0.97  # of the time of fewer shards: more shards must take at most this part of it to be worth starting
OWN = 4096  # elements of a result that every shard may compute for itself: 16 KiB, a third of a first cache
NARROW = 4  # cycles of a position relative to one in a tile, where the range of a shard is narrower than a tile
FEW_ROWS = 3  # up to this many rows of Winograd's tiles, shards divide blocks of outputs
UNSHARED = 1.02  # factor on the cycles of an odd number of blocks then, which two shards divide unevenly


def foreign(core: Core, elements: float) -> float:
    """Cycles to fetch elements that another shard wrote."""
    return core.foreign_line_cycles * BYTES / core.line_bytes * elements


def largest_part(pieces: int, shards: int) -> float:
    """The fraction of a stage that the busiest shard computes."""
    return math.ceil(pieces / shards) / pieces
