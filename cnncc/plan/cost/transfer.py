"""Cycles of transfers between the levels of memory, and how much each level is assumed to hold."""

from __future__ import annotations

import math

from ...elements import Element
from ...machine.core import Core
from ...machine.target import Target

WEIGHTS_OF_L1 = 0.8  # of the first cache for the weights of a block; the image and the results use the rest
ROWS_OF_L1 = 1.1  # of it for the rows of all channels: the tenth that does not fit is read in order, which is cheap
BLOCKS_IN_L1 = 2  # blocks of channels that the first cache could hold: each takes at most half of it
RINGS_OF_L2 = 0.7  # of the second cache for rings, at most: weights and the rows at both ends need the rest
PLANAR_CHANNELS = 8  # up to here, reading a planar image channel by channel beats copying it to channels last
SCARCE = 1.4  # times that a border may grow a buffer of a target without a cache, where memory is short …
SMALL_BORDER = 64 << 10  # … unless it takes no more than so many bytes
LARGE_IMAGE = 4096  # elements of an image whose rows are reduced one by one
FEW_POSITIONS = 400  # up to here, fetching the weights takes a noticeable part of the time of computing with them
LEAST_RUN = 256  # elements of a row of a copy, at least, where one axis is divided for the sake of shards
LINE = 16  # elements of a cache line, in which an axis that a copy transposes is divided
SMALL_AXIS = 8  # elements of an axis, at most, that is interleaved: more are transposed by squares
SQUARES = 2  # side by side: together they read, or write, whole cache lines
SQUARE_BYTES = 32  # of a row of a square: longer ones cross a cache line more often, where a caller's array begins
PREFETCHED = 1024  # bytes ahead: 256 and 4096 gained nothing, this a sixth (from the third cache)
CHUNK_VECTORS = 2  # of each position of a chunk that stay in the first cache while all tiles go over the chunk
UNCACHED_CHUNK = 256  # positions of a chunk where there is no cache: sums of chunks have smaller errors than one chain
PACKED_READS = 8  # by tiles of an operand that is packed for a chunk, at least: packing takes about as long as one
CONFLICT_SETS = 8  # of the first cache: pixels that map to at most so many sets evict each other


def arrival(target: Target, held: float, fetched: int, *, streamed: bool) -> float:
    """Cycles to fetch `fetched` bytes of a block of `held` bytes from the second cache; 0 if it stays in the first.

    `streamed` tells that the pipes have nothing else to do meanwhile.
    """
    if held <= WEIGHTS_OF_L1 * target.l1:
        return 0.0
    return fetched / (target.core.l2_stream_rate if streamed else target.core.l2_rate)


def positions_in_l1(target: Target, vector: int) -> int:
    """Positions of a chunk: so many that some vectors of `vector` bytes of each stay in the first cache."""
    return int(WEIGHTS_OF_L1 * target.l1) // (CHUNK_VECTORS * vector) or UNCACHED_CHUNK


def share_of_sets(core: Core, run: int, pitch: int) -> float:
    """The share of the first cache that runs of `run` bytes can use which begin `pitch` bytes apart (0: no gaps).

    A line can only lie in its set. With runs of 256 bytes at a distance of 512 half of the sets stay empty; at 704
    bytes, with which the sets have no large divisor in common, none do.
    """
    if not pitch or not core.l1_sets:
        return 1.0
    return min(1.0, run / math.gcd(pitch, core.l1_sets * core.line_bytes))


def line_by_line(core: Core, size: int) -> float:
    """Least cycles to read `size` bytes from the second cache, or to write them, each line once."""
    return core.l2_line_cycles / core.line_bytes * size


def weights_cycles(core: Core, size: int, *, beyond: bool, distant: bool = False) -> float:
    """Cycles to fetch weights from the second cache, from the third if `beyond`, or from memory if also `distant`."""
    return size / (core.l2_rate if not beyond else core.dram_rate if distant else core.l3_weights_rate)


def round_trip(target: Target, size: int) -> float:
    """Cycles to write a tensor of `size` bytes out of the second cache and to read it back."""
    beyond = min(1.0, max(0.0, 2 * size / target.l2 - 1)) if target.l2 else 0.0
    return 2 * size * beyond / target.core.l3_rate


def passed(target: Target, size: int) -> float:
    """Least cycles to read a tensor of `size` bytes, or to write it, beyond those in the first cache.

    All of it comes from the second one if it is twice as large as the first, none if it fits.
    """
    beyond = min(1.0, max(0.0, size / target.l1 - 1)) if target.l1 else 0.0
    return beyond * line_by_line(target.core, size) + round_trip(target, size) / 2


def reordered(core: Core, elements: float) -> float:
    """Cycles of a copy that changes the memory order of elements."""
    return core.reorder_cycles * elements


def copied(target: Target, elements: int) -> float:
    """Cycles of a copy that keeps the order."""
    return target.core.copy_cycles * elements / target.lanes


def prefetched(target: Target, elements: int, element: Element) -> int:
    """How far a loop over so many elements prefetches, in elements: not at all if they stay in the second cache."""
    return PREFETCHED // element.bytes if elements * element.bytes > target.l2 > 0 else 0


def conflict_stride(core: Core) -> int:
    """Bytes of such a distance, or a multiple of it, crowd in few sets of the first cache: at most 8 of 64.

    0 for a core without a cache.
    """
    return core.l1_sets // CONFLICT_SETS * core.line_bytes
