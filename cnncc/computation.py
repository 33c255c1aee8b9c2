"""What there is to compute, in five kinds: the words in which an op tells the plan its meaning.

An op's `lower` returns pieces; each piece applies one computation to earlier results. The plan chooses a
kernel family for each kind, so a new op that can be said in these words needs no new kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .expr import Expr
from .types import TensorType
from .windows import WindowAxis

Combine = Literal["maximum", "add"]


@dataclass(frozen=True)
class Contraction:
    """Multiply-accumulate over a window and the channels of a group (convolution, dense).

    Operands: x (N, C, spatial…), weights (O, C / groups, taps…) and, if `bias`, a vector (O,).
    `flip` reverses the weights along every tap axis (true convolution). A dense layer has no window.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    groups: int = 1
    bias: bool = False
    flip: bool = False

    @property
    def depthwise(self) -> bool:
        """Each output channel reads exactly its own input channel."""
        return self.groups == self.channels == self.outputs and self.groups > 1


@dataclass(frozen=True)
class WindowReduction:
    """Maximum or sum over a window, per channel; `divisor` turns the sum into an average.

    Padding counts as −∞ for a maximum and 0 for a sum. The divisor is 'none', 'taps' (all taps, padding
    included) or 'valid' (taps inside the input only).
    """

    window: tuple[WindowAxis, ...]
    combine: Combine
    divisor: Literal["none", "taps", "valid"] = "none"


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
    """Maximum or sum over whole axes, which stay with size 1."""

    axes: tuple[int, ...]
    combine: Combine


@dataclass(frozen=True)
class Reshape:
    """The same elements in the same row-major order under another shape."""


@dataclass(frozen=True)
class Join:
    """Operands one after the other along `axis`."""

    axis: int


@dataclass(frozen=True)
class Part:
    """Elements from `begin` on along `axis` (as many as the result's type says)."""

    axis: int
    begin: int


Computation = Contraction | WindowReduction | Pointwise | Reduction | Reshape | Join | Part


@dataclass(frozen=True)
class Piece:
    """One computation with its operands.

    An operand below the number of the op's inputs is that input; the others count earlier pieces of the
    same lowering.
    """

    computation: Computation
    operands: tuple[int, ...]
    type: TensorType


@dataclass(frozen=True)
class Lowering:
    """The pieces of an op in order, and which references are its results (one for each output)."""

    pieces: tuple[Piece, ...]
    results: tuple[int, ...]


def single(computation: Computation, inputs: int, type: TensorType) -> Lowering:
    """A lowering of one piece that takes all `inputs` in order and makes the only output."""
    return Lowering((Piece(computation, tuple(range(inputs)), type),), (inputs,))
