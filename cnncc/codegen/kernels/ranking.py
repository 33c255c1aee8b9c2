"""The first elements of a fibre in order: a heap of places in the result, then the elements at these places."""

from __future__ import annotations

from typing import NamedTuple

from ...plan.kernels import Pick, Rank
from ..emitter import Emitter
from ..instructions import Predicate
from ..registers import Index, Ssa
from .family import Tensors
from .fibres import FibreEmitter


class Ranked(NamedTuple):
    """A place of a fibre and the element there."""

    place: Ssa
    value: Ssa


class FirstOfFibres(FibreEmitter[Rank]):
    """Emits heapsort of places. `behind` says what a heap is: no parent stands before a child of it."""

    def __init__(self, e: Emitter, kernel: Rank, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,), (self.axis,) = self.sources, kernel.reduced
        self.better: Predicate = ">" if kernel.largest else "<"

    def fibres(self, position: list[Index], count: int) -> None:
        e, k, size = self.e, self.k.count, self.k.shape[self.axis]
        with e.loop(0, k) as loop:
            self.put(position, loop.index, e.value(loop.index))
        if k > 1:
            with e.loop(0, k // 2) as loop:
                root = e.sub(k // 2 - 1, loop.index)
                self.sink(position, root, self.heap(position, root), k)
        if k < size:
            self.select(position, k, size)
        if k > 1:
            with e.loop(0, k - 1) as loop:
                self.behind_others(position, e.sub(k - 1, loop.index))

    def select(self, position: list[Index], begin: int, end: int) -> None:
        """All other elements: one that stands before the root takes its place. Of equal ones the root is the former."""
        e = self.e
        with e.loop(begin, end, carry=[self.heap(position, 0).value]) as loop:
            value, (worst,) = self.element(position, loop.index), loop.values
            with e.loop(0, e.choose(self.ahead(value, worst), 1, 0), carry=[worst]) as once:
                own = Ranked(e.value(loop.index), value)
                self.put(position, 0, own.place)
                self.sink(position, 0, own, begin)
                once.next([self.heap(position, 0).value])
            loop.next(once.results)

    def behind_others(self, position: list[Index], last: Index) -> None:
        """The root, which is the worst of places [0, last], as the last of them; the others are a heap again."""
        root, other = self.heap(position, 0), self.heap(position, last)
        self.put(position, last, root.place)
        self.put(position, 0, other.place)
        self.sink(position, 0, other, last)

    def sink(self, position: list[Index], root: Index, own: Ranked, size: Index) -> None:
        """What `root` has goes down while a child stands behind it, in a heap of `size` elements.

        Where it stands it stays: the steps that are left exchange it with itself.
        """
        e, levels = self.e, self.k.count.bit_length() - 1
        if not levels:
            return
        with e.loop(0, levels, carry=[e.value(root)]) as level:
            (node,) = level.values
            lowest, at = own, node
            for side in (1, 2):
                child = e.add(e.mul(node, 2), side)
                child = e.choose(e.compare("<", child, size), child, node)
                other = self.heap(position, child)
                behind = self.before(lowest, other)
                lowest = Ranked(*(e.select(behind, b, a) for a, b in zip(lowest, other, strict=True)))
                at = e.select(behind, child, at)
            self.put(position, at, own.place)
            self.put(position, node, lowest.place)
            level.next([at])

    # The order

    def before(self, a: Ranked, b: Ranked) -> Ssa:
        """Whether `a` stands before `b`; of equal elements the one at the lower place."""
        e = self.e
        worse = self.ahead(b.value, a.value)
        alike = e.select(worse, e.constant(False, worse.type), e.compare("<", a.place, b.place))
        return e.binary("or", self.ahead(a.value, b.value), alike)

    def ahead(self, a: Ssa, b: Ssa) -> Ssa:
        """Whether element `a` stands before `b` wherever it is; NaN is larger than all numbers."""
        e = self.e
        ahead = e.compare(self.better, a, b)
        if a.type.kind != "float":
            return ahead
        nan, number = (a, b) if self.k.largest else (b, a)
        return e.binary("or", ahead, e.binary("and", e.unordered(nan, nan), e.compare("==", number, number)))

    # Memory

    def element(self, position: list[Index], place: Index) -> Ssa:
        return self.source.scalar(self.source.offset(at(position, self.axis, place)))

    def heap(self, position: list[Index], node: Index) -> Ranked:
        """What a node of the heap has."""
        held = self.target.scalar(self.target.offset(at(position, self.axis, node)))
        place = self.e.convert(held, self.e.index_type)
        return Ranked(place, self.element(position, place))

    def put(self, position: list[Index], node: Index, place: Ssa) -> None:
        held = self.e.convert(place, self.target.held)
        self.target.store(held, self.target.offset(at(position, self.axis, node)), self.axis)


class Picked(FibreEmitter[Pick]):
    """Emits the elements at places that another tensor has; one outside of the fibre would mean place 0."""

    def fibres(self, position: list[Index], count: int) -> None:
        e, (axis,), (elements, places) = self.e, self.k.reduced, self.sources
        with e.loop(0, self.k.count) as loop:
            spot = at(position, axis, loop.index)
            place: Index = e.convert(places.scalar(places.offset(spot)), e.index_type)
            place = e.choose(e.compare("<", place, self.k.shape[axis], unsigned=True), place, 0)
            value = elements.scalar(elements.offset(at(position, axis, place)))
            self.target.store(value, self.target.offset(spot), axis)


def at(position: list[Index], axis: int, index: Index) -> list[Index]:
    """An element of the fibre at a position."""
    return [*position[:axis], index, *position[axis + 1 :]]
