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
    a fibre in each lane. `lanes` has those of each sweep. So many `fibres` along the last kept axis are a unit: a
    vector of them, or a few whose partial results are folded together. Where no sweep has a result, a fibre has one:
    the `answer`.
    """

    operands: int
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    sweeps: tuple[Sweep, ...]
    lanes: tuple[int, ...]
    fibres: int
    answer: Expr | None = None

    @property
    def sources(self) -> int:
        return self.operands

    def describe(self) -> str:
        work = "; ".join(" and ".join(_words(sweep)) for sweep in self.sweeps)
        return f"sweeps over axes {self.reduced} of {self.shape}: {work}; {lanes_on(max(self.lanes), self.lane_axis)}"

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
            ends += cost.fold_cycles(core, width, self.fibres) * folds
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
    axes = fibre_axes(shape, reduced, sources, result)
    size, along = axes.sizes[-1], len(axes.sizes) - 1 in axes.reduced_groups
    lanes = [sweep_lanes(target, sweep, size) for sweep in sweeps]
    if along:
        fibres = fibres_together(target, sweeps, axes)
    else:
        fibres = min(lanes)
        lanes = [fibres] * len(lanes)
    made = Sweeps(len(sources), axes.sizes, axes.reduced_groups, tuple(sweeps), tuple(lanes), fibres, answer)
    return made, [axes.seen(source) for source in sources], axes.seen(result)


def fibres_together(target: Target, sweeps: Sequence[Sweep], axes: FibreAxes) -> int:
    """Fibres whose partial results are folded together, with lanes along the fibre: as many as code may repeat."""
    kept = [size for number, size in enumerate(axes.sizes) if number not in axes.reduced_groups]
    whole = target.lanes > 1 and axes.sizes[-1] >= target.lanes
    if not kept or not whole:
        return 1
    lines = math.prod(axes.sizes[number] for number in axes.reduced_groups) // axes.sizes[-1]
    vectors = lines * -(-axes.sizes[-1] // target.lanes)
    return cost.folded_together(target.lanes, kept[-1], vectors, sum(sweep.operations for sweep in sweeps))


def sweep_lanes(target: Target, sweep: Sweep, size: int) -> int:
    """Lanes of the adjacent vectors that a sweep handles together along an axis of `size` elements.

    Operations wait for each other, so a quarter of the registers holds partial results; a series needs more registers
    for each.
    """
    most = target.registers // (8 if series(*sweep.expressions) else 4)
    return min(most, size // target.lanes) * target.lanes or size
