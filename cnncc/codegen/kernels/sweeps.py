"""Sweeps over fibres: reductions over the same axes and the expressions between them, while a fibre is in the cache.

Lanes lie along the fibre, and its partial results are folded at the end of a sweep; or each lane has a fibre of its
own. Values of a fibre are scalars in the first case, repeated to all lanes before the loop, and vectors in the second.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...expr import Expr
from ...plan.kernels import Sweep, Sweeps
from ..emitter import Emitter
from ..epilogue import identity
from ..expression import emit
from ..folds import accumulated, fold_together, stretches, together
from ..nest import Carry, flat, reduce_nest, with_guards
from ..registers import Index, Ssa
from .family import KernelEmitter, Tensors

Values = dict[int, Ssa]  # by their numbers


class FibreSweeps(KernelEmitter[Sweeps]):
    """Emits all sweeps over each fibre, or over a vector of fibres."""

    def __init__(self, e: Emitter, kernel: Sweeps, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.axis, self.element = kernel.lane_axis, self.target.element
        self.beside = kernel.kept[-1] if kernel.kept else self.axis
        self.constant = [
            number
            for number, source in enumerate(self.sources)
            if not any(source.view.strides[axis] for axis in kernel.reduced)
        ]

    def emit(self, a: Index, b: Index) -> None:
        with self.e.loop(a, b) as loop:
            self.unit(self.position(loop.index))

    def position(self, unit: Index) -> list[Index]:
        """The place of the first fibre of a unit on the kept axes; 0 on the others."""
        e, k = self.e, self.k
        found: list[Index] = [0] * len(k.shape)
        for axis, count in reversed(list(zip(k.kept, k.counts, strict=True))):
            place = e.remainder(unit, count) if axis != k.kept[0] else unit
            found[axis] = e.mul(place, k.fibres) if axis == k.kept[-1] else place
            unit = e.div(unit, count)
        return found

    def unit(self, position: list[Index]) -> None:
        """The fibres of a unit, or those that are left at the end of the axis."""
        if not self.k.kept:
            self.fibres(position, 1)
            return
        size, fibres, first = self.k.shape[self.beside], self.k.fibres, position[self.beside]
        last = size // fibres * fibres
        full = first < last if isinstance(first, int) else last == size or self.e.compare("<", first, last)
        with_guards(self.e, full, lambda rest: self.fibres(position, size - last if rest else fibres))

    def fibres(self, position: list[Index], count: int) -> None:
        """All sweeps over fibres; their values are the lanes of a vector."""
        values = {number: self.sources[number].load_at(position, self.beside, count) for number in self.constant}
        for sweep, wide in zip(self.k.sweeps, self.k.lanes, strict=True):
            for number, expr in sweep.prepared:
                values[number] = self.evaluate(expr, values, count)
            if self.k.lanes_in_fibre:
                totals = self.each(sweep, position, values, wide, count)
            else:
                totals = self.across(sweep, position, values, count)
            values.update((number, total) for (number, *_), total in zip(sweep.combined, totals, strict=True))
        if self.k.answer is not None:
            answer = self.evaluate(self.k.answer, values, count)
            self.target.store(answer, self.target.offset(position), self.beside)

    def each(self, sweep: Sweep, position: list[Index], values: Values, wide: int, count: int) -> Carry:
        """A sweep over one fibre after the other, folded together."""
        found = []
        for fibre in range(count):
            own = {number: self.e.extract(values[number], fibre) for number in sweep.arguments & values.keys()}
            place = list(position)
            place[self.beside] = self.e.add(place[self.beside], fibre)
            found.append(self.along(sweep, place, own, wide))
        return [
            fold_together(self.e, kind, [totals[at] for totals in found])
            for at, (_, kind, _) in enumerate(sweep.combined)
        ]

    # One sweep

    def across(self, sweep: Sweep, position: list[Index], values: Values, lanes: int) -> Carry:
        """Over fibres in lanes."""
        sizes = [self.k.shape[axis] for axis in self.k.reduced]
        cost = -(-lanes // self.e.target.lanes) * sweep.operations

        def at(indices: list[Index], totals: Carry) -> Carry:
            place = self.inside(position, indices)
            return self.step(sweep, place, values, totals, lanes, place)

        return reduce_nest(self.e, sizes, self.begin(sweep, lanes), cost, at)

    def along(self, sweep: Sweep, position: list[Index], values: Values, wide: int) -> Carry:
        """Over one fibre, of which each iteration takes `wide` elements; returns partial results in as many lanes."""
        *gaps, size = [self.k.shape[self.axis]] if sweep.combined else self.target.view.shape[self.axis :]
        one, outer = self.e.target.lanes, [self.k.shape[axis] for axis in self.k.reduced if axis != self.axis]
        parts = stretches(size, wide, one)
        repeated = {lanes: self.repeated(sweep, values, lanes) for _, _, lanes in parts}

        def line(indices: list[Index], totals: Carry) -> Carry:
            place, rows, found = self.inside(position, [*indices[: len(outer)], 0]), indices[len(outer) :], []
            first = self.e.mul(flat(self.e, rows, gaps), size)
            for begin, end, lanes in parts:
                own = [total for total in totals if total.lanes == lanes]
                with self.e.loop(begin, end, lanes, carry=own) as loop:
                    place[self.axis] = self.e.add(first, loop.index)
                    stored = [*place[: self.axis], *rows, loop.index]
                    loop.next(self.step(sweep, place, repeated[lanes], loop.values, lanes, stored))
                found += loop.results
            return found

        begin = [total for _, _, lanes in parts for total in self.begin(sweep, lanes)]
        totals = reduce_nest(self.e, [*outer, *gaps], begin, -(-size // one) * sweep.operations, line)
        count = len(sweep.combined)
        return [together(self.e, kind, totals[at::count]) for at, (_, kind, _) in enumerate(sweep.combined)]

    def step(
        self, sweep: Sweep, place: list[Index], values: Values, totals: Carry, lanes: int, stored: list[Index]
    ) -> Carry:
        """Elements at a place: stored, at a place of the target, and combined with `totals`."""
        values = dict(values)
        for number in sweep.arguments - values.keys():
            if number < self.k.operands:
                values[number] = self.sources[number].load_at(place, self.axis, lanes)
            elif number == self.k.operands and sweep.held is None:
                values[number] = self.target.load_at(stored, len(stored) - 1, lanes)
        if sweep.held is not None:
            values[self.k.operands] = self.evaluate(sweep.held, values, lanes)
            self.store(values[self.k.operands], stored)
        if sweep.result is not None:
            self.store(self.evaluate(sweep.result, values, lanes), stored)
        return [
            accumulated(self.e, kind, identity(kind, self.element), total, self.evaluate(expr, values, lanes))
            for total, (_, kind, expr) in zip(totals, sweep.combined, strict=True)
        ]

    # Values and places

    def begin(self, sweep: Sweep, lanes: int) -> Carry:
        """What the partial results are before the first element."""
        return [self.target.number(identity(kind, self.element), lanes) for _, kind, _ in sweep.combined]

    def inside(self, position: list[Index], indices: list[Index]) -> list[Index]:
        """A place in the fibre at a position."""
        place = list(position)
        for axis, index in zip(self.k.reduced, indices, strict=True):
            place[axis] = index
        return place

    def repeated(self, sweep: Sweep, values: Values, lanes: int) -> Values:
        """The values of a fibre that a sweep uses, in all lanes."""
        return {number: self.e.splat(values[number], lanes) for number in sweep.arguments & values.keys()}

    def evaluate(self, expr: Expr, values: Mapping[int, Ssa], lanes: int) -> Ssa:
        """An expression of numbered values."""
        unused = next(iter(values.values()), self.target.number(0.0, lanes))
        arguments = [values.get(number, unused) for number in range(max(values, default=-1) + 1)]
        return emit(self.e, expr, arguments, [self.element] * len(arguments), lanes)

    def store(self, value: Ssa, place: list[Index]) -> None:
        self.target.store(value, self.target.offset(place), len(place) - 1)
