"""What one kernel computes of its jobs, fibre by fibre: sweeps, and the numbers of the values that they share.

A fibre is what one position of the kept axes has along the reduced ones (see `sweeps`). A value of a whole fibre, such
as its maximum, is known before the sweep of its *level*: that of its operands, and one more for a reduction. What an
expression has of such values only is computed once, before the sweep.

What one sweep computes of an element and a later one reads again is computed twice if that is cheaper than a store and
a load, such as x − mean; else, such as exp, it is held in the target, where the last sweep replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..computation import Combine, Pointwise, Reduction
from ..elements import FLOAT32
from ..expr import Apply, Arg, Expr, arguments_of, parts, substitute
from ..machine.core import Core
from ..types import TensorType
from .cost.sweep import expression_cycles, held_cycles
from .jobs import PlannedOp
from .kernels import Sweep
from .lower import Operand
from .tensors import Tensor


@dataclass(frozen=True)
class Fibres:
    """A shape, and the axes of it along which fibres lie."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """The shape of a result for each fibre."""
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(self.shape))

    def constant_along(self, operand: Operand, type: TensorType) -> bool:
        """Whether an operand has one value for all of a fibre."""
        pairs = zip(operand.dims, type.shape, strict=True)
        return all(size == 1 or dim not in self.axes for dim, size in pairs)

    def hold(self, job: PlannedOp, types: Mapping[Tensor, TensorType]) -> bool:
        """Whether a job is an expression of these fibres' elements or values, or reduces them; all of it in floats."""
        if job.parts or any(types[tensor].dtype is not FLOAT32 for tensor in (job.result, *job.reads)):
            return False
        match job.work.computation:
            case Reduction(axes):
                return set(axes) == set(self.axes) and types[job.operands[0]].shape == self.shape
            case Pointwise():
                return types[job.result].shape in (self.shape, self.kept)
        return False


def fibres_of(job: PlannedOp, types: Mapping[Tensor, TensorType]) -> Fibres | None:
    """The fibres that a job reduces to one value each, if it does."""
    computation = job.work.computation
    if not isinstance(computation, Reduction):
        return None
    fibres = Fibres(types[job.operands[0]].shape, tuple(sorted(computation.axes)))
    return fibres if fibres.kept != fibres.shape else None


class FibreProgram:
    """The sweeps that compute some jobs.

    The places of `operands` are their numbers. The next number is that of the held element, and the others follow:
    `reduced` values, and those that are prepared.
    """

    def __init__(self, jobs: Sequence[PlannedOp], types: Mapping[Tensor, TensorType], core: Core):
        self.jobs, self.types, self.core = jobs, types, core
        self.makers = {job.result: job for job in jobs}
        self.fibres: Fibres = next(fibres for job in jobs if (fibres := fibres_of(job, types)))
        self.prepared: dict[str, tuple[int, int, Expr]] = {}
        self.known: dict[tuple[Tensor, int], Expr] = {}

    @cached_property
    def operands(self) -> list[Operand]:
        """What the jobs read from outside."""
        outside = (operand for job in self.jobs for operand in self.reads(job) if operand.tensor not in self.makers)
        return list(dict.fromkeys(outside))

    @cached_property
    def reduced(self) -> dict[Tensor, int]:
        """The numbers of the results of reductions."""
        found = (job.result for job in self.jobs if isinstance(job.work.computation, Reduction))
        return {tensor: number for number, tensor in enumerate(found, start=len(self.operands) + 1)}

    @cached_property
    def values(self) -> dict[int, int]:
        """The levels of numbers that stand for a value of a whole fibre."""
        given = (number for number, operand in enumerate(self.operands) if self.constant(operand))
        return dict.fromkeys(given, 0) | {number: self.level(tensor) for tensor, number in self.reduced.items()}

    def constant(self, operand: Operand) -> bool:
        """Whether it has one value for all of a fibre."""
        return self.fibres.constant_along(operand, self.types[operand.tensor])

    def reads(self, job: PlannedOp) -> list[Operand]:
        """The operands of a job, each with the axes of the fibres' shape along which it runs."""
        computation, every = job.work.computation, tuple(range(len(self.fibres.shape)))
        dims = computation.dims if isinstance(computation, Pointwise) else (every,)
        return [Operand(tensor, along) for tensor, along in zip(job.operands, dims, strict=True)]

    # Levels

    @cached_property
    def levels(self) -> dict[Tensor, int]:
        """The level of each tensor of the jobs."""
        found: dict[Tensor, int] = {}
        for job in self.jobs:
            before = max(found.get(tensor, 0) for tensor in job.operands)
            found[job.result] = before + isinstance(job.work.computation, Reduction)
        return found

    def level(self, tensor: Tensor) -> int:
        """The first sweep in which a tensor is known; what comes from outside is known from the begin."""
        return self.levels.get(tensor, 0)

    def is_value(self, tensor: Tensor) -> bool:
        """Whether a tensor of the jobs has one element for each fibre."""
        return self.types[tensor].shape == self.fibres.kept

    @cached_property
    def used(self) -> dict[Tensor, set[int]]:
        """The sweeps in which each tensor of elements is computed."""
        found: dict[Tensor, set[int]] = {tensor: set() for tensor in self.makers}
        found[self.jobs[-1].result].add(self.level(self.jobs[-1].result))
        for job in reversed(self.jobs):
            again = {self.level(job.operands[0])} if job.result in self.reduced else found[job.result]
            for tensor in job.operands:
                found.setdefault(tensor, set()).update(again)
        return found

    @cached_property
    def expensive(self) -> list[Tensor]:
        """Elements of several sweeps that cost more to compute than to store and to load."""
        again = (job for job in self.jobs if not self.is_value(job.result) and len(self.used[job.result]) > 1)
        return [job.result for job in again if self.cycles(job) > held_cycles(self.core)]

    @property
    def holds_all(self) -> bool:
        """Whether there is at most one of these, and a target that can hold it."""
        return len(self.expensive) <= (not self.is_value(self.jobs[-1].result))

    @property
    def held(self) -> Tensor | None:
        """The elements that the target holds from one sweep to the next."""
        return next(iter(self.expensive), None)

    def cycles(self, job: PlannedOp) -> float:
        """Cycles to compute a vector of elements, without what is computed once for a fibre."""
        computation = job.work.computation
        assert isinstance(computation, Pointwise)
        ours = {number for number, operand in enumerate(self.reads(job)) if not self.constant(operand)}
        return expression_cycles(self.core, (part for part in parts(computation.expr) if arguments_of(part) & ours))

    # Expressions

    def sweeps(self) -> tuple[tuple[Sweep, ...], Expr | None]:
        """The sweeps, and the answer of each fibre where it has one."""
        result = self.jobs[-1].result
        answer = self.value(result) if self.is_value(result) else None
        last = self.level(result) - (answer is not None)
        found = [self.sweep(level, result if answer is None and level == last else None) for level in range(last + 1)]
        known = sorted(self.prepared.values(), key=lambda prepared: prepared[1])
        return tuple(
            Sweep(tuple((number, expr) for own, number, expr in known if own == level), *sweep)
            for level, sweep in enumerate(found)
        ), answer

    def sweep(
        self, level: int, result: Tensor | None
    ) -> tuple[tuple[tuple[int, Combine, Expr], ...], Expr | None, Expr | None]:
        """What a sweep combines, holds and stores at last."""
        combined = []
        for tensor, number in self.reduced.items():
            computation, source = self.makers[tensor].work.computation, self.makers[tensor].operands[0]
            assert isinstance(computation, Reduction)
            if self.level(source) == level:
                combined.append((number, computation.combine, self.spread(self.element(source, level))))
        holds = self.held is not None and min(self.used[self.held]) == level
        held = self.spread(self.computed(self.held, level)) if self.held and holds else None
        return tuple(combined), held, self.spread(self.computed(result, level)) if result else None

    def element(self, tensor: Tensor, level: int) -> Expr:
        """Elements of a tensor in a sweep: as they lie in memory, or computed."""
        if tensor not in self.makers:
            return Arg(self.operands.index(Operand(tensor, tuple(range(len(self.fibres.shape))))))
        if tensor == self.held and level >= min(self.used[tensor]):
            return Arg(len(self.operands))
        return self.computed(tensor, level)

    def computed(self, tensor: Tensor, level: int) -> Expr:
        """Elements, or a value, of a tensor by the expression of its job; what is asked for twice is shared."""
        if (tensor, level) not in self.known:
            job = self.makers[tensor]
            assert isinstance(job.work.computation, Pointwise)
            arguments = {at: self.argument(operand, level) for at, operand in enumerate(self.reads(job))}
            self.known[tensor, level] = substitute(job.work.computation.expr, arguments)
        return self.known[tensor, level]

    def argument(self, operand: Operand, level: int) -> Expr:
        if operand.tensor not in self.makers:
            return Arg(self.operands.index(operand))
        return self.value(operand.tensor) if self.is_value(operand.tensor) else self.element(operand.tensor, level)

    def value(self, tensor: Tensor) -> Expr:
        """The value of each fibre."""
        return Arg(self.reduced[tensor]) if tensor in self.reduced else self.computed(tensor, 0)

    def spread(self, expr: Expr) -> Expr:
        """An expression of elements; its largest parts of values only become values that are prepared."""
        known: dict[int, tuple[Expr, int | None]] = {}

        def visit(part: Expr) -> tuple[Expr, int | None]:
            """The part, and its level if it is a value; a number is known from the begin."""
            if not isinstance(part, Apply):
                return part, self.values.get(part.index) if isinstance(part, Arg) else 0
            if id(part) not in known:
                inner = [visit(argument) for argument in part.arguments]
                levels = [level for _, level in inner]
                if None not in levels:
                    known[id(part)] = part, max(level for level in levels if level is not None)
                else:
                    known[id(part)] = Apply(part.function, tuple(self.prepare(*one) for one in inner)), None
            return known[id(part)]

        return self.prepare(*visit(expr))

    def prepare(self, part: Expr, level: int | None) -> Expr:
        """A part, or the number of what is computed once for a fibre."""
        if level is None or not isinstance(part, Apply):
            return part
        number = len(self.operands) + 1 + len(self.reduced) + len(self.prepared)
        return Arg(self.prepared.setdefault(repr(part), (level, number, part))[1])
