"""Which buffers bring the border that windows read: those where it saves more cycles than it costs.

Without a border, tiles at the edges of an image test every pixel. With one,

    saved   for each convolution that reads it: what tests cost the tiles at the edges (`Kernel.edge_cycles`)
    spent   the stores that fill it, in each call
            + for each step that touches the buffer: the larger way through the caches, and what ends at the end of a
              row where memory without gaps was one run, or the positions of a 1×1 convolution one axis
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..machine.target import Target
from ..types import TensorType
from .bufferization import Bufferization
from .cost import transfer
from .jobs import IN_PLACE_ARRANGEMENTS, VIEW_ARRANGEMENTS, PlannedOp
from .kernels import Fill
from .options import PlanOptions
from .tensors import Tensor
from .views import Border, Order, dense_view, elements


@dataclass(frozen=True)
class Wanted:
    """The border that the convolutions which read a tensor want together, and the cycles that it saves them."""

    border: Border
    saved: float


def with_borders(bufferization: Bufferization, options: PlanOptions) -> Bufferization:
    """The same buffers, some of them with borders, as the options say; none where the plan saves memory."""
    if options.borders == "none" or options.save_memory:
        return bufferization
    wanted = {root: one for root, one in wanted_borders(bufferization).items() if may_bring(bufferization, root)}
    spent: Mapping[Tensor, float] = {} if options.borders == "all" else border_cycles(bufferization, wanted)
    kept = {root: one.border for root, one in wanted.items() if root not in spent or spent[root] < one.saved}
    return replace(bufferization, borders=kept)


def affordable(target: Target, type: TensorType, border: Border) -> bool:
    """Whether there is memory for a border."""
    grown, size = elements(type.shape, border), type.size
    few = grown <= transfer.SCARCE * size or (grown - size) * type.dtype.bytes <= transfer.SMALL_BORDER
    return few or target.l1 > 0


def wanted_borders(bufferization: Bufferization) -> dict[Tensor, Wanted]:
    """What convolutions want, by the tensor whose buffer may bring it.

    Kernels that clip as fast as they read a border want none.
    """
    wanted: dict[Tensor, Wanted] = {}
    target, types = bufferization.layout.target, bufferization.types
    for job in bufferization.layout.jobs:
        if job.kernel is None or not job.kernel.prefers_border:
            continue
        root, same = bufferization.root(job.operands[0])
        reach = (0, 0), (0, 0), *(window.reach for window in job.kernel.window)
        if same and any(map(any, reach)):
            saved = types[job.operands[0]].shape[0] * job.kernel.edge_cycles(target)
            before = wanted.get(root, Wanted(((0, 0),) * types[root].rank, 0.0))
            wanted[root] = Wanted(wider(before.border, reach), before.saved + saved)
    return wanted


def wider(border: Border, other: Border) -> Border:
    """The least border that contains both; the second may have fewer axes."""
    sides = itertools.zip_longest(border, other, fillvalue=(0, 0))
    return tuple((max(a[0], b[0]), max(a[1], b[1])) for a, b in sides)


def may_bring(bufferization: Bufferization, root: Tensor) -> bool:
    """Whether a buffer may bring a border: it is not the caller's, keeps its shape and sums, and becomes no ring."""
    ours = root in bufferization.makers and root not in bufferization.callers
    return ours and root not in bufferization.reshaped | bufferization.summed | bufferization.links


def border_cycles(bufferization: Bufferization, wanted: Mapping[Tensor, Wanted]) -> dict[Tensor, float]:
    """Cycles that each border costs: to fill it, and of all jobs that touch its buffer."""
    target, types, orders = bufferization.layout.target, bufferization.types, bufferization.orders
    spent = {root: fill_cycles(target, types[root], orders[root], one.border) for root, one in wanted.items()}
    for job in bufferization.layout.jobs:
        for root in touched(bufferization, job):
            if root in spent:
                spent[root] += grown_cycles(target, types[root], wanted[root].border)
                spent[root] += parted_cycles(target, job, types[root], orders[root])
    scarce = (root for root, one in wanted.items() if not affordable(target, types[root], one.border))
    return spent | dict.fromkeys(scarce, math.inf)


def touched(bufferization: Bufferization, job: PlannedOp) -> Iterator[Tensor]:
    """The tensors whose buffers a job reads or writes: views and parts at their place are no work."""
    computation = job.work.computation
    if isinstance(computation, VIEW_ARRANGEMENTS) or (
        isinstance(computation, IN_PLACE_ARRANGEMENTS) and not job.is_copy
    ):
        return
    for tensor in dict.fromkeys([*job.reads, job.result]):
        yield bufferization.root(tensor)[0]


def fill_cycles(target: Target, type: TensorType, order: Order, border: Border) -> float:
    """Cycles to fill the border of a buffer."""
    return Fill(0.0).cycles(target, (), dense_view("", type.shape, order, border))


def grown_cycles(target: Target, type: TensorType, border: Border) -> float:
    """Cycles that a step takes longer to read or write a buffer that grows by a border."""
    grown = elements(type.shape, border) * type.dtype.bytes
    return transfer.passed(target, grown) - transfer.passed(target, type.nbytes)


def parted_cycles(target: Target, job: PlannedOp, type: TensorType, order: Order) -> float:
    """Cycles that a job loses where the rows of a tensor do not follow each other: in a window's rows none.

    Merged positions are an axis again. Other steps have a vector more at the end of each row that lanes do not divide.
    """
    if job.merged and job.chosen:
        return type.shape[0] * max(0.0, job.chosen.cycles - job.merged.cycles)
    if job.kernel:
        return 0.0
    row = type.shape[-1] * (type.shape[1] if order[-1] == 1 else 1)
    rows = type.size // row
    return (rows * math.ceil(row / target.lanes) - type.size / target.lanes) / target.core.moved_vectors


def pays_a_copy(
    target: Target, options: PlanOptions, type: TensorType, order: Order, border: Border, saved: float
) -> bool:
    """Whether a copy of the caller's image with a border costs less than the cycles that the border saves."""
    if options.borders == "none" or options.save_memory or not any(map(any, border)):
        return False
    copied = transfer.copied(target, type.size) + fill_cycles(target, type, order, border)
    return options.borders == "all" or saved > copied + grown_cycles(target, type, border)
