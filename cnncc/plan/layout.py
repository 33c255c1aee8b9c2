"""Works → jobs: an algorithm for each contraction, and a memory order for each tensor.

Orders follow the producers: lanes along channels write channels last, lanes along columns write planar, the
rest keeps the order of what it reads. Where a consumer wants another order a copy is put between them, once
for each tensor and order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..computation import (
    Arrangement,
    Contraction,
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
from ..expr import arguments_of
from ..target import Target
from ..types import DType, TensorType
from ..windows import WindowAxis
from . import kernels
from .candidates import Choices, Chosen, signature
from .cost import transfer
from .kernels import Candidate, Convolution, Epilogue, LanesAlong, Layer, Pooling, depthwise
from .lower import Operand, Work, Works
from .views import Order, channels_last, may_grow, planar

ALIASES = (Reshape, Transpose, Part, Lookup, Repeat)
"""Arrangements whose result is a view of their operand, where strides and tables can say so."""
HOLDERS = (Join, Interleave, Inset)
"""Arrangements whose operands may be computed where they are to stand."""
TAME = 2.0**64  # weights beyond it (or not finite) could overflow in a transform


@dataclass
class Job:
    """A work with its algorithm (contractions only) and the tensors that it really reads.

    A copy into another order is a join of one. `chosen` tells how `kernel` was chosen, if there was a choice; `merged`
    is the kernel over spatial axes merged into one.
    """

    work: Work
    operands: list[str]
    extras: list[Operand] = field(default_factory=list)
    kernel: Convolution | None = None
    merged: Chosen | None = None
    contraction: Contraction | None = None
    chosen: Chosen | None = None

    @property
    def result(self) -> str:
        return self.work.result


class Layout:
    """The jobs of a program in order, and the memory order of every tensor.

    `strict` allows no transforms (they round otherwise than a sum), `frugal` keeps their scratch memory small.
    """

    def __init__(
        self,
        works: Works,
        target: Target,
        chosen: Mapping[str, str] | None = None,
        border_limit: float = 1.0,
        *,
        strict: bool = False,
        frugal: bool = False,
    ):
        self.works, self.target, self.border_limit = works, target, border_limit
        self.strict, self.frugal = strict, frugal
        self.distant = sum(array.nbytes for array in works.constants.values()) > target.l3 // 2
        self.choices = Choices(chosen or {})
        self.types = works.types
        self.orders: dict[str, Order] = {}
        self.jobs: list[Job] = []
        self.copies: dict[tuple[str, Order], str] = {}
        self.offered: dict[str, Sequence[Candidate]] = {}
        self.makers: dict[str, Work] = {work.result: work for work in works.works}
        self.readers: dict[str, list[Work]] = {}
        for work in works.works:
            for operand in work.operands[:1]:
                self.readers.setdefault(operand, []).append(work)
        self.direct_outputs: dict[str, str] = {}
        for name, type in self.types.items():
            if name not in self.makers:
                self.orders[name] = planar(type.rank)
        for work in works.works:
            self.jobs.append(self.job(work))
        self.place_outputs()

    def is_planar(self, tensor: str) -> bool:
        """Whether memory follows the logical order (as it also does where only one axis has a size)."""
        shape, order = self.types[tensor].shape, self.orders[tensor]
        real = [axis for axis in order if shape[axis] > 1]
        return real == sorted(real)

    def in_order(self, tensor: str, order: Order) -> str:
        """`tensor`, or a copy of it, in an order; constants are packed in any order for nothing."""
        if self.orders[tensor] == order or tensor in self.works.constants:
            return tensor
        if self.is_planar(tensor) and self._same_memory(tensor, order):
            return tensor
        key = tensor, order
        if key not in self.copies:
            name = f"{tensor}@{'last' if order != planar(len(order)) else 'planar'}"
            self.copies[key] = self.copy(tensor, name, order)
        return self.copies[key]

    def _same_memory(self, tensor: str, order: Order) -> bool:
        real = [axis for axis in order if self.types[tensor].shape[axis] > 1]
        return real == sorted(real)

    def copy(self, tensor: str, name: str, order: Order) -> str:
        """A job that copies `tensor` to a new one."""
        self.types[name] = self.types[tensor]
        self.orders[name] = order
        self.jobs.append(Job(Work(name, Join(0), [tensor], name), [tensor]))
        return name

    # One work

    def job(self, work: Work) -> Job:
        computation = work.computation
        if isinstance(computation, Contraction):
            return self.contraction(work, computation)
        rank = self.types[work.result].rank
        order = self.orders[work.operands[0]] if work.operands else planar(rank)
        operands = list(work.operands)
        if isinstance(computation, Pointwise):
            order = self.pointwise_order(work)
            operands = [self.like(operand, work.result, order) for operand in operands]
        elif isinstance(computation, Transpose):
            order = tuple(computation.axes.index(axis) for axis in order)
        elif isinstance(computation, Reshape) or rank != len(order):
            flat = self.is_planar(work.operands[0]) or rank < 3
            order = planar(rank) if flat else channels_last(rank)
        else:
            assert isinstance(computation, WindowReduction | Reduction | Arrangement)
            if isinstance(computation, Join | Interleave):
                operands = [self.in_order(operand, order) for operand in operands]
        self.orders[work.result] = order
        return Job(work, operands)

    def pointwise_order(self, work: Work) -> Order:
        """The order of the first operand that has the result's shape."""
        type = self.types[work.result]
        for operand in work.operands:
            if self.types[operand].shape == type.shape and operand not in self.works.constants:
                return self.orders[operand]
        return planar(type.rank)

    def like(self, operand: str, result: str, order: Order) -> str:
        """An operand of the result's shape in the result's order; broadcast ones stay."""
        return self.in_order(operand, order) if self.types[operand].shape == self.types[result].shape else operand

    def contraction(self, work: Work, c: Contraction) -> Job:
        """Choose the algorithm, then bring the image into the order that it wants."""
        image, *parameters = work.operands
        flattened = self.flattened(image, c)
        if flattened:
            image, c = flattened
        rank = len(c.window)
        last = channels_last(rank + 2)
        stored = self.types[work.result].shape[2:] if not flattened else (1,) * rank
        epilogue = Epilogue(work.before, self.pooling(work), work.after, len(work.extras))
        layer = self.layer(work, c, image, stored, epilogue)
        merged = None
        if alone := kernels.preferred(self.target, layer):
            kernel, chosen = alone, None
        else:
            chosen, merged = self.direct(work, layer)
            kernel = chosen.kernel
        if kernel.reads == "planar":
            image = self.in_order(image, planar(rank + 2))
        elif kernel.reads == "channels last" or self.copied(image, c):
            image = self.in_order(image, last)
        image = self.bordered(image, kernel)
        result = last if kernel.lanes_along == "channels" else planar(rank + 2)
        self.orders[work.result] = planar(2) if flattened else result
        early = arguments_of(work.before)
        extras = []
        for number, extra in enumerate(work.extras, start=1):
            met = self.before_pool(work) if number in early else self.types[work.result]
            extras.append(self.aligned(extra, met, self.orders[work.result]))
        return Job(work, [image, *parameters], extras, kernel, merged, c, chosen)

    def layer(self, work: Work, c: Contraction, image: str, stored: Sequence[int], epilogue: Epilogue) -> Layer:
        """What the choice of a kernel depends on. Kernels that read channels last want them however few they are."""
        copies = self.reordered(work, c, image)
        is_planar = self.is_planar(image)
        few = self.types[image].size if is_planar and not self.copied(image, c) else 0
        return Layer(
            c,
            tuple(stored),
            epilogue,
            copies,
            copies["channels"] + few,
            is_planar,
            self.strict or not c.window or self.tame(work),
            self.strict,
            self.distant,
            self.frugal,
        )

    def direct(self, work: Work, layer: Layer) -> tuple[Chosen, Chosen | None]:
        """The kernel, and for a 1×1 convolution the same over merged spatial axes (if the memory allows that)."""
        c, stored = layer.contraction, layer.stored
        if c.weights_per_image or not (len(stored) > 1 and not work.pool and all(is_point(w) for w in c.window)):
            return self.choose(layer), None
        layer = replace(layer, tame=True)  # there is nothing to transform
        positions = math.prod(stored)
        flat = replace(c, window=(WindowAxis(positions),))
        merged = self.choose(replace(layer, contraction=flat, stored=(positions,)))
        return self.choose(replace(layer, copies={merged.kernel.lanes_along: 0})), merged

    def choose(self, layer: Layer) -> Chosen:
        """The best kernel by the model, or the one that was asked for."""
        alike = repr(layer)  # the text tells −0 from 0, which equality does not
        if alike not in self.offered:
            self.offered[alike] = kernels.candidates(self.target, layer)
        return self.choices.pick(signature(layer), self.offered[alike])

    def tame(self, work: Work) -> bool:
        """Whether weights may be transformed: they are known, and no sum of some of them overflows."""
        weights = self.works.constants.get(work.operands[1])
        return weights is not None and bool(np.abs(weights).max() < TAME)

    def lanes_along_channels(self, work: Work) -> bool:
        """Whether the kernel of a work will read channels last, whatever its image is: where they fill the lanes."""
        c = work.computation
        if not isinstance(c, Contraction) or c.weights_per_image:
            return False
        return (
            not depthwise.narrow(self.target, c) if c.depthwise else min(c.channels, c.outputs) >= self.target.lanes > 1
        )

    def reordered(self, work: Work, c: Contraction, image: str) -> dict[LanesAlong, int]:
        """Elements that must change their order, for each way that lanes may lie.

        Outputs are planar; whoever else reads a result wants channels last, unless the network was planar before.
        """
        result = self.types[work.result]
        output = work.result in self.works.outputs.values()
        channels, columns = self.copied(image, c), 0
        if output and math.prod(result.shape[2:]) > 1:
            channels += result.size
        if not self.is_planar(image):
            columns += self.types[image].size
        strided = bool(c.window) and c.window[-1].stride > 1
        wanted = any(self.lanes_along_channels(reader) for reader in self.readers.get(work.result, ()))
        if not output and (wanted or strided or not self.is_planar(image)):
            columns += result.size
        return {"channels": channels, "columns": columns}

    def copied(self, image: str, c: Contraction) -> int:
        """Elements of the image that must be copied to have channels last; few channels are read as they are."""
        spatial = self.types[image].shape[2:]
        planar_image = self.is_planar(image) and math.prod(spatial) > 1
        return self.types[image].size if planar_image and c.channels > transfer.PLANAR_CHANNELS else 0

    def bordered(self, image: str, kernel: Convolution) -> str:
        """The caller's image, or a copy of it with the border that its windows read, where that is cheaper.

        Buffers of the caller's bring no border, and a tile at an edge tests and selects every pixel.
        """
        type = self.types[image]
        border = ((0, 0), (0, 0), *(axis.reach for axis in kernel.window))
        if image not in self.works.inputs or type.dtype is not DType.float32:
            return image
        saved = kernel.edge_cycles(self.target)
        if not may_grow(type.shape, border, self.border_limit) or saved < transfer.copied(self.target, type.size):
            return image
        key = image, self.orders[image]
        if key not in self.copies:
            self.copies[key] = self.copy(image, f"{image}@bordered", self.orders[image])
        return self.copies[key]

    def flattened(self, image: str, c: Contraction) -> tuple[str, Contraction] | None:
        """A dense layer over a flattened image that is not planar, as a window of the image's own size.

        The weights are permuted instead of the data.
        """
        maker = self.makers.get(image)
        if c.window or c.weights_per_image or maker is None or not isinstance(maker.computation, Reshape):
            return None
        source = maker.operands[0]
        shape = self.types[source].shape
        if len(shape) < 3 or shape[0] != self.types[image].shape[0] or self.is_planar(source):
            return None
        if math.prod(shape[1:]) != c.channels or len(shape) > 5:
            return None
        window = tuple(WindowAxis(size, size) for size in shape[2:])
        return source, replace(c, window=window, channels=shape[1])

    def pooling(self, work: Work) -> Pooling | None:
        if work.pool is None:
            return None
        kernel = tuple(axis.kernel for axis in work.pool.window)
        return Pooling(kernel, work.pool.combine, work.pool.divisor != "none")

    def before_pool(self, work: Work) -> TensorType:
        """Type of the contraction's own result."""
        out = self.types[work.result]
        if work.pool is None:
            return out
        return TensorType((*out.shape[:2], *(axis.size for axis in work.pool.window)))

    def aligned(self, extra: Operand, shape: TensorType, order: Order) -> Operand:
        """A residual in the order of the kernel's lanes."""
        if self.types[extra.tensor].shape == shape.shape:
            return replace(extra, tensor=self.in_order(extra.tensor, order))
        return extra

    # Outputs

    def place_outputs(self) -> None:
        """Each output is made where the caller wants it, directly or by a last copy (its order is planar)."""
        inside = {operand for job in self.jobs if isinstance(job.work.computation, HOLDERS) for operand in job.operands}
        for output, tensor in self.works.outputs.items():
            maker = self.makers.get(tensor)
            alias = maker is None or isinstance(maker.computation, ALIASES)
            if alias or tensor in self.direct_outputs or tensor in inside or not self.is_planar(tensor):
                tensor = self.copy(tensor, f"{output}!", planar(self.types[tensor].rank))
            self.orders[tensor] = planar(self.types[tensor].rank)
            self.direct_outputs[tensor] = output


def is_point(window: WindowAxis) -> bool:
    """A window of one tap that visits every element."""
    return window == WindowAxis(window.size)
