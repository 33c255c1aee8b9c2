"""Cycles that several shards add or save: barriers, cache lines written by other shards, uneven partitions."""

from __future__ import annotations

import math

from ...machine.core import Core

TYPICAL_SHARDS = 2  # shards for which stages are divided
BALANCED_SHARDS = (2, 4)  # the numbers of shards for which a step is shared evenly
MORE_EVEN = 0.9  # of the work of the busiest shard: images that are no ranges of memory have to leave it less than that
FASTER = 0.97  # of the time that fewer shards take: more have to be that much faster
REPLICATED_ELEMENTS = 16 << 10  # bytes that every shard may have a copy of: a third of a first cache
NARROW = 4  # times that one position by itself takes, where a share is narrower than a tile
LONG_SUM = 1 << 15  # elements: with 2 cycles for a vector of 16, their sum takes as long as a barrier
FEW_ROWS = 3  # rows of Winograd's tiles, up to which shards share blocks of outputs
UNDIVIDED = 1.05  # what one tile may save for one shard beside several, of which each shard computes some
UNSHARED = 1.02  # what an odd number of blocks may then save for one shard: two share it unevenly
SLACK = 1.03  # times its lower bound that an arena may take so that buffers are kept to the next barrier


def foreign(core: Core, size: float) -> float:
    """Cycles to fetch bytes that another shard wrote."""
    return core.foreign_line_cycles / core.line_bytes * size


def largest_part(pieces: int, shards: int) -> float:
    """The fraction of a stage that the busiest shard computes."""
    return math.ceil(pieces / shards) / pieces
