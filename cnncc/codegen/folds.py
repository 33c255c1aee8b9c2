"""Partial results in the lanes of vectors, combined to one for each vector.

A fold combines lane i with lane i + h for all i < h, then halves h, until one lane is left. Several vectors are folded
together at the price of one: two of them, of which each needs only half of its lanes from then on, share a register.
Every fold combines the same lanes in the same order, so the bits of a result do not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..computation import Combine
from .emitter import Emitter
from .epilogue import combine
from .registers import Ssa

GROUP = 4  # lanes of 128 bits, within which the instructions of all machines shuffle


def stretches(size: int, wide: int, one: int) -> list[tuple[int, int, int]]:
    """(begin, end, lanes) of an axis: `wide` lanes at a time, then whole vectors of `one`, then what is left of one.

    Each has partial results of its own, so that no line waits for lanes of another register to come together.
    """
    whole = size // wide * wide
    vectors = whole + (size - whole) // one * one
    found = ((0, whole, wide), (whole, vectors, vectors - whole), (vectors, size, size - vectors))
    return [(begin, end, lanes) for begin, end, lanes in found if lanes and begin < end]


def together(e: Emitter, kind: Combine, partial: Sequence[Ssa]) -> Ssa:
    """The partial results of the stretches of an axis, in the lanes of the first."""
    total, *others = partial
    for other in others:
        total = with_first(e, total, combine(e, kind, e.resize(total, other.lanes), other))
    return total


def accumulated(e: Emitter, kind: Combine, identity: float, total: Ssa, value: Ssa) -> Ssa:
    """A partial result with one more value: the value itself, if it is the first and no NaN is to be left out."""
    return value if total.constant == identity and kind != "fmax" else combine(e, kind, total, value)


def fold_vectors(e: Emitter, kind: Combine, value: Ssa) -> Ssa:
    """The vectors of a wide value combined to one: the upper half of them with the lower half, and so on."""
    one = e.target.lanes
    while value.lanes > one and value.lanes % one == 0:
        vectors = value.lanes // one
        low, high = (vectors + 1) // 2 * one, vectors // 2 * one
        upper = e.shuffle(value, None, range(low, low + high))
        value = with_first(e, e.resize(value, low), combine(e, kind, e.resize(value, high), upper))
    return value


def fold(e: Emitter, kind: Combine, value: Ssa) -> Ssa:
    """All lanes combined; an odd lane is combined first."""
    value = fold_vectors(e, kind, value)
    while (lanes := value.lanes) > 1:
        half = lanes // 2
        low = e.shuffle(value, None, range(half))
        high = e.shuffle(value, None, range(half, 2 * half))
        folded = combine(e, kind, low, high)
        if lanes % 2:
            odd = e.extract(value, lanes - 1)
            first = combine(e, kind, e.extract(folded, 0), odd)
            folded = e.insert(folded, first, 0)
        value = folded
    return value


def fold_together(e: Emitter, kind: Combine, values: Sequence[Ssa]) -> Ssa:
    """Each of several values folded: lane k of the result is what `fold` makes of values[k].

    Their lanes are those of one vector or several, if they are more than one.
    """
    if len(values) == 1:
        return fold(e, kind, values[0])
    filled = [*values, *[values[0]] * ((1 << (len(values) - 1).bit_length()) - len(values))]
    parts = [Parts(fold_vectors(e, kind, value), [number]) for number, value in enumerate(filled)]
    while len(parts) > 1:
        parts = [one_of_two(e, kind, a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    (whole,) = parts
    while whole.size > 1:
        whole = halved(e, kind, whole)
    return e.shuffle(whole.value, None, [whole.owners.index(number) for number in range(len(values))])


@dataclass(frozen=True)
class Parts:
    """A vector in equal parts; each has the partial results of one value, its owner, by number."""

    value: Ssa
    owners: Sequence[int]

    @property
    def size(self) -> int:
        """Lanes of a part."""
        return self.value.lanes // len(self.owners)


def one_of_two(e: Emitter, kind: Combine, a: Parts, b: Parts) -> Parts:
    """The parts of two vectors in one, each folded once.

    Parts of up to `GROUP` lanes stay in their group, where one instruction shuffles two vectors on any machine.
    """
    lanes, size, half = a.value.lanes, a.size, a.size // 2
    group = lanes if size > GROUP else min(lanes, GROUP)
    order = [
        (parts, number)
        for begin in range(0, lanes, group)
        for parts in (a, b)
        for number in range(begin // size, (begin + group) // size)
    ]
    low = [(parts is b) * lanes + number * size + lane for parts, number in order for lane in range(half)]
    folded = combine(e, kind, *(e.shuffle(a.value, b.value, [at + up for at in low]) for up in (0, half)))
    return Parts(folded, [parts.owners[number] for parts, number in order])


def halved(e: Emitter, kind: Combine, parts: Parts) -> Parts:
    """Each part folded once."""
    half = parts.size // 2
    low = [number * parts.size + lane for number in range(len(parts.owners)) for lane in range(half)]
    folded = combine(e, kind, *(e.shuffle(parts.value, None, [at + up for at in low]) for up in (0, half)))
    return Parts(folded, parts.owners)


def with_first(e: Emitter, vector: Ssa, first: Ssa) -> Ssa:
    """A vector whose first lanes are replaced."""
    width = vector.lanes
    if first.lanes == width:
        return first
    return e.shuffle(e.resize(first, width), vector, [lane + (lane >= first.lanes) * width for lane in range(width)])
