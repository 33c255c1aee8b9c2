"""Where the maximum or minimum of a fibre stands: pairs of the best element so far and its place.

Each lane has a fibre of its own, or part of one; these parts are folded at the end. Of two pairs the elements decide,
and of equal elements the places, so no partition of a fibre changes its result.
"""

from __future__ import annotations

from typing import NamedTuple

from ...plan.kernels import FindExtreme
from ..emitter import Emitter
from ..folds import stretches
from ..instructions import Predicate
from ..nest import Carry, reduce_nest
from ..registers import INT32, Index, Ssa
from .family import Tensors
from .fibres import LineEmitter


class Best(NamedTuple):
    """The best elements, one a lane, and their places."""

    value: Ssa
    place: Ssa


class ExtremeOfFibres(LineEmitter[FindExtreme]):
    """Emits the search."""

    def __init__(self, e: Emitter, kernel: FindExtreme, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.better: Predicate = ">" if kernel.extreme == "maximum" else "<"

    def fibres(self, position: list[Index], count: int) -> None:
        best = self.within(position) if self.k.within else self.across(position, count)
        place = self.e.convert(best.place, self.target.held.wide(best.place.lanes))
        self.target.store(place, self.target.offset(position), self.beside)

    # The two ways

    def across(self, position: list[Index], count: int) -> Best:
        """So many fibres, one a lane."""

        def step(indices: list[Index], carry: Carry) -> Carry:
            value = self.source.load_at(self.at(position, indices[0]), self.beside, count)
            return [*self.followed(Best(*carry), Best(value, self.number(indices[0], count)))]

        first = self.source.load_at(self.at(position, 0), self.beside, count)
        begin = [first, self.number(0, count)]
        cost = self.k.operations * -(-count // self.e.target.lanes) + self.source.vectors(self.beside, count)
        return Best(*reduce_nest(self.e, [self.size], begin, cost, step))

    def within(self, position: list[Index]) -> Best:
        """One fibre: stretches of it, each a vector of partial results, and these folded."""
        lengths = stretches(self.size, self.k.lanes, self.e.target.lanes)
        parts = [self.stretch(position, *part) for part in lengths]
        result, *others = map(self.fold, parts)
        for other in others:
            result = self.joined(result, other)
        return result

    def stretch(self, position: list[Index], begin: int, end: int, lanes: int) -> Best:
        """The best of each lane in [begin, end)."""

        def load(index: Index) -> Best:
            value, place = self.source.load_at(self.at(position, index), self.axis, lanes), self.number(index, lanes)
            if lanes == 1:
                return Best(value, place)
            return Best(value, self.e.binary("add", place, self.e.lane_numbers(place.type)))

        first = load(begin)
        with self.e.loop(begin, end, lanes, carry=first) as loop:
            loop.next(self.followed(Best(*loop.values), load(loop.index)))
        return Best(*loop.results)

    # Pairs

    def ahead(self, a: Ssa, b: Ssa) -> Ssa:
        """Whether an element is better than another; a NaN is better than all numbers."""
        ahead = self.e.compare(self.better, a, b)
        if a.type.kind != "float":
            return ahead
        nan = self.e.binary("and", self.e.unordered(a, a), self.e.compare("==", b, b))
        return self.e.binary("or", ahead, nan)

    def followed(self, best: Best, later: Best) -> Best:
        """The better of two, of which `later` has the higher place, or the same one."""
        e = self.e
        if self.k.last:
            behind = self.ahead(best.value, later.value)
            return Best(e.select(behind, best.value, later.value), e.select(behind, best.place, later.place))
        ahead = self.ahead(later.value, best.value)
        return Best(e.select(ahead, later.value, best.value), e.select(ahead, later.place, best.place))

    def joined(self, a: Best, b: Best) -> Best:
        """The better of two at any places."""
        e = self.e
        nearer = e.compare(">" if self.k.last else "<", b.place, a.place)
        alike = e.binary("and", nearer, e.binary("xor", self.ahead(a.value, b.value), e.constant(True, nearer.type)))
        taken = e.binary("or", self.ahead(b.value, a.value), alike)
        return Best(e.select(taken, b.value, a.value), e.select(taken, b.place, a.place))

    def fold(self, best: Best) -> Best:
        """All lanes joined, in halves; an odd lane stands for two, which changes nothing."""
        while (lanes := best.place.lanes) > 1:
            half = (lanes + 1) // 2
            high = [min(half + lane, lanes - 1) for lane in range(half)]
            lower, upper = (
                Best(*(self.e.shuffle(part, None, order) for part in best)) for order in (range(half), high)
            )
            best = self.joined(lower, upper)
        return best

    # Places

    def number(self, index: Index, lanes: int) -> Ssa:
        """A place in every lane."""
        if isinstance(index, int):
            return self.e.constant(index, INT32.wide(lanes))
        return self.e.splat(self.e.convert(index, INT32), lanes)
