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
from ..nest import Carry, reduce_nest
from ..registers import Index, Ssa
from .family import Tensors
from .fibres import FibreEmitter

Values = dict[int, Ssa]  # by their numbers


class FibreSweeps(FibreEmitter[Sweeps]):
    """Emits all sweeps over each fibre, or over a vector of fibres."""

    def __init__(self, e: Emitter, kernel: Sweeps, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.axis, self.element = kernel.lane_axis, self.target.element
        self.constant = [
            number
            for number, source in enumerate(self.sources)
            if not any(source.view.strides[axis] for axis in kernel.reduced)
        ]

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
            return self.step(sweep, self.inside(position, indices), values, totals, lanes)

        return reduce_nest(self.e, sizes, self.begin(sweep, lanes), cost, at)

    def along(self, sweep: Sweep, position: list[Index], values: Values, wide: int) -> Carry:
        """Over one fibre, of which each iteration takes `wide` elements; returns partial results in as many lanes."""
        size, one = self.k.shape[self.axis], self.e.target.lanes
        sizes = [self.k.shape[axis] for axis in self.k.reduced if axis != self.axis]
        parts = stretches(size, wide, one)
        repeated = {lanes: self.repeated(sweep, values, lanes) for _, _, lanes in parts}

        def line(indices: list[Index], totals: Carry) -> Carry:
            place, found = self.inside(position, [*indices, 0]), []
            for begin, end, lanes in parts:
                own = [total for total in totals if total.lanes == lanes]
                with self.e.loop(begin, end, lanes, carry=own) as loop:
                    place[self.axis] = loop.index
                    loop.next(self.step(sweep, place, repeated[lanes], loop.values, lanes))
                found += loop.results
            return found

        begin = [total for _, _, lanes in parts for total in self.begin(sweep, lanes)]
        totals = reduce_nest(self.e, sizes, begin, -(-size // one) * sweep.operations, line)
        count = len(sweep.combined)
        return [together(self.e, kind, totals[at::count]) for at, (_, kind, _) in enumerate(sweep.combined)]

    def step(self, sweep: Sweep, place: list[Index], values: Values, totals: Carry, lanes: int) -> Carry:
        """Elements at a place: stored, and combined with `totals`."""
        values = dict(values)
        for number in sweep.arguments - values.keys():
            if number < self.k.operands:
                values[number] = self.sources[number].load_at(place, self.axis, lanes)
            elif number == self.k.operands and sweep.held is None:
                values[number] = self.target.load_at(place, self.axis, lanes)
        if sweep.held is not None:
            values[self.k.operands] = self.evaluate(sweep.held, values, lanes)
            self.store(values[self.k.operands], place)
        if sweep.result is not None:
            self.store(self.evaluate(sweep.result, values, lanes), place)
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
        self.target.store(value, self.target.offset(place), self.axis)
