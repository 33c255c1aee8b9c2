"""Lowered ops → planned ops: an algorithm for each contraction, and a memory order for each tensor.

The producer decides the order: lanes along channels write channels last, lanes along columns write planar, other
kernels keep the order of their operands. Where a consumer needs another order, a copy is inserted, once for each
tensor and order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..computation import (
    Concatenate,
    Contraction,
    Interleave,
    Lookup,
    Permute,
    Pointwise,
    RowMajorReshape,
)
from ..elements import FLOAT32, Element
from ..expr import arguments_of
from ..machine.target import Target
from ..types import TensorType
from ..windows import WindowAxis
from . import kernels
from .borders import pays_a_copy
from .candidates import Choices, Chosen, Split, cheapest, chosen
from .cost import step, transfer
from .jobs import Layout, PlannedOp, one_image
from .kernels import Candidate, Convolution, LanesAlong, Layer, depthwise
from .lower import LoweredGraph, LoweredOp, Operand
from .options import PlanOptions
from .orders import OrderBuilder
from .split import Parts, Way, fused, held_epilogue, merged_positions, signature_of, split, with_steps
from .tensors import Tensor
from .turned import as_read, turned
from .views import Order, channels_last, planar, reshaped_order

WINOGRAD_WEIGHT_LIMIT = 2.0**64  # larger weights, or weights that are not finite, could overflow in a transform


def lay_out(
    works: LoweredGraph,
    target: Target,
    options: PlanOptions | None = None,
    strict: bool = False,
    weights: Element = FLOAT32,
) -> Layout:
    """The layout of works; `strict` allows no transforms (they round otherwise than a sum).

    `weights` is what those of contractions are stored as, where they are the model's own and known.
    """
    return laid_out(LayoutBuilder(works, target, options or PlanOptions(), strict=strict, weights=weights))


def laid_out(builder: LayoutBuilder) -> Layout:
    """The layout that a builder makes of its works."""
    works, target = builder.works, builder.target
    for work in works.works:
        builder.jobs.append(builder.job(work))
    outputs, updates = builder.placed_for_callers()
    return Layout(works, target, builder.jobs, builder.types, builder.orders, outputs, builder.choices.offers, updates)


class LayoutBuilder(OrderBuilder):
    """Makes the jobs one after the other, with the copies between them; `orders` has all tensors made so far."""

    def __init__(self, works: LoweredGraph, target: Target, options: PlanOptions, *, strict: bool, weights: Element):
        self.works, self.target, self.options, self.strict, self.weights = works, target, options, strict, weights
        self.distant = sum(array.nbytes for array in works.constants.values()) > target.l3 // 2
        self.choices = Choices(dict(options.choices))
        self.types = dict(works.types)
        self.makers, self.readers = works.makers, works.readers
        self.contractions = Counter(
            work.operands[0] for work in works.works if isinstance(work.computation, Contraction)
        )
        given = {name: type for name, type in works.types.items() if name not in self.makers}
        self.orders = {name: planar(type.rank) for name, type in given.items()}
        self.jobs: list[PlannedOp] = []
        self.offered: dict[str, Sequence[Candidate]] = {}

    def job(self, work: LoweredOp) -> PlannedOp:
        """The job of a lowered op, after the copies that it needs."""
        computation = work.computation
        if isinstance(computation, Contraction):
            return self.contraction(work, computation)
        order, operands = self.order(work), work.operands
        if isinstance(computation, Pointwise):
            operands = [self.like(operand, work.result, order) for operand in operands]
        elif isinstance(computation, Concatenate | Interleave):
            operands = [self.in_order(operand, order) for operand in operands]
        elif isinstance(computation, Lookup):
            operands = [self.in_order(operands[0], order), *operands[1:]]
        self.orders[work.result] = order
        return PlannedOp(work, operands)

    def order(self, work: LoweredOp) -> Order:
        """The order of a result: that of the first operand, if both have the same axes."""
        rank, computation = self.types[work.result].rank, work.computation
        if isinstance(computation, Pointwise):
            return self.pointwise_order(work)
        if isinstance(computation, Lookup) and self.channels_share_indices(work):
            return channels_last(rank)
        order = self.orders[work.operands[0]] if work.operands else planar(rank)
        if isinstance(computation, Permute):
            return tuple(computation.axes.index(axis) for axis in order)
        if isinstance(computation, RowMajorReshape):
            own = reshaped_order(self.types[work.operands[0]].shape, order, self.types[work.result].shape)
            if own is not None:
                return own
        if isinstance(computation, RowMajorReshape) or rank != len(order):
            flat = self.is_planar(work.operands[0]) or rank < 3 or self.permuted_planar(work)
            return planar(rank) if flat else channels_last(rank)
        return order

    def channels_share_indices(self, work: LoweredOp) -> bool:
        """Whether a lookup of runs of channels, copies into that order included, takes less than one of elements."""
        x, indices = (self.types[operand] for operand in work.operands)
        innermost = self.orders[work.operands[0]][-1:]
        fill_lanes = x.rank > 2 and indices.shape[1] == 1 and 1 < self.target.lanes <= x.shape[1]
        if not fill_lanes or indices.shape[innermost[0]] == 1:
            return False
        count = self.types[work.result].size
        return transfer.reordered(self.target.core, x.size + count) < step.indexed(self.target.core, count)

    def permuted_planar(self, work: LoweredOp) -> bool:
        """Whether a reshape follows a transpose of a planar tensor, and no reader prefers channels last."""
        turn = self.makers.get(work.operands[0])
        if turn is None or not isinstance(turn.computation, Permute):
            return False
        return self.is_planar(turn.operands[0]) and not any(
            self.lanes_along_channels(reader) for reader in self.readers.get(work.result, ())
        )

    def pointwise_order(self, work: LoweredOp) -> Order:
        """The order of the first operand that has the result's shape."""
        type = self.types[work.result]
        for operand in work.operands:
            if self.types[operand].shape == type.shape and operand not in self.works.constants:
                return self.orders[operand]
        return planar(type.rank)

    def like(self, operand: Tensor, result: Tensor, order: Order) -> Tensor:
        """An operand of the result's shape in the result's order; a broadcast operand stays as it is."""
        return self.in_order(operand, order) if self.types[operand].shape == self.types[result].shape else operand

    def contraction(self, work: LoweredOp, c: Contraction) -> PlannedOp:
        """Choose the algorithm, then bring the image into the order that it reads."""
        image, *parameters = work.operands
        stored = self.types[work.result].shape[2:]
        flattened = self.flattened(image, c)
        if flattened:
            image, c = flattened
            stored = (1,) * len(c.window)
        ways = self.ways(work, self.layer(work, c, image, stored))
        way, chosen, merged = self.choose(ways)
        self.types |= way.parts.types
        held, kernel = way.parts.held, chosen.kernel
        image, order = self.image_for(kernel, image, c)
        weights, own = parameters[0], (merged or chosen).kernel
        if not own.packs and own.weights_along == "outputs":
            parameters[0] = self.in_order(weights, as_read(self.types[weights].shape, self.orders[weights]))
        self.orders[held.result] = planar(2) if flattened else order
        named = chosen if chosen.signature else None
        job = PlannedOp(held, [image, *parameters], self.extras(held), kernel, merged, c, named)
        return self.followed(job, way.parts.steps, (merged or chosen).split)

    def ways(self, work: LoweredOp, layer: Layer) -> list[Way]:
        """The ways to divide an epilogue among kernels, all of it in registers first."""
        whole = fused(work)
        found = [Way(whole, replace(layer, epilogue=held_epilogue(whole.held)))]
        if work.pool:
            apart, sizes = split(work, self.types), tuple(axis.out for axis in layer.contraction.window)
            found.append(Way(apart, replace(layer, epilogue=held_epilogue(apart.held), stored=sizes)))
        return found

    def followed(self, job: PlannedOp, steps: Sequence[LoweredOp], why: Split | None) -> PlannedOp:
        """The last job of a contraction and the steps behind it, after the others."""
        for work in steps:
            self.jobs.append(job)
            job = replace(self.job(work), split=why)
        return job

    def image_for(self, kernel: Convolution, image: Tensor, c: Contraction) -> tuple[Tensor, Order]:
        """The image, or a copy in the order that a kernel reads, and the order in which the kernel writes."""
        last, flat = channels_last(len(c.window) + 2), planar(len(c.window) + 2)
        if kernel.reads == "planar":
            image = self.in_order(image, flat)
        elif kernel.reads == "channels last" or (kernel.reads == "either" and self.copied(image, c)):
            image = self.in_order(image, last)
        return self.bordered(image, kernel), last if kernel.lanes_along == "channels" else flat

    def extras(self, work: LoweredOp) -> list[Operand]:
        """The operands of a contraction's epilogue: of the result's shape before the pool, of the pooled one after."""
        early, order = arguments_of(work.before), self.orders[work.result]
        return [
            self.aligned(extra, self.before_pool(work) if number in early else self.types[work.result], order)
            for number, extra in enumerate(work.extras, start=1)
        ]

    def layer(self, work: LoweredOp, c: Contraction, image: Tensor, stored: Sequence[int]) -> Layer:
        """What the choice of a kernel depends on, besides the epilogue.

        Kernels that read channels last do so with any number of channels.
        """
        copies = self.reordered(work, c, image)
        is_planar = self.is_planar(image)
        weights = work.operands[1]
        arrive = self.works.constants.keys().isdisjoint((image, weights))
        transformable = bool(c.window) and not self.strict
        few = one_image(self.types[image]).size if is_planar and not self.copied(image, c) else 0
        return Layer(
            c,
            tuple(stored),
            copies=copies,
            copied_last=copies["channels"] + few,
            planar=is_planar,
            tame=not transformable or self.tame(work),
            arriving=self.types[image].shape[0] if transformable and weights not in self.works.constants else 0,
            strict=self.strict,
            distant=self.distant,
            save_memory=self.options.save_memory,
            weights=self.stored(weights),
            turned=turned(c, image, weights, self.types, self.orders) if arrive else None,
        )

    def stored(self, weights: Tensor) -> Element:
        """What packed weights are stored as: what is wished for the model's own, else what they are."""
        own = weights in self.works.constants and weights not in self.works.coefficients
        return self.weights if own else self.types[weights].dtype

    def choose(self, ways: Sequence[Way]) -> tuple[Way, Chosen, Chosen | None]:
        """The cheapest way by the model, or the one that the options choose, and its kernel.

        For a 1×1 convolution also the kernel over merged spatial axes (if the strides allow it).
        """
        alone = [found for way in ways if (found := kernels.preferred(self.target, way.layer))]
        if len(alone) == len(ways):
            offered = with_steps(self.target, ways, [[candidate] for candidate in alone])
            taken = chosen(cheapest(offered), offered)
            return ways[-1 if taken.split else 0], taken, None
        merged = [merged_positions(way) for way in ways]
        taken = self.pick(merged)
        at = -1 if taken.split else 0
        if merged[at] is ways[at]:
            return ways[at], taken, None
        held, layer = ways[at].parts.held, merged[at].layer
        copies: dict[LanesAlong, int] = {taken.kernel.lanes_along: 0}
        unmerged = replace(ways[at].layer, tame=layer.tame, arriving=layer.arriving, copies=copies)
        around = transfer.reordered(self.target.core, layer.copies[taken.kernel.lanes_along])
        return ways[at], self.pick([Way(Parts(held), unmerged)]), replace(taken, cycles=taken.cycles - around)

    def pick(self, ways: Sequence[Way]) -> Chosen:
        """The choice among all candidates of some ways."""
        alike = repr([way.layer for way in ways])  # the text distinguishes −0 from 0, equality does not
        if alike not in self.offered:
            found = [kernels.candidates(self.target, way.layer) for way in ways]
            self.offered[alike] = with_steps(self.target, ways, found)
        return self.choices.pick(signature_of(ways), self.offered[alike])

    def tame(self, work: LoweredOp) -> bool:
        """Whether weights may be transformed: they arrive, or no sum of some of them overflows."""
        weights = self.works.constants.get(work.operands[1])
        return weights is None or bool(np.abs(weights).max() < WINOGRAD_WEIGHT_LIMIT)

    def lanes_along_channels(self, work: LoweredOp) -> bool:
        """Whether the kernel will read channels last for any order of its image: the channels fill the lanes."""
        c = work.computation
        if not isinstance(c, Contraction) or c.weights_per_image:
            return False
        return (
            not depthwise.narrow(self.target, c) if c.depthwise else min(c.channels, c.outputs) >= self.target.lanes > 1
        )

    def layers_behind(self, tensor: Tensor) -> Iterator[LoweredOp]:
        """The contractions of a tensor, and those of what expressions make of it, which keep its order."""
        reached, shape = [tensor], self.types[tensor].shape
        for each in reached:
            for reader in self.readers.get(each, ()):
                if reader.operands[0] == each and isinstance(reader.computation, Contraction):
                    yield reader
                elif isinstance(reader.computation, Pointwise) and self.types[reader.result].shape == shape:
                    reached += [reader.result] if reader.result not in reached else []

    def reordered(self, work: LoweredOp, c: Contraction, image: Tensor) -> dict[LanesAlong, int]:
        """Elements of an image, and of its result, that must be reordered, for each axis that lanes may lie along.

        Outputs are planar; other readers of a result read channels last, unless the network was planar before.
        """
        result = one_image(self.types[work.result])
        output = work.result in self.works.leaving
        channels, columns = self.copied(image, c), 0
        if output and math.prod(result.shape[2:]) > 1:
            channels += result.size
        if not self.is_planar(image):
            columns += one_image(self.types[image]).size
        strided = bool(c.window) and c.window[-1].stride > 1
        wanted = any(map(self.lanes_along_channels, self.layers_behind(work.result)))
        if not output and (wanted or strided or not self.is_planar(image)):
            columns += result.size
        return {"channels": channels, "columns": columns}

    def copied(self, image: Tensor, c: Contraction) -> int:
        """Elements of an image that must be copied to have channels last; few channels are read without a copy."""
        type = one_image(self.types[image])
        planar_image = self.is_planar(image) and math.prod(type.shape[2:]) > 1
        return type.size if planar_image and c.channels > transfer.PLANAR_CHANNELS else 0

    def bordered(self, image: Tensor, kernel: Convolution) -> Tensor:
        """The caller's image, or a copy of it with the border that its windows read, where that is cheaper.

        The caller's buffers have no border, and a tile at an edge then tests and selects every pixel. One copy serves
        all contractions that read the image.
        """
        type = self.types[image]
        border = ((0, 0), (0, 0), *(axis.reach for axis in kernel.window))
        if not self.arrives(image) or type.dtype is not type.dtype.in_register:
            return image
        order, saved = self.orders[image], self.contractions[image] * type.shape[0] * kernel.edge_cycles(self.target)
        if not pays_a_copy(self.target, self.options, type, order, border, saved):
            return image
        return self.copy(image, Tensor("bordered", (image,), order), order)

    def arrives(self, tensor: Tensor) -> bool:
        """Whether a tensor, or the one that it is a transpose of, lies in the caller's memory."""
        maker = self.makers.get(tensor)
        if maker and isinstance(maker.computation, Permute):
            return self.arrives(maker.operands[0])
        return tensor in self.works.arriving

    def flattened(self, image: Tensor, c: Contraction) -> tuple[Tensor, Contraction] | None:
        """A dense layer over a flattened image that is not planar, as a window of the size of the image.

        The weights are permuted instead of the image.
        """
        maker = self.makers.get(image)
        if c.window or c.weights_per_image or maker is None or not isinstance(maker.computation, RowMajorReshape):
            return None
        source = maker.operands[0]
        shape = self.types[source].shape
        if not 3 <= len(shape) <= 5 or self.is_planar(source):
            return None
        if shape[0] != self.types[image].shape[0] or math.prod(shape[1:]) != c.channels:  # of several images
            return None
        window = tuple(WindowAxis(size, size) for size in shape[2:])
        return source, replace(c, window=window, channels=shape[1])

    def before_pool(self, work: LoweredOp) -> TensorType:
        """Type of the contraction's own result."""
        out = self.types[work.result]
        if work.pool is None:
            return out
        return out.shaped((*out.shape[:2], *(axis.size for axis in work.pool.window)))

    def aligned(self, extra: Operand, shape: TensorType, order: Order) -> Operand:
        """An operand of the epilogue in the memory order that the kernel writes."""
        if self.types[extra.tensor].shape == shape.shape:
            return replace(extra, tensor=self.in_order(extra.tensor, order))
        return extra
