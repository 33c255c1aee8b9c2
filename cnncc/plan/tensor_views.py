"""The views of tensors, with their buffers and constant data, made at the first request."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Hashable
from dataclasses import replace

from ..computation import Arrangement, Broadcast, Permute, RowMajorReshape, StridedSlice, Take
from ..elements import Element
from ..types import Array
from .bufferization import Bufferization, Subview, places
from .jobs import VIEW_ARRANGEMENTS
from .pack import WeightsBlock
from .tensors import Tensor
from .views import Border, Buffer, Order, Space, View, conflict_padding, dense_view, elements


class TensorViews:
    """Makes views from the bufferization of a layout; constant data is packed in the order of the requests."""

    def __init__(self, bufferization: Bufferization, block: WeightsBlock):
        self.bufferization, self.layout, self.types, self.orders = (
            bufferization,
            bufferization.layout,
            bufferization.types,
            bufferization.orders,
        )
        self.constants, self.links = bufferization.layout.works.constants, bufferization.links
        self.inside = dict(bufferization.inside)
        self.block = block
        self.buffers: dict[str, Buffer] = {}
        self.names: dict[Hashable, str] = {}
        self.taken: set[str] = set()
        self.views: dict[Tensor, View] = {}
        self.tables: dict[str, tuple[int, ...]] = {}
        self.wholes: dict[str, View] = {}

    def name(self, key: Hashable, text: str) -> str:
        """The name of the buffer with this `key`: the text, with a number if another key has the same text."""
        if key not in self.names:
            numbered = (f"{text} ({number})" for number in itertools.count(2))
            self.names[key] = next(name for name in itertools.chain([text], numbered) if name not in self.taken)
            self.taken.add(self.names[key])
        return self.names[key]

    def add(self, buffer: Buffer) -> Buffer:
        self.buffers[buffer.name] = buffer
        return buffer

    def room(self, key: Hashable, text: str, count: int, element: Element, space: Space = "arena") -> Buffer:
        """A buffer of `count` elements for what no tensor has for itself."""
        return self.add(Buffer(self.name(key, text), space, count, dtype=element))

    def known(self, key: Hashable, text: str, array: Array, element: Element) -> Buffer:
        """A buffer of the weights that holds an array, floats rounded to `element`."""
        return self.add(self.block.add(self.name(key, text), array, element))

    def stored(self, view: View) -> Element:
        """What lies in memory where a view looks."""
        return self.buffers[view.buffer].dtype

    def element(self, view: View) -> Element:
        """What a view is a view of."""
        return view.read_as or self.stored(view).computed

    def read_as(self, view: View, element: Element) -> View:
        """The view with its elements read as others, if they are others."""
        return view if self.element(view) is element else replace(view, read_as=element)

    def own(self, tensor: Tensor, buffer: Buffer) -> View:
        """Give a tensor a buffer, in its order: one of its own, or a state's, which is there before and after."""
        key = buffer if buffer.space == "state" else tensor
        name = self.add(replace(buffer, name=self.name(key, buffer.name))).name
        whole = dense_view(name, self.types[tensor].shape, self.orders[tensor], buffer.border or None, buffer.fill)
        self.wholes[name] = whole
        return whole

    def view(self, tensor: Tensor) -> View:
        """The view of a tensor."""
        if tensor not in self.views:
            self.views[tensor] = self.make_view(tensor)
        return self.views[tensor]

    def make_view(self, tensor: Tensor) -> View:
        type = self.types[tensor]
        shape = type.shape
        if tensor in self.constants:
            buffer = self.known(tensor, str(tensor), self.constants[tensor], type.dtype)
            return dense_view(buffer.name, shape, tuple(range(len(shape))))
        if tensor in self.inside:
            return self.part_of(self.inside[tensor], tensor)
        job = self.bufferization.makers[tensor]
        if isinstance(job.work.computation, VIEW_ARRANGEMENTS):
            alias = self.alias(self.view(job.operands[0]), job.work.computation, shape)
            if alias:
                return self.read_as(alias, type.dtype)
            if self.moved_to_output(tensor):
                return self.view(self.inside[tensor].tensor)
        border = self.with_room(tensor, self.bufferization.borders.get(tensor, ()))
        return self.own(
            tensor, Buffer(str(tensor), "arena", elements(shape, border or None), 0, border, dtype=type.dtype)
        )

    def moved_to_output(self, tensor: Tensor) -> bool:
        """Let the move of an arrangement write to the caller's buffer, if only an output reads it; returns whether."""
        readers = [job for job in self.layout.jobs if tensor in job.operands]
        if len(readers) != 1 or readers[0].result not in self.layout.direct_outputs or not readers[0].is_copy:
            return False
        if self.layout.is_planar(tensor):
            self.inside[tensor] = places(readers[0], self.types)[0]
        return tensor in self.inside

    def part_of(self, place: Subview, tensor: Tensor) -> View:
        """The view of a tensor inside another one."""
        view = self.view(place.tensor)
        shape = self.types[tensor].shape
        for axis, (begin, step) in enumerate(zip(place.begins, place.steps, strict=True)):
            if (begin, step, shape[axis]) != (0, 1, view.shape[axis]):
                view = view.part(axis, begin, shape[axis], step)
        return view

    def with_room(self, tensor: Tensor, border: Border) -> Border:
        """The border, widened where pixels would fall into few sets of the first cache (if there is one)."""
        room = conflict_padding(self.types[tensor], self.orders[tensor], self.layout.target.core)
        if not room or not self.layout.target.l1 or tensor in self.bufferization.reshaped:
            return border
        return room[:2] + (border[2:] or room[2:])

    def alias(self, view: View, computation: Arrangement, shape: tuple[int, ...]) -> View | None:
        """The result as a view of the operand, or None."""
        match computation:
            case RowMajorReshape():
                return view.unfold(shape)
            case Permute(axes):
                return view.transpose(axes)
            case Broadcast():
                return view.broadcast(range(view.rank), shape)
            case StridedSlice(axis, begin, step):
                return None if view.looks_up(axis) else view.part(axis, begin, shape[axis], step)
            case Take(axis, indices):
                return None if view.looks_up(axis) else self.looked_up(view, axis, indices)
        raise AssertionError(f"no view for {computation}")

    def looked_up(self, view: View, axis: int, indices: tuple[int, ...]) -> View:
        """Indices with a constant step give a slice; others need a table, relative to the first index."""
        step = indices[1] - indices[0] if len(indices) > 1 else 1
        if all(b - a == step for a, b in itertools.pairwise(indices)):
            return view.part(axis, indices[0], len(indices), step)
        steps = tuple(index - indices[0] for index in indices)
        name = self.name(("table", steps), f"table {hashlib.sha256(repr(steps).encode()).hexdigest()[:12]}")
        self.add(self.block.add_table(name, steps))
        self.tables[name] = steps
        first = view.part(axis, indices[0], len(indices))
        return replace(first, border=(), lookups=(*view.lookups, (axis, name)))

    def constant_in_order(self, tensor: Tensor, order: Order) -> View:
        """A constant tensor of full shape, packed in the order of the other operand."""
        array, name = self.constants[tensor], f"{tensor}@{''.join(map(str, order))}"
        buffer = self.known((tensor, order), name, array.transpose(order), self.types[tensor].dtype)
        return dense_view(buffer.name, array.shape, order)


def views_of(bufferization: Bufferization, block: WeightsBlock) -> TensorViews:
    """The views of a layout's tensors, constant ones in `block`; at first only those in the caller's buffers."""
    views = TensorViews(bufferization, block)
    for tensor, buffer in bufferization.callers.items():
        views.views[tensor] = views.own(tensor, buffer)
    return views
