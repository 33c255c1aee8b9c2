"""The loops of kernels that compute fibre by fibre: units of a few fibres, which shards divide."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

from ...plan.kernels import OverFibres, OverLines
from ..emitter import Emitter
from ..nest import with_guards
from ..registers import Index
from .family import KernelEmitter, Tensors

F = TypeVar("F", bound=OverFibres)
L = TypeVar("L", bound=OverLines)


class FibreEmitter(KernelEmitter[F]):
    """Emits one unit after the other; `beside` is the axis along which the fibres of a unit lie side by side."""

    def __init__(self, e: Emitter, kernel: F, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.beside = kernel.beside

    def own_units(self, a: Index, b: Index) -> tuple[Index, Index]:
        """Units [a, b), of which shards divide the images if they do not divide units."""
        each = self.k.of_each_position
        if not each or self.images == (0, self.k.shape[0]):
            return a, b
        begin, end = (self.e.mul(image, each) for image in self.images)
        return begin, end

    def emit(self, a: Index, b: Index) -> None:
        with self.e.loop(*self.own_units(a, b)) as loop:
            self.unit(self.position(loop.index))

    def position(self, unit: Index) -> list[Index]:
        """The place of the first fibre of a unit on the kept axes; 0 on the others."""
        e, k = self.e, self.k
        found: list[Index] = [0] * len(k.shape)
        for axis, count in reversed(list(zip(k.kept, k.counts, strict=True))):
            place = e.remainder(unit, count) if axis != k.kept[0] else unit
            found[axis] = e.mul(place, k.fibres) if axis == k.kept[-1] else place
            unit = e.div(unit, count)
        return found

    def unit(self, position: list[Index]) -> None:
        """The fibres of a unit, or those that are left at the end of the axis."""
        if not self.k.kept:
            self.fibres(position, 1)
            return
        size, fibres, first = self.k.shape[self.beside], self.k.fibres, position[self.beside]
        last = size // fibres * fibres
        full = first < last if isinstance(first, int) else last == size or self.e.compare("<", first, last)
        with_guards(self.e, full, lambda rest: self.fibres(position, size - last if rest else fibres))

    @abstractmethod
    def fibres(self, position: list[Index], count: int) -> None:
        """Emit so many fibres from a position on."""


class LineEmitter(FibreEmitter[L]):
    """Emits fibres along one axis."""

    def __init__(self, e: Emitter, kernel: L, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,), self.axis, self.size = self.sources, kernel.axis, kernel.size

    def at(self, position: list[Index], index: Index) -> list[Index]:
        """An element of the fibre at a position."""
        return [*position[: self.axis], index, *position[self.axis + 1 :]]
