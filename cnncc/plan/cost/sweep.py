"""Cycles of sweeps over fibres (see `kernels.sweeps`), and how many fibres are folded together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ...expr import Apply, Expr, arguments_of, calls, parts
from ...machine.core import Core
from .step import series, series_cycles

REPEATED = 1024  # vector operations of fibres whose partial results are folded together: their code is repeated
SHORT_FIBRE = 16  # vectors of a fibre, up to which its fold takes a noticeable part of the time
TURN_VECTORS, TURN_FIBRES = 24, 8  # of a sweep over short fibres in a turn, at most
LEAST_TURN = 8  # vectors of a sweep in a turn: fewer do not pay for its tests
COMBINED_CODE = 4  # vector operations to load a vector and to combine it, where a maximum keeps NaN
MOST_CALLS = 48  # functions in an expression that is put together: their operands and results take registers
SERIES_CODE = 20  # vector operations of a series


def expression_cycles(core: Core, computed: Iterable[Expr]) -> float:
    """Cycles that the parts of expressions take for a vector: each function is an instruction or a series."""
    functions = [Apply(part.function, ()) for part in computed if isinstance(part, Apply)]
    slow = sum(call.function in ("divide", "sqrt") for call in functions)
    return len(functions) / core.vector_pipes + slow * core.divide_cycles + series_cycles(core, *functions)


def held_cycles(core: Core) -> float:
    """Cycles to store a vector and to load it again from the first cache."""
    return core.store_cycles + 1 / core.load_ports


def sweep_cycles(core: Core, expressions: Sequence[Expr], combined: int, stores: int) -> float:
    """Cycles of a vector in a sweep: the longer of its operations and of its loads and stores.

    The fibre lies in the first cache; a combination is one operation.
    """
    loads = len(set().union(*map(arguments_of, expressions)))
    computed = (part for expression in expressions for part in parts(expression))
    operations = expression_cycles(core, computed) + combined / core.vector_pipes
    return max(operations, loads / core.load_ports, stores * core.store_cycles)


def folded_together(lanes: int, fibres: int, vectors: int, operations: float) -> int:
    """How many of `fibres` neighbouring fibres of so many vectors fold their partial results together: a power of two.

    `operations` are those of a vector. The code of a fibre is repeated for each, and each has one lane of the result.
    """
    if vectors > SHORT_FIBRE:
        return 1
    most = min(lanes, fibres, max(1, int(REPEATED / (vectors * operations))))
    return 1 << (most.bit_length() - 1)


def staggered(lanes: int, fibres: int, vectors: int) -> int:
    """How many of `fibres` neighbouring fibres of so many vectors one sweep takes in a turn: a power of two, or 0.

    They are folded together: enough that a fold has ended when the next sweep begins, and no more, since what waits
    fills the window of the core.
    """
    most = min(TURN_FIBRES, lanes, max(1, TURN_VECTORS // vectors))
    found = min(1 << (most.bit_length() - 1), fibres & -fibres)
    return found if found * vectors >= LEAST_TURN else 0


def merged(vectors: int) -> bool:
    """Whether one loop has the sweeps of a turn: if its fibres are too long for the core to see the next sweep."""
    return vectors > TURN_VECTORS


def fold_cycles(core: Core, lanes: int, together: int, *, hidden: bool = False) -> float:
    """Cycles to combine the lanes of a vector in halves, each after the other: a shuffle and an operation each time.

    Of vectors that are folded `together`, two share a register after each of the first halves. Behind other work the
    latency is `hidden`, and the operations of each remain.
    """
    operations = math.log2(max(lanes, 1)) * 2
    if hidden:
        return operations * together / core.vector_pipes
    return operations * core.mac.latency * (1 if together == 1 else 2)


def code(expressions: Sequence[Expr], combined: int) -> int:
    """Vector operations of an element, roughly: how much code it takes."""
    return combined + sum(calls(expr) + SERIES_CODE * series(expr) for expr in expressions)
