"""The first elements of one fibre after the other: candidates are selected by vectors, and only these are sorted.

Elements are compared by their keys (`order.key`). Each lane of `groups` keeps the largest key of a group of elements.
As many keys as are wanted are not below the last of the first of these, and so no other element is a candidate. In
their room, equal candidates stand in the order of their places. When it is full, only the first of them stay, and those
that follow have to be better than the last one.
"""

from __future__ import annotations

from ...plan.kernels import Select
from ..emitter import Emitter
from ..nest import lane_runs
from ..registers import Index, Ssa
from .candidates import Candidates, Words
from .family import Tensors
from .fibres import LineEmitter
from .order import key


class FirstBySelection(LineEmitter[Select]):
    """Emits selection and sort of each fibre."""

    def __init__(self, e: Emitter, kernel: Select, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.lanes, (scratch,) = kernel.lanes, tensors.scratch
        self.found = Candidates(e, scratch, kernel.room, self.lanes)

    def fibres(self, position: list[Index], count: int) -> None:
        places = self.sorted(self.selected(position) if self.k.groups else self.all(position))

        def copy(index: Index, lanes: int) -> None:
            wide = self.target.held.wide(lanes)
            offset = self.target.offset(self.at(position, index))
            self.target.store(self.e.convert(places.load(index, lanes), wide), offset, self.axis)

        lane_runs(self.e, 0, self.k.count, self.lanes, copy)

    def sorted(self, count: Index) -> Words:
        """The places of `count` candidates in order."""
        if self.k.digits:
            return self.found.sort_by_digits(count)
        self.found.sort_by_counting(count)
        return self.found.places.from_on(self.found.room)

    def load(self, position: list[Index], index: Index, lanes: int) -> Ssa:
        """The keys of some elements."""
        value = self.source.load_at(self.at(position, index), self.axis, lanes)
        return key(self.e, value, self.k.largest)

    # Selection; each way returns the number of candidates

    def all(self, position: list[Index]) -> Index:
        def put(index: Index, lanes: int) -> None:
            self.found.put(self.load(position, index, lanes), self.found.numbers(index, lanes), index)

        lane_runs(self.e, 0, self.size, self.lanes, put)
        return self.size

    def selected(self, position: list[Index]) -> Index:
        """The last vector slides back over elements that were asked before, and takes no such one."""
        e, lanes, rest, found = self.e, self.lanes, self.size % self.lanes, self.found
        found.bound.store(self.first_bound(position), 0)
        found.number.store(e.constant(0, found.word), 0)
        with e.loop(0, self.size, lanes) as loop:
            begin = e.least(loop.index, self.size - lanes) if rest else loop.index
            keys, places = self.load(position, begin, lanes), found.numbers(begin, lanes)
            chosen = e.compare(">=", keys, e.splat(found.bound.load(0), lanes))
            if rest:
                new = e.compare(">=", places, e.splat(found.numbers(loop.index, 1), lanes))
                chosen = e.binary("and", chosen, new)
            with e.when(e.any_lane(chosen)):
                self.append(chosen, keys, places)
        return e.convert(found.number.load(0), e.index_type)

    def first_bound(self, position: list[Index]) -> Ssa:
        """The key below which no element is a candidate: by the largest ones of groups, whose elements lie apart."""
        e, groups = self.e, self.k.groups
        with e.loop(0, groups, self.lanes) as lane:
            first = self.load(position, lane.index, self.lanes)
            with e.loop(groups, self.size // groups * groups, groups, carry=[first]) as turn:
                later = self.load(position, e.add(turn.index, lane.index), self.lanes)
                turn.next([e.maximum(turn.values[0], later)])
            self.found.keys.store(turn.results[0], lane.index)
        return self.found.last_of_first(self.k.count, groups) if self.k.bits else self.last_sorted(groups)

    def last_sorted(self, count: Index) -> Ssa:
        """Sort candidates; returns the key of the last wanted one."""
        self.found.sort_by_counting(count)
        return self.found.keys.load(self.found.room + self.k.count - 1)

    def append(self, chosen: Ssa, keys: Ssa, places: Ssa) -> None:
        """Add the candidates of a vector, each where the next one would be."""
        e, found = self.e, self.found
        number = e.convert(found.number.load(0), e.index_type)
        for lane in range(self.lanes):
            found.put(e.extract(keys, lane), e.extract(places, lane), number)
            one = e.convert(e.extract(chosen, lane), e.index_type, signed=False)
            number = e.value(e.add(number, one))
        found.number.store(e.convert(number, found.word), 0)
        with e.when(e.compare(">", number, self.k.room - 2 * self.lanes)):
            found.bound.store(self.better(self.first_of(number)), 0)
            found.number.store(e.constant(self.k.count, found.word), 0)

    def first_of(self, count: Ssa) -> Ssa:
        """Keep as many candidates as are wanted; returns the key of the last one."""
        k, found = self.k, self.found
        if k.bits:
            return found.keep_first(k.count, count)
        last = self.last_sorted(count)
        with self.e.loop(0, k.count) as loop:
            found.move(self.e.add(loop.index, found.room), loop.index)
        return last

    def better(self, last: Ssa) -> Ssa:
        """The next larger key; equals of the largest one are candidates once more, and stand behind it."""
        e, word = self.e, last.type
        largest = e.compare("==", last, e.constant(2 ** (word.bits - 1) - 1, word))
        return e.select(largest, last, e.binary("add", last, e.constant(1, word)))
