"""Running sums and products: each fibre is one chain of operations, in the order that the kernel states."""

from __future__ import annotations

from ...plan.kernels import Accumulate
from ..nest import Carry, reduce_nest
from ..registers import Index
from .fibres import LineEmitter


class SumsOfFibres(LineEmitter[Accumulate]):
    """Emits the sums, or products, of some fibres, one a lane."""

    def fibres(self, position: list[Index], count: int) -> None:
        e, source = self.e, self.source

        def step(indices: list[Index], sums: Carry) -> Carry:
            place = self.at(position, e.sub(self.size - 1, indices[0]) if self.k.reverse else indices[0])
            (before,) = sums
            total = e.binary(self.k.combine, before, source.load_at(place, self.beside, count))
            self.target.store(before if self.k.exclusive else total, self.target.offset(place), self.beside)
            return [total]

        cost = sum(access.vectors(self.beside, count) for access in (source, source, self.target))
        none = source.number(0.0 if self.k.combine == "add" else 1.0, count)
        reduce_nest(e, [self.size], [none], cost, step)
