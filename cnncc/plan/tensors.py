"""Tensors of a plan, identified by their fields and not by a name."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..ir import Value

Kind = Literal[
    "value",
    "piece",
    "copy",
    "bordered",
    "output",
    "update",
    "stored",
    "again",
    "moved",
    "by source",
    "by runs",
    "run",
    "apart",
    "phases",
    "rows",
    "each image",
]


class Tensor(NamedTuple):
    """An operand or result of a lowered op: a value of the graph, or an intermediate result.

    Two tensors are the same if all fields are equal. Their text is for people: different tensors may have the same.
    """

    kind: Kind
    of: tuple[str | Tensor, ...]
    """The node, the output of the model or the tensors that it belongs to."""
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        of, numbers = str(self.of[0]), self.numbers
        match self.kind:
            case "value":
                return f"{of}:{numbers[0]}" if numbers[0] else of
            case "piece":
                return f"{stage_name(of, numbers[0])}#{numbers[1]}"
            case "copy":
                return f"{of}@{'planar' if numbers == tuple(range(len(numbers))) else 'last'}"
            case "again":
                return f"{of} again"
            case "each image":
                return f"{of} of each image"
            case "bordered":
                return f"{of}@bordered"
            case "output" | "update" | "stored":
                return f"{of}!"
            case "moved":
                return f"{of} of {self.of[1]}"
            case "by source" | "by runs":
                return f"{of} {self.kind}"
            case "apart":
                return f"{of} {'after' if numbers[0] else 'before'} its pool"
            case "phases" | "rows":
                return f"{of} in {self.kind}"
            case "run":
                return f"{of} {numbers[0]}…{sum(numbers) - 1} of {self.of[1]}"


def node_of(tensor: Tensor) -> str:
    """The node that a tensor belongs to; the name of an output or a state, for a copy into its memory."""
    of: str | Tensor = tensor
    while isinstance(of, Tensor):
        of = of.of[0]
    return of


def value(value: Value) -> Tensor:
    """A value of the graph."""
    return Tensor("value", (value.node,), (value.index,))


def piece(node: str, stage: int, number: int) -> Tensor:
    """The result of computation `number` of a node; `stage` is 0 for its own op, from 1 on for ops fused into it."""
    return Tensor("piece", (node,), (stage, number))


def stage_name(node: str, stage: int) -> str:
    """The text for a node's own op, or for an op that is fused into it."""
    return f"{node}.{stage}" if stage else node
