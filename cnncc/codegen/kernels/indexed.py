"""Reads and writes at indices that arrive. No index leads outside of a buffer, whatever its bits are.

An index below 0 counts from the end. A read beyond either end reads the element there; a write there is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from ...plan.kernels import IndexedRead, IndexedWrite
from ...plan.views import ROW_AXIS
from ..emitter import Emitter
from ..memory import Access
from ..nest import lane_runs, sliding_steps
from ..registers import Index, Ssa
from .family import KernelEmitter, Tensors

COMBINE: dict[str, Callable[[Emitter, Ssa, Ssa], Ssa]] = {
    "add": lambda e, old, new: e.binary("add", old, new),
    "multiply": lambda e, old, new: e.binary("multiply", old, new),
    "maximum": lambda e, old, new: e.maximum(old, new),
    "minimum": lambda e, old, new: e.minimum(old, new),
}
"""How an update meets what is there, if it does not replace it."""


def from_the_front(e: Emitter, index: Ssa, size: int) -> Ssa:
    """An index of `size` elements, counted from the front where it counts from the end."""
    zero, all_of_it = (e.constant(number, index.type) for number in (0, size))
    return e.select(e.compare("<", index, zero), e.binary("add", index, all_of_it), index)


def clamped(e: Emitter, index: Ssa, size: int) -> Ssa:
    """An index counted from the front, in [0, size)."""
    first, last = (e.constant(number, index.type) for number in (0, size - 1))
    index = from_the_front(e, index, size)
    index = e.select(e.compare("<", index, first), first, index)
    return e.select(e.compare(">", index, last), last, index)


def move_only(*accesses: Access) -> None:
    """Let registers hold elements of one type as they lie in memory, since nothing is computed with them."""
    for access in accesses if len({access.element for access in accesses}) == 1 else ():
        access.hold_stored()


Along = Callable[[int, Index], Index]
"""How far an index on an axis leads: `Access.along`."""


@contextmanager
def places(
    e: Emitter, shape: Sequence[int], rows: tuple[Index, Index], axes: Sequence[int], views: Mapping[Along, int]
) -> Iterator[list[Index]]:
    """Loops over some axes that several views have in common: where each of them is, from its offset on."""
    with ExitStack() as stack:
        offsets: list[Index] = list(views.values())
        for axis in axes:
            loop = stack.enter_context(e.loop(*(rows if axis == ROW_AXIS else (0, shape[axis]))))
            offsets = [e.add(at, along(axis, loop.index)) for at, along in zip(offsets, views, strict=True)]
        yield offsets


def whole(*accesses: Access) -> dict[Along, int]:
    """Views that follow every axis."""
    return {access.along: access.view.offset for access in accesses}


class ReadAtIndices(KernelEmitter[IndexedRead]):
    """Emits one lookup."""

    def __init__(self, e: Emitter, kernel: IndexedRead, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.x, self.indices = self.sources
        move_only(self.x, self.target)
        self.shape, self.along = self.target.view.shape, kernel.lane_axis
        self.count, self.distance = self.x.view.shape[-1], self.x.view.strides[-1]

    def emit(self, a: Index, b: Index) -> None:
        outer = range(ROW_AXIS, self.along)
        views = whole(self.x, self.indices, self.target)
        with places(self.e, self.shape, (a, b), outer, views) as (read, index, write):
            run = self.run if self.k.whole else self.each
            run(read, index, write)

    def place(self, index: Ssa) -> Index:
        """How far behind its first element the operand has the one at an index."""
        return self.e.mul(self.e.convert(index, self.e.index_type), self.distance)

    def run(self, read: Index, index: Index, write: Index) -> None:
        """One index for a run of elements."""
        begin = self.e.add(read, self.place(clamped(self.e, self.indices.scalar(index), self.count)))
        stride, lanes = self.x.view.strides[self.along], self.k.lanes

        def copy(first: Index) -> None:
            vector = self.x.load_strided(self.e.add(begin, self.e.mul(first, stride)), stride, lanes)
            self.target.store(vector, self.e.add(write, self.target.along(self.along, first)), self.along)

        sliding_steps(self.e, self.shape[self.along], lanes, copy)

    def each(self, read: Index, index: Index, write: Index) -> None:
        """An index for each element."""
        e, along, lanes, stride = self.e, self.along, self.k.lanes, self.x.view.strides[self.along]

        def gather(first: Index) -> None:
            chosen = self.indices.load(e.add(index, self.indices.along(along, first)), along, lanes)
            chosen, begin = clamped(e, chosen, self.count), e.add(read, e.mul(first, stride))
            vector = e.undefined(self.x.held.wide(lanes))
            for lane in range(lanes):
                place = e.add(e.add(begin, lane * stride), self.place(e.extract(chosen, lane)))
                vector = e.insert(vector, self.x.scalar(place), lane)
            self.target.store(vector, e.add(write, self.target.along(along, first)), along)

        sliding_steps(e, self.shape[along], lanes, gather)


class WriteAtIndices(KernelEmitter[IndexedWrite]):
    """Emits one scatter: the copy of what is written into, then the updates, one index after the other."""

    def __init__(self, e: Emitter, kernel: IndexedWrite, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.x, self.indices, self.updates = self.sources
        if kernel.combine == "replace":
            move_only(self.x, self.updates, self.target)
        self.shape = self.target.view.shape
        self.along, self.last = len(self.shape) - 2, len(self.shape) - 1

    def emit(self, a: Index, b: Index) -> None:
        self.copy((a, b))
        self.update((a, b))

    def copy(self, rows: tuple[Index, Index]) -> None:
        axis, lanes = self.k.lane_axis, self.k.copied
        outer = [number for number in range(ROW_AXIS, self.last + 1) if number != axis]
        with places(self.e, self.shape, rows, outer, whole(self.x, self.target)) as (read, write):

            def move(first: Index) -> None:
                vector = self.x.load(self.e.add(read, self.x.along(axis, first)), axis, lanes)
                self.target.store(vector, self.e.add(write, self.target.along(axis, first)), axis)

            sliding_steps(self.e, self.shape[axis], lanes, move)

    def update(self, rows: tuple[Index, Index]) -> None:
        """Updates that meet one element come in the order of the indexed axis, wherever its loop stands.

        It is the innermost one around a run that shares an index; else the innermost two go as the indices lie.
        """
        e, along, last = self.e, self.along, self.last
        inner = [last] if self.k.whole else [last, along]
        inner.sort(key=lambda axis: -abs(self.indices.view.strides[axis]))
        axes = [*range(ROW_AXIS, along), *inner]
        views = whole(self.indices, self.updates) | {self.beside: self.target.view.offset}
        with places(e, self.updates.view.shape, rows, axes, views) as (index, read, write):
            number = from_the_front(e, self.indices.scalar(index), self.shape[last])
            with e.when(self.inside(number)):
                place = e.mul(e.convert(number, e.index_type), self.target.view.strides[last])
                self.meet(read, e.add(write, place))

    def beside(self, axis: int, index: Index) -> Index:
        """The target follows all axes but the one that the indices count."""
        return 0 if axis == self.last else self.target.along(axis, index)

    def inside(self, index: Ssa) -> Ssa:
        return self.e.compare("<", index, self.e.constant(self.shape[-1], index.type), unsigned=True)

    def meet(self, read: Index, write: Index) -> None:
        """Updates that share an index: a run, or one element."""
        along, lanes = self.along, self.k.lanes

        def combine(first: Index, lanes: int = lanes) -> None:
            new = self.updates.load(self.e.add(read, self.updates.along(along, first)), along, lanes)
            place = self.e.add(write, self.target.along(along, first))
            if self.k.combine != "replace":
                new = COMBINE[self.k.combine](self.e, self.target.load(place, along, lanes), new)
            self.target.store(new, place, along)

        if not self.k.whole:
            combine(0, 1)
        elif self.k.combine == "replace":
            sliding_steps(self.e, self.shape[along], lanes, combine)
        else:  # each element once: no vector may slide back
            lane_runs(self.e, 0, self.shape[along], lanes, combine)
