"""Planned ops → steps: a kernel with its views for each; a move where no view can express an arrangement."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..computation import (
    Arrangement,
    ConstantPad,
    Lookup,
    Pointwise,
    Reduction,
    RowMajorReshape,
    Scatter,
    WindowReduction,
)
from ..elements import FLOAT32, Element
from ..errors import ModelError
from ..lines import Linewise, Ranked
from ..types import Array
from .bufferization import Bufferization, places
from .candidates import Chosen
from .fibres import FibreProgram
from .indexed import lookup_views, scatter_views
from .jobs import IN_PLACE_ARRANGEMENTS, VIEW_ARRANGEMENTS, PlannedOp, layers_of
from .kernels import (
    Convolution,
    Fill,
    Kernel,
    Reduce,
    elementwise,
    indexed,
    lines,
    move,
    packing,
    reduce,
    separable,
    sweeps,
)
from .lower import Operand
from .moves import as_loops
from .options import PlanOptions
from .pack import block_after
from .plan import Plan, Step
from .tensor_views import TensorViews, views_of
from .tensors import Tensor
from .transformed_weights import WeightsTransform, transform_of
from .views import ROW_AXIS, Buffer, Order, View, channels_last, dense_view, planar


@dataclass(frozen=True)
class Placed:
    """Steps in order, their buffers (not yet placed in the arena), and the packed weights.

    The buffers named in `links` will become rings of rows.
    """

    steps: tuple[Step, ...]
    buffers: Mapping[str, Buffer]
    weights: bytes
    links: frozenset[str]


def place(bufferization: Bufferization, earlier: Sequence[Plan] = (), options: PlanOptions | None = None) -> Placed:
    """The steps of a layout, on the views of its tensors. The weights go on with those of the `earlier` plans."""
    shared = options is None or not options.replaceable
    views = views_of(bufferization, block_after(earlier, bufferization.layout.target.alignment, shared=shared))
    placement = StepBuilder(views, save_memory=options is not None and options.save_memory)
    jobs = bufferization.layout.jobs
    for job, layers in zip(jobs, layers_of(jobs), strict=True):
        begin = len(placement.steps)
        placement.place(job)
        # Borders, which read nothing, belong to no choice.
        placement.steps[begin:] = [
            replace(step, layers=layers, split=job.split if step.sources else None) for step in placement.steps[begin:]
        ]
    links = frozenset(views.names[tensor] for tensor in bufferization.links if tensor in views.names)
    return Placed(tuple(placement.steps), views.buffers, views.block.bytes(), links)


class StepBuilder:
    """Appends the steps of one job after the other."""

    def __init__(self, views: TensorViews, *, save_memory: bool = False):
        self.views, self.save_memory = views, save_memory
        self.steps: list[Step] = []
        self.filled: set[str] = set()
        self.plains: dict[View, View] = {}

    def place(self, job: PlannedOp) -> None:
        """Append the steps of one job."""
        computation = job.work.computation
        if isinstance(computation, IN_PLACE_ARRANGEMENTS):
            self.hold(job)
            return
        target = self.views.view(job.result)
        if isinstance(computation, VIEW_ARRANGEMENTS):
            self.arrange(job, computation, target)
            return
        if job.kernel is not None:
            self.contraction(job, job.kernel)
            return
        if job.parts:
            self.sweeps(job, target)
            return
        sources = [self.views.view(operand) for operand in job.operands]
        kernel: Kernel
        machine = self.views.layout.target
        match computation:
            case WindowReduction():
                kernel, sources[0], target = separable.pooling(machine, computation, sources[0], target)
            case Reduction():
                kernel = reduction = reduce.kernel(machine, computation, sources[0])
                if reduce.by_rows_first(reduction, sources[0]) and not self.save_memory:
                    sources = [self.each_row(job.work.name, reduction, sources[0])]
                    kernel = replace(reduction, axes=(ROW_AXIS,))
                elif reduction.lane_axis in reduction.axes:
                    sources = [reduce.merged(sources[0], reduction.axes)]
                    kernel = reduce.kernel(machine, computation, sources[0])
            case Lookup(axis) | Ranked(axis):
                x, indices = (self.plain(source, f"{job.result}: source") for source in sources)
                *sources, target = lookup_views(x, indices, target, axis)
                kernel = indexed.lookup(machine, sources[1], target, self.views.element(target))
            case Linewise():
                kernel, sources, target = lines.kernel(machine, computation, sources, target)
            case Pointwise():
                target = with_an_axis(target)
                kernel = elementwise.kernel(machine, computation.expr, len(sources), target)
                sources = [
                    self.operand(Operand(tensor, dims), target.shape, self.views.orders[job.result])
                    for tensor, dims in zip(job.operands, computation.dims, strict=True)
                ]
                kernel = replace(kernel, in_place=any(source.buffer == target.buffer for source in sources))
            case Scatter(axis, combine):
                x, indices, updates = (self.plain(source, f"{job.result}: source") for source in sources)
                *sources, target = scatter_views(x, indices, updates, target, axis)
                kernel = indexed.scatter(machine, combine, sources[1], target, self.views.element(target))
            case _:
                raise AssertionError(f"no kernel for {computation}")
        self.step(job.work.name, kernel, sources, target)

    def sweeps(self, job: PlannedOp, target: View) -> None:
        """One step for jobs that are computed fibre by fibre."""
        machine = self.views.layout.target
        program = FibreProgram(job.parts, self.views.types, machine.core)
        shape, axes = program.fibres.shape, program.fibres.axes
        sources = [self.operand(operand, shape, self.views.orders[job.result]) for operand in program.operands]
        kernel, sources, target = sweeps.kernel(machine, shape, axes, *program.sweeps(), sources, target)
        self.step(job.work.name, kernel, sources, target)

    def each_row(self, name: str, kernel: Reduce, source: View) -> View:
        """The reduction of each row by itself: many short chains of sums, and shards divide the rows."""
        axes = tuple(axis for axis in kernel.axes if axis != ROW_AXIS)
        shape = [1 if axis in axes else size for axis, size in enumerate(source.shape)]
        key, text = (name, "rows", *shape), f"{name}: rows"
        buffer = self.views.room(key, text, math.prod(shape), self.views.element(source))
        rows = dense_view(buffer.name, shape, channels_last(len(shape)))
        self.step(name, replace(kernel, axes=axes), [source], rows)
        return rows

    def step(
        self, name: str, kernel: Kernel, sources: Sequence[View], target: View, chosen: Chosen | None = None
    ) -> None:
        """Append a step; the fill of a border precedes the first step that writes to its buffer.

        Kernels that clip get views without the border.
        """
        root = self.views.buffers[target.buffer]
        if any(map(any, root.border[2:])) and root.name not in self.filled:
            self.filled.add(root.name)
            whole = self.views.wholes[root.name]
            whole = replace(whole, border=((0, 0), (0, 0), *whole.border[2:]))
            self.steps.append(Step(f"{root.name}: border", Fill(root.fill), (), whole))
        if not kernel.reads_borders:
            sources = [replace(source, border=()) for source in sources]
        sources = [
            source
            if kernel.follows_tables(number, source)
            else self.plain(source, f"{name}: source {number} of step {len(self.steps)}")
            for number, source in enumerate(sources)
        ]
        scratch = None
        if kernel.scratch:
            number = len(self.steps)
            text = f"{target.buffer}: scratch of step {number}"
            element = kernel.scratch_element(self.views.element(sources[0]))
            buffer = self.views.room(("scratch", number), text, kernel.scratch, element, "ring")
            scratch = View(buffer.name, (kernel.scratch,), (1,))
        signature, label = (chosen.signature, chosen.label) if chosen else ("", "")
        self.steps.append(Step(name, kernel, tuple(sources), target, signature, label, scratch))

    def move(self, name: str, source: View, target: View) -> None:
        """Append a copy; its views become plain loops."""
        source = self.views.read_as(replace(source, border=()), self.views.element(target))
        source, target = as_loops(source, target, self.views.tables)
        kernel = move.kernel(self.views.layout.target, source, target, self.views.stored(target))
        self.step(name, kernel, [source], target)

    def hold(self, job: PlannedOp) -> None:
        """Move in the operands that could not be computed in place, and fill the elements around them."""
        for tensor, place in zip(job.operands, places(job, self.views.types), strict=True):
            if self.views.inside.get(tensor) != place:
                self.move(job.work.name, self.views.view(tensor), self.views.part_of(place, tensor))
        if isinstance(job.work.computation, ConstantPad):
            (tensor,), (place,) = job.operands, places(job, self.views.types)
            whole, inner = self.views.view(job.result), self.views.part_of(place, tensor)
            pairs = zip(place.begins, inner.shape, whole.shape, strict=True)
            border = tuple((begin, outer - begin - size) for begin, size, outer in pairs)
            value = job.work.computation.value
            if any(map(any, border)):
                self.steps.append(Step(f"{job.work.name}: border", Fill(value), (), replace(inner, border=border)))

    def arrange(self, job: PlannedOp, computation: Arrangement, target: View) -> None:
        """Append a move, unless the result is a view of its operand."""
        source = self.views.view(job.operands[0])
        if target.buffer == source.buffer:
            return
        if not isinstance(computation, RowMajorReshape):
            source = self.plain(source, f"{job.result}: source")
            alias = self.views.alias(source, computation, target.shape)
            assert alias is not None, "a plain view can be arranged in any way"
            self.move(job.work.name, alias, target)
            return
        coarse = replace(target, border=()).unfold(source.shape)
        fine = replace(source, border=()).unfold(target.shape)
        if coarse is not None:
            self.move(job.work.name, source, coarse)
        elif fine is not None:
            self.move(job.work.name, fine, target)
        else:  # neither shape refines the other in memory: copy to the logical order first
            dense = self.dense((job.result, "flat"), f"{job.result}: flat", source)
            whole = dense.unfold(target.shape)
            assert whole is not None, "a dense view unfolds into any shape"
            self.move(job.work.name, whole, target)

    def dense(self, key: Hashable, text: str, source: View, order: Order | None = None) -> View:
        """A copy of a view in the logical order, or in another one, in a buffer of its own."""
        buffer = self.views.room(key, text, math.prod(source.shape), self.views.stored(source))
        copy = dense_view(buffer.name, source.shape, order or planar(source.rank))
        copy = self.views.read_as(copy, self.views.element(source))
        self.move(text, source, copy)
        return copy

    def plain(self, view: View, text: str) -> View:
        """The view, or a copy of it in its own order, without tables; one copy serves all readers."""
        if not view.lookups:
            return view
        view = replace(view, border=())
        if view not in self.plains:
            order = tuple(sorted(range(view.rank), key=lambda axis: -abs(view.strides[axis])))
            self.plains[view] = self.dense(("plain", view), text, view, order)
        return self.plains[view]

    def operand(self, operand: Operand, shape: Sequence[int], order: Order) -> View:
        """A view of the operand at full rank, with a stride of 0 where it is broadcast."""
        full = self.views.types[operand.tensor].shape == tuple(shape) and len(shape) == len(operand.dims)
        if full and operand.tensor in self.views.constants:
            return self.views.constant_in_order(operand.tensor, order)
        return self.views.view(operand.tensor).broadcast(operand.dims, shape)

    def contraction(self, job: PlannedOp, kernel: Convolution) -> None:
        rank = len(kernel.window) + 2
        image, weights, *bias = job.operands
        target = self.views.view(job.result)
        shape = (*target.shape, *(1,) * (rank - target.rank))
        if target.rank < rank:
            whole = target.unfold(shape)
            assert whole is not None, "a flat result splits into axes of one"
            target = whole
        inner = list(shape)
        if job.work.pool:
            inner[2:] = [axis.size for axis in job.work.pool.window]
        views = [self.views.view(image)]
        if bias:
            views.append(self.views.view(bias[0]).broadcast((1,), (1, target.shape[1], *(1,) * (rank - 2))))
        order = self.views.orders[job.result]
        for extra in job.extras:
            full = inner if self.views.types[extra.tensor].shape == tuple(inner[: len(extra.dims)]) else shape
            views.append(self.operand(extra, full, order))
        views.append(target)
        chosen = job.chosen
        if job.merged and not self.views.links & {image, job.result}:
            flat = [view for view in map(merge_axes, views) if view]
            if len(flat) == len(views):
                kernel, chosen, views = job.merged.kernel, job.merged, flat
        first, *others, target = views
        packed = self.weights(job, kernel, weights)
        self.step(job.work.name, kernel, [first, packed, *others], target, chosen)

    def weights(self, job: PlannedOp, kernel: Convolution, tensor: Tensor) -> View:
        """The packed weights: in the weights' block if they are constant, else packed by moves at run time."""
        flip = job.contraction is not None and job.contraction.flip
        images, element = self.views.types[tensor].shape[0], kernel.weights
        shape, size = kernel.weights_shape(images), kernel.packed_elements(images)
        key, name = (job.result, "weights"), f"{job.result}: weights"
        if tensor in self.views.constants:
            expect_finite(job.work.name, self.views.constants[tensor], element)
            packed_now = kernel.pack(self.views.constants[tensor].reshape(shape), flip)
            return View(self.views.known(key, name, packed_now, element).name, (size,), (1,))
        source = replace(self.views.view(tensor), border=()).unfold(shape)
        if source is None:  # weights computed by other layers into an order of their own
            source = self.dense((tensor, "flat"), f"{tensor} (flat)", self.views.view(tensor)).unfold(shape)
            assert source is not None, "a dense view unfolds into any shape"
        if not kernel.packs:
            return packing.reversed_taps(source, len(kernel.window)) if flip else source
        packed = View(self.views.room(key, name, size, element).name, (size,), (1,))
        transform = transform_of(kernel)
        blocks = packed.buffer if transform is None else self.blocks(job, kernel)
        for piece, place in kernel.packing_moves(source, blocks, flip):
            self.move(name, piece, place)
        if transform is not None:
            self.transform(name, transform, blocks, packed.buffer)
        return packed

    def blocks(self, job: PlannedOp, kernel: Convolution) -> str:
        """Room for weights in blocks that are transformed afterwards."""
        count = math.prod(kernel.moved_shape)
        return self.views.room((job.result, "taps"), f"{job.result}: taps", count, kernel.weights).name

    def transform(self, name: str, transform: WeightsTransform, blocks: str, packed: str) -> None:
        """The product with a matrix that makes packed weights of those in blocks."""
        kernel = transform.kernel(self.views.layout.target)
        points, taps = transform.matrix.shape
        rows = kernel.pack(transform.matrix[..., None], False)
        known = self.views.known((packed, "matrix"), f"{packed}: matrix", rows, FLOAT32)
        sources = [transform.view(blocks, taps), View(known.name, (known.elements,), (1,))]
        self.step(name, kernel, sources, transform.view(packed, points))


def expect_finite(layer: str, weights: Array, element: Element) -> None:
    """Raise ModelError, naming the layer, for a finite weight that would be stored as an infinity."""
    if element is FLOAT32:
        return
    beyond = np.isfinite(weights) & (np.abs(weights) >= element.overflow)
    if beyond.any():
        raise ModelError(
            f"its weight {weights[beyond][0]:.6g} becomes infinite as {element}, which ends at {element.most:.6g}: "
            f"expected weights of {FLOAT32}",
            node=layer,
        )


def merge_axes(view: View) -> View | None:
    """The view with its spatial axes merged into one, if they follow each other in memory (or are repeated)."""
    flat = (*view.shape[:2], math.prod(view.shape[2:]))
    if not any(view.strides[2:]):
        return replace(view, shape=flat, strides=(*view.strides[:2], 0), border=())
    if any(axis > 1 for axis, _ in view.lookups):
        return None
    merged = replace(view, lookups=()).unfold(flat)
    return merged and replace(merged, lookups=view.lookups)


def with_an_axis(view: View) -> View:
    """A scalar as a vector of one element, since kernels have their lanes along some axis."""
    return view if view.rank else replace(view, shape=(1,), strides=(1,), border=())
