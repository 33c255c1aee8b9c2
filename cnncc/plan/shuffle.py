"""Lowered ops → lowered ops: shuffled channels are index tables, not copies.

A channel shuffle is a reshape, a transpose and a reshape back. Here its result becomes a gather of channels, which a
convolution that loads one channel after the other reads at no cost. Gathers are propagated towards such readers:
through slices, through depthwise convolutions (whose weights are permuted instead), and through concatenations, whose
operands are read in the order of their channels in memory, run by run. So a block that passes half of its channels on
moves a few runs of neighbouring channels, and nothing else (the blocks of Ma et al., ShuffleNet V2, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..computation import Concatenate, Contraction, Permute, RowMajorReshape, StridedSlice, Take, replaced
from ..types import TensorType
from .lower import LoweredGraph, LoweredOp, Operand
from .tensors import Tensor

MOST_RUNS = 16
"""The most runs of channels in which a concatenation is made; beyond it a table of single channels is no slower."""


@dataclass(frozen=True)
class ChannelSelection:
    """A tensor whose channel c is channel `indices[c]` of `source`."""

    source: Tensor
    indices: tuple[int, ...]

    def then(self, indices: Sequence[int]) -> ChannelSelection:
        """A selection of its channels."""
        return ChannelSelection(self.source, tuple(self.indices[index] for index in indices))

    @property
    def ranks(self) -> list[int]:
        """For each channel, the number of the others that come before it in the source."""
        order = {index: place for place, index in enumerate(sorted(self.indices))}
        return [order[index] for index in self.indices]

    @property
    def repeats(self) -> bool:
        """Whether a channel is selected more than once."""
        return len(set(self.indices)) < len(self.indices)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """(first, number) of each run of neighbouring channels, in the order of the source."""
        found: list[tuple[int, int]] = []
        for index in sorted(self.indices):
            if found and index == sum(found[-1]):
                found[-1] = found[-1][0], found[-1][1] + 1
            else:
                found.append((index, 1))
        return found


def shuffles_as_tables(works: LoweredGraph) -> LoweredGraph:
    """The same program with every selection of channels as a gather, moved to where it costs least."""
    rewriter = Shuffles(works)
    for work in works.works:
        rewriter.rewrite(work)
    return replace(works, works=rewriter.works, types=rewriter.types, constants=rewriter.constants)


def shuffled(shape: Sequence[int], between: Sequence[int], axes: Sequence[int]) -> list[int] | None:
    """The channels of a tensor in the order of the transposed factors of their axis, if no other axis moves."""
    factors = len(between) - len(shape) + 1
    if len(shape) < 3 or factors < 1:
        return None
    moved, still = axes[1 : factors + 1], (0, *range(factors + 1, len(between)))
    others = between[0], *between[factors + 1 :]
    if (axes[0], *axes[factors + 1 :]) != still or others != (shape[0], *shape[2:]):
        return None
    channels = np.arange(shape[1]).reshape(between[1 : factors + 1])
    order: list[int] = channels.transpose([axis - 1 for axis in moved]).ravel().tolist()
    return order


class Shuffles:
    """Rewrites lowered ops in order; `picked` has the tensors that are a selection of another tensor's channels."""

    def __init__(self, works: LoweredGraph):
        self.types, self.constants = dict(works.types), dict(works.constants)
        self.leaving = works.leaving
        self.makers, self.readers = works.makers, works.readers
        self.picked: dict[Tensor, ChannelSelection] = {}
        self.works: list[LoweredOp] = []

    def rewrite(self, work: LoweredOp) -> None:
        """Append the replacement of a lowered op."""
        picked = self.choice(work) or self.carried(work)
        if picked is None:
            self.works.append(work)
        else:
            self.picked[work.result] = picked
            self.works.append(LoweredOp(work.name, Take(1, picked.indices), [picked.source], work.result))

    def carried(self, work: LoweredOp) -> ChannelSelection | None:
        """The result of a lowered op as a selection of channels, if all of its readers can read one; else None."""
        if not self.accepts_gather(work.result):
            return None
        if isinstance(work.computation, Concatenate):
            return self.by_runs(work, work.computation)
        return self.in_source_order(work) if self.movable(work) else None

    # Results that are a selection of channels

    def choice(self, work: LoweredOp) -> ChannelSelection | None:
        """The channels that an arrangement selects, if it does nothing else."""
        computation = work.computation
        if isinstance(computation, RowMajorReshape):
            return self.shuffle(work)
        if not isinstance(computation, StridedSlice | Take) or computation.axis != 1:
            return None
        (operand,) = work.operands
        size = self.types[work.result].shape[1]
        if isinstance(computation, Take):
            return self.origin(operand).then(computation.indices)
        if operand not in self.picked:
            return None  # a slice is a view already
        return self.origin(operand).then(
            range(self.types[operand].shape[1])[computation.begin :: computation.step][:size]
        )

    def shuffle(self, work: LoweredOp) -> ChannelSelection | None:
        """The selection by a reshape, a transpose and a reshape back that move only channels."""
        turn = self.makers.get(work.operands[0])
        split = self.makers.get(turn.operands[0]) if turn and turn.operands else None
        if not (
            turn and isinstance(turn.computation, Permute) and split and isinstance(split.computation, RowMajorReshape)
        ):
            return None
        shape, between = self.types[split.operands[0]].shape, self.types[split.result].shape
        order = shuffled(shape, between, turn.computation.axes)
        if order is None or self.types[work.result].shape != shape:
            return None
        return self.origin(split.operands[0]).then(order)

    def origin(self, tensor: Tensor) -> ChannelSelection:
        return self.picked.get(tensor) or ChannelSelection(tensor, tuple(range(self.types[tensor].shape[1])))

    # Propagation towards readers

    def accepts_gather(self, tensor: Tensor) -> bool:
        """Whether all readers of a tensor can read a selection of channels, or propagate it."""
        return tensor not in self.leaving and all(
            self.reads_gather(work, tensor) for work in self.readers.get(tensor, ())
        )

    def reads_gather(self, work: LoweredOp, tensor: Tensor) -> bool:
        """Whether a lowered op can read a selection of a tensor's channels, or propagate it."""
        match work.computation:
            case Contraction() as c:
                return self.takes_image(work, c, tensor)
            case StridedSlice(axis=1) | Take(axis=1) | Concatenate(axis=1):
                return self.accepts_gather(work.result)
            case RowMajorReshape():
                ends = [end for turn in self.readers.get(work.result, ()) for end in self.readers.get(turn.result, ())]
                return bool(ends) and all(self.shuffle(end) and self.accepts_gather(end.result) for end in ends)
        return False

    def takes_image(self, work: LoweredOp, c: Contraction, tensor: Tensor) -> bool:
        """Whether a convolution reads a tensor only as its image, and one channel after the other."""
        if work.reads.count(tensor) != 1 or work.operands[0] != tensor:
            return False
        loads = c.groups == 1 and bool(c.window) and not c.weights_per_image
        return loads or (self.has_known_weights(work) and self.accepts_gather(work.result))

    def has_known_weights(self, work: LoweredOp) -> bool:
        """Whether a lowered op is a depthwise convolution whose channels can be permuted."""
        c = work.computation
        known = all(operand in self.constants for operand in work.operands[1:])
        by_channel = all(extra.tensor in self.constants and extra.dims == (1,) for extra in work.extras)
        return isinstance(c, Contraction) and c.depthwise and known and by_channel

    def movable(self, work: LoweredOp) -> bool:
        """Whether a depthwise convolution of shuffled channels can be computed before the shuffle."""
        if not self.has_known_weights(work) or work.operands[0] not in self.picked:
            return False
        picked = self.picked[work.operands[0]]
        return sorted(picked.indices) == list(range(self.types[picked.source].shape[1]))

    def in_source_order(self, work: LoweredOp) -> ChannelSelection:
        """A depthwise convolution of the channels in the order of the source, with permuted weights."""
        picked = self.picked[work.operands[0]]

        def placed(tensor: Tensor) -> Tensor:
            array = self.constants[tensor]
            moved = np.empty_like(array)
            moved[list(picked.indices)] = array
            name = Tensor("moved", (tensor, picked.source), picked.indices)
            self.constants[name], self.types[name] = moved, self.types[tensor]
            return name

        result = self.new(Tensor("by source", (work.result,)), self.types[work.result].shape)
        extras = [Operand(placed(extra.tensor), extra.dims) for extra in work.extras]
        operands = [picked.source, *map(placed, work.operands[1:])]
        self.works.append(replace(work, operands=operands, result=result, extras=extras))
        return ChannelSelection(result, picked.indices)

    def by_runs(self, work: LoweredOp, join: Concatenate) -> ChannelSelection | None:
        """A concatenation of the runs of neighbouring channels of its operands' sources, in their order."""
        if join.axis != 1 or self.picked.keys().isdisjoint(work.operands):
            return None
        origins = [self.origin(operand) for operand in work.operands]
        if any(origin.repeats for origin in origins) or sum(len(origin.runs) for origin in origins) > MOST_RUNS:
            return None
        places: list[int] = []
        for origin in origins:
            places += [len(places) + place for place in origin.ranks]
        parts = [self.run(work, origin.source, *run) for origin in origins for run in origin.runs]
        result = self.new(Tensor("by runs", (work.result,)), self.types[work.result].shape)
        self.works.append(replace(work, operands=parts, result=result))
        return ChannelSelection(result, tuple(places))

    def run(self, work: LoweredOp, source: Tensor, first: int, number: int) -> Tensor:
        """Some neighbouring channels of a tensor."""
        shape = self.types[source].shape
        if number == shape[1]:
            return source
        part = self.new(Tensor("run", (work.result, source), (first, number)), replaced(shape, 1, number))
        self.works.append(LoweredOp(work.name, StridedSlice(1, first), [source], part))
        return part

    def new(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        self.types[tensor] = TensorType(shape)
        return tensor
