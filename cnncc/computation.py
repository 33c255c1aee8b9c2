"""What there is to compute, in six kinds: the words in which an op tells the plan its meaning.

An op's `lower` returns pieces; each piece applies one computation to earlier results. Five kinds calculate
(`Contraction`, `WindowReduction`, `Pointwise`, `Reduction` and, of `lines`, `Linewise`), the sixth, `Arrangement`, only
says where elements go, and the seventh, `Indexed`, reads or writes where indices that arrive say. The plan chooses a
kernel family for each kind, so a new op that can be said in these words needs no new kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .elements import FLOAT32, Element, element_of
from .expr import Expr, typed
from .integers import clamped, from_the_front
from .lines import Linewise
from .types import Array, TensorType
from .windows import WindowAxis

Combine = Literal["maximum", "minimum", "add", "multiply", "fmax"]
"""`fmax` is a maximum that leaves NaN out, for which one comparison is enough; −∞ where there is nothing else."""


@dataclass(frozen=True)
class Contraction:
    """Multiply-accumulate over a window and the channels of a group (convolution, dense).

    Operands: x (N, C, spatial…), weights (O, C / groups, taps…) and, if `bias`, a vector (O,).
    `flip` reverses the weights along every tap axis (true convolution). A dense layer has no window. With
    `weights_per_image` the weights have a leading axis of N: each image meets its own (batched products).
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    groups: int = 1
    bias: bool = False
    flip: bool = False
    weights_per_image: bool = False

    @property
    def taps(self) -> int:
        return math.prod(axis.kernel for axis in self.window)

    @property
    def depthwise(self) -> bool:
        """Each output channel reads exactly its own input channel."""
        return self.groups == self.channels == self.outputs and self.groups > 1 and not self.weights_per_image


@dataclass(frozen=True)
class WindowReduction:
    """Maximum or sum over a window, per channel; `divisor` turns the sum into an average.

    Padding counts as −∞ for a maximum and 0 for a sum. The divisor is 'none', 'taps' (all taps, padding
    included) or 'valid': taps inside the input widened by `counted` (low, high) elements on each axis.
    """

    window: tuple[WindowAxis, ...]
    combine: Combine
    divisor: Literal["none", "taps", "valid"] = "none"
    counted: tuple[tuple[int, int], ...] = ()

    def margins(self, axis: int) -> tuple[int, int]:
        """Padding elements of an axis that count for the divisor."""
        return self.counted[axis] if self.counted else (0, 0)


@dataclass(frozen=True)
class Pointwise:
    """An expression for each output element.

    `dims[k]` aligns operand k: its axis a runs along output axis `dims[k][a]` (an axis of size 1 is
    repeated); output axes that it does not name are repeated too.
    """

    expr: Expr
    dims: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Reduction:
    """Maximum, minimum, sum or product over whole axes, which stay with size 1.

    Only a whole reduction may be `fmax`.
    """

    axes: tuple[int, ...]
    combine: Combine

    def over(self, x: Array, combine: np.ufunc) -> Array:
        """What a function makes of the elements along the axes."""
        if combine is np.fmax:
            return np.asarray(combine.reduce(x, axis=self.axes, keepdims=True, initial=-np.inf))
        return np.asarray(combine.reduce(x, axis=self.axes, keepdims=True))


class Arrangement:
    """Where elements go, and nothing else."""

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        """The result, of `shape`, by NumPy."""
        raise NotImplementedError


@dataclass(frozen=True)
class RowMajorReshape(Arrangement):
    """The same elements in the same row-major order under another shape."""

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        return operands[0].reshape(shape)


@dataclass(frozen=True)
class Permute(Arrangement):
    """Axis a of the result is axis `axes[a]` of the operand."""

    axes: tuple[int, ...]

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        return operands[0].transpose(self.axes)


@dataclass(frozen=True)
class StridedSlice(Arrangement):
    """Elements begin, begin + step, … along `axis` (as many as the result's type says); a negative step goes back."""

    axis: int
    begin: int
    step: int = 1

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        last = self.begin + shape[self.axis] * self.step
        return operands[0].take(range(self.begin, last, self.step), self.axis)


@dataclass(frozen=True)
class Take(Arrangement):
    """Element i along `axis` is element `indices[i]` of the operand."""

    axis: int
    indices: tuple[int, ...]

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        return operands[0].take(self.indices, self.axis)


@dataclass(frozen=True)
class Broadcast(Arrangement):
    """The operand repeated along axes where it has size 1."""

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(operands[0], shape)


@dataclass(frozen=True)
class Concatenate(Arrangement):
    """Operands one after the other along `axis`."""

    axis: int

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        return np.concatenate(operands, self.axis)


@dataclass(frozen=True)
class Interleave(Arrangement):
    """Operand k of n fills elements k, k + n, k + 2n… along `axis`."""

    axis: int

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        result = np.empty(shape, operands[0].dtype)
        for number, operand in enumerate(operands):
            result[(slice(None),) * self.axis + (slice(number, None, len(operands)),)] = operand
        return result


@dataclass(frozen=True)
class ConstantPad(Arrangement):
    """The operand placed at `begins`, with `value` around it."""

    begins: tuple[int, ...]
    value: float

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        result = np.full(shape, self.value, operands[0].dtype)
        inner = zip(self.begins, operands[0].shape, strict=True)
        result[tuple(slice(begin, begin + size) for begin, size in inner)] = operands[0]
        return result


@dataclass(frozen=True)
class ConstantTensor(Arrangement):
    """Numbers known when the op is lowered, in row-major order: weights of an interpolation, numbers of places.

    It has no operands. Floats are rounded once, where they are stored.
    """

    values: tuple[float, ...]
    element: Element = FLOAT32

    def arrange(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        return np.array(self.values, None if self.element.is_float else self.element.numpy).reshape(shape)


class Indexed:
    """Elements read or written at indices that another operand has, along one axis.

    Operand 1 has the indices: whole numbers, of which one below 0 counts from the end. They broadcast along axes where
    they have size 1.
    """

    def apply(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        """The result, of `shape`, by NumPy."""
        raise NotImplementedError


@dataclass(frozen=True)
class Lookup(Indexed):
    """Element (…, i, …) is element (…, indices[…, i, …], …) of operand 0: another index on `axis`, the same elsewhere.

    An index beyond either end reads the element there.
    """

    axis: int

    def apply(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        x, indices = operands
        places = clamped(indices, x.shape[self.axis])
        chosen: Array = np.take_along_axis(x, np.broadcast_to(places, shape), self.axis)
        return chosen


ScatterCombine = Literal["replace", "add", "multiply", "maximum", "minimum"]


@dataclass(frozen=True)
class Scatter(Indexed):
    """Operand 0, and the elements of operand 2 (updates) written into it, or combined with what is there.

    Update (…, i, …) meets element (…, indices[…, i, …], …): another index on `axis`, the same elsewhere. Updates that
    meet one element do so in row-major order, so the last one replaces the others. An index beyond either end leaves
    its update out.
    """

    axis: int
    combine: ScatterCombine = "replace"

    def apply(self, operands: Sequence[Array], shape: tuple[int, ...]) -> Array:
        x, indices, updates = operands
        return self.written(x, indices, updates, None if self.combine == "replace" else getattr(np, self.combine))

    def written(self, x: Array, indices: Array, updates: Array, combine: np.ufunc | None) -> Array:
        """x with the updates, by a function of NumPy's; None replaces."""
        size, result = x.shape[self.axis], x.copy()
        places = np.broadcast_to(from_the_front(indices, size), updates.shape)
        inside = (places >= 0) & (places < size)
        where = list(np.nonzero(inside))
        where[self.axis] = places[inside]
        if combine is None:
            result[tuple(where)] = updates[inside]
        else:
            combine.at(result, tuple(where), updates[inside])
        return result


Computation = Contraction | WindowReduction | Pointwise | Reduction | Linewise | Arrangement | Lookup | Scatter


@dataclass(frozen=True)
class ComputationNode:
    """One computation with its operands.

    An operand below the number of the op's inputs is that input; the others count earlier pieces of the
    same lowering. What is `held` cancels out of the op's results: derivatives take it for a constant.
    """

    computation: Computation
    operands: tuple[int, ...]
    type: TensorType
    held: bool = False


@dataclass(frozen=True)
class Lowering:
    """The pieces of an op in order, and which references are its results (one for each output)."""

    pieces: tuple[ComputationNode, ...]
    results: tuple[int, ...]


def single(computation: Computation, inputs: int, type: TensorType) -> Lowering:
    """A lowering of one piece that takes all `inputs` in order and makes the only output."""
    return Lowering((ComputationNode(computation, tuple(range(inputs)), type),), (inputs,))


class LoweringBuilder:
    """Collects the pieces of a lowering; a reference (the inputs first, then the pieces) is a number."""

    def __init__(self, inputs: Sequence[TensorType]):
        self.types = list(inputs)
        self.inputs = len(inputs)
        self.pieces: list[ComputationNode] = []

    def add(self, computation: Computation, operands: Sequence[int], shape: Sequence[int], held: bool = False) -> int:
        """A further piece with a result of `shape`; returns its reference."""
        type = TensorType(tuple(int(size) for size in shape), self._element(computation, operands))
        self.pieces.append(ComputationNode(computation, tuple(operands), type, held))
        self.types.append(type)
        return len(self.types) - 1

    def _element(self, computation: Computation, operands: Sequence[int]) -> Element:
        """What the result is made of: what the operands are, unless an expression makes something else of them."""
        elements = [self.types[operand].dtype for operand in operands]
        if isinstance(computation, Pointwise):
            return typed(computation.expr, elements)
        if isinstance(computation, Linewise):
            return computation.element(elements)
        return computation.element if isinstance(computation, ConstantTensor) else elements[0]

    def shape(self, reference: int) -> tuple[int, ...]:
        return self.types[reference].shape

    def known(self, values: Array) -> int:
        """An array known now."""
        return self.add(ConstantTensor(tuple(values.ravel().tolist()), element_of(values)), (), values.shape)

    def places(self, size: int, axis: int, rank: int, element: Element, first: int = 0) -> int:
        """first, first + 1, … along one of `rank` axes, as `element`; the others have size 1."""
        shape = [1] * rank
        shape[axis] = size
        return self.known(np.arange(first, first + size, dtype=element.numpy).reshape(shape))

    def reshape(self, reference: int, shape: Sequence[int]) -> int:
        """`reference` itself if it has that shape."""
        shape = tuple(shape)
        return reference if shape == self.shape(reference) else self.add(RowMajorReshape(), (reference,), shape)

    def transpose(self, reference: int, axes: Sequence[int]) -> int:
        shape = self.shape(reference)
        return self.add(Permute(tuple(axes)), (reference,), [shape[axis] for axis in axes])

    def part(self, reference: int, axis: int, begin: int, size: int, step: int = 1) -> int:
        """`reference` itself if the part is all of it."""
        shape = self.shape(reference)
        if (begin, size, step) == (0, shape[axis], 1):
            return reference
        return self.add(StridedSlice(axis, begin, step), (reference,), replaced(shape, axis, size))

    def lookup(self, reference: int, axis: int, indices: Sequence[int]) -> int:
        shape = replaced(self.shape(reference), axis, len(indices))
        return self.add(Take(axis, tuple(map(int, indices))), (reference,), shape)

    def looked_up(self, reference: int, indices: int, axis: int) -> int:
        """`reference` at indices that another piece has: of its rank, with size 1 on axes where they are the same."""
        shape = replaced(self.shape(reference), axis, self.shape(indices)[axis])
        return self.add(Lookup(axis), (reference, indices), shape)

    def scattered(self, reference: int, indices: int, updates: int, axis: int, combine: ScatterCombine) -> int:
        """`reference` with updates at indices; all three of one rank, and of one size but along `axis`."""
        return self.add(Scatter(axis, combine), (reference, indices, updates), self.shape(reference))

    def join(self, references: Sequence[int], axis: int) -> int:
        """The only one itself, if it is only one."""
        if len(references) == 1:
            return references[0]
        total = sum(self.shape(reference)[axis] for reference in references)
        return self.add(Concatenate(axis), references, replaced(self.shape(references[0]), axis, total))

    def pointwise(self, expr: Expr, references: Sequence[int]) -> int:
        """An expression of operands that broadcast as NumPy's do."""
        shapes = [self.shape(reference) for reference in references]
        shape = np.broadcast_shapes(*shapes)
        dims = tuple(tuple(range(len(shape) - len(own), len(shape))) for own in shapes)
        return self.add(Pointwise(expr, dims), references, shape)

    def reduce(self, reference: int, axes: Sequence[int], combine: Combine, *, held: bool = False) -> int:
        shape = [1 if axis in axes else size for axis, size in enumerate(self.shape(reference))]
        return self.add(Reduction(tuple(axes), combine), (reference,), shape, held)

    def along(self, computation: Linewise, *references: int) -> int:
        """A computation of lines."""
        shape = self.shape(references[0])
        axis = computation.axis
        return self.add(computation, references, replaced(shape, axis, computation.length(shape[axis])))

    def lowering(self, *results: int) -> Lowering:
        return Lowering(tuple(self.pieces), results)

    def ending(self, result: int) -> Lowering:
        """The lowering that makes `result`, as a view of it where it is an input."""
        if result < self.inputs:
            result = self.add(RowMajorReshape(), (result,), self.shape(result))
        return self.lowering(result)


def replaced(shape: Sequence[int], axis: int, size: int) -> tuple[int, ...]:
    """`shape` with another size on one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])
