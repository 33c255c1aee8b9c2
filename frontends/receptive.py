"""Receptive fields: the elements of an input that one element of a tensor depends on.

Along an axis, element p of a tensor depends on the input's elements from p · step + low to p · step + high. A window of
extent e widens this range by (e − 1) steps, and its stride multiplies the step. A sum over a whole axis of n elements
widens it by (n − 1) steps. Padding counts as if the input continued. The rules are for the kinds of computation that
ops are lowered to, so every op has a receptive field.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean

from ..computation import (
    Broadcast,
    Computation,
    Concatenate,
    ConstantPad,
    Contraction,
    Interleave,
    Lookup,
    Permute,
    Pointwise,
    Reduction,
    RowMajorReshape,
    Scatter,
    StridedSlice,
    Take,
    WindowReduction,
)
from ..op import Op
from ..types import TensorType
from ..windows import WindowAxis


@dataclass(frozen=True)
class AxisStride:
    """The axis of the input that an axis of a tensor follows: neighbours are `size` elements of the input apart."""

    source: int
    size: Fraction


@dataclass(frozen=True)
class Field:
    """The receptive field along each axis of the input, from `low` to `high`, both included.

    `steps` has for each axis of the tensor the axis of the input that it follows, or None.
    """

    low: tuple[Fraction, ...]
    high: tuple[Fraction, ...]
    steps: tuple[AxisStride | None, ...]

    @staticmethod
    def of_input(rank: int) -> Field:
        """The field of the input itself: one element; images and channels are not counted."""
        nothing = (Fraction(0),) * rank
        return Field(
            nothing, nothing, tuple(AxisStride(axis, Fraction(1)) if axis > 1 else None for axis in range(rank))
        )

    @property
    def seen(self) -> tuple[int, ...]:
        """Whole elements along each axis of the input (after resampling, the ends are averages)."""
        return tuple(math.floor(high - low + Fraction(1, 2)) + 1 for low, high in zip(self.low, self.high, strict=True))

    def widened(self, axis: int, first: float | Fraction, last: float | Fraction) -> Field:
        """The field of elements that read the elements from `first` to `last` on an axis, relative to their place."""
        step = self.steps[axis]
        if step is None:
            return self
        ends = sorted((Fraction(first) * step.size, Fraction(last) * step.size))
        low, high = list(self.low), list(self.high)
        low[step.source] += ends[0]
        high[step.source] += ends[1]
        return Field(tuple(low), tuple(high), self.steps)

    def scaled(self, axis: int, factor: Fraction) -> Field:
        """The field with neighbours on an axis `factor` times as far apart."""
        step = self.steps[axis]
        return self if step is None else self.along(axis, AxisStride(step.source, step.size * factor))

    def along(self, axis: int, step: AxisStride | None) -> Field:
        return self.stepping((*self.steps[:axis], step, *self.steps[axis + 1 :]))

    def stepping(self, steps: Iterable[AxisStride | None]) -> Field:
        return Field(self.low, self.high, tuple(steps))

    def collapsed(self, axis: int, size: int) -> Field:
        """The field of elements that read an axis of this size from end to end."""
        return self.widened(axis, 0, size - 1).along(axis, None)

    def slid(self, window: Sequence[WindowAxis]) -> Field:
        """The field after a window over the axes after the second."""
        field = self
        for axis, part in enumerate(window, start=2):
            last = part.extent - 1 - part.low
            field = field.widened(axis, -part.low, last).scaled(axis, Fraction(part.stride))
        return field


def results(op: Op, types: Sequence[TensorType], fields: Sequence[Field | None]) -> list[Field | None]:
    """The fields of an op's results from those of its inputs; None for a value that does not depend on the input."""
    lowering = op.lower(*types)
    known, shapes = list(fields), [type.shape for type in types]
    for piece in lowering.pieces:
        operands = [(number, known[k], shapes[k]) for number, k in enumerate(piece.operands)]
        shape = piece.type.shape
        parts = [_one(piece.computation, number, field, old, shape) for number, field, old in operands if field]
        known.append(_united(parts, isinstance(piece.computation, Concatenate | Interleave)))
        shapes.append(shape)
    return [known[result] for result in lowering.results]


def _united(parts: Sequence[Field], apart: bool) -> Field | None:
    """The union of the parts, or, if they are read `apart`, by different elements, the widest of them."""
    if not parts:
        return None
    steps = [next(filter(None, each), None) for each in zip(*(part.steps for part in parts), strict=True)]
    if apart:
        return max(parts, key=lambda part: math.prod(part.seen)).stepping(steps)
    low = tuple(min(each) for each in zip(*(part.low for part in parts), strict=True))
    high = tuple(max(each) for each in zip(*(part.high for part in parts), strict=True))
    return Field(low, high, tuple(steps))


def _one(computation: Computation, number: int, field: Field, old: tuple[int, ...], new: tuple[int, ...]) -> Field:
    """The field of an element of the result through operand `number`, of shape `old`."""
    match computation:
        case Contraction(window, _, _, groups) if number == 0:
            return field.collapsed(1, old[1] // groups).slid(window)
        case Contraction():  # weights that depend on the input
            return _everything(field, old, new)
        case WindowReduction(window):
            return field.slid(window)
        case Pointwise():
            found = dict(zip(computation.dims[number], field.steps, strict=True))
            return field.stepping(found.get(axis) for axis in range(len(new)))
        case Reduction(axes):
            for axis in axes:
                field = field.collapsed(axis, old[axis])
            return field
        case Permute(axes):
            return field.stepping(field.steps[axis] for axis in axes)
        case RowMajorReshape():
            return _reshaped(field, old, new)
        case StridedSlice(axis, begin, step):
            return field.widened(axis, begin, begin).scaled(axis, Fraction(step))
        case Take(axis, indices):
            scale = Fraction(old[axis], len(indices))
            usual = mean(index - place * scale for place, index in enumerate(indices))
            return field.widened(axis, usual, usual).scaled(axis, scale)
        case Lookup(axis) | Scatter(axis):
            field = field.collapsed(axis, old[axis])
            return field.stepping(step if a == b else None for step, a, b in zip(field.steps, old, new, strict=True))
        case ConstantPad(begins):
            for axis, begin in enumerate(begins):
                field = field.widened(axis, -begin, -begin)
            return field
        case Interleave(axis):
            return field.scaled(axis, Fraction(old[axis], new[axis]))
        case Broadcast():
            return field.stepping(step if a == b else None for step, a, b in zip(field.steps, old, new, strict=True))
    return field


def _everything(field: Field, old: tuple[int, ...], new: tuple[int, ...]) -> Field:
    """The field of a result whose every element depends on the whole tensor."""
    for axis, size in enumerate(old):
        field = field.collapsed(axis, size)
    return field.stepping((None,) * len(new))


def _reshaped(field: Field, old: tuple[int, ...], new: tuple[int, ...]) -> Field:
    """Split axes get smaller and larger steps; merged ones keep the outermost if only this one follows the input.

    Otherwise an element counts for all of the merged axes.
    """
    steps: list[AxisStride | None] = []
    for merged, split in _groups(old, new):
        running = [axis for axis in merged if field.steps[axis] is not None and old[axis] > 1]
        outer = [axis for axis in merged if running and axis < running[0] and old[axis] > 1]
        if outer or len(running) > 1:
            for axis in running:
                field = field.collapsed(axis, old[axis])
        step = field.steps[running[0]] if running else None
        size = Fraction(math.prod(old[axis] for axis in merged if running and axis > running[0]))
        own: list[AxisStride | None] = []
        for axis in reversed(split):
            own.insert(0, step and AxisStride(step.source, step.size / size))
            size /= new[axis]
        steps += own
    return field.stepping(steps)


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """The finest division of both shapes into runs of axes with the same number of elements."""
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
