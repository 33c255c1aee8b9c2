"""Receptive fields: how much of an input one element of a tensor sees.

Along each axis of the input an element sees so many elements, and its neighbours on an axis of the tensor see the
same so many steps further. A window of extent e widens the field by (e − 1) steps and its stride multiplies the
step; what sums over a whole axis of n elements widens it by (n − 1) steps. Padding counts, as if the input went on.
The rules speak of the kinds of computation that ops are lowered to, so every op has a receptive field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..computation import (
    Computation,
    Contraction,
    Interleave,
    Lookup,
    Part,
    Pointwise,
    Reduction,
    Repeat,
    Reshape,
    Transpose,
    WindowReduction,
)
from ..op import Op
from ..types import TensorType
from ..windows import WindowAxis


@dataclass(frozen=True)
class Step:
    """An axis of a tensor runs along an axis of the input: neighbours are `size` of its elements apart."""

    source: int
    size: Fraction


@dataclass(frozen=True)
class Field:
    """`seen` elements along each axis of the input; `steps` for each axis of the tensor, None where it does not run."""

    seen: tuple[Fraction, ...]
    steps: tuple[Step | None, ...]

    @staticmethod
    def of_input(rank: int) -> Field:
        """An element of the input sees itself; images and channels are not counted."""
        one = Fraction(1)
        return Field((one,) * rank, tuple(Step(axis, one) if axis > 1 else None for axis in range(rank)))

    def widened(self, axis: int, steps: int) -> Field:
        """Elements that see so many steps further along an axis of the tensor."""
        step = self.steps[axis]
        if step is None:
            return self
        seen = tuple(s + steps * step.size * (source == step.source) for source, s in enumerate(self.seen))
        return Field(seen, self.steps)

    def scaled(self, axis: int, factor: Fraction) -> Field:
        """Neighbours on an axis `factor` times as far apart."""
        step = self.steps[axis]
        return self if step is None else self.along(axis, Step(step.source, step.size * factor))

    def along(self, axis: int, step: Step | None) -> Field:
        return Field(self.seen, (*self.steps[:axis], step, *self.steps[axis + 1 :]))

    def collapsed(self, axis: int, size: int) -> Field:
        """Elements that see an axis of this size from end to end."""
        return self.widened(axis, size - 1).along(axis, None)

    def slid(self, window: Sequence[WindowAxis]) -> Field:
        """A window over the axes after the second."""
        field = self
        for axis, part in enumerate(window, start=2):
            field = field.widened(axis, part.extent - 1).scaled(axis, Fraction(part.stride))
        return field


def results(op: Op, types: Sequence[TensorType], fields: Sequence[Field | None]) -> list[Field | None]:
    """The fields of an op's results from those of its inputs; None for what does not depend on the input."""
    lowering = op.lower(*types)
    known, shapes = list(fields), [type.shape for type in types]
    for piece in lowering.pieces:
        operands = [(number, known[k], shapes[k]) for number, k in enumerate(piece.operands)]
        shape = piece.type.shape
        parts = [_one(piece.computation, number, field, old, shape) for number, field, old in operands if field]
        known.append(_joined(parts))
        shapes.append(shape)
    return [known[result] for result in lowering.results]


def _joined(parts: Sequence[Field]) -> Field | None:
    """What sees all of the parts."""
    if not parts:
        return None
    seen = tuple(max(each) for each in zip(*(part.seen for part in parts), strict=True))
    steps = zip(*(part.steps for part in parts), strict=True)
    return Field(seen, tuple(next((step for step in each if step), None) for each in steps))


def _one(computation: Computation, number: int, field: Field, old: tuple[int, ...], new: tuple[int, ...]) -> Field:
    """What an element of the result sees through operand `number`, of shape `old`."""
    match computation:
        case Contraction(window, _, _, groups) if number == 0:
            return field.collapsed(1, old[1] // groups).slid(window)
        case Contraction():  # weights that depend on the input
            return _everything(field, old, new)
        case WindowReduction(window):
            return field.slid(window)
        case Pointwise():
            found = dict(zip(computation.dims[number], field.steps, strict=True))
            return Field(field.seen, tuple(found.get(axis) for axis in range(len(new))))
        case Reduction(axes):
            for axis in axes:
                field = field.collapsed(axis, old[axis])
            return field
        case Transpose(axes):
            return Field(field.seen, tuple(field.steps[axis] for axis in axes))
        case Reshape():
            return _reshaped(field, old, new)
        case Part(axis, _, step):
            return field.scaled(axis, Fraction(abs(step)))
        case Lookup(axis, indices):
            return field.scaled(axis, Fraction(old[axis], len(indices)))
        case Interleave(axis):
            return field.scaled(axis, Fraction(old[axis], new[axis]))
        case Repeat():
            steps = (step if a == b else None for step, a, b in zip(field.steps, old, new, strict=True))
            return Field(field.seen, tuple(steps))
    return field


def _everything(field: Field, old: tuple[int, ...], new: tuple[int, ...]) -> Field:
    """All of a tensor, from anywhere in the result."""
    for axis, size in enumerate(old):
        field = field.collapsed(axis, size)
    return Field(field.seen, (None,) * len(new))


def _reshaped(field: Field, old: tuple[int, ...], new: tuple[int, ...]) -> Field:
    """Axes that are split go on in smaller and larger steps; of merged ones, the outermost if it alone runs.

    Otherwise an element counts for all of the merged axes.
    """
    steps: list[Step | None] = []
    for merged, split in _groups(old, new):
        running = [axis for axis in merged if field.steps[axis] is not None and old[axis] > 1]
        outer = [axis for axis in merged if running and axis < running[0] and old[axis] > 1]
        if outer or len(running) > 1:
            for axis in running:
                field = field.collapsed(axis, old[axis])
        step = field.steps[running[0]] if running else None
        size = Fraction(math.prod(old[axis] for axis in merged if running and axis > running[0]))
        own: list[Step | None] = []
        for axis in reversed(split):
            own.insert(0, step and Step(step.source, step.size / size))
            size /= new[axis]
        steps += own
    return Field(field.seen, tuple(steps))


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """The finest parting of both shapes into runs of axes with the same number of elements."""
    groups: list[tuple[list[int], list[int]]] = []
    a = b = 0
    while a < len(old) and b < len(new):
        left, right, n, m = [a], [b], old[a], new[b]
        while n != m:
            if n < m:
                a += 1
                n, left = n * old[a], [*left, a]
            else:
                b += 1
                m, right = m * new[b], [*right, b]
        a, b = a + 1, b + 1
        groups.append((left, right))
    return [*groups, (list(range(a, len(old))), list(range(b, len(new))))]  # what is left over has size 1
