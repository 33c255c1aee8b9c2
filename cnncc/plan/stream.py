"""Which layers run together, a few rows at a time, so that the tensors between them stay in the cache.

A link joins the producer of a tensor to its only reader. Without a link, a tensor of t bytes that the second cache
cannot hold is written to the third and read back:

    saved = 2·t / l3_rate    (all of it from L2 bytes on, none up to L2 / 2, where it stays in the cache anyway)

A layer with few multiply-adds a byte is bound by this transfer, so the cycles are saved in full: expanding 16 channels
to 96 on 112² positions takes 48 cycles of multiply-adds for 384 bytes, which take 13. With a link, each round of a few
rows calls the kernels once more, and at the seams of shards both compute the rows that both need:

    spent = rounds · round_cycles + (extent − stride) · cycles of a row + CLIP · cycles of a direct reader with a border

A round has the most rows, up to four, whose rings fit together into seven tenths of the second cache: more
rows read the weights less often. A run of layers is cut into the chains that together save most. (Fusion of tiled
loops is older than networks; for layers see Alwani et al., Fused-Layer CNN Accelerators, 2016.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence, Set

from ..computation import Contraction, Pointwise, WindowReduction
from ..machine.target import Target
from ..types import TensorType
from .cost import step, transfer
from .jobs import Layout, PlannedOp
from .kernels.base import RowNeed, row_need
from .options import PlanOptions, Streaming
from .tensors import Tensor
from .views import ROW_AXIS, elements

ROWS = (4, 3, 2, 1)  # rows of the last layer in a round; more rows were not faster in any measurement
LONGEST_CHAIN = 12  # most steps of a chain


def links(layout: Layout, options: PlanOptions) -> frozenset[Tensor]:
    """The tensors that will become rings of rows."""
    if options.streaming == "none":
        return frozenset()
    chains = (chain for run in runs(layout) for chain in chains_of(layout, run, options.streaming))
    return frozenset(job.result for chain in chains for job in chain[:-1])


def rings_of_one_row(layout: Layout, links: Set[Tensor]) -> frozenset[Tensor]:
    """The links whose reader takes row by row."""
    readers = ((job.operands[0], need(job)) for job in layout.jobs if job.operands and job.operands[0] in links)
    return frozenset(tensor for tensor, rows in readers if rows and rows.extent == 1)


def chains_of(layout: Layout, run: Sequence[PlannedOp], streaming: Streaming) -> Sequence[Sequence[PlannedOp]]:
    """The chains of a run: those that save most, pools with their producers, or the run as a whole, by `streaming`."""
    if streaming == "cost":
        return best_chains(layout, run)
    if streaming == "pools":
        return [run[at : at + 2] for at in range(len(run) - 1) if _is_pool(run[at + 1])]
    return [run]


def runs(layout: Layout) -> Iterator[list[PlannedOp]]:
    """The longest chains of jobs in which each job is the only reader of the job before, row by row."""
    readers: dict[Tensor, list[PlannedOp]] = {}
    for job in layout.jobs:
        for tensor in job.reads:
            readers.setdefault(tensor, []).append(job)
    run: list[PlannedOp] = []
    for job in layout.jobs:
        alone = bool(run) and readers.get(run[-1].result) == [job] and job.operands[0] == run[-1].result
        if alone and may_link(layout, run[-1], job):
            run.append(job)
        else:
            yield run
            run = [job]
    yield run


def best_chains(layout: Layout, run: Sequence[PlannedOp]) -> list[Sequence[PlannedOp]]:
    """The run cut into the chains that together save most, by dynamic programming over its beginnings.

    It is a longest path from cut to cut; each edge is used once, so a networkx graph would only store a copy of them.
    """
    best: list[tuple[float, list[Sequence[PlannedOp]]]] = [(0.0, [])]
    for end in range(1, len(run) + 1):
        options = [
            (best[begin][0] + gain(layout, run[begin:end]), [*best[begin][1], run[begin:end]])
            for begin in range(max(0, end - LONGEST_CHAIN), end)
        ]
        best.append(max(options, key=lambda option: option[0]))
    return best[-1][1]


def may_link(layout: Layout, maker: PlannedOp, reader: PlannedOp) -> bool:
    """Whether maker and reader both compute row by row, over images of one rank.

    What updates a state waits until the state is read no more: not row by row.
    """
    types = layout.types
    ranks = {types[tensor].rank for tensor in (maker.result, reader.operands[0], reader.result)}
    ours = maker.result not in layout.leaving and reader.result not in layout.direct_updates
    return ours and min(ranks) > 3 and len(ranks) == 1 and by_rows(maker) and by_rows(reader)


def by_rows(job: PlannedOp) -> bool:
    """Whether a job can compute a few rows at a time."""
    return need(job) is not None


def _is_pool(job: PlannedOp) -> bool:
    return isinstance(job.work.computation, WindowReduction)


def gain(layout: Layout, chain: Sequence[PlannedOp]) -> float:
    """Cycles that a chain saves, or −∞ if it should not be one; 0 for a single job."""
    if len(chain) < 2:
        return 0.0
    if any(job.kernel and job.kernel.prefers_many_rows for job in chain):
        return -math.inf
    types = [layout.types[job.result] for job in chain]
    needs = [found for job in chain if (found := need(job))]
    total = -cycles_of_rounds(layout.target, needs, types)
    for maker, reader, rows_read, type in zip(chain, chain[1:], needs[1:], types, strict=False):
        total += transfer.round_trip(layout.target, type.nbytes)
        again = rows_read.extent - rows_read.stride
        total -= max(0, again) * _cycles(layout, maker) / type.shape[ROW_AXIS]
        if reader.kernel and reader.kernel.prefers_border and again > 0:
            total -= step.CLIP * _cycles(layout, reader)
    return total


def cycles_of_rounds(target: Target, needs: Sequence[RowNeed], types: Sequence[TensorType]) -> float:
    """Cycles of the calls of a chain, a round for each few rows; infinite if its rings do not fit into the cache."""
    rows = rows_of_a_round(target, needs, types)
    if rows < step.ROWS_OF_A_ROUND or not fits(target, needs, types, rows):
        return math.inf
    return target.core.round_cycles * len(needs) * types[-1].shape[ROW_AXIS] / rows


def _cycles(layout: Layout, job: PlannedOp) -> float:
    """Least cycles of the multiply-adds of a job."""
    c = job.work.computation
    if not isinstance(c, Contraction):
        return 0.0
    taps = c.taps * c.channels // c.groups
    return math.prod(layout.types[job.result].shape) * taps / step.peak(layout.target)


def need(job: PlannedOp) -> RowNeed | None:
    """Rows of its image that a job reads, pooling included; None if it does not compute row by row."""
    if job.kernel:
        return job.kernel.row_need if job.kernel.streams else None
    if job.parts:
        return None
    match job.work.computation:
        case WindowReduction(window):
            return row_need(window)
        case Pointwise():
            return RowNeed()
    return None


def ring_heights(needs: Sequence[RowNeed], rows: int, *, by_need: bool = False, lead: int = 0) -> list[int]:
    """Rows of the ring after each step of a chain but the last, which computes `rows` rows in a round.

    In one round a step computes at most the rows that the next step reads for its own rows, rounded up to its
    granularity. In the first round that is the whole extent of the windows, later the strides between them. Heights
    are powers of two, so that a mask wraps the index. With `by_need` a step computes one grain at a time, so a ring
    holds the windows of one grain of the next step, whatever follows, and the first one `lead` rows more.
    """
    heights: list[int] = []
    for place, (maker, reader) in reversed(list(enumerate(itertools.pairwise(needs)))):
        rows = (rows - 1) * reader.stride + max(reader.stride, reader.extent) + 2 * (maker.granularity - 1)
        rows += 0 if place else lead
        heights.insert(0, 1 << (rows - 1).bit_length())
        rows = maker.granularity if by_need else rows
    return heights


def lower_than(heights: Sequence[int], types: Sequence[TensorType]) -> bool:
    """Whether rings are lower than the tensors in their places."""
    return all(height < type.shape[ROW_AXIS] for height, type in zip(heights, types, strict=False))


def rows_of_a_round(target: Target, needs: Sequence[RowNeed], types: Sequence[TensorType]) -> int:
    """The most rows of `ROWS` whose rings fit into the cache, else the fewest; 0 where whole tensors are no higher.

    They are whole grains of the last step. `types` are those of the chain's results.
    """
    possible, granularity = 0, needs[-1].granularity
    for rows in (-(-rows // granularity) * granularity for rows in ROWS):
        heights = ring_heights(needs, rows)
        if lower_than(heights, types):
            possible = rows
            if fits(target, needs, types, rows):
                break
    return possible


def fits(target: Target, needs: Sequence[RowNeed], types: Sequence[TensorType], rows: int) -> bool:
    """Whether the rings of a chain leave room in the second cache."""
    heights = ring_heights(needs, rows)
    pairs = zip(types, heights, strict=False)
    rings = sum(type.dtype.bytes * elements(type.shape, ring=height) for type, height in pairs)
    return rings <= transfer.RINGS_OF_L2 * target.l2
