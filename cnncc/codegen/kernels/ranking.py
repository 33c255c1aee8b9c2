"""The first elements of several fibres, one a lane: each element is inserted among the few results, in registers."""

from __future__ import annotations

from typing import NamedTuple

from ...plan.kernels import Rank
from ..nest import Carry, reduce_nest
from ..registers import INT32, Index, Ssa
from .fibres import LineEmitter
from .order import ahead


class Ranked(NamedTuple):
    """A place of a fibre and the element there."""

    place: Ssa
    value: Ssa


class FirstByInsertion(LineEmitter[Rank]):
    """Emits an insertion of each element into the results of its lane, which are in order.

    An element stands behind its equals, which have lower places. Where it stands before a result, it does so before all
    further ones: these move on by one.
    """

    def fibres(self, position: list[Index], count: int) -> None:
        e, k = self.e, self.k.count
        first: list[Ranked] = []
        for index in range(k):
            first = self.inserted(first, self.load(position, index, count), k)

        def step(indices: list[Index], carry: Carry) -> Carry:
            found = [Ranked(*carry[at : at + 2]) for at in range(0, 2 * k, 2)]
            new = self.load(position, e.add(indices[0], k), count)
            return [part for each in self.inserted(found, new, k) for part in each]

        carry = [part for each in first for part in each]
        if self.size > k:
            carry = reduce_nest(e, [self.size - k], carry, 8 * k, step)
        for rank, place in enumerate(carry[::2]):
            held = e.convert(place, self.target.held.wide(count))
            self.target.store(held, self.target.offset(self.at(position, rank)), self.beside)

    def inserted(self, found: list[Ranked], new: Ranked, most: int) -> list[Ranked]:
        """At most so many results, with one more element among them."""
        earlier = [ahead(self.e, self.k.largest, new.value, old.value) for old in found]
        result = []
        for rank in range(min(len(found) + 1, most)):
            kept = self.chosen(earlier[rank], new, found[rank]) if rank < len(found) else new
            result.append(self.chosen(earlier[rank - 1], found[rank - 1], kept) if rank else kept)
        return result

    def chosen(self, condition: Ssa, a: Ranked, b: Ranked) -> Ranked:
        return Ranked(self.e.select(condition, a.place, b.place), self.e.select(condition, a.value, b.value))

    def load(self, position: list[Index], index: Index, count: int) -> Ranked:
        """An element of each fibre, with its place."""
        e = self.e
        whole = INT32.wide(count)
        place = e.constant(index, whole) if isinstance(index, int) else e.splat(e.convert(index, INT32), count)
        return Ranked(place, self.source.load_at(self.at(position, index), self.beside, count))
