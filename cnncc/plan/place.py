"""Jobs → steps: a buffer or an alias for every tensor, a kernel with its views for every job.

A part of a tensor, a tensor under another shape and the parts of a concatenation are views of one buffer
wherever strides can say so; what remains is a move.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..computation import (
    Arrangement,
    Inset,
    Interleave,
    Join,
    Lookup,
    Part,
    Pointwise,
    Reduction,
    Repeat,
    Reshape,
    Transpose,
    WindowReduction,
)
from .kernels import Depthwise, Direct, Elementwise, Fill, Kernel, Move, Reduce, Window
from .layout import ALIASES, HOLDERS, Job, Layout
from .lower import Operand
from .pack import WeightsBlock, pack, packed_shape, packing_moves
from .plan import Step
from .views import Buffer, Order, View, dense_view, elements, planar

Border = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Inside:
    """A tensor that lives inside another one: from `begins` on, every `steps`-th element of each axis."""

    tensor: str
    begins: tuple[int, ...]
    steps: tuple[int, ...]


class Placement:
    """The steps of a layout with all their buffers (not yet placed in the arena).

    `border_limit` is the growth of a buffer up to which it brings its border; beyond it, kernels clip.
    """

    def __init__(self, layout: Layout, border_limit: float):
        self.layout, self.types, self.orders = layout, layout.types, layout.orders
        self.constants = layout.works.constants
        self.lanes = layout.target.lanes
        self.jobs = live_jobs(layout)
        self.makers = {job.result: job for job in self.jobs}
        self.inside: dict[str, Inside] = {}
        self.block = WeightsBlock()
        self.buffers: dict[str, Buffer] = {}
        self.steps: list[Step] = []
        self.views: dict[str, View] = {}
        self.filled: set[str] = set()
        self.plains: dict[View, View] = {}
        self.interfaces()
        self.join_in_place()
        self.borders = self.wanted_borders(border_limit)
        for job in self.jobs:
            self.place(job)

    # Where tensors live

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
        """Borders that convolutions read, for buffers of ours that do not grow too much by them."""
        wanted: dict[str, list[list[int]]] = {}
        refused = {self.root(job.result)[0] for job in self.jobs if isinstance(job.work.computation, Reshape)}
        for job in self.jobs:
            if job.kernel is None:
                continue
            root, same = self.root(job.operands[0])
            if not same:
                continue
            sides = wanted.setdefault(root, [[0, 0] for _ in self.types[root].shape])
            for axis, window in enumerate(job.kernel.window, start=2):
                sides[axis] = [max(a, b) for a, b in zip(sides[axis], window.reach, strict=True)]
        borders: dict[str, Border] = {}
        for root, sides in wanted.items():
            border = tuple((low, high) for low, high in sides)
            shape = self.types[root].shape
            fits = elements(shape, border) <= limit * math.prod(shape)
            ours = root in self.makers and root not in self.views and root not in refused
            if fits and ours and any(map(any, border)):
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
        border = self.borders.get(tensor, ())
        return self.own(tensor, Buffer(tensor, "arena", elements(shape, border or None), 0, border))

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
        """Indices that advance evenly are a part; others need a table."""
        step = indices[1] - indices[0] if len(indices) > 1 else 1
        if all(b - a == step for a, b in itertools.pairwise(indices)):
            return view.part(axis, indices[0], len(indices), step)
        name = f"table {hashlib.sha256(repr(indices).encode()).hexdigest()[:12]}"
        self.buffers[name] = self.block.add_table(name, indices)
        shape = (*view.shape[:axis], len(indices), *view.shape[axis + 1 :])
        return replace(view, shape=shape, border=(), lookups=(*view.lookups, (axis, name)))

    def constant_in_order(self, tensor: str, order: Order) -> View:
        """A known tensor of full shape, packed in the order of what it meets."""
        array = self.constants[tensor]
        name = f"{tensor}@{''.join(map(str, order))}"
        self.buffers[name] = self.block.add(name, array.transpose(order))
        return dense_view(name, array.shape, order)

    # Steps

    def place(self, job: Job) -> None:
        """Append the steps of one job."""
        computation = job.work.computation
        if isinstance(computation, HOLDERS):
            self.hold(job)
            return
        target = self.view(job.result)
        if isinstance(computation, ALIASES):
            self.arrange(job, computation, target)
            return
        if job.kernel is not None:
            self.contraction(job, job.kernel)
            return
        sources = [self.view(operand) for operand in job.operands]
        kernel: Kernel
        if isinstance(computation, WindowReduction):
            axis = window_lane_axis(target)
            kernel = Window(
                computation.window,
                computation.combine,
                computation.divisor,
                computation.counted,
                axis,
                self.lanes_on(target, axis),
            )
        elif isinstance(computation, Reduction):
            axis = reduction_axis(sources[0], computation.axes)
            lanes = min(self.lanes, sources[0].shape[axis])
            kernel = Reduce(computation.axes, computation.combine, axis, lanes)
        else:
            assert isinstance(computation, Pointwise)
            target = with_an_axis(target)
            axis = lane_axis(target)
            kernel = Elementwise(computation.expr, len(sources), axis, self.lanes_on(target, axis))
            sources = [
                self.operand(Operand(tensor, dims), target.shape, self.orders[job.result])
                for tensor, dims in zip(job.operands, computation.dims, strict=True)
            ]
        self.step(job.work.name, kernel, sources, target)

    def lanes_on(self, view: View, axis: int) -> int:
        return min(self.lanes, view.shape[axis])

    def step(self, name: str, kernel: Kernel, sources: Sequence[View], target: View) -> None:
        """Append a step; the first one that writes to a buffer with a border is preceded by the border's fill.

        Only convolutions read borders (they are filled with 0); other kernels clip.
        """
        root = self.buffers[target.buffer]
        if root.border and root.name not in self.filled:
            self.filled.add(root.name)
            whole = self.views[root.name]
            self.steps.append(Step(f"{root.name}: border", Fill(root.fill), (), whole))
        if not isinstance(kernel, Direct | Depthwise):
            sources = [replace(source, border=()) for source in sources]
        if not isinstance(kernel, Elementwise | Reduce | Move):
            sources = [
                self.plain(source, f"{name}: source {number} of step {len(self.steps)}")
                for number, source in enumerate(sources)
            ]
        self.steps.append(Step(name, kernel, tuple(sources), target))

    def move(self, name: str, source: View, target: View) -> None:
        source, target = with_an_axis(source), with_an_axis(target)
        self.step(name, move_kernel(source, target, self.lanes), [source], target)

    def hold(self, job: Job) -> None:
        """Move in what could not be computed in place; fill what stands around."""
        for tensor, place in zip(job.operands, self.places(job), strict=True):
            if self.inside.get(tensor) != place:
                self.move(job.work.name, self.view(tensor), self.part_of(place, tensor))
        if isinstance(job.work.computation, Inset):
            (tensor,), (place,) = job.operands, self.places(job)
            whole, inner = self.view(job.result), self.part_of(place, tensor)
            pairs = zip(place.begins, inner.shape, whole.shape, strict=True)
            border = tuple((begin, outer - begin - size) for begin, size, outer in pairs)
            value = job.work.computation.value
            if any(map(any, border)):
                self.steps.append(Step(f"{job.work.name}: border", Fill(value), (), replace(inner, border=border)))

    def arrange(self, job: Job, computation: Arrangement, target: View) -> None:
        """Nothing, if the result is a view of its operand; else a move."""
        source = self.view(job.operands[0])
        if target.buffer == source.buffer:
            return
        if not isinstance(computation, Reshape):
            source = self.plain(source, f"{job.result}: source")
            alias = self.alias(source, computation, target.shape)
            assert alias is not None, "a plain view can be arranged in any way"
            self.move(job.work.name, alias, target)
            return
        coarse = replace(target, border=()).unfold(source.shape)
        fine = replace(source, border=()).unfold(target.shape)
        if coarse is not None:
            self.move(job.work.name, source, coarse)
        elif fine is not None:
            self.move(job.work.name, fine, target)
        else:  # neither shape refines the other in memory: by way of the logical order
            dense = self.dense(f"{job.result}: flat", source)
            whole = dense.unfold(target.shape)
            assert whole is not None, "a dense view unfolds into any shape"
            self.move(job.work.name, whole, target)

    def dense(self, name: str, source: View, order: Order | None = None) -> View:
        """A copy of a view in the logical order, or in another one."""
        self.buffers[name] = Buffer(name, "arena", math.prod(source.shape))
        copy = dense_view(name, source.shape, order or planar(source.rank))
        self.move(name, replace(source, border=()), copy)
        return copy

    def plain(self, view: View, name: str) -> View:
        """The view, or a copy of it in its own order, without tables; made once for all who read it."""
        if not view.lookups:
            return view
        view = replace(view, border=())
        if view not in self.plains:
            order = tuple(sorted(range(view.rank), key=lambda axis: -abs(view.strides[axis])))
            self.plains[view] = self.dense(name, view, order)
        return self.plains[view]

    def operand(self, operand: Operand, shape: Sequence[int], order: Order) -> View:
        """A view of the full rank: repeated where the operand is broadcast."""
        full = self.types[operand.tensor].shape == tuple(shape) and len(shape) == len(operand.dims)
        if full and operand.tensor in self.constants:
            return self.constant_in_order(operand.tensor, order)
        return self.view(operand.tensor).broadcast(operand.dims, shape)

    def contraction(self, job: Job, kernel: Direct | Depthwise) -> None:
        rank = len(kernel.window) + 2
        image, weights, *bias = job.operands
        target = self.view(job.result)
        shape = (*target.shape, *(1,) * (rank - target.rank))
        if target.rank < rank:
            whole = target.unfold(shape)
            assert whole is not None, "a flat result splits into axes of one"
            target = whole
        inner = list(shape)
        if job.work.pool:
            inner[2:] = [axis.size for axis in job.work.pool.window]
        views = [self.view(image)]
        if bias:
            views.append(self.view(bias[0]).broadcast((1,), (1, target.shape[1], *(1,) * (rank - 2))))
        order = self.orders[job.result]
        for extra in job.extras:
            full = inner if self.types[extra.tensor].shape == tuple(inner[: len(extra.dims)]) else shape
            views.append(self.operand(extra, full, order))
        views.append(target)
        if job.merged:
            flat = [view for view in map(merge_axes, views) if view]
            if len(flat) == len(views):
                kernel, views = job.merged, flat
        first, *others, target = views
        packed = self.weights(job, kernel, weights)
        self.step(job.work.name, kernel, [first, packed, *others], target)

    def weights(self, job: Job, kernel: Direct | Depthwise, tensor: str) -> View:
        """The packed weights: in the weights' block if they are known, else packed by moves at run time."""
        flip = job.contraction is not None and job.contraction.flip
        shape = self.weights_shape(job, kernel, tensor)
        name = f"{job.result}: weights"
        size = math.prod(packed_shape(kernel))
        if isinstance(kernel, Direct) and kernel.weights_per_image:
            size *= shape[0]
        packed = View(name, (size,), (1,))
        if tensor in self.constants:
            self.buffers[name] = self.block.add(name, pack(kernel, self.constants[tensor].reshape(shape), flip))
            return packed
        self.buffers[name] = Buffer(name, "arena", size)
        source = replace(self.view(tensor), border=()).unfold(shape)
        if source is None:  # weights computed by other layers into an order of their own
            source = self.dense(f"{tensor} (flat)", self.view(tensor)).unfold(shape)
            assert source is not None, "a dense view unfolds into any shape"
        for piece, place in packing_moves(kernel, source, name, flip):
            self.move(name, piece, place)
        return packed

    def weights_shape(self, job: Job, kernel: Direct | Depthwise, tensor: str) -> tuple[int, ...]:
        """(O, C / groups, taps…), also for a dense layer over a window."""
        groups = kernel.groups if isinstance(kernel, Direct) else kernel.channels
        outputs = kernel.outputs if isinstance(kernel, Direct) else kernel.channels
        one = outputs, kernel.channels // groups, *(axis.kernel for axis in kernel.window)
        per_image = isinstance(kernel, Direct) and kernel.weights_per_image
        return (self.types[tensor].shape[0], *one) if per_image else one


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


def merge_axes(view: View) -> View | None:
    """The view with its spatial axes merged into one, if they follow each other in memory (or are repeated)."""
    flat = (*view.shape[:2], math.prod(view.shape[2:]))
    if not any(view.strides[2:]):
        return replace(view, shape=flat, strides=(*view.strides[:2], 0), border=())
    return view.unfold(flat)


def with_an_axis(view: View) -> View:
    """A scalar as a vector of one element: kernels have their lanes along some axis."""
    return view if view.rank else replace(view, shape=(1,), strides=(1,), border=())


def lane_axis(view: View) -> int:
    """The axis along which vectors lie: side by side in memory if possible."""
    close = [axis for axis, stride in enumerate(view.strides) if stride == 1 and view.shape[axis] > 1]
    return max(close, key=lambda axis: view.shape[axis]) if close else view.rank - 1


def window_lane_axis(view: View) -> int:
    """As `lane_axis`, of the two along which a window can have its lanes: the channels and the columns."""
    last = view.rank - 1
    return 1 if view.strides[1] == 1 and (view.strides[last] != 1 or view.shape[1] > view.shape[last]) else last


def reduction_axis(source: View, axes: Sequence[int]) -> int:
    """A kept axis whose neighbours lie side by side, else the reduced axis with the least stride."""
    kept = [axis for axis, stride in enumerate(source.strides) if stride == 1 and axis not in axes]
    kept = [axis for axis in kept if source.shape[axis] > 1]
    return kept[0] if kept else min(axes, key=lambda axis: (source.strides[axis], axis))


def move_kernel(source: View, target: View, lanes: int) -> Move:
    """Plain vectors if both views advance along one axis, transposed squares if not."""
    along, source_along = lane_axis(target), lane_axis(source)
    sizes = target.shape[along], target.shape[source_along]
    width = min(lanes, target.shape[along])
    block = 1
    by_table = source.looks_up(along) or source.looks_up(source_along)
    if along != source_along and 2 not in (along, source_along) and source.strides[source_along] == 1 and not by_table:
        block = 1 << (min(lanes, *sizes).bit_length() - 1)
    return Move(along, source_along, width, block if block >= 4 else 1)
