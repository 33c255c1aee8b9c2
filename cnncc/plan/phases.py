"""Lowered ops → lowered ops: phases that read the same points are outputs of one contraction.

The phases of a transposed convolution whose kernel is as large as its stride read the same elements, one tap each, with
other weights. One contraction with all of them as outputs reads its image once, and fills the lanes where a phase has
few outputs: 16 → 3 channels with stride 2 are 12 outputs, not four times 3. Its result lies in blocks of channels that
a move brings into space (as in Shi and others, *Real-time single image and video super-resolution*, 2016), where phases
can be computed in place. So both ways are costed. Windows of several taps may be transformed, phase by phase.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..computation import Computation, Contraction, Interleave, Permute, RowMajorReshape
from ..machine.target import Target
from . import kernels
from .cost import transfer
from .jobs import IN_PLACE_ARRANGEMENTS
from .kernels import Epilogue, LanesAlong, Layer
from .lower import LoweredGraph, LoweredOp
from .nests import Nest, nested
from .options import PlanOptions
from .split import Parts, Way, is_point, merged_positions
from .tensors import Tensor

LANES_ALONG: tuple[LanesAlong, ...] = ("channels", "columns")


def phases_as_outputs(works: LoweredGraph, target: Target, options: PlanOptions) -> LoweredGraph:
    """The same program with such phases as outputs of one contraction, where that is cheaper.

    It takes memory for the blocks of channels: not where memory is to be saved, or where there is no second cache.
    """
    return works if options.save_memory or not target.l2 else Phases(works, target).rewritten()


@dataclass(frozen=True)
class Alike:
    """Contractions of the points of one image; each is a part of `nest`."""

    nest: Nest
    parts: Sequence[LoweredOp]
    contraction: Contraction

    @property
    def together(self) -> Contraction:
        """All of them as one, phase by phase."""
        return replace(self.contraction, outputs=len(self.parts) * self.contraction.outputs)


class Phases:
    """Rewrites the nests of phases; `types` and `constants` are those of the new program."""

    def __init__(self, given: LoweredGraph, target: Target):
        self.given, self.target = given, target
        self.types, self.constants = dict(given.types), dict(given.constants)
        self.makers, self.readers = given.makers, given.readers

    def rewritten(self) -> LoweredGraph:
        """The program with all phases that are cheaper together in one contraction."""
        found = {work.result: alike for work in self.given.works if (alike := self.alike(work)) and self.pays(alike)}
        gone = {tensor for alike in found.values() for tensor in (*alike.nest.parts, *alike.nest.joins)}
        works: list[LoweredOp] = []
        for work in self.given.works:
            if work.result in found:
                works += self.as_outputs(work, found[work.result])
            elif work.result not in gone:
                works.append(work)
        return replace(self.given, works=works, types=self.types, constants=self.constants)

    # Which phases

    def alike(self, work: LoweredOp) -> Alike | None:
        """The contractions whose results are interleaved to that of `work`, if they differ in known weights alone."""
        nest = nested(work.result, self.interleaved)
        if nest is None or not nest.axes or any(map(is_joined, self.readers.get(work.result, []))):
            return None
        parts = [part for name in nest.parts if (part := self.makers.get(name)) and self.is_own(part)]
        if len(parts) < len(nest.parts) or not all(self.read_alike(part, parts[0]) for part in parts):
            return None
        c = parts[0].computation
        if not isinstance(c, Contraction) or c.groups > 1 or not all(map(is_point, c.window)):
            return None
        return Alike(nest, parts, c)

    def interleaved(self, tensor: Tensor) -> tuple[int, Sequence[Tensor]] | None:
        work = self.makers.get(tensor)
        return (work.computation.axis, work.operands) if work and isinstance(work.computation, Interleave) else None

    def is_own(self, part: LoweredOp) -> bool:
        """Whether a part is read once, and its weights are known."""
        known = isinstance(part.computation, Contraction) and self.constants.keys() >= set(part.operands[1:])
        once = len(self.readers[part.result]) == 1 and part.result not in self.given.leaving
        return known and once and part.pool is None and not part.extras

    def read_alike(self, part: LoweredOp, other: LoweredOp) -> bool:
        """Whether two contractions do the same to the same image, with weights of their own."""
        same = part.computation == other.computation and part.operands[0] == other.operands[0]
        epilogues = repr((part.before, part.after)), repr((other.before, other.after))  # equality takes −0 for 0
        return same and len(set(epilogues)) == 1 and self.types[part.result] == self.types[other.result]

    # Costs

    def pays(self, alike: Alike) -> bool:
        """Whether one contraction, and the moves behind it, take fewer cycles than the phases do."""
        apart = (self.cycles(alike, along, together=False) for along in LANES_ALONG)
        return min(self.cycles(alike, along, together=True) for along in LANES_ALONG) < min(apart)

    def cycles(self, alike: Alike, along: LanesAlong, *, together: bool) -> float:
        """Cycles of the contractions with their lanes along an axis, and of all changes of order.

        A result of the program is planar. Phases with lanes along the channels are computed at their places, all others
        are moved there; blocks of channels that lie last are planar after two moves. What the second cache does not
        hold of the image arrives once for each contraction.
        """
        core, image, result = self.target.core, alike.parts[0].operands[0], alike.nest.joins[0]
        planar = result in self.given.leaving
        moves = 1 if along == "columns" else int(planar) + together
        same = self.lies_planar(image) == (along == "columns")
        few = along == "channels" and alike.contraction.channels <= transfer.PLANAR_CHANNELS
        moved = (0 if same or few else self.types[image].size) + moves * self.types[result].size
        number, c = (1, alike.together) if together else (len(alike.parts), alike.contraction)
        read = transfer.round_trip(self.target, self.types[image].nbytes) / 2
        contracted = self.types[image].shape[0] * self.fewest(alike.parts[0], c, along)
        return number * (contracted + read) + transfer.reordered(core, moved)

    def fewest(self, part: LoweredOp, c: Contraction, along: LanesAlong) -> float:
        """Cycles of the best kernel for a contraction of one image, if there is one with its lanes along that axis."""
        epilogue, stored = Epilogue(part.before, None, part.after), tuple(axis.out for axis in c.window)
        layer = Layer(c, stored, epilogue, {along: 0})
        found = kernels.candidates(self.target, merged_positions(Way(Parts(part), layer)).layer)
        return min((candidate.cycles for candidate in found), default=math.inf)

    def lies_planar(self, tensor: Tensor) -> bool:
        """Whether a tensor will lie planar in memory, as inputs do, and what few channels are computed from."""
        maker = self.makers.get(tensor)
        if maker is None or not maker.operands:
            return True
        c = maker.computation
        return c.outputs < self.target.lanes if isinstance(c, Contraction) else self.lies_planar(maker.operands[0])

    # One contraction

    def as_outputs(self, work: LoweredOp, alike: Alike) -> list[LoweredOp]:
        """The contraction, its result as (N, phases…, C, spatial…), and the phase of each axis moved behind it."""
        first, nest, type = alike.parts[0], alike.nest, self.types[work.result]
        part = self.types[first.result].shape
        phases = tuple(type.shape[axis] // part[axis] for axis in nest.axes)
        split = (part[0], *phases, *part[1:])
        places = nest.behind(type.rank, first=1)
        operands = [first.operands[0], *self.parameters(work.result, alike)]
        steps: Sequence[tuple[Computation, tuple[int, ...]]] = (
            (alike.together, (part[0], math.prod(phases) * part[1], *part[2:])),
            (RowMajorReshape(), split),
            (Permute(places), tuple(split[place] for place in places)),
        )
        made: list[LoweredOp] = []
        for number, (computation, shape) in enumerate(steps):
            result = Tensor("phases", (work.result,), (number,))
            self.types[result] = type.shaped(shape)
            made.append(LoweredOp(work.name, computation, operands, result))
            operands = [result]
        made[0] = replace(made[0], before=first.before, after=first.after)
        return [*made, LoweredOp(work.name, RowMajorReshape(), operands, work.result)]

    def parameters(self, result: Tensor, alike: Alike) -> list[Tensor]:
        """The weights of all parts, one part after the other, and so the bias."""
        found: list[Tensor] = []
        for number in range(1, len(alike.parts[0].operands)):
            tensors = [part.operands[number] for part in alike.parts]
            joined = Tensor("phases", (result, "weights" if number == 1 else "bias"), ())
            self.constants[joined] = np.concatenate([self.constants[tensor] for tensor in tensors])
            self.types[joined] = self.types[tensors[0]].shaped(self.constants[joined].shape)
            found.append(joined)
        return found


def is_joined(reader: LoweredOp) -> bool:
    """Whether a reader is interleaved itself, or could have the phases inside of its own result."""
    return isinstance(reader.computation, IN_PLACE_ARRANGEMENTS)
