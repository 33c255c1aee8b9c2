"""The first elements of a fibre in order: a heap of places in the result, then the elements at these places."""

from __future__ import annotations

from typing import NamedTuple

from ...plan.kernels import Pick, Rank
from ..emitter import Emitter
from ..instructions import Predicate
from ..nest import Carry, reduce_nest
from ..registers import INT32, Index, Ssa
from .family import Tensors
from .fibres import FibreEmitter


class Ranked(NamedTuple):
    """A place of a fibre and the element there."""

    place: Ssa
    value: Ssa


class RankOfFibres(FibreEmitter[Rank]):
    """What both ways share: the order of two elements."""

    def __init__(self, e: Emitter, kernel: Rank, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,), (self.axis,) = self.sources, kernel.reduced
        self.better: Predicate = ">" if kernel.largest else "<"

    def ahead(self, a: Ssa, b: Ssa) -> Ssa:
        """Whether element `a` stands before `b` wherever it is; NaN is larger than all numbers."""
        e = self.e
        ahead = e.compare(self.better, a, b)
        if a.type.kind != "float":
            return ahead
        nan, number = (a, b) if self.k.largest else (b, a)
        return e.binary("or", ahead, e.binary("and", e.unordered(nan, nan), e.compare("==", number, number)))


class FirstByInsertion(RankOfFibres):
    """Emits an insertion of each element into the results of its lane, which are in order.

    An element stands behind its equals, which have lower places. Where it stands before a result, it does so before all
    further ones: these move on by one.
    """

    def fibres(self, position: list[Index], count: int) -> None:
        e, k, size = self.e, self.k.count, self.k.shape[self.axis]
        first: list[Ranked] = []
        for index in range(k):
            first = self.inserted(first, self.load(position, index, count), k)

        def step(indices: list[Index], carry: Carry) -> Carry:
            found = [Ranked(*carry[at : at + 2]) for at in range(0, 2 * k, 2)]
            new = self.load(position, e.add(indices[0], k), count)
            return [part for each in self.inserted(found, new, k) for part in each]

        carry = [part for each in first for part in each]
        if size > k:
            carry = reduce_nest(e, [size - k], carry, 8 * k, step)
        for at_rank, place in enumerate(carry[::2]):
            held = e.convert(place, self.target.held.wide(count))
            self.target.store(held, self.target.offset(at(position, self.axis, at_rank)), self.beside)

    def inserted(self, found: list[Ranked], new: Ranked, most: int) -> list[Ranked]:
        """At most so many results, with one more element among them."""
        ahead = [self.ahead(new.value, old.value) for old in found]
        result = []
        for rank in range(min(len(found) + 1, most)):
            kept = self.chosen(ahead[rank], new, found[rank]) if rank < len(found) else new
            result.append(self.chosen(ahead[rank - 1], found[rank - 1], kept) if rank else kept)
        return result

    def chosen(self, condition: Ssa, a: Ranked, b: Ranked) -> Ranked:
        return Ranked(self.e.select(condition, a.place, b.place), self.e.select(condition, a.value, b.value))

    def load(self, position: list[Index], index: Index, count: int) -> Ranked:
        """An element of each fibre, with its place."""
        e = self.e
        whole = INT32.wide(count)
        place = e.constant(index, whole) if isinstance(index, int) else e.splat(e.convert(index, INT32), count)
        return Ranked(place, self.source.load_at(at(position, self.axis, index), self.beside, count))


class FirstByHeap(RankOfFibres):
    """Emits heapsort of places: in a heap, no element stands behind the one above it."""

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
            first, second = (self.child(node, side, size) for side in (1, 2))
            a, b = self.heap(position, first), self.heap(position, second)
            right = self.before(a, b)  # three comparisons that do not wait for each other
            sinks = e.select(right, self.before(own, b), self.before(own, a))
            where = e.select(sinks, e.select(right, second, first), node)
            raised = e.select(sinks, e.select(right, b.place, a.place), own.place)
            self.put(position, where, own.place)
            self.put(position, node, raised)
            level.next([where])

    def child(self, node: Ssa, side: int, size: Index) -> Ssa:
        """A child of a node, or the node itself, which stands before no other."""
        number = self.e.add(self.e.mul(node, 2), side)
        return self.e.choose(self.e.compare("<", number, size), number, node)

    # The order

    def before(self, a: Ranked, b: Ranked) -> Ssa:
        """Whether `a` stands before `b`; of equal elements the one at the lower place."""
        e = self.e
        worse = self.ahead(b.value, a.value)
        alike = e.select(worse, e.constant(False, worse.type), e.compare("<", a.place, b.place))
        return e.binary("or", self.ahead(a.value, b.value), alike)

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


def ranked(e: Emitter, kernel: Rank, tensors: Tensors) -> RankOfFibres:
    """The way that the kernel describes."""
    return (FirstByInsertion if kernel.fibres > 1 else FirstByHeap)(e, kernel, tensors)


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
