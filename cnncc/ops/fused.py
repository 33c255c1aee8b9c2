"""A fused node: an anchor and what is applied to its result before it is stored.

It is a permission, not a command: type, reference and cost fold over the body, and the plan may split it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..computation import ComputationNode, Lowering, Pointwise
from ..expr import RUNNING, Arg, Expr, substitute
from ..op import Cost, Op, Sample
from ..types import Array, TensorType

T = TypeVar("T")


@dataclass(frozen=True)
class FusedOp:
    """One op of an epilogue: the running value is its input `position`, `extra` inputs are its others.

    An op that reads the running value more than once (x · sigmoid(x)) names the further positions in `again`.
    """

    op: Op
    position: int = 0
    extra: int = 0
    again: tuple[int, ...] = ()

    @property
    def positions(self) -> tuple[int, ...]:
        """All inputs that are the running value, in order."""
        return (self.position, *self.again)

    def arguments(self, running: T, others: Sequence[T]) -> list[T]:
        """The op's inputs in order."""
        arguments = list(others)
        for position in self.positions:
            arguments.insert(position, running)
        return arguments


@dataclass(frozen=True)
class Fused(Op, abstract=True):
    """`anchor` on the first `anchor_inputs` inputs, then each stage with its extra inputs in turn."""

    anchor: Op
    anchor_inputs: int
    epilogue: tuple[FusedOp, ...]

    def split(self, inputs: Sequence[T]) -> list[tuple[T, ...]]:
        """`inputs` parted into the anchor's and those of each stage."""
        parts, at = [tuple(inputs[: self.anchor_inputs])], self.anchor_inputs
        for stage in self.epilogue:
            parts.append(tuple(inputs[at : at + stage.extra]))
            at += stage.extra
        return parts

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        own, *extras = self.split(inputs)
        (running,) = self.anchor.infer(*own)
        for stage, extra in zip(self.epilogue, extras, strict=True):
            (running,) = stage.op.infer(*stage.arguments(running, extra))
        return (running,)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        own, *extras = self.split(inputs)
        (running,) = self.anchor.reference(*own)
        for stage, extra in zip(self.epilogue, extras, strict=True):
            (running,) = stage.op.reference(*stage.arguments(running, extra))
        return (running,)

    def cost(self, *inputs: TensorType) -> Cost:
        own, *extras = self.split(inputs)
        total = self.anchor.cost(*own)
        (running,) = self.anchor.infer(*own)
        for stage, extra in zip(self.epilogue, extras, strict=True):
            arguments = stage.arguments(running, extra)
            more = stage.op.cost(*arguments)
            total = Cost(total.macs + more.macs, total.flops + more.flops, total.moved + more.moved)
            (running,) = stage.op.infer(*arguments)
        return total

    def lower(self, *inputs: TensorType) -> Lowering:
        """One expression, for a body of element-wise ops; raises NotImplementedError for other bodies."""
        own, *extras = self.split(range(len(inputs)))
        composed = _Composed(inputs)
        composed.absorb(self.anchor, list(own))
        for stage, extra in zip(self.epilogue, extras, strict=True):
            composed.absorb(stage.op, stage.arguments(_RUNNING, extra))
        return composed.lowering()

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        own, *extras = self.split(ranks)
        anchor = self.anchor.images(*own)
        if anchor is None:
            return None
        marks = list(anchor)
        for stage, extra in zip(self.epilogue, extras, strict=True):
            found = stage.op.images(*stage.arguments(max(ranks), extra))
            if found is None or not all(found[position] for position in stage.positions):
                return None
            marks += [mark for index, mark in enumerate(found) if index not in stage.positions]
        return tuple(marks)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        return iter(())

    def __str__(self) -> str:
        return " → ".join([str(self.anchor), *(str(stage.op) for stage in self.epilogue)])


_RUNNING = -1  # stands for the running value among the references of a lowering


class _Composed:
    """The expressions of several ops in one; what the ops prepare from their other inputs stays in pieces before it."""

    def __init__(self, inputs: Sequence[TensorType]):
        self.inputs = inputs
        self.prepared: list[ComputationNode] = []
        self.operands: list[int] = []
        self.dims: list[tuple[int, ...]] = []
        self.expr: Expr = RUNNING
        self.type = inputs[0]

    def absorb(self, op: Op, arguments: Sequence[int]) -> None:
        """Apply `op` to these references."""
        *before, last = op.lower(*(self.type if k == _RUNNING else self.inputs[k] for k in arguments)).pieces
        references = list(arguments)
        for piece in before:
            self.prepared.append(
                ComputationNode(piece.computation, tuple(references[k] for k in piece.operands), piece.type)
            )
            references.append(len(self.inputs) + len(self.prepared) - 1)
        if not isinstance(last.computation, Pointwise):
            raise NotImplementedError(f"{op.name} is not element-wise: the plan lowers such a body stage by stage")
        known: dict[int, Expr] = {}
        for number, (operand, dims) in enumerate(zip(last.operands, last.computation.dims, strict=True)):
            if references[operand] == _RUNNING:
                known[number] = self.expr
            else:
                known[number] = Arg(len(self.operands))
                self.operands.append(references[operand])
                self.dims.append(dims)
        self.expr, self.type = substitute(last.computation.expr, known), last.type

    def lowering(self) -> Lowering:
        final = ComputationNode(Pointwise(self.expr, tuple(self.dims)), tuple(self.operands), self.type)
        return Lowering((*self.prepared, final), (len(self.inputs) + len(self.prepared),))
