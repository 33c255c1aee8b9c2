"""Candidates of a selection, in scratch memory: whole-number keys, larger the earlier, and places. Their order.

Both ways to sort look at each key as often for every input. Few are counted: the number of a candidate is that of those
before it, which vectors of keys tell. Many are distributed by their digits of 8 bits, the last digit first, each time
in the order of the former (Knuth, volume 3, 5.2.5).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from ...plan.kernels import Select
from ..emitter import Emitter
from ..folds import fold
from ..instructions import Predicate
from ..memory import Access
from ..registers import Index, RegisterType, Ssa

DIGIT = Select.values.bit_length() - 1
"""Bits of a digit."""


def least(word: RegisterType) -> int:
    """The least key."""
    return int(-(2 ** (word.bits - 1)))


@dataclass(frozen=True)
class Words:
    """Scratch memory from a word on."""

    memory: Access
    begin: Index

    def load(self, index: Index, lanes: int = 1) -> Ssa:
        return self.memory.load_strided(self.memory.e.add(index, self.begin), 1, lanes)

    def store(self, value: Ssa, index: Index) -> None:
        self.memory.store(value, self.memory.e.add(index, self.begin), 0)

    def from_on(self, index: Index) -> Words:
        return Words(self.memory, self.memory.e.add(self.begin, index))


class Candidates:
    """Their number and the least key of a further one; keys and places, each of these in two halves of `room` for them.

    Behind them are counters of the values of a digit.
    """

    def __init__(self, e: Emitter, memory: Access, room: int, lanes: int):
        self.e, self.room, self.lanes, self.word = e, room, lanes, memory.held
        self.number, self.bound = Words(memory, 0), Words(memory, 1)
        self.keys, self.places, self.counters = (Words(memory, Select.state + 2 * half * room) for half in range(3))

    def put(self, keys: Ssa, places: Ssa, number: Index) -> None:
        self.keys.store(keys, number)
        self.places.store(places, number)

    def move(self, source: Index, target: Index) -> None:
        self.put(self.keys.load(source), self.places.load(source), target)

    def numbers(self, index: Index, lanes: int) -> Ssa:
        """index, index + 1… as words."""
        e, wide = self.e, self.word.wide(lanes)
        first = e.splat(e.convert(e.value(index), self.word), lanes)
        return e.binary("add", first, e.lane_numbers(wide)) if lanes > 1 else first

    def end(self, count: Index) -> None:
        """Put a vector of the least key behind so many candidates, so that all vectors of keys are whole."""
        self.keys.store(self.e.constant(least(self.word), self.word.wide(self.lanes)), count)

    def how_many(self, predicate: Predicate, than: Ssa, count: Index) -> Ssa:
        """The number of keys that compare so; behind them stands a vector of the least one."""
        e, wide, vector = self.e, self.word.wide(self.lanes), self.e.splat(than, self.lanes)
        with e.loop(0, count, self.lanes, carry=[e.constant(0, wide)]) as loop:
            true = e.compare(predicate, self.keys.load(loop.index, self.lanes), vector)
            loop.next([e.binary("add", loop.values[0], e.convert(true, wide, signed=False))])
        return e.convert(fold(e, "add", loop.results[0]), e.index_type)

    # The key of the last of the first

    def last_of_first(self, wanted: int, count: Index) -> Ssa:
        """The key of number `wanted` in order, bit by bit: the largest one that so many candidates are not below."""
        e, word = self.e, self.word
        self.end(count)
        one = e.constant(1, word)
        with e.loop(0, word.bits, carry=[e.constant(least(word), word)]) as bit:
            place = e.convert(e.value(e.sub(word.bits - 1, bit.index)), word)
            larger = e.binary("add", bit.values[0], e.binary("shift_left", one, place))
            above = self.how_many(">=", larger, count)
            bit.next([e.select(e.compare(">=", above, wanted), larger, bit.values[0])])
        return bit.results[0]

    def keep_first(self, wanted: int, count: Index) -> Ssa:
        """Keep as many of `count` candidates as are wanted, in the order in which they stand; returns the last key.

        Of those that equal the last one, the first stay.
        """
        e, last = self.e, self.last_of_first(wanted, count)
        above = self.how_many(">", last, count)
        with e.loop(0, count, carry=[e.value(0), e.value(e.sub(wanted, above))]) as loop:
            own, (number, equal) = self.keys.load(loop.index), loop.values
            self.move(loop.index, number)
            tie = e.binary("and", e.compare("==", own, last), e.compare(">", equal, 0))
            kept = e.binary("or", e.compare(">", own, last), tie)
            kept, tie = (e.convert(truth, e.index_type, signed=False) for truth in (kept, tie))
            loop.next([e.value(e.add(number, kept)), e.value(e.sub(equal, tie))])
        return last

    # Order

    def sort_by_counting(self, count: Index) -> None:
        """A candidate stands behind those with a larger key, and behind equal ones that stand before it."""
        e, lanes = self.e, self.lanes
        self.end(count)
        with e.loop(0, count, lanes) as block:
            begin, end = block.index, e.add(block.index, lanes)
            keys, places = self.keys.load(begin, lanes), self.places.load(begin, lanes)
            before = self.counted(keys, 0, begin, e.constant(0, keys.type), lambda one, _: e.compare(">=", one, keys))
            before = self.counted(keys, begin, end, before, functools.partial(self.ahead, keys, begin))
            before = self.counted(keys, end, count, before, lambda one, _: e.compare(">", one, keys))
            for lane in range(lanes):
                number = e.convert(e.extract(before, lane), e.index_type)
                self.put(e.extract(keys, lane), e.extract(places, lane), e.add(number, self.room))

    def counted(self, keys: Ssa, begin: Index, end: Index, before: Ssa, is_before: Callable[[Ssa, Index], Ssa]) -> Ssa:
        """How many candidates of [begin, end), besides those `before`, stand before each of the `keys`."""
        e = self.e
        with e.loop(begin, end, carry=[before]) as loop:
            true = is_before(e.splat(self.keys.load(loop.index), self.lanes), loop.index)
            loop.next([e.binary("add", loop.values[0], e.convert(true, keys.type, signed=False))])
        return loop.results[0]

    def ahead(self, keys: Ssa, begin: Index, one: Ssa, number: Index) -> Ssa:
        """Whether one of the `keys`, repeated, whose number is known, stands before each; they begin at a number."""
        e, lanes = self.e, self.lanes
        lane = e.splat(self.numbers(e.sub(number, begin), 1), lanes)
        tie = e.binary("and", e.compare("==", one, keys), e.compare(">", self.numbers(0, lanes), lane))
        return e.binary("or", e.compare(">", one, keys), tie)

    def sort_by_digits(self, count: Index) -> Words:
        """Radix sort from the last digit on, from one half to the other and back; returns the places in order."""
        e, varies = self.e, self.varying_bits(count)
        with e.loop(0, self.word.bits // DIGIT, carry=[e.value(0), e.value(self.room)]) as turn:
            digits = Digits(self, turn.index)
            needed = e.compare("!=", digits.of(varies), 0)
            with e.loop(0, e.choose(needed, 1, 0), carry=turn.values) as once:
                source, target = once.values
                digits.sort(source, target, count)
                once.next([target, source])
            turn.next(once.results)
        return self.places.from_on(turn.results[0])

    def varying_bits(self, count: Index) -> Ssa:
        """The bits in which keys differ: the others need no sort."""
        e, wide = self.e, self.word.wide(self.lanes)
        first = self.keys.load(0)
        self.keys.store(e.splat(first, self.lanes), count)
        with e.loop(0, count, self.lanes, carry=[e.constant(0, wide)]) as loop:
            varies = e.binary("xor", self.keys.load(loop.index, self.lanes), e.splat(first, self.lanes))
            loop.next([e.binary("or", loop.values[0], varies)])
        varies = e.extract(loop.results[0], 0)
        for lane in range(1, self.lanes):
            varies = e.binary("or", varies, e.extract(loop.results[0], lane))
        return varies


class Digits:
    """One digit of all keys, and for each value of it a counter."""

    def __init__(self, found: Candidates, number: Index):
        self.e, self.found, self.word, self.counters = found.e, found, found.word, found.counters
        self.shift = self.e.convert(self.e.value(self.e.mul(number, DIGIT)), self.word)
        self.complement = self.e.constant(2 ** (self.word.bits - 1) - 1, self.word)

    def of(self, word: Ssa) -> Index:
        shifted = self.e.binary("shift_right_zeros", word, self.shift)
        return self.e.mask(self.e.convert(shifted, self.e.index_type, signed=False), Select.values - 1)

    def next(self, candidate: Index) -> Index:
        """The counter of a candidate's digit, which grows by one; digits count from that of the largest keys on."""
        digit = self.of(self.e.binary("xor", self.found.keys.load(candidate), self.complement))
        old = self.counters.load(digit)
        self.counters.store(self.e.binary("add", old, self.e.constant(1, self.word)), digit)
        return self.e.convert(old, self.e.index_type)

    def sort(self, source: Ssa, target: Ssa, count: Index) -> None:
        """Move candidates from one half to the other in the order of this digit."""
        self.clear()
        with self.e.loop(0, count) as loop:
            self.next(self.e.add(source, loop.index))
        self.begin()
        with self.e.loop(0, count) as loop:
            candidate = self.e.add(source, loop.index)
            self.found.move(candidate, self.e.add(target, self.next(candidate)))

    def clear(self) -> None:
        lanes = self.found.lanes
        with self.e.loop(0, Select.values, lanes) as loop:
            self.counters.store(self.e.constant(0, self.word.wide(lanes)), loop.index)

    def begin(self) -> None:
        """Each counter becomes the place of the first key with its digit."""
        with self.e.loop(0, Select.values, carry=[self.e.constant(0, self.word)]) as loop:
            own, (before,) = self.counters.load(loop.index), loop.values
            self.counters.store(before, loop.index)
            loop.next([self.e.binary("add", before, own)])
