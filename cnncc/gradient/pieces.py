"""The pieces of a gradient, and what a rule is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..computation import Broadcast, ConstantPad, Interleave, LoweringBuilder, Pointwise, Scatter, replaced
from ..elements import FLOAT32
from ..expr import Arg, Expr, arguments_of, substitute, where_less
from ..types import TensorType


class NoGradient(Exception):
    """A computation has no rule; the text says why, as a sentence about its layer."""


class Pieces(LoweringBuilder):
    """Appends the pieces of a gradient: operands of a computation first, then its result y and the gradient g of y."""

    def expr(self, expr: Expr, references: Sequence[int], dims: Sequence[tuple[int, ...]], shape: Sequence[int]) -> int:
        """An expression of operands that lie along given axes of a result of `shape`; those that it reads."""
        used = sorted(arguments_of(expr))
        own = substitute(expr, {old: Arg(new) for new, old in enumerate(used)})
        return self.add(Pointwise(own, tuple(dims[k] for k in used)), [references[k] for k in used], shape)

    def zeros(self, like: int, shape: Sequence[int]) -> int:
        """Zeros, read from a float piece of as many images, so that they are zeros of as many images as it has."""
        own = self.shape(like)
        if not own or own[0] != shape[0]:
            return self.repeat(self.known(np.zeros((1,) * len(shape))), shape)
        for axis in range(1, len(own)):
            like = self.part(like, axis, 0, 1)
        like = self.reshape(like, (own[0], *(1,) * (len(shape) - 1)))
        return self.expr(where_less(Arg(0), Arg(0), Arg(0), 0), (like,), (tuple(range(len(shape))),), shape)

    def repeat(self, reference: int, shape: Sequence[int]) -> int:
        return reference if self.shape(reference) == tuple(shape) else self.add(Broadcast(), (reference,), shape)

    def padded(self, reference: int, begins: Sequence[int], shape: Sequence[int], value: float = 0.0) -> int:
        """`reference` at `begins` of a result of `shape`, with `value` around it."""
        if self.shape(reference) == tuple(shape):
            return reference
        return self.add(ConstantPad(tuple(begins), value), (reference,), shape)

    def interleave(self, references: Sequence[int], axis: int) -> int:
        if len(references) == 1:
            return references[0]
        shape = self.shape(references[0])
        return self.add(Interleave(axis), references, replaced(shape, axis, shape[axis] * len(references)))

    def added_up(self, updates: int, indices: int, axis: int, like: int) -> int:
        """A tensor like `like`: each element the sum of the updates with its index along `axis`."""
        base = self.zeros(like, self.shape(like))
        return self.add(Scatter(axis, "add"), (base, indices, updates), self.shape(like))


@dataclass(frozen=True)
class Step:
    """One computation of the forward part: its operands x, its result y, the gradient g of y, as references.

    A rule is asked for the gradients of the operands that are `wanted`. With a `slope`, x is what an element-wise
    expression made, and wanted are the gradients of what that read: `slope` is its derivative, of g and of its result.
    """

    pieces: Pieces
    x: tuple[int, ...]
    y: int
    g: int
    wanted: tuple[bool, ...]
    slope: Expr | None = None

    @staticmethod
    def of(
        operands: Sequence[TensorType], result: TensorType, wanted: Sequence[bool], slope: Expr | None = None
    ) -> Step:
        count = len(operands)
        pieces = Pieces([*operands, result, TensorType(result.shape, FLOAT32)])
        return Step(pieces, tuple(range(count)), count, count + 1, tuple(wanted), slope)
