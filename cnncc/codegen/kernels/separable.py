"""Pooling axis by axis: rows in registers, then columns by shifts of lanes or, with lanes along channels, in registers.

    area 0[y, …, x] = the first axis reduced      for a block of y, from the source
    area 1[y, z, x] = the second one reduced      for a block of z, where there are three
    target          = the last axis reduced       for each row of the last area

The areas lie in scratch memory, in the first cache, and have the fill value around what they hold.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ...plan.kernels import Separable
from ..emitter import Emitter
from ..epilogue import identity
from ..nest import interior, loops, outside_axes, runs, with_guards
from ..registers import FLOAT, Index, Ssa
from .family import KernelEmitter, Tensors
from .finite import all_finite
from .lines import Lines
from .shared_windows import Read, maxima, sums
from .shifted_windows import ShiftedWindows
from .window import taps_counted


class SeparableWindow(KernelEmitter[Separable]):
    """Emits one pooling kernel."""

    def __init__(self, e: Emitter, kernel: Separable, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,) = self.sources
        self.scratch = tensors.scratch[0] if tensors.scratch else tensors.target
        self.fill = identity(kernel.combine, self.source.read_as)
        self.bounded = 0 in outside_axes(kernel.window, self.source)
        self.maximum = kernel.combine == "maximum"
        self.width = min(kernel.lanes, kernel.window[-1].size) if kernel.shifts else kernel.lanes
        self.careful = False
        whole = kernel.block[0]
        self.sizes = sorted({whole, max(1, whole // 2), 1}, reverse=True)

    def emit(self, a: Index, b: Index) -> None:
        """Images, channels or vectors of them, rows."""
        e, k = self.e, self.k
        channels = self.source.view.shape[1]
        step = 1 if k.shifts else k.lanes
        self.clear()
        self.count_taps()
        with e.loop(*self.images) as n:

            def block(first: Index, many: int) -> None:
                """Some channels, searched for NaN together."""

                def body(careful: bool) -> None:
                    self.careful = careful
                    with self.blocks(a, b) as (y, size), e.loop(0, many, step) as channel:
                        self.rows([n.index, e.add(first, self.within(channel.index, step, many))], y, size)

                with_guards(e, self.numbers_only([n.index, first], many, a, b), body)

            if k.shifts:
                with e.loop(0, channels) as channel:
                    block(channel.index, 1)
            else:
                block(0, channels)

    def within(self, index: Index, step: int, size: int) -> Index:
        """The last of several parts slides back over the one before, and gives the same bits again."""
        return self.e.least(index, size - step) if size % step else index

    def join(self, a: Ssa, b: Ssa) -> Ssa:
        """The sum, or the larger one: `b` if both are 0, whatever its sign and whether or not there is a NaN."""
        if not self.maximum:
            return self.e.binary("add", a, b)
        return self.e.maximum(b, a) if self.careful else self.e.larger(a, b)

    # Scratch memory

    def clear(self) -> None:
        """The fill value everywhere in the areas; what is computed leaves the padding as it is."""
        e, k = self.e, self.k
        if any(w.low or w.reach[1] for w in k.window[1:]):
            with e.loop(0, k.areas[-1], k.lanes) as at:
                self.scratch.store(self.scratch.number(self.fill, k.lanes), at.index, 0)

    def count_taps(self) -> None:
        """The number of taps that count, as a float for each position of the last axis: all of them but at its ends."""
        e, k, w = self.e, self.k, self.k.window[-1]
        if not k.counts:
            return
        begin = k.areas[-1]
        with e.loop(0, k.counts, k.lanes) as at:
            self.scratch.store(e.number(float(w.kernel), k.lanes), e.add(at.index, begin), 0)
        for first, end in ((0, w.interior[0]), (w.interior[1], w.out)):
            if first < end:
                with e.loop(first, end) as at:
                    self.scratch.store(self.counted(k.last, at.index), e.add(at.index, begin), 0)

    def counted(self, axis: int, index: Index) -> Ssa:
        e, k = self.e, self.k
        margins = k.counted[axis] if k.counted else (0, 0)
        count = taps_counted(e, k.window[axis], margins, index)
        return e.number(float(count), 1) if isinstance(count, int) else e.convert(count, FLOAT)

    def numbers_only(self, place: Sequence[Index], channels: int, a: Index, b: Index) -> Ssa | bool:
        """Whether the rows that maxima over some channels, the first at `place`, read are free of NaN."""
        e, k, w = self.e, self.k, self.k.window[0]
        if not self.maximum or not self.source.read_as.is_float:
            return True
        begin = e.largest(e.sub(e.mul(a, w.stride), w.low), 0)
        end = e.least(e.add(e.mul(e.sub(b, 1), w.stride), w.extent - w.low), w.size)
        return all_finite(e, self.source, place, channels, (begin, end), k.lane_axis, self.width)

    # The first axis: from the source

    def rows(self, place: Sequence[Index], y: Index, size: Index) -> None:
        """A block of so many rows from `y` on."""
        e, k = self.e, self.k

        def block(count: int, guarded: bool) -> None:
            lines = Lines(e, k, self.source, self.fill, place, y, guarded)
            if k.last == 0:
                self.finish(functools.partial(lines.load, 0, k.lanes), [*place, y], count)
                return
            with self.positions() as (inner, at):
                offset = functools.reduce(e.add, (self.source.along(3 + n, i) for n, i in enumerate(inner)))
                for row, value in self.reduced(0, functools.partial(lines.load, offset, self.width), count):
                    self.scratch.store(value, e.add(at, row * k.pitch(0)), 0)

        self.variants(y, size, block)
        if k.last:
            with e.loop(0, size) as row:
                self.later(1, row.index, [*place, e.add(y, row.index)])

    @contextmanager
    def blocks(self, a: Index, b: Index) -> Iterator[tuple[Index, Index]]:
        """A loop over the blocks of rows [a, b): the first row of each, and the number of rows in any of them.

        The last one slides back. Where there are too few rows for a block, halves of blocks or single rows are taken.
        """
        e, rows = self.e, self.e.sub(b, a)
        size: Index = self.sizes[-1]
        for larger in self.sizes[-2::-1]:
            size = e.choose(e.compare(">=", rows, larger), larger, size)
        with e.loop(0, e.div(e.sub(e.add(rows, size), 1), size)) as number:
            yield e.least(e.add(a, e.mul(number.index, size)), e.sub(b, size)), size

    def variants(self, y: Index, size: Index, body: Callable[[int, bool], None]) -> None:
        """`body(rows, guarded)` for a block inside of the source, one at its edges, and fewer rows."""
        e, w, whole = self.e, self.k.window[0], self.k.block[0]
        begin, end = w.interior
        inside: Ssa | bool = not self.bounded
        if self.bounded and begin + whole <= end and not self.careful:
            inside = interior(e, [w], [0], [y], [whole])

        def of_size(number: int) -> None:
            if number == 0:
                with_guards(e, inside, functools.partial(body, whole))
            else:
                body(self.sizes[number], self.bounded)

        def from_size(number: int) -> None:
            if isinstance(size, int) or number == len(self.sizes) - 1:
                of_size(number)
                return
            fits = e.compare("==", size, self.sizes[number])
            with_guards(e, fits, lambda fewer: from_size(number + 1) if fewer else of_size(number))

        from_size(0)

    @contextmanager
    def positions(self) -> Iterator[tuple[list[Index], Index]]:
        """A loop over the vectors of a row of the source: the indices behind its row, and where area 0 has it."""
        e, k = self.e, self.k
        *middle, last = (w.size for w in k.window[1:])
        step = self.width if k.shifts else 1
        with loops(e, middle) as outer, e.loop(0, last, step) as column:
            inner = [*outer, self.within(column.index, step, last)]
            at: Index = 0
            for axis, index in enumerate(inner, start=1):
                at = e.add(at, e.mul(e.add(index, k.before(axis)), k.pitch(axis)))
            yield inner, at

    # All axes

    def reduced(self, axis: int, read: Read, count: int) -> Iterator[tuple[int, Ssa]]:
        """(number, value) of `count` neighbouring results along an axis; `read` has the positions from the first on."""
        w = self.k.window[axis]
        read = functools.cache(read)
        every = range(0, count * w.stride, w.stride)
        for phase in sorted({start % w.dilation for start in every}):  # these have no value in common
            starts = [start // w.dilation for start in every if start % w.dilation == phase]
            shared = maxima if self.maximum else sums

            def spread(place: int, phase: int = phase) -> Ssa:
                return read(place * w.dilation + phase)

            for start, value in shared(self.join, spread, starts, w.kernel):
                yield (start * w.dilation + phase) // w.stride, value

    # The later axes: from scratch memory

    def later(self, axis: int, index: Index, place: Sequence[Index]) -> None:
        """The results at `place`, from position `index` of the area before `axis`."""
        e, k = self.e, self.k
        base = e.add(k.areas[axis - 1], e.mul(index, k.pitch(axis - 1)))
        if axis == k.last:
            (self.shifted if k.shifts else self.columns)(base, place)
            return
        size, pitch, out = k.block[axis], k.pitch(axis), k.window[axis].out
        with e.loop(0, out, size) as block:
            first = self.within(block.index, size, out)
            start = e.add(base, e.mul(first, k.window[axis].stride * pitch))
            with e.loop(0, pitch, k.lanes) as at:
                read = functools.partial(self.scratch_at, e.add(start, at.index), pitch)
                for number, value in self.reduced(axis, read, size):
                    self.scratch.store(value, e.add(at.index, k.areas[axis] + number * pitch), 0)
            with e.loop(0, size) as row:
                self.later(axis + 1, row.index, [*place, e.add(first, row.index)])

    def scratch_at(self, start: Index, pitch: int, at: int) -> Ssa:
        return self.scratch.load_strided(self.e.add(start, at * pitch), 1, self.k.lanes)

    def columns(self, base: Index, place: Sequence[Index]) -> None:
        """A row of results, with lanes along the channels."""
        e, k = self.e, self.k
        w, pitch = k.window[-1], k.pitch(k.last)
        for begin, end, size in runs(w.out, k.block[-1]):
            with e.loop(begin, end, size) as x:
                start = e.add(base, e.mul(x.index, w.stride * pitch))
                self.finish(functools.partial(self.scratch_at, start, pitch), [*place, x.index], size)

    def finish(self, read: Read, first: Sequence[Index], count: int) -> None:
        """The last axis in registers: divide and store `count` results from the position `first` on."""
        e = self.e
        for number, value in self.reduced(self.k.last, read, count):
            place = [*first[:-1], e.add(first[-1], number)]
            self.target.store(self.mean(value, place), self.target.offset(place), self.k.lane_axis)

    def shifted(self, base: Index, place: Sequence[Index]) -> None:
        """A row of results, with lanes along it."""
        e, k = self.e, self.k
        w, lanes = k.window[-1], k.lanes
        start = e.add(base, k.before(k.last) - w.low)
        whole, rest = divmod(w.out, lanes)
        if whole < k.row_vectors:
            self.vectors(start, place, 0, whole + bool(rest), rest or lanes)
            return
        for begin, end, size in runs(whole, k.row_vectors):
            with e.loop(begin, end, size) as first:
                self.vectors(start, place, first.index, size, lanes)
        if rest:
            self.vectors(start, place, whole, 1, rest)

    def vectors(self, start: Index, place: Sequence[Index], first: Index, count: int, last: int) -> None:
        """Some vectors of a row from the number `first` on, the last of which has `last` results."""
        e, k = self.e, self.k
        lanes, stride = k.lanes, k.window[-1].stride
        start = e.add(start, e.mul(first, lanes * stride))
        read = functools.cache(lambda number: self.scratch.load_strided(e.add(start, number * lanes), 1, lanes))
        windows = ShiftedWindows(e, self.join, read, k.window[-1], lanes, count * lanes, self.maximum)
        for number in range(count):
            at = [*place, e.mul(e.add(first, number), lanes)]
            value = self.mean(windows.result(number), at)
            value = e.resize(value, last if number == count - 1 else lanes)
            self.target.store(value, self.target.offset(at), k.lane_axis)

    def mean(self, total: Ssa, place: Sequence[Index]) -> Ssa:
        """A sum over the number of taps that count for it."""
        e, k, lanes = self.e, self.k, total.lanes
        if k.divisor == "none":
            return total
        if k.divisor == "taps":
            taps = math.prod(w.kernel for w in k.window)
            exact = taps & (taps - 1) == 0  # a power of two: the product with its reciprocal is the quotient
            return e.binary("multiply" if exact else "divide", total, e.number(1 / taps if exact else taps, lanes))
        at = e.add(k.areas[-1], place[-1])
        count = self.scratch.load_strided(at, 1, lanes) if k.shifts else self.scratch.scalar(at)
        for axis, index in enumerate(place[2:-1]):
            count = e.binary("multiply", count, e.splat(self.counted(axis, index), count.lanes))
        return e.binary("divide", total, count if k.shifts else e.splat(count, lanes))
