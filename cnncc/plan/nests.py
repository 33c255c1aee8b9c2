"""Nests of interleaved tensors: parts that alternate along several axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .tensors import Tensor

Interleaved = Callable[[Tensor], tuple[int, Sequence[Tensor]] | None]
"""The axis along which a tensor's operands alternate, and these; None if it is not interleaved."""


@dataclass(frozen=True)
class Nest:
    """Interleaved parts, those of the first axis outermost; `joins` only say where they go, the whole first."""

    axes: tuple[int, ...]
    parts: tuple[Tensor, ...]
    joins: tuple[Tensor, ...]

    def behind(self, rank: int, first: int) -> tuple[int, ...]:
        """The order of axes of which those from number `first` on are the phases: each behind the axis it divides."""
        count = len(self.axes)
        places: list[int] = []
        for axis in range(rank):
            places.append(axis if axis < first else count + axis)
            places += [first + number for number, along in enumerate(self.axes) if along == axis]
        return tuple(places)


def nested(tensor: Tensor, interleaved: Interleaved) -> Nest | None:
    """The parts of a tensor, itself if it is not interleaved; None if its operands are not interleaved alike."""
    found = interleaved(tensor)
    if found is None:
        return Nest((), (tensor,), ())
    axis, operands = found
    inner = [nest for operand in operands if (nest := nested(operand, interleaved))]
    if len(inner) < len(operands) or len({nest.axes for nest in inner}) > 1:
        return None
    if inner[0].axes and inner[0].axes[0] <= axis:
        return None
    parts = tuple(part for nest in inner for part in nest.parts)
    return Nest((axis, *inner[0].axes), parts, (tensor, *(join for nest in inner for join in nest.joins)))
