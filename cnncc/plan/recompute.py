"""Lowered ops → lowered ops: element-wise values that are computed where they are read, and not kept until then.

An expression whose result is read by expressions or reductions becomes a part of these: its result is neither stored
nor loaded. If it has one reader, it is computed as often as before. If it has several, it is computed again for each,
where that is cheaper than a store and a load, as of x − mean, and where no reader has more to load than before.

What such an expression reads then has to live until its readers run. So a value is made again only from values that are
kept until then anyway, or from no more bytes than it has itself: a step of training keeps what its layers read, and not
what lies between. (Chen and others, *Training Deep Nets with Sublinear Memory Cost*, 2016, compute whole segments of
layers again; here that is done for what costs nothing.) Each function rounds as before, so expressions keep their bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..computation import Broadcast, Pointwise, Reduction
from ..elements import FLOAT32
from ..expr import Arg, Expr, parts, spelled, substitute
from ..machine.target import Target
from .cost.sweep import MOST_CALLS, expression_cycles, held_cycles
from .jobs import VIEW_ARRANGEMENTS
from .lower import LoweredGraph, LoweredOp
from .tensors import Tensor


def recomputed(works: LoweredGraph, target: Target) -> LoweredGraph:
    """The same program, with such values inside of the expressions that read them."""
    return Recomputing(works, target).program()


class Recomputing:
    """The program while values are taken out of it, from its begin on; `works` has the lowered op of each result.

    `again` has the expression that is computed immediately before a reduction reads it.
    """

    def __init__(self, given: LoweredGraph, target: Target):
        self.given, self.core = given, target.core
        self.types = dict(given.types)
        self.works = {work.result: work for work in given.works}
        self.readers = {tensor: [work.result for work in works] for tensor, works in given.readers.items()}
        self.place = {work.result: place for place, work in enumerate(given.works)}
        self.again: dict[Tensor, LoweredOp] = {}
        self.always = {*given.constants, *given.inputs.values(), *given.leaving}
        self.of_images = of_images(given)
        self.updates = {given.states[name]: tensor for name, tensor in given.updates.items() if tensor in self.place}

    def program(self) -> LoweredGraph:
        for work in self.given.works:
            self.read_once(work)
            self.hand_on(work.result)
        found = (each for result, work in self.works.items() for each in (self.again.get(result), work) if each)
        return replace(self.given, works=list(found), types=self.types)

    def read_once(self, work: LoweredOp) -> None:
        """Let an expression read what is repeated for it as it is: it repeats operands itself."""
        for tensor in dict.fromkeys(work.operands) if isinstance(work.computation, Pointwise) else ():
            maker = self.works.get(tensor)
            if maker and isinstance(maker.computation, Broadcast):
                reader, (once,) = self.works[work.result], maker.operands
                operands = [once if operand == tensor else operand for operand in reader.operands]
                self.works[work.result] = replace(reader, operands=operands)
                self.moved_on(tensor, [once], work.result)

    def hand_on(self, tensor: Tensor) -> None:
        """Make the expression of a tensor a part of all that read it, if they can take it and it pays."""
        work = self.works[tensor]
        c, readers = work.computation, [self.works[result] for result in self.readers.get(tensor, ())]
        if isinstance(c, Pointwise) and self.is_free(work, readers) and self.pays(work, c, readers):
            for reader in readers:
                self.take(reader, work, c)
            del self.works[tensor]

    # Whether

    def is_free(self, work: LoweredOp, readers: Sequence[LoweredOp]) -> bool:
        """Whether an expression may be computed later, and for each image.

        What the caller gets stays. So does what is the same for all images and is computed once a call, and what reads
        a state whose update may come first.
        """
        end = max((self.place[reader.result] for reader in readers), default=0)
        if work.result in self.given.leaving or any(self.place[self.updates[t]] <= end for t in self.updated(work)):
            return False
        return work.result in self.of_images or self.of_images.isdisjoint(reader.result for reader in readers)

    def updated(self, work: LoweredOp) -> set[Tensor]:
        """The states that it reads and that get another value."""
        return set(work.operands) & self.updates.keys()

    def pays(self, work: LoweredOp, c: Pointwise, readers: Sequence[LoweredOp]) -> bool:
        """Whether all readers can take an expression, and time and memory are no more than before.

        A reduction alone changes nothing: `sweeps` joins it with an expression before it.
        """
        several, reductions = len(readers) > 1, (isinstance(reader.computation, Reduction) for reader in readers)
        if not readers or (not several and all(reductions)) or (several and not self.cheap(work, c, readers)):
            return False
        return all(self.takes(reader, work, c) for reader in readers) and self.keeps_memory(work, readers)

    def takes(self, reader: LoweredOp, work: LoweredOp, c: Pointwise) -> bool:
        """Whether a reader can compute the elements itself: each one where it reads it, once."""
        own, type = reader.computation, self.types[work.result]
        if isinstance(own, Reduction):
            return all(self.types[tensor].dtype is FLOAT32 for tensor in (work.result, *work.operands))
        if not isinstance(own, Pointwise) or self.types[reader.result].shape != type.shape:
            return False
        every = tuple(range(type.rank))
        pairs = zip(reader.operands, own.dims, strict=True)
        in_place = all(dims == every for operand, dims in pairs if operand == work.result)
        return in_place and spelled(composed(reader, work, own, c).expr) <= MOST_CALLS

    def cheap(self, work: LoweredOp, c: Pointwise, readers: Sequence[LoweredOp]) -> bool:
        """Whether several readers compute it in less time than a store and a load take, and load no more."""
        whole, own = self.whole(work), self.types[work.result].nbytes
        more = (self.nbytes(whole - set(reader.operands)) > own for reader in readers)
        return expression_cycles(self.core, parts(c.expr)) <= held_cycles(self.core) and not any(more)

    def keeps_memory(self, work: LoweredOp, readers: Sequence[LoweredOp]) -> bool:
        """Whether what it reads lives until its readers run anyway, or has no more bytes than the result.

        If nothing as large is made until then, it may have more: all of it lived beside the result already.
        """
        begin, end = self.place[work.result], max(self.place[reader.result] for reader in readers)
        own = self.types[work.result].nbytes
        longer = self.nbytes(tensor for tensor in self.whole(work) if self.last_read(tensor) < end)
        between = (each for each in self.given.works[begin + 1 : end] if each.result in self.works)
        return longer <= own or (len(readers) == 1 and all(self.written(each) < own for each in between))

    def whole(self, work: LoweredOp) -> set[Tensor]:
        """What it reads of its result's shape; what is repeated is small beside that."""
        shape = self.types[work.result].shape
        return {tensor for tensor in work.operands if self.types[tensor].shape == shape}

    def nbytes(self, tensors: Iterable[Tensor]) -> int:
        return sum(self.types[tensor].nbytes for tensor in tensors)

    def written(self, work: LoweredOp) -> int:
        """The bytes that a lowered op writes: none if its result is a view."""
        return 0 if isinstance(work.computation, VIEW_ARRANGEMENTS) else self.nbytes([work.result])

    def last_read(self, tensor: Tensor) -> int:
        """The place of the last lowered op that reads a tensor; the caller's memory, and weights, are always there."""
        if tensor in self.always:
            return len(self.place)
        return max(self.place[reader] for reader in self.readers[tensor])

    # How

    def take(self, reader: LoweredOp, work: LoweredOp, c: Pointwise) -> None:
        """The reader with the expression in it; of a reduction it is an op of its own, which `sweeps` joins."""
        own = reader.computation
        if isinstance(own, Pointwise):
            made = composed(reader, work, own, c)
            self.works[reader.result] = replace(reader, computation=made.computation, operands=made.operands)
        else:
            again = Tensor("again", (work.result,), (self.place[reader.result],))
            self.types[again] = self.types[work.result]
            self.again[reader.result] = replace(work, operands=list(work.operands), result=again)
            self.works[reader.result] = replace(reader, operands=[again])
        self.moved_on(work.result, work.operands, reader.result)

    def moved_on(self, before: Tensor, tensors: Sequence[Tensor], reader: Tensor) -> None:
        """Note that a lowered op reads some tensors, and no more what was made of them."""
        self.readers[before] = [result for result in self.readers[before] if result != reader]
        for tensor in dict.fromkeys(tensors):
            self.readers[tensor] = list(dict.fromkeys([*self.readers[tensor], reader]))


def of_images(works: LoweredGraph) -> set[Tensor]:
    """What may differ from image to image: all, if a program takes all images at once."""
    found = {tensor for name, tensor in works.inputs.items() if works.batched.get(name, True)}
    for work in works.works:
        if not works.batchable or not found.isdisjoint(work.reads):
            found.add(work.result)
    return found


@dataclass(frozen=True)
class Composed:
    """An expression with another one in it, and what both read."""

    computation: Pointwise
    operands: list[Tensor]

    @property
    def expr(self) -> Expr:
        return self.computation.expr


def composed(reader: LoweredOp, work: LoweredOp, own: Pointwise, c: Pointwise) -> Composed:
    """What a reader with the expression `own` becomes that computes an operand by the expression c."""
    outer = list(zip(reader.operands, own.dims, strict=True))
    inner = list(zip(work.operands, c.dims, strict=True))
    reads = list(dict.fromkeys(pair for pair in (*outer, *inner) if pair[0] != work.result))
    operand = substitute(c.expr, {k: Arg(reads.index(pair)) for k, pair in enumerate(inner)})
    found: dict[int, Expr] = {
        k: operand if pair[0] == work.result else Arg(reads.index(pair)) for k, pair in enumerate(outer)
    }
    whole = Pointwise(substitute(own.expr, found), tuple(dims for _, dims in reads))
    return Composed(whole, [tensor for tensor, _ in reads])
