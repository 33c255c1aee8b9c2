"""A fused node: an anchor and what is applied to its result before it is stored.

It is a permission, not a command: type, reference and cost fold over the body, and the plan may split it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..computation import Lowering
from ..op import Cost, Op, Sample
from ..types import Array, TensorType

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """One op of an epilogue: the running value is its input `position`, `extra` inputs are its others."""

    op: Op
    position: int = 0
    extra: int = 0

    def arguments(self, running: T, others: Sequence[T]) -> list[T]:
        """The op's inputs in order."""
        arguments = list(others)
        arguments.insert(self.position, running)
        return arguments


@dataclass(frozen=True)
class Fused(Op, abstract=True):
    """`anchor` on the first `anchor_inputs` inputs, then each stage with its extra inputs in turn."""

    anchor: Op
    anchor_inputs: int
    epilogue: tuple[Stage, ...]

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
        raise NotImplementedError("the plan lowers a fused node stage by stage")

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        own, *extras = self.split(ranks)
        anchor = self.anchor.images(*own)
        if anchor is None:
            return None
        marks = list(anchor)
        for stage, extra in zip(self.epilogue, extras, strict=True):
            found = stage.op.images(*stage.arguments(max(ranks), extra))
            if found is None or not found[stage.position]:
                return None
            marks += [mark for index, mark in enumerate(found) if index != stage.position]
        return tuple(marks)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        return iter(())

    def __str__(self) -> str:
        return " → ".join([str(self.anchor), *(str(stage.op) for stage in self.epilogue)])
