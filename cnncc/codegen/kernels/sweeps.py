"""Sweeps over fibres: reductions over the same axes and the expressions between them, while a fibre is in the cache.

Lanes lie along the fibre, and its partial results are folded at the end of a sweep; or each lane has a fibre of its
own. Values of a fibre are scalars in the first case, repeated to all lanes before the loop, and vectors in the second.
Sweeps take turns: while one waits until its fibre is folded, or for memory, others compute neighbouring fibres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice

from ...expr import Expr
from ...plan.kernels import Sweep, Sweeps
from ..emitter import Emitter
from ..epilogue import identity
from ..expression import emit
from ..folds import accumulated, fold_together, stretches, together
from ..nest import Carry, flat, reduce_nest
from ..registers import Index, Ssa
from .family import Tensors
from .fibres import FibreEmitter

Values = dict[int, Ssa]  # by their numbers


@dataclass(frozen=True)
class Pass:
    """A sweep over one fibre, which begins at a position, and the values of the fibre that it uses."""

    sweep: Sweep
    position: list[Index]
    values: Values


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

    def emit(self, a: Index, b: Index) -> None:
        if self.k.staggered:
            self.turns(*self.own_units(a, b))
        else:
            super().emit(a, b)

    def turns(self, a: Index, b: Index) -> None:
        """In turn t sweep s passes over unit t − s, and what it leaves to later ones is carried to the next turn."""
        e, count = self.e, len(self.k.sweeps)
        carried = [self.k.arriving(level) for level in range(count + 1)]  # none at the first, nor after the last
        nothing = [[self.target.number(0.0, self.k.fibres)] * len(numbers) for numbers in carried]
        with e.loop(a, e.add(b, count - 1), carry=[*chain(*nothing)]) as turn:
            left = iter(turn.values)
            arrived = [dict(zip(numbers, left, strict=False)) for numbers in carried[:count]]
            units = [e.sub(turn.index, level) for level in range(count)]
            inside = [e.binary("and", e.compare("<=", a, unit), e.compare("<", unit, b)) for unit in units]
            found = nothing[1:]
            if self.k.merged:
                every = e.binary("and", inside[0], inside[-1])
                results = iter(e.if_any(every, partial(self.merged, units, arrived), [*chain(*nothing)]))
                found = [[*islice(results, len(numbers))] for numbers in carried[1:]]
                others = e.binary("xor", every, e.constant(True, every.type))
                inside = [e.binary("and", own, others) for own in inside]
            for level, own in enumerate(inside):
                found[level] = e.if_any(own, partial(self.turn, level, units[level], arrived[level]), found[level])
            turn.next([*chain(*found)])

    def turn(self, level: int, unit: Index, arrived: Values) -> Carry:
        """One sweep over a unit; returns what later ones need."""
        position, count = self.position(unit), self.k.fibres
        values = self.sweep(level, position, self.constants(position, count) | arrived, count)
        return [values[number] for number in self.k.arriving(level + 1)]

    def merged(self, units: Sequence[Index], arrived: Sequence[Values]) -> Carry:
        """All sweeps in one loop, each over a fibre of its own; returns what later ones need."""
        places = [self.position(unit) for unit in units]
        values = [
            self.prepared(level, self.constants(place, 1) | known, 1)
            for level, (place, known) in enumerate(zip(places, arrived, strict=True))
        ]
        passes = [
            self.over(sweep, place, known, 0) for sweep, place, known in zip(self.k.sweeps, places, values, strict=True)
        ]
        found: Carry = []
        for level, totals in enumerate(self.along(passes)):
            known = self.finished(level, places[level], values[level], self.folded(self.k.sweeps[level], [totals]))
            found += [known[number] for number in self.k.arriving(level + 1)]
        return found

    def fibres(self, position: list[Index], count: int) -> None:
        """All sweeps over fibres; their values are the lanes of a vector."""
        values = self.constants(position, count)
        for level in range(len(self.k.sweeps)):
            values = self.sweep(level, position, values, count)

    def constants(self, position: list[Index], count: int) -> Values:
        """What the operands have one value of for a whole fibre."""
        return {number: self.sources[number].load_at(position, self.beside, count) for number in self.constant}

    def sweep(self, level: int, position: list[Index], values: Values, count: int) -> Values:
        """One sweep over fibres, and the answer after the last one; returns the values with those that it adds."""
        sweep, values = self.k.sweeps[level], self.prepared(level, values, count)
        if self.k.lanes_in_fibre:
            passes = [self.over(sweep, position, values, fibre) for fibre in range(count)]
            totals = self.folded(sweep, [*chain(*(self.along([one]) for one in passes))])
        else:
            totals = self.across(sweep, position, values, count)
        return self.finished(level, position, values, totals)

    def prepared(self, level: int, values: Values, count: int) -> Values:
        """The values with what is computed of them before a sweep."""
        values = dict(values)
        for number, expr in self.k.sweeps[level].prepared:
            values[number] = self.evaluate(expr, values, count)
        return values

    def finished(self, level: int, position: list[Index], values: Values, totals: Carry) -> Values:
        """The values after a sweep; the answer is stored after the last one."""
        found = (number for number, _, _ in self.k.sweeps[level].combined)
        values = values | dict(zip(found, totals, strict=True))
        if self.k.answer is not None and level == len(self.k.sweeps) - 1:
            answer = self.evaluate(self.k.answer, values, totals[0].lanes)
            self.target.store(answer, self.target.offset(position), self.beside)
        return values

    def folded(self, sweep: Sweep, partial: Sequence[Carry]) -> Carry:
        """The partial results of several fibres, folded together."""
        return [
            fold_together(self.e, kind, [totals[at] for totals in partial])
            for at, (_, kind, _) in enumerate(sweep.combined)
        ]

    def over(self, sweep: Sweep, position: list[Index], values: Values, fibre: int) -> Pass:
        """A sweep over one fibre of a unit."""
        place = list(position)
        place[self.beside] = self.e.add(place[self.beside], fibre)
        used = sweep.arguments & values.keys()
        return Pass(sweep, place, {number: self.e.extract(values[number], fibre) for number in used})

    # One sweep

    def across(self, sweep: Sweep, position: list[Index], values: Values, lanes: int) -> Carry:
        """Over fibres in lanes."""
        sizes = [self.k.shape[axis] for axis in self.k.reduced]
        cost = -(-lanes // self.e.target.lanes) * sweep.operations

        def at(indices: list[Index], totals: Carry) -> Carry:
            place = self.inside(position, indices)
            return self.step(sweep, place, place, values, totals, lanes)

        return reduce_nest(self.e, sizes, self.begin(sweep, lanes), cost, at)

    def along(self, passes: Sequence[Pass]) -> list[Carry]:
        """Sweeps over one fibre each, in one loop; the partial results of each, in as many lanes as a step has.

        A sweep by itself that reduces nothing follows the rows of the target, which may have gaps between them.
        """
        sums = any(own.sweep.combined for own in passes)
        *gaps, size = [self.k.shape[self.axis]] if sums else self.target.view.shape[self.axis :]
        one, outer = self.e.target.lanes, [self.k.shape[axis] for axis in self.k.reduced if axis != self.axis]
        parts = stretches(size, min(self.k.lanes, size // one * one) or size, one)
        repeated = {lanes: [self.repeated(own, lanes) for own in passes] for _, _, lanes in parts}

        def line(indices: list[Index], totals: Carry) -> Carry:
            lines, rows, found = indices[: len(outer)], indices[len(outer) :], []
            first = self.e.mul(flat(self.e, rows, gaps), size)
            for begin, end, lanes in parts:
                own = [total for total in totals if total.lanes == lanes]
                with self.e.loop(begin, end, lanes, carry=own) as loop:
                    inside, stored = [*lines, self.e.add(first, loop.index)], [*rows, loop.index]
                    loop.next(self.steps(repeated[lanes], inside, stored, loop.values, lanes))
                found += loop.results
            return found

        begin = [total for _, _, lanes in parts for own in passes for total in self.begin(own.sweep, lanes)]
        cost = -(-size // one) * sum(own.sweep.operations for own in passes)
        totals = reduce_nest(self.e, [*outer, *gaps], begin, cost, line)
        kinds = [kind for own in passes for _, kind, _ in own.sweep.combined]
        joined = iter([together(self.e, kind, totals[at :: len(kinds)]) for at, kind in enumerate(kinds)])
        return [[*islice(joined, len(own.sweep.combined))] for own in passes]

    def steps(
        self, passes: Sequence[Pass], inside: list[Index], stored: list[Index], totals: Carry, lanes: int
    ) -> Carry:
        """Elements at the same indices of each fibre, and at `stored` on the last axes of the target."""
        left, found = iter(totals), []
        for own in passes:
            place, before = self.inside(own.position, inside), [*islice(left, len(own.sweep.combined))]
            found += self.step(own.sweep, place, [*place[: self.axis], *stored], own.values, before, lanes)
        return found

    def step(
        self, sweep: Sweep, place: list[Index], stored: list[Index], values: Values, totals: Carry, lanes: int
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

    def repeated(self, own: Pass, lanes: int) -> Pass:
        """The values of a fibre that a sweep uses, in all lanes."""
        return replace(own, values={number: self.e.splat(value, lanes) for number, value in own.values.items()})

    def evaluate(self, expr: Expr, values: Mapping[int, Ssa], lanes: int) -> Ssa:
        """An expression of numbered values."""
        unused = next(iter(values.values()), self.target.number(0.0, lanes))
        arguments = [values.get(number, unused) for number in range(max(values, default=-1) + 1)]
        return emit(self.e, expr, arguments, [self.element] * len(arguments), lanes)

    def store(self, value: Ssa, place: list[Index]) -> None:
        self.target.store(value, self.target.offset(place), len(place) - 1)
