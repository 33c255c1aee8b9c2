"""Minimal filtering: m outputs of a filter with r taps by n = m + r − 1 multiplications instead of m·r.

The product of two polynomials of degrees m − 1 and r − 1 is known by its values at n points (Toom, Cook):
evaluate both, multiply the values, interpolate. With V_k the n × k matrix of powers of the points, that is

    s = V_n⁻¹ ((V_m a) ⊙ (V_r g)).

For a fixed g the map a → s is linear, and its transpose is what a convolution layer computes: the correlation
y_i = Σ_j g_j d_(i+j). Transposing the right-hand side gives Winograd's F(m, r):

    y = Aᵀ ((G g) ⊙ (Bᵀ d)),    Aᵀ = V_mᵀ,   G = S V_r,   Bᵀ = S⁻¹ V_n⁻ᵀ,

where S scales each row so that Bᵀ has small whole numbers; G is applied once, when weights are packed. A window
over several axes is transformed axis by axis (Winograd, Arithmetic Complexity of Computations, 1980; Lavin and
Gray, Fast Algorithms for Convolutional Neural Networks, 2016).

Any different points will do, but they decide how much rounding errors grow, and more points cost accuracy quickly
(Barabasz et al., Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, 2020).
Points in pairs ±p share sums, and short binary fractions make all matrices exact in float32. Among those the ones
below were the most accurate: with 0, ±3/4, ±3/2, ∞ the errors of F(4, 3) over two axes are a third of those of the
usual 0, ±1, ±2, ∞ for two operations more (root mean square 2.3 times that of a direct sum over 64 channels; of
F(5, 3) 7 times). The bound in `check.winograd` takes the matrices themselves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeVar

POINTS = {4: "0 1 -1", 6: "0 3/4 -3/4 3/2 -3/2", 8: "0 1/2 -1/2 1 -1 2 -2"}
"""The finite points by the number of all: for other numbers those of the next larger one, without the last."""
MOST = max(POINTS)

Row = tuple[Fraction, ...]
Matrix = tuple[Row, ...]


@dataclass(frozen=True)
class Transforms:
    """The matrices of F(m, r), exact, of d = m + r − 1 pixels and n points (one for each pixel, or some more).

    `inputs` is Bᵀ (n × d), `weights` G (n × r), `outputs` Aᵀ (m × n).
    """

    inputs: Matrix
    weights: Matrix
    outputs: Matrix


@dataclass(frozen=True)
class Tiling:
    """How a convolution is computed by transforms: `steps` outputs of a tile along each axis.

    Weights that `arrive` are transformed by compiled code, in float32; others before, and rounded once.
    """

    steps: tuple[int, ...]
    arrive: bool = False


def points(m: int, r: int) -> int:
    """Multiplications of F(m, r)."""
    return len(transforms(m, r).outputs[0])


@functools.cache
def transforms(m: int, r: int) -> Transforms:
    """F(m, r); a filter with too many taps is the sum of two. Raises ValueError if even halves take too many points."""
    n = m + r - 1
    if n > MOST:
        return halves(m, r)
    if n == 1:
        one = ((Fraction(1),),)
        return Transforms(one, one, one)
    family = min(number for number in POINTS if number >= n)
    points = tuple(map(Fraction, POINTS[family].split()[: n - 1]))
    inputs, weights = [], []
    for p in points:
        others = [q for q in points if q != p]
        row = polynomial(others)
        size = row[-1] / math.prod((p - q for q in others), start=Fraction(1))  # 1 / Π(p − q) is left to G
        inputs.append((*row, Fraction(0)))
        weights.append(tuple(size * p**k for k in range(r)))
    inputs.append(polynomial(points))
    weights.append((*[Fraction(0)] * (r - 1), Fraction(1)))
    powers = [tuple(p**k for k in range(m)) for p in points]
    powers.append((*[Fraction(0)] * (m - 1), Fraction(1)))
    return Transforms(tuple(inputs), tuple(weights), tuple(zip(*powers, strict=True)))


def halves(m: int, r: int) -> Transforms:
    """The first taps and the last ones, each with points of its own: 6 + 7 points make F(4, 7), 2.2 times fewer."""
    first = -(-r // 2)
    if m + first - 1 > MOST:
        raise ValueError(f"F({m}, {r}) takes more than twice {MOST} points")
    a, b = transforms(m, first), transforms(m, r - first)
    return Transforms(
        (*(padded(row, 0, r - first) for row in a.inputs), *(padded(row, first, 0) for row in b.inputs)),
        (*(padded(row, 0, r - first) for row in a.weights), *(padded(row, first, 0) for row in b.weights)),
        tuple((*left, *right) for left, right in zip(a.outputs, b.outputs, strict=True)),
    )


@functools.cache
def phases(m: int, r: int, stride: int) -> tuple[Transforms, ...]:
    """F(m, r) over windows that are `stride` apart: the transforms of its phases, whose products have one common sum.

    With j = stride·k + p, the outputs y_i = Σ_j g_j d_(stride·i + j) are a sum over the phases p < stride: a filter of
    the taps g_p, g_(stride + p)… over the pixels d_p, d_(stride + p)…, in which windows are neighbours. All phases have
    the points of the first one, which has the most taps. So the sums at the points are transformed back once.
    """
    first = transforms(m, -(-r // stride))
    return tuple(first if p <= (r - 1) % stride else one_tap_less(first) for p in range(min(stride, r)))


def one_tap_less(t: Transforms) -> Transforms:
    """The same filter without its last tap, the factor at ∞: it needs neither that point nor the last pixel."""
    return Transforms(*(tuple(row[:-1] for row in rows) for rows in (t.inputs[:-1], t.weights[:-1], t.outputs)))


def padded(row: Row, before: int, after: int) -> Row:
    """A row with zeros around it."""
    return (*[Fraction(0)] * before, *row, *[Fraction(0)] * after)


def polynomial(roots: Sequence[Fraction]) -> Row:
    """Coefficients of Π(x − root), the lowest power first."""
    row = [Fraction(1)]
    for root in roots:
        raised, scaled = [Fraction(0), *row], [root * c for c in (*row, Fraction(0))]
        row = [a - b for a, b in zip(raised, scaled, strict=True)]
    return tuple(row)


# Matrix times vector with few operations

Value = TypeVar("Value")


class Arithmetic(Protocol[Value]):
    """What `multiply` needs of its values."""

    def plus(self, total: Value | None, factor: Fraction, value: Value) -> Value:
        """total + factor · value; without a total, factor · value."""
        ...


def multiply(on: Arithmetic[Value], matrix: Matrix, values: Sequence[Value]) -> list[Value]:
    """`matrix` times `values` (its columns), with what rows or columns of ±p have in common computed once.

    Two columns with equal entries up to sign (of Aᵀ) become their sum and their difference. Two rows (of Bᵀ) that
    agree in some columns and are opposite in the others are e + o and e − o. Every value reaches a result by one
    path only, so rounding errors are those of plain sums of the same terms.
    """
    matrix, values = paired_columns(on, matrix, list(values))
    results: dict[int, Value] = {}
    for i, row in enumerate(matrix):
        if i in results:
            continue
        twin = next((j for j in range(i + 1, len(matrix)) if j not in results and are_twins(row, matrix[j])), None)
        if twin is None:
            results[i] = dot(on, row, values)
            continue
        same = tuple(a if a == b else Fraction(0) for a, b in zip(row, matrix[twin], strict=True))
        opposite = tuple(a if a != b else Fraction(0) for a, b in zip(row, matrix[twin], strict=True))
        factor = opposite[max(k for k, c in enumerate(opposite) if c)]
        e, o = dot(on, same, values), dot(on, tuple(c / factor for c in opposite), values)
        results[i], results[twin] = on.plus(e, factor, o), on.plus(e, -factor, o)
    return [results[i] for i in range(len(matrix))]


@functools.cache
def are_twins(a: Row, b: Row) -> bool:
    """Equal up to sign in every column, in some columns equal and in some opposite; not worth it for two terms."""
    alike = all(abs(x) == abs(y) for x, y in zip(a, b, strict=True))
    same = sum(x == y != 0 for x, y in zip(a, b, strict=True))
    opposite = sum(x == -y != 0 for x, y in zip(a, b, strict=True))
    return alike and min(same, opposite) > 0 and same + opposite > 2


def paired_columns(on: Arithmetic[Value], matrix: Matrix, values: list[Value]) -> tuple[Matrix, list[Value]]:
    """The same product with each pair of columns that are equal up to sign replaced by its sum and difference."""
    columns = list(zip(*matrix, strict=True))
    for i in range(len(columns) - 1):
        j = i + 1
        if len(matrix) >= len(columns) or not are_twins(columns[i], columns[j]):
            continue
        plus, minus = on.plus(values[i], Fraction(1), values[j]), on.plus(values[i], Fraction(-1), values[j])
        alike = [a == b for a, b in zip(columns[i], columns[j], strict=True)]
        first = columns[i]
        columns[i] = tuple(c if same else Fraction(0) for c, same in zip(first, alike, strict=True))
        columns[j] = tuple(Fraction(0) if same else c for c, same in zip(first, alike, strict=True))
        values[i], values[j] = plus, minus
    return tuple(zip(*columns, strict=True)), values


def dot(on: Arithmetic[Value], row: Row, values: Sequence[Value]) -> Value:
    """Σ row·values over the entries that are not 0, from one with the factor 1 (if there is one)."""
    terms = sorted((k for k, factor in enumerate(row) if factor), key=lambda k: (row[k] != 1, k))
    total: Value | None = None
    for k in terms:
        total = on.plus(total, row[k], values[k])
    assert total is not None, "the rows of the transforms are not empty"
    return total


class RoundingDepth:
    """Counts roundings: a value is the largest number of them that any of its terms went through."""

    def plus(self, total: int | None, factor: Fraction, value: int) -> int:
        """A product and a sum round at most twice (once with fma, and not at all for a factor of 1 alone)."""
        if total is None:
            return value + (abs(factor) != 1)
        return max(total, value + (abs(factor) != 1)) + 1


class OperationCount:
    """Counts operations; values do not matter."""

    def __init__(self) -> None:
        self.operations = 0

    def plus(self, total: int | None, factor: Fraction, value: int) -> int:
        self.operations += total is not None or factor != 1
        return 0


@functools.cache
def depth(matrix: Matrix) -> int:
    """Roundings that a term of matrix · x goes through at most."""
    return max(multiply(RoundingDepth(), matrix, [0] * len(matrix[0])))


@functools.cache
def operations(matrix: Matrix) -> int:
    """Additions and multiply-adds of matrix · x."""
    count = OperationCount()
    multiply(count, matrix, [0] * len(matrix[0]))
    return count.operations
