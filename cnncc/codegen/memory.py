"""The memory of kernels: views addressed by logical coordinates. All loads and stores go through this module.

So in checked mode every access is tested here against the bounds of its buffer. An access out of bounds goes to
element 0 instead and stores the number of its step in the workspace's fault word. Even a wrong kernel cannot touch
memory outside of its buffers.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..elements import FLOAT16
from ..plan.views import ROW_AXIS, Buffer, View
from . import halves
from .emitter import Emitter
from .registers import BOOL, INT16, INT32, Index, Ssa, memory_type, register_type
from .transpose import picked


@dataclass(frozen=True)
class Guard:
    """A position that may lie outside its view: the position to read instead, and the condition of being inside."""

    offset: Index
    inside: Ssa | None


class Access:
    """One view of a step inside a kernel: its base pointer, and loads and stores by element offset.

    An element is `stored` in memory, and `held` by registers, which hold what it is `read_as`: loads widen it, stores
    narrow it. `entries` are those of its index tables, by axis.
    """

    def __init__(
        self,
        e: Emitter,
        view: View,
        base: Ssa,
        buffer: Buffer,
        tables: Mapping[int, Ssa] | None = None,
        fault: Ssa | None = None,
        step: int = 0,
        entries: Mapping[int, Sequence[int]] | None = None,
    ):
        self.e, self.view, self.base, self.elements = e, view, base, buffer.elements
        self.element = buffer.dtype
        self.read_as = view.read_as or self.element.computed
        self.stored, self.held = memory_type(self.element), register_type(self.read_as)
        self.halves = self.element is FLOAT16 and not (buffer.space == "weights" and e.target.float16)
        if self.halves:
            self.stored = INT16
        self.tables, self.entries = tables or {}, entries or {}
        self.fault, self.step = fault, step

    @property
    def converts(self) -> bool:
        """Whether registers hold something else than what lies in memory."""
        return self.stored != self.held

    def hold_stored(self) -> None:
        """Let registers hold what lies in memory, for a kernel that only moves it."""
        self.stored = self.held = INT16 if self.element is FLOAT16 else self.stored

    # Addresses

    def along(self, axis: int, index: Index) -> Index:
        """The element offset of `index` on one axis; rows of a ring count modulo its height."""
        if axis in self.tables and index != 0:
            index = self.e.load_index(self.tables[axis], index)
        if axis == ROW_AXIS and self.view.ring:
            index = self.e.mask(index, self.view.ring - 1)
        return self.e.mul(index, self.view.strides[axis])

    def offset(self, position: Sequence[Index]) -> Index:
        """The element offset of a logical position."""
        total: Index = self.view.offset
        for axis, index in enumerate(position):
            total = self.e.add(total, self.along(axis, index))
        return total

    def guard(self, position: Sequence[Index], axes: Sequence[int]) -> Guard:
        """The position if its `axes` are inside the view, else index 0 on those axes."""
        e = self.e
        tests = [e.compare("<", position[axis], self.view.shape[axis], unsigned=True) for axis in axes]
        inside = e.all_of(tests)
        if inside is None:
            return Guard(self.offset(position), None)
        safe = [0 if axis in axes else index for axis, index in enumerate(position)]
        return Guard(e.choose(inside, self.offset(position), self.offset(safe)), inside)

    # Accesses

    def _checked(self, offset: Index, lanes: int) -> Index:
        """`offset` if `lanes` elements from it are inside the buffer, else 0 (and the fault is recorded).

        A constant offset is tested now, not in the code: LLVM takes long for thousands of tests in a row.
        """
        if self.fault is None or (isinstance(offset, int) and 0 <= offset <= self.elements - lanes):
            return offset
        e = self.e
        inside = e.constant(False, BOOL)
        if self.elements >= lanes:
            inside = e.compare("<=", offset, self.elements - lanes, unsigned=True)
        old = e.load(INT32, self.fault)
        e.store(e.select(inside, old, e.constant(self.step + 1, INT32)), self.fault)
        return e.choose(inside, offset, 0)

    def _pointer(self, offset: Index, lanes: int) -> Ssa:
        return self.e.address(self.base, self._checked(offset, lanes), self.stored)

    def prefetch(self, offset: Index) -> None:
        """Prefetch the cache line of an element: a hint, not an access; the element may lie outside the buffer."""
        self.e.prefetch(self.e.address(self.base, offset, self.stored, inside=False))

    def scalar(self, offset: Index) -> Ssa:
        return self._load_side_by_side(offset, 1)

    def _load_side_by_side(self, offset: Index, lanes: int) -> Ssa:
        """Neighbours in memory, as registers hold them."""
        stored = self.e.load(self.stored.wide(lanes), self._pointer(offset, lanes))
        return self._widened(stored) if self.converts or self.element.kind == "truth" else stored

    def _widened(self, stored: Ssa) -> Ssa:
        """What a register holds of what lies in memory. A byte but 0 is true, whoever wrote it."""
        e, held = self.e, self.held.wide(stored.lanes)
        if self.halves:
            return halves.widened(e, stored)
        if self.element.kind == "truth":
            stored = e.compare("!=", stored, e.constant(0, stored.type))
        return e.convert(stored, held, signed=self.element.is_signed)

    def _narrowed(self, held: Ssa) -> Ssa:
        """What lies in memory of what a register holds: floats are rounded, whole numbers wrap to their bits."""
        if self.halves:
            return halves.narrowed(self.e, held)
        return self.e.convert(held, self.stored.wide(held.lanes), signed=self.element.is_signed)

    def number(self, value: float, lanes: int) -> Ssa:
        """A number in every lane, of the type that `load` gives."""
        return self.e.constant(value, self.held.wide(lanes))

    def vectors(self, axis: int, lanes: int) -> int:
        """Instructions that load or store `lanes` elements along an axis: elements that are apart take one each."""
        close = abs(self.view.strides[axis]) <= 1 and axis not in self.tables
        return -(-lanes // self.e.target.lanes) if close else lanes

    def load(self, offset: Index, axis: int, lanes: int) -> Ssa:
        """`lanes` elements along an axis, from an element offset on."""
        return self.load_strided(offset, self.view.strides[axis], lanes)

    def load_at(self, position: Sequence[Index], axis: int, lanes: int) -> Ssa:
        """`lanes` elements along an axis from a position on, also through an index table."""
        if axis not in self.tables or lanes == 1:
            return self.load(self.offset(position), axis, lanes)
        begin = [*position[:axis], 0, *position[axis + 1 :]]
        return self.load_entries(self.offset(begin), axis, position[axis], lanes)

    def load_entries(self, offset: Index, axis: int, first: Index, lanes: int) -> Ssa:
        """`lanes` elements from number `first` on along an axis with a table; `offset` is that of its element 0."""
        e, stride = self.e, self.view.strides[axis]
        if isinstance(first, int) and axis in self.entries:
            return self.load_places(offset, [entry * stride for entry in self.entries[axis][first : first + lanes]])
        result = e.undefined(self.held.wide(lanes))
        for lane in range(lanes):
            entry = e.load_index(self.tables[axis], e.add(first, lane))
            result = e.insert(result, self.scalar(e.add(offset, e.mul(entry, stride))), lane)
        return result

    def load_strided(self, offset: Index, stride: int, lanes: int) -> Ssa:
        """`lanes` elements that are `stride` apart."""
        if stride == 0:
            return self.e.splat(self.scalar(offset), lanes)
        if stride == 1 or lanes == 1:
            return self._load_side_by_side(offset, lanes)
        return self.load_places(offset, range(0, lanes * stride, stride))

    def load_places(self, offset: Index, places: Sequence[int]) -> Ssa:
        """The elements at some distances from an offset: shuffled out of a few vectors, if they lie close together.

        Nothing before the first or behind the last of them is read: the last vector overlaps the one before.
        """
        found = _vectors_over(places)
        if found is None:
            return self.gather(offset, places)
        width, begins = found
        vectors = [self._load_side_by_side(self.e.add(offset, begin), width) for begin in begins]
        return picked(self.e, vectors, _lanes_of(places, begins))

    def gather(self, offset: Index, places: Sequence[int]) -> Ssa:
        """The elements at some distances from an offset, one by one."""
        result = self.e.undefined(self.held.wide(len(places)))
        for lane, place in enumerate(places):
            result = self.e.insert(result, self.scalar(self.e.add(offset, place)), lane)
        return result

    def load_guarded(self, guard: Guard, offset: Index, axis: int, lanes: int, fill: float) -> Ssa:
        """Like `load` at a guarded position (all lanes share its condition); `fill` outside."""
        value = self.load(offset, axis, lanes)
        if guard.inside is None:
            return value
        return self.e.select(self.e.splat(guard.inside, lanes), value, self.number(fill, lanes))

    def store(self, value: Ssa, offset: Index, axis: int) -> None:
        """The lanes of `value` to consecutive positions along an axis."""
        lanes, stride = value.lanes, self.view.strides[axis]
        stored = self._narrowed(value) if self.converts else value
        if stride == 1 or lanes == 1:
            self.e.store(stored, self._pointer(offset, lanes))
            return
        for lane in range(lanes):
            pointer = self._pointer(self.e.add(offset, lane * stride), 1)
            self.e.store(self.e.extract(stored, lane), pointer)

    def load_columns(
        self, offset: Index, column: Index, step: int, lanes: int, fill: float, row_inside: Ssa | None
    ) -> Ssa:
        """Lanes along the last axis at columns column, column + step…; `fill` where a lane leaves the view.

        `offset` is that of column 0 of the row, which must be readable; if `row_inside` is false, all lanes are `fill`.
        """
        e, axis = self.e, self.view.rank - 1
        stride, size = self.view.strides[axis], self.view.shape[axis]
        places = range(0, lanes * step, step)
        found = _vectors_over(places)
        masks = step == 1 or e.target.loads_in_part  # elsewhere each lane would be a branch
        if stride == 1 and found and masks and self.fault is None and not self.converts:
            width, begins = found
            columns = [e.add(column, begin) for begin in begins]
            vectors = [self._masked(e.add(offset, at), at, width, fill, row_inside) for at in columns]
            return picked(e, vectors, _lanes_of(places, begins)) if step > 1 else vectors[0]
        result = self.e.undefined(self.held.wide(lanes))
        for lane in range(lanes):
            index = e.add(column, lane * step)
            tests = [e.compare("<", index, size, unsigned=True)] + ([row_inside] if row_inside else [])
            inside = e.all_of(tests)
            assert inside is not None
            value = self.scalar(e.add(offset, e.mul(e.choose(inside, index, 0), stride)))
            result = e.insert(result, e.select(inside, value, self.number(fill, 1)), lane)
        return result

    def _masked(self, offset: Index, column: Index, lanes: int, fill: float, row_inside: Ssa | None) -> Ssa:
        """A masked load: lanes outside the row touch no memory."""
        e, integers = self.e, INT32.wide(lanes)
        first = e.constant(column, INT32) if isinstance(column, int) else e.convert(column, INT32)
        columns = e.binary("add", e.splat(first, lanes), e.lane_numbers(integers))
        mask = e.compare("<", columns, e.constant(self.view.shape[-1], integers), unsigned=True)
        if row_inside is not None:
            mask = e.select(row_inside, mask, e.constant(False, mask.type))
        place = e.address(self.base, offset, self.stored, inside=False)
        return e.masked_load(place, mask, self.number(fill, lanes))


def _vectors_over(places: Sequence[int]) -> tuple[int, list[int]] | None:
    """(lanes, begins) of the few vectors that hold the elements at some places; None if loads one by one are better.

    Nothing before the first or behind the last element is in them: the last vector overlaps the one before.
    """
    lanes, end = len(places), max(places) + 1
    width = min(lanes, end - min(places))
    begins: list[int] = []
    for place in sorted(places):
        if not begins or place >= begins[-1] + width:
            begins.append(min(place, end - width))
    return None if lanes == 1 or len(begins) > max(2, lanes // 2) else (width, begins)


def _lanes_of(places: Sequence[int], begins: Sequence[int]) -> list[tuple[int, int]]:
    """(vector, lane) of each place in vectors that begin at `begins`."""
    numbers = [bisect.bisect_right(begins, place) - 1 for place in places]
    return [(at, place - begins[at]) for at, place in zip(numbers, places, strict=True)]
