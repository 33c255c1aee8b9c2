"""The memory order of each tensor, copies between orders, and what lies in the memory of callers."""

from __future__ import annotations

from collections.abc import Mapping

from ..computation import Concatenate, Permute, RowMajorReshape
from ..types import TensorType
from .jobs import IN_PLACE_ARRANGEMENTS, VIEW_ARRANGEMENTS, PlannedOp, is_planar
from .lower import LoweredGraph, LoweredOp
from .tensors import Kind, Tensor
from .views import Order, planar


class OrderBuilder:
    """Jobs that were made so far, with the types and orders of their tensors; copies are jobs as well."""

    works: LoweredGraph
    makers: Mapping[Tensor, LoweredOp]
    types: dict[Tensor, TensorType]
    orders: dict[Tensor, Order]
    jobs: list[PlannedOp]

    def is_planar(self, tensor: Tensor) -> bool:
        return is_planar(self.types[tensor].shape, self.orders[tensor])

    def in_order(self, tensor: Tensor, order: Order) -> Tensor:
        """`tensor`, or a copy of it, in an order; a constant is packed in any order at no cost."""
        if self.orders[tensor] == order or tensor in self.works.constants:
            return tensor
        if self.is_planar(tensor) and is_planar(self.types[tensor].shape, order):
            return tensor
        return self.copy(tensor, Tensor("copy", (tensor,), order), order)

    def copy(self, tensor: Tensor, copy: Tensor, order: Order) -> Tensor:
        """`copy`; the first request appends the job that makes it."""
        if copy not in self.types:
            self.types[copy] = self.types[tensor]
            self.orders[copy] = order
            self.jobs.append(PlannedOp(LoweredOp(str(copy), Concatenate(0), [tensor], copy), [tensor]))
        return copy

    def placed_for_callers(self) -> tuple[dict[Tensor, str], dict[Tensor, str]]:
        """Compute each output and update in the caller's memory, directly or by a last copy (its order is planar).

        Returns the output, and the state, for each tensor that is computed there.
        """
        inside = {
            operand
            for job in self.jobs
            if isinstance(job.work.computation, IN_PLACE_ARRANGEMENTS)
            for operand in job.operands
        }
        outputs: dict[Tensor, str] = {}
        updates: dict[Tensor, str] = {}
        taken = inside | self.works.leaving
        kinds: tuple[tuple[Kind, Mapping[str, Tensor], dict[Tensor, str]], ...] = (
            ("output", self.works.outputs, outputs),
            ("update", self.works.updates, updates),
        )
        for kind, wanted, found in kinds:
            for name, tensor in wanted.items():
                whole = self.in_same_memory(tensor)
                there = outputs.keys() | updates.keys()
                if whole is None or whole in there or whole in (inside if whole == tensor else taken):
                    whole = self.copy(tensor, Tensor(kind, (name,)), planar(self.types[tensor].rank))
                if self.is_planar(whole):
                    self.orders[whole] = planar(self.types[whole].rank)
                found[whole] = name
        return outputs, updates

    def in_same_memory(self, tensor: Tensor) -> Tensor | None:
        """The computed tensor whose elements lie in memory as those of a planar `tensor`, which is it or a view of it.

        Its order may be another one: a product with channels last, transposed. None if there is no such tensor.
        """
        if not self.is_planar(tensor):
            return None
        while (maker := self.makers.get(tensor)) and isinstance(maker.computation, VIEW_ARRANGEMENTS):
            source = maker.operands[0]
            same = self.is_planar(tensor) and self.is_planar(source) and isinstance(maker.computation, RowMajorReshape)
            if not same and not isinstance(maker.computation, Permute):
                return None
            tensor = source
        return tensor if maker else None
