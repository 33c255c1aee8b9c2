"""Reductions over the same axes and the expressions between them, a fibre at a time: softmax, normalisations, norms.

A *fibre* is what one position of the kept axes has along the reduced axes. The kernel runs over it in a few *sweeps*,
all of them while it lies in the first cache: maximum; sum of exp(x − maximum); quotient. A sweep may reduce several
expressions at once and store one. (Compilers of graphs call such kernels reduction fusions; for softmax see Milakov and
Gimelshein, Online normalizer calculation for softmax, 2018, whose passes over memory these are.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...computation import Combine
from ...elements import FLOAT32
from ...expr import Expr, arguments_of
from ...machine.target import Target
from ..cost import sweep as cost
from ..cost.step import series
from ..cost.transfer import line_by_line
from ..views import View
from .base import lanes_on
from .fibre_axes import FibreAxes, OverFibres, fibre_axes


@dataclass(frozen=True)
class Sweep:
    """One pass over a fibre. Values have numbers, which expressions use as arguments.

    `prepared` are computed once before it, from values of the fibre as a whole; `combined` over its elements. `held` is
    computed for each element, stored in the target and from then on argument number `Sweeps.operands`; `result` is
    stored last.
    """

    prepared: tuple[tuple[int, Expr], ...] = ()
    combined: tuple[tuple[int, Combine, Expr], ...] = ()
    held: Expr | None = None
    result: Expr | None = None

    @property
    def expressions(self) -> list[Expr]:
        """Those that are computed for each element."""
        return [*self.stored, *(expr for _, _, expr in self.combined)]

    @property
    def arguments(self) -> set[int]:
        """The numbers of what these use."""
        return set().union(*map(arguments_of, self.expressions))

    @property
    def uses(self) -> set[int]:
        """The numbers of these, and of what is prepared of them."""
        return self.arguments.union(*(arguments_of(expr) for _, expr in self.prepared))

    @property
    def makes(self) -> set[int]:
        """The numbers of the values of a fibre that it adds."""
        return {number for number, _ in self.prepared} | {number for number, _, _ in self.combined}

    @property
    def operations(self) -> int:
        """Vector operations of an element, roughly: how much code it takes."""
        return cost.code(self.expressions, len(self.combined))

    @property
    def stored(self) -> list[Expr]:
        """What is stored of each element."""
        return [expr for expr in (self.held, self.result) if expr is not None]


@dataclass(frozen=True)
class Sweeps(OverFibres):
    """Sweeps over the fibres of `operands` views of one shape, along the `reduced` axes.

    The last axis is that of the lanes: a reduced one, whose lanes hold partial results of a fibre, or a kept one, with
    a fibre in each lane. A step of a loop has so many `lanes`. So many `fibres` along the last kept axis are a unit: a
    vector of them, or a few whose partial results are folded together. Where no sweep has a result, a fibre has one:
    the `answer`. If the sweeps are `staggered`, each is one unit behind the one before it, and if they are `merged`,
    one loop has them all.

    Where the target has a gap within the last axis, it has several axes in its place. Only a sweep that reduces nothing
    runs along these: a border of the target does not decide in which order a sum is taken.
    """

    operands: int
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    sweeps: tuple[Sweep, ...]
    lanes: int
    fibres: int
    answer: Expr | None = None
    staggered: bool = False
    merged: bool = False

    @property
    def sources(self) -> int:
        return self.operands

    def arriving(self, level: int) -> list[int]:
        """The numbers of the values of a fibre that earlier sweeps leave to that of a level, or to later ones."""
        before, after = self.sweeps[:level], self.sweeps[level:]
        used = set().union(*(sweep.uses for sweep in after))
        if after and self.answer is not None:
            used |= arguments_of(self.answer)
        return sorted(used & set().union(*(sweep.makes for sweep in before)))

    def describe(self) -> str:
        work = "; ".join(" and ".join(_words(sweep)) for sweep in self.sweeps)
        text = f"sweeps over axes {self.reduced} of {self.shape}: {work}; {lanes_on(self.lanes, self.lane_axis)}"
        return f"{text}, {self.fibres} fibres in {'one loop' if self.merged else 'turns'}" if self.staggered else text

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """Each sweep takes its loads or its operations for each vector, the longer, each fibre its ends.

        The operands come from the second cache and the result goes there, once.
        """
        core, width = target.core, min(target.lanes, self.shape[self.lane_axis])
        vectors = math.prod(self.shape) / width
        each = sum(cost.sweep_cycles(core, s.expressions, len(s.combined), len(s.stored)) for s in self.sweeps)
        ends = core.tile_cycles * len(self.sweeps)
        if self.lanes_in_fibre:
            folds = sum(len(s.combined) for s in self.sweeps)
            ends += cost.fold_cycles(core, width, self.fibres, hidden=self.staggered) * folds
        lines = line_by_line(core, FLOAT32.bytes * sum(self.touched(view) for view in (*sources, result)))
        return core.call_cycles + vectors * each + self.units(result) * ends + lines


def _words(sweep: Sweep) -> list[str]:
    """What a sweep does, in words."""
    return [f"{combine} {expr}" for _, combine, expr in sweep.combined] + [f"store {expr}" for expr in sweep.stored]


def kernel(
    target: Target,
    shape: Sequence[int],
    reduced: Sequence[int],
    sweeps: Sequence[Sweep],
    answer: Expr | None,
    sources: Sequence[View],
    result: View,
) -> tuple[Sweeps, list[View], View]:
    """The kernel that reduces `reduced` axes of a shape, and the views of that shape as it reads and writes them."""
    holds = any(sweep.held is not None for sweep in sweeps)
    axes = fibre_axes(shape, reduced, sources, result, reads_result=holds)
    size, along = axes.sizes[-1], len(axes.sizes) - 1 in axes.reduced_groups
    lanes = min(sweep_lanes(target, sweep, size) for sweep in sweeps)
    fibres = fibres_together(target, sweeps, axes) if along else lanes
    turns = fibres_in_turns(target, sweeps, axes, sources) if along else 0
    written = axes.written(result)
    gaps = len(written.shape) > len(axes.sizes)
    merged = turns == 1 and not gaps and cost.merged(vectors_of(target, axes))
    shared = len(sources), axes.sizes, axes.reduced_groups, tuple(sweeps), lanes
    made = Sweeps(*shared, turns or fibres, answer, turns > 0, merged)
    return made, [axes.read(source) for source in sources], written


def fibres_together(target: Target, sweeps: Sequence[Sweep], axes: FibreAxes) -> int:
    """Fibres whose partial results are folded together, with lanes along the fibre: as many as code may repeat."""
    kept, vectors = kept_sizes(axes), vectors_of(target, axes)
    if not kept or not vectors:
        return 1
    return cost.folded_together(target.lanes, kept[-1], vectors, sum(sweep.operations for sweep in sweeps))


def fibres_in_turns(target: Target, sweeps: Sequence[Sweep], axes: FibreAxes, sources: Sequence[View]) -> int:
    """Fibres of a unit that one sweep passes over while the next one passes over the unit before; 0 for no turns.

    What all sweeps read and write in a turn has to stay in half of the first cache, or of the second one where a series
    takes longer than the way from there.
    """
    kept, vectors = kept_sizes(axes), vectors_of(target, axes)
    if len(sweeps) == 1 or not kept or not vectors:
        return 0
    fibres = cost.staggered(target.lanes, kept[-1], vectors)
    own = [view for view in sources if math.prod(axes.read(view).strides)]
    live = len(sweeps) * fibres * (len(own) + 1) * vectors * target.lanes * FLOAT32.bytes
    cache = target.l2 if any(series(*sweep.expressions) for sweep in sweeps) else target.l1
    return fibres if fibres < math.prod(kept) and live <= cache // 2 else 0


def kept_sizes(axes: FibreAxes) -> list[int]:
    return [size for number, size in enumerate(axes.sizes) if number not in axes.reduced_groups]


def vectors_of(target: Target, axes: FibreAxes) -> int:
    """Vectors of a fibre with lanes along it; 0 if none is full."""
    *lines, size = (axes.sizes[number] for number in axes.reduced_groups)
    return math.prod(lines) * -(-size // target.lanes) if 1 < target.lanes <= size else 0


def sweep_lanes(target: Target, sweep: Sweep, size: int) -> int:
    """Lanes of the adjacent vectors that a sweep handles together along an axis of `size` elements.

    Operations wait for each other, so a quarter of the registers holds partial results; a series needs more registers
    for each.
    """
    most = target.registers // (8 if series(*sweep.expressions) else 4)
    return min(most, size // target.lanes) * target.lanes or size
