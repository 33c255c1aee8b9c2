"""One computation as a node: what ops are made of, where a graph has to show it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..computation import (
    Arrangement,
    Broadcast,
    Computation,
    Concatenate,
    ConstantPad,
    Contraction,
    Interleave,
    Lookup,
    Lowering,
    Permute,
    Pointwise,
    Reduction,
    RowMajorReshape,
    Scatter,
    StridedSlice,
    Take,
    WindowReduction,
    single,
)
from ..elements import VALUES
from ..errors import ShapeError
from ..expr import calls
from ..lines import Linewise
from ..meaning import meaning
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType
from .elementwise import widened


@dataclass(frozen=True)
class Computed(Op, abstract=True):
    """`computation` on operands of these types, with a result of `type`.

    Where it keeps images apart, all may have another number of images along their first axis.
    """

    computation: Computation
    operands: tuple[TensorType, ...]
    type: TensorType

    takes = VALUES
    mixed = True

    @property
    def name(self) -> str:
        return type(self.computation).__name__

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, len(self.operands))
        if inputs == self.operands:
            return (self.type,)
        return (self.type.shaped((self._images(inputs), *self.type.shape[1:])),)

    def _images(self, inputs: tuple[TensorType, ...]) -> int:
        """The number of images of inputs that are of other types than the operands. Raises ShapeError if they differ
        in anything else, or not all alike."""
        marks, counts = carrying(self.computation, self.operands, self.type), set()
        for mark, own, given in zip(marks, self.operands, inputs, strict=True):
            if given != own and (not mark or given.rank != own.rank or given.typed(own.dtype) != given):
                raise self._misfit(own, given)
            if given.shape[1:] != own.shape[1:]:
                raise self._misfit(own, given)
            if mark and not (own == given and own.shape[0] == 1 and isinstance(self.computation, Pointwise)):
                counts.add(given.shape[0])
        if len(counts) != 1:
            raise ShapeError(f"{self.name} takes operands of one number of images, got {sorted(counts)}")
        return counts.pop()

    def _misfit(self, own: TensorType, given: TensorType) -> ShapeError:
        return ShapeError(f"{self.name} takes {own} here, got {given}")

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (out,) = self.infer(*map(TensorType.of, inputs))
        return (meaning(self.computation, [widened(x) for x in inputs], out.shape).astype(out.dtype.numpy),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        match self.computation:
            case Contraction(weights_per_image=per_image):
                return Cost(macs=out.size * math.prod(inputs[1].shape[2 if per_image else 1 :]))
            case WindowReduction(window=window):
                return Cost(flops=out.size * math.prod(axis.kernel for axis in window))
            case Pointwise(expr=expr):
                return Cost(flops=out.size * max(1, calls(expr)))
            case Reduction() | Linewise():
                return Cost(flops=inputs[0].size)
            case Scatter():
                return Cost(flops=inputs[2].size, moved=out.size)
        return Cost(moved=out.size)

    def lower(self, *inputs: TensorType) -> Lowering:
        return single(self.computation, len(inputs), self.infer(*inputs)[0])

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        marks = carrying(self.computation, self.operands, self.type)
        return marks if any(marks) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        return iter(())

    def __str__(self) -> str:
        c = self.computation
        return f"{self.name}({c.expr})" if isinstance(c, Pointwise) else str(c)


def carrying(c: Computation, operands: tuple[TensorType, ...], result: TensorType) -> tuple[bool, ...]:
    """Which operands may have images along their first axis: then so has the result, and each image is by itself."""
    every, none = (True,) * len(operands), (False,) * len(operands)
    if not result.rank:
        return none
    alike = tuple(x.shape[:1] == result.shape[:1] for x in operands)
    match c:
        case Contraction():
            return (True, c.weights_per_image, False)[: len(operands)]
        case WindowReduction():
            return every
        case Pointwise():
            return tuple(here and dims[:1] == (0,) for here, dims in zip(alike, c.dims, strict=True))
        case Reduction():
            return none if 0 in c.axes else every
        case Linewise() | Lookup() | Scatter() | StridedSlice() | Take() | Concatenate() | Interleave():
            return every if c.axis else none
        case Permute():
            return none if c.axes[0] else every
        case ConstantPad(begins=begins):
            return none if begins[0] else alike
        case RowMajorReshape() | Broadcast():
            return alike
        case Arrangement():
            return none
