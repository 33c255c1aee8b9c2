"""Where tensors live: a buffer, a place inside another tensor, or a view of one, for every tensor of a layout.

A part of a tensor, a tensor under another shape and the parts of a concatenation are views of one buffer
wherever strides and tables can say so.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace

from ..computation import Arrangement, Inset, Interleave, Join, Lookup, Part, Repeat, Reshape, Transpose
from .layout import ALIASES, HOLDERS, Job, Layout
from .options import Streaming
from .pack import WeightsBlock
from .stream import links
from .views import ROW_AXIS, Buffer, Order, View, dense_view, elements, may_grow, spread

Border = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Inside:
    """A tensor that lives inside another one: from `begins` on, every `steps`-th element of each axis."""

    tensor: str
    begins: tuple[int, ...]
    steps: tuple[int, ...]


class Homes:
    """The views of all tensors of a layout, and the buffers behind them (not yet placed in the arena).

    `border_limit` is the growth of a buffer up to which it brings its border (see `may_grow`); beyond it, kernels clip.
    So they do in tensors of `links`, which shall become rings of rows.
    """

    def __init__(self, layout: Layout, border_limit: float, streaming: Streaming):
        self.layout, self.types, self.orders = layout, layout.types, layout.orders
        self.constants = layout.works.constants
        self.jobs = live_jobs(layout)
        self.links = links(layout, self.jobs, streaming)
        self.makers = {job.result: job for job in self.jobs}
        self.inside: dict[str, Inside] = {}
        self.block = WeightsBlock()
        self.buffers: dict[str, Buffer] = {}
        self.views: dict[str, View] = {}
        self.interfaces()
        self.join_in_place()
        shapes = (job for job in self.jobs if isinstance(job.work.computation, Reshape))
        self.reshaped = {self.root(job.result)[0] for job in shapes}
        self.borders = self.wanted_borders(border_limit)

    def interfaces(self) -> None:
        """Buffers of the caller's: inputs, and outputs made in place."""
        works = self.layout.works
        for place, name in enumerate(works.inputs):
            self.own(name, Buffer(name, "input", self.types[name].size, place, dtype=self.types[name].dtype))
        produced = {output: tensor for tensor, output in self.layout.direct_outputs.items()}
        for place, output in enumerate(works.outputs):
            tensor = produced[output]
            self.own(tensor, Buffer(f"{output} (output)", "output", self.types[tensor].size, place))

    def own(self, tensor: str, buffer: Buffer) -> View:
        """Give a tensor a buffer of its own, in its order."""
        self.buffers[buffer.name] = buffer
        shape = self.types[tensor].shape
        border = buffer.border or None
        self.views[tensor] = dense_view(buffer.name, shape, self.orders[tensor], border, buffer.fill)
        return self.views[tensor]

    def join_in_place(self) -> None:
        """Let the parts of concatenations, and the like, be computed where they are to stand."""
        for job in self.jobs:
            if not isinstance(job.work.computation, HOLDERS) or self.is_copy(job):
                continue
            for tensor, place in zip(job.operands, self.places(job), strict=True):
                if self.may_live_inside(tensor, job.result):
                    self.inside[tensor] = place

    def is_copy(self, job: Job) -> bool:
        """A join of one exists only to make another tensor of it."""
        return isinstance(job.work.computation, Join) and len(job.operands) == 1

    def places(self, job: Job) -> list[Inside]:
        """Where each operand of a job stands in its result."""
        computation, rank = job.work.computation, self.types[job.result].rank
        every = (1,) * rank
        if isinstance(computation, Inset):
            return [Inside(job.result, computation.begins, every)]
        assert isinstance(computation, Join | Interleave)
        axis, places, begin = computation.axis, [], 0
        for number, tensor in enumerate(job.operands):
            if isinstance(computation, Interleave):
                begins, steps = _on_axis(rank, axis, number, 0), _on_axis(rank, axis, len(job.operands), 1)
            else:
                begins, steps = _on_axis(rank, axis, begin, 0), every
                begin += self.types[tensor].shape[axis] if rank else 1
            places.append(Inside(job.result, begins, steps))
        return places

    def may_live_inside(self, tensor: str, holder: str) -> bool:
        maker = self.makers.get(tensor)
        return (
            maker is not None
            and not isinstance(maker.work.computation, ALIASES)
            and tensor not in self.views
            and tensor not in self.inside
            and self.orders[tensor] == self.orders[holder]
        )

    def moved_to_output(self, tensor: str) -> bool:
        """Let an arrangement that needs a move be moved to where the caller wants it, if only an output reads it."""
        readers = [job for job in self.jobs if tensor in job.operands]
        if len(readers) != 1 or readers[0].result not in self.layout.direct_outputs or not self.is_copy(readers[0]):
            return False
        if self.layout.is_planar(tensor):
            self.inside[tensor] = self.places(readers[0])[0]
        return tensor in self.inside

    def part_of(self, place: Inside, tensor: str) -> View:
        """The view of where a tensor stands inside another."""
        view = self.view(place.tensor)
        shape = self.types[tensor].shape
        for axis, (begin, step) in enumerate(zip(place.begins, place.steps, strict=True)):
            if (begin, step, shape[axis]) != (0, 1, view.shape[axis]):
                view = view.part(axis, begin, shape[axis], step)
        return view

    def root(self, tensor: str) -> tuple[str, bool]:
        """The tensor whose buffer holds `tensor`, and whether its spatial axes are the same."""
        if tensor in self.inside:
            root, same = self.root(self.inside[tensor].tensor)
            return root, same and self.types[tensor].shape[2:] == self.types[root].shape[2:]
        maker = self.makers.get(tensor)
        if maker and isinstance(maker.work.computation, ALIASES) and tensor not in self.views:
            root, same = self.root(maker.operands[0])
            plain = isinstance(maker.work.computation, Part) and maker.work.computation.axis < 2
            return root, same and plain
        return tensor, True

    def wanted_borders(self, limit: float) -> dict[str, Border]:
        """Borders that convolutions read, for buffers of ours that do not grow too much by them.

        None is filled for kernels that clip as fast as they read a border.
        """
        wanted: dict[str, list[list[int]]] = {}
        for job in self.jobs:
            if job.kernel is None or not job.kernel.prefers_border:
                continue
            root, same = self.root(job.operands[0])
            if not same:
                continue
            sides = wanted.setdefault(root, [[0, 0] for _ in self.types[root].shape])
            for axis, window in enumerate(job.kernel.window, start=ROW_AXIS):
                sides[axis] = [max(a, b) for a, b in zip(sides[axis], window.reach, strict=True)]
        borders: dict[str, Border] = {}
        for root, sides in wanted.items():
            border = tuple((low, high) for low, high in sides)
            shape = self.types[root].shape
            ours = root in self.makers and root not in self.views and root not in self.reshaped | self.links
            if ours and any(map(any, border)) and may_grow(shape, border, limit):
                borders[root] = border
        return borders

    def view(self, tensor: str) -> View:
        """The view of a tensor, made when first asked for."""
        if tensor not in self.views:
            self.views[tensor] = self.make_view(tensor)
        return self.views[tensor]

    def make_view(self, tensor: str) -> View:
        shape = self.types[tensor].shape
        if tensor in self.constants:
            buffer = self.block.add(tensor, self.constants[tensor])
            self.buffers[tensor] = buffer
            return dense_view(tensor, shape, tuple(range(len(shape))))
        if tensor in self.inside:
            return self.part_of(self.inside[tensor], tensor)
        job = self.makers[tensor]
        if isinstance(job.work.computation, ALIASES):
            alias = self.alias(self.view(job.operands[0]), job.work.computation, shape)
            if alias:
                return alias
            if self.moved_to_output(tensor):
                return self.view(self.inside[tensor].tensor)
        border = self.with_room(tensor, self.borders.get(tensor, ()))
        return self.own(tensor, Buffer(tensor, "arena", elements(shape, border or None), 0, border))

    def with_room(self, tensor: str, border: Border) -> Border:
        """The border, and room between pixels that would crowd in the first cache (if there is one)."""
        room = spread(self.types[tensor].shape, self.orders[tensor], self.layout.target.core)
        if not room or not self.layout.target.l1 or tensor in self.reshaped:
            return border
        return room[:2] + (border[2:] or room[2:])

    def alias(self, view: View, computation: Arrangement, shape: tuple[int, ...]) -> View | None:
        """A view of the operand that is the result, if there is one."""
        match computation:
            case Reshape():
                return view.unfold(shape)
            case Transpose(axes):
                return view.transpose(axes)
            case Repeat():
                return view.broadcast(range(view.rank), shape)
            case Part(axis, begin, step):
                return None if view.looks_up(axis) else view.part(axis, begin, shape[axis], step)
            case Lookup(axis, indices):
                return None if view.looks_up(axis) else self.looked_up(view, axis, indices)
        raise AssertionError(f"no view for {computation}")

    def looked_up(self, view: View, axis: int, indices: tuple[int, ...]) -> View:
        """Indices that advance evenly are a part; others need a table, which counts from the first of them."""
        step = indices[1] - indices[0] if len(indices) > 1 else 1
        if all(b - a == step for a, b in itertools.pairwise(indices)):
            return view.part(axis, indices[0], len(indices), step)
        steps = tuple(index - indices[0] for index in indices)
        name = f"table {hashlib.sha256(repr(steps).encode()).hexdigest()[:12]}"
        self.buffers[name] = self.block.add_table(name, steps)
        first = view.part(axis, indices[0], len(indices))
        return replace(first, border=(), lookups=(*view.lookups, (axis, name)))

    def constant_in_order(self, tensor: str, order: Order) -> View:
        """A known tensor of full shape, packed in the order of what it meets."""
        array = self.constants[tensor]
        name = f"{tensor}@{''.join(map(str, order))}"
        self.buffers[name] = self.block.add(name, array.transpose(order))
        return dense_view(name, array.shape, order)


def _on_axis(rank: int, axis: int, value: int, others: int) -> tuple[int, ...]:
    """`value` on one axis, `others` on the rest."""
    return tuple(value if each == axis else others for each in range(rank))


def live_jobs(layout: Layout) -> list[Job]:
    """The jobs that some output needs."""
    needed = set(layout.direct_outputs)
    kept: list[Job] = []
    for job in reversed(layout.jobs):
        if job.result in needed:
            kept.append(job)
            needed.update(job.operands, (extra.tensor for extra in job.extras))
    return kept[::-1]
