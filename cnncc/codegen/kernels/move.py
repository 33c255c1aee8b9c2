"""A copy between two views of one shape with any strides: every change of memory order is such a copy.

Its axes stand in the order of the target's memory (`plan.moves`). Where both sides advance along one axis, vectors are
copied; where the innermost axes differ, vectors are transposed in registers. The last vector of an axis, or the last
square, slides back over the one before: there are no tails, and the same bits are written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from ...plan.kernels import Move
from ...plan.views import ROW_AXIS
from ..emitter import Emitter
from ..nest import UNROLL_LOOKUPS, sliding_steps
from ..registers import Index, Ssa
from ..transpose import collected, dealt_out, transpose
from .family import KernelEmitter, Tensors


class Copy(KernelEmitter[Move]):
    """Emits one copy."""

    def __init__(self, e: Emitter, kernel: Move, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,) = self.sources
        if (self.source.element, self.source.read_as) == (self.target.element, self.target.read_as):
            for access in (self.source, self.target):
                access.hold_stored()
        self.shape = self.target.view.shape
        self.reads, self.writes = self.source.view.strides, self.target.view.strides

    def emit(self, a: Index, b: Index) -> None:
        forms = {"runs": self.run, "squares": self.squares, "dealt out": self.deal_out, "collected": self.collect}
        with self.places((a, b)) as (read, write):
            forms[self.k.form](read, write)

    @contextmanager
    def places(self, rows: tuple[Index, Index]) -> Iterator[tuple[Index, Index]]:
        """Loops over all axes but those of the vectors: where the source is read, and the target written."""
        with ExitStack() as stack:
            read: Index = self.source.view.offset
            write: Index = self.target.view.offset
            for axis, size in enumerate(self.shape):
                if axis not in (self.k.lane_axis, self.k.source_axis):
                    loop = stack.enter_context(self.e.loop(*(rows if axis == ROW_AXIS else (0, size))))
                    read = self.e.add(read, self.source.along(axis, loop.index))
                    write = self.e.add(write, self.target.along(axis, loop.index))
            yield read, write

    def steps(self, size: int, step: int, body: Callable[[Index], None]) -> None:
        sliding_steps(self.e, size, step, body)

    def store(self, vectors: Sequence[Ssa], write: Index, distance: int) -> None:
        """Vectors along the lanes' axis, each so far behind the one before."""
        for number, vector in enumerate(vectors):
            self.target.store(vector, self.e.add(write, number * distance), self.k.lane_axis)

    # Runs

    def run(self, read: Index, write: Index) -> None:
        axis, lanes = self.k.lane_axis, self.k.lanes
        size, stride = self.shape[axis], self.writes[axis]
        if axis in self.source.tables:
            self.looked_up(read, write)
            return
        repeated = self.source.load_strided(read, 0, lanes) if self.reads[axis] == 0 else None

        def copy(begin: Index) -> None:
            place = self.e.add(read, self.e.mul(begin, self.reads[axis]))
            if self.k.ahead and self.reads[axis] > 0:
                self.source.prefetch(self.e.add(place, self.k.ahead))
            vector = repeated or self.source.load(place, axis, lanes)
            self.target.store(vector, self.e.add(write, self.e.mul(begin, stride)), axis)

        self.steps(size, lanes, copy)

    def looked_up(self, read: Index, write: Index) -> None:
        """A run through a table; up to a number of vectors it is unrolled, since its entries are then known."""
        axis, lanes = self.k.lane_axis, self.k.lanes
        size, stride = self.shape[axis], self.writes[axis]

        def copy(begin: Index) -> None:
            vector = self.source.load_entries(read, axis, begin, lanes)
            self.target.store(vector, self.e.add(write, self.e.mul(begin, stride)), axis)

        if lanes == 1 or size > UNROLL_LOOKUPS * lanes:
            self.steps(size, lanes, copy)
            return
        for begin in range(0, size, lanes):
            copy(min(begin, size - lanes))

    # Transposed in registers

    def squares(self, read: Index, write: Index) -> None:
        """Strips of squares across the outer axis, each along the inner one."""
        s, t, block = self.k.source_axis, self.k.lane_axis, self.k.block
        rows = min(block, self.shape[t])
        sizes = {s: block, t: rows}
        outer = self.k.outer_axis
        inner = s + t - outer
        count = min(self.k.squares, self.shape[outer] // sizes[outer])

        def strip(first: Index) -> None:
            def squares(second: Index) -> None:
                for number in range(count):
                    at = {outer: self.e.add(first, number * sizes[outer]), inner: second}
                    self.square(self.at(read, self.reads, at), self.at(write, self.writes, at), rows)

            self.steps(self.shape[inner], sizes[inner], squares)

        self.steps(self.shape[outer], count * sizes[outer], strip)

    def at(self, offset: Index, strides: Sequence[int], position: Mapping[int, Index]) -> Index:
        """An offset, moved to a position on some axes."""
        for axis, index in position.items():
            offset = self.e.add(offset, self.e.mul(index, strides[axis]))
        return offset

    def square(self, read: Index, write: Index, rows: int) -> None:
        """Transpose `rows` vectors of `block` elements to `block` vectors of `rows`; missing rows are never stored."""
        e, block, step = self.e, self.k.block, self.reads[self.k.lane_axis]
        vectors = [self.source.load_strided(e.add(read, row * step), 1, block) for row in range(rows)]
        nothing = e.undefined(vectors[0].type)
        columns = transpose(e, vectors + [nothing] * (block - rows))
        self.store([e.resize(column, rows) for column in columns], write, self.writes[self.k.source_axis])

    def deal_out(self, read: Index, write: Index) -> None:
        """Vectors of `block` rows of the source become as many in a row in the target."""
        block, lanes = self.k.block, self.k.lanes
        step = self.reads[self.k.lane_axis]

        def body(begin: Index) -> None:
            first = self.e.add(read, begin)
            rows = [
                self.source.load_strided(self.e.add(first, row * step), 1, lanes) for row in range(block if step else 1)
            ]
            rows *= block // len(rows)
            self.store(dealt_out(self.e, rows), self.e.add(write, self.e.mul(begin, block)), lanes)

        self.steps(self.shape[self.k.source_axis], lanes, body)

    def collect(self, read: Index, write: Index) -> None:
        """`block` vectors in a row in the source become vectors of as many rows of the target."""
        block, lanes = self.k.block, self.k.lanes

        def body(begin: Index) -> None:
            first = self.e.add(read, self.e.mul(begin, block))
            vectors = [self.source.load_strided(self.e.add(first, at * lanes), 1, lanes) for at in range(block)]
            self.store(collected(self.e, vectors), self.e.add(write, begin), self.writes[self.k.source_axis])

        self.steps(self.shape[self.k.lane_axis], lanes, body)
