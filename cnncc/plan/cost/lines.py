"""Cycles of computations along lines: the place of an extreme, and the first elements in order."""

from __future__ import annotations

from ...machine.core import Core
from ...machine.target import Target

OPERATIONS = 7
"""Vector operations of an element whose place is sought: two comparisons with their logic, two selects, a load."""
LONG = 4
"""Vectors of a fibre from which its fold is the smaller part, so that lanes may lie along it."""
INSERTION = 8
"""Vector operations of an element for each result in registers: two comparisons with their logic, four selects."""
FEW = 8
"""Results of a fibre that may lie in registers, each as a pair of vectors; beyond 16 registers some are spilled."""
KEY = 6
"""Vector operations to make keys of a vector and to compare them."""
CANDIDATE = 8
"""Cycles of a candidate: it is stored, perhaps moved, and its vector was a branch."""
BITS = 32
"""Of a key; longer ones take twice as long."""
FOLD_CYCLES = 22
"""To add up lanes, and to decide a bit by the sum."""
PLACED = 5
"""Cycles of a candidate that is put where it belongs by the number of those before it."""
DIGITS = 256
"""Values of a digit, by which many candidates are sorted."""
DIGIT_CYCLES = 5
"""Of a candidate, to count its digit and to move it; those of one counter wait for each other."""
SELECTED = 1.4
"""Candidates for each wanted one, of elements in random order."""
SPARE = 16
"""Candidates for which there is room beyond twice as many as are wanted, and two vectors."""


def extreme(core: Core, vectors: float) -> float:
    return vectors * OPERATIONS / core.vector_pipes


def insertion(target: Target, size: int, count: int, close: bool) -> float:
    """Of a vector of fibres of `size` elements, `close` in memory or apart, with `count` results each."""
    loads = (1 if close else target.lanes) / target.core.load_ports
    return size * (count * INSERTION / target.core.vector_pipes + loads)


def groups(target: Target, size: int, count: int) -> int:
    """Lanes that keep the largest of two elements or more, twice as many as are wanted; 0 if there are too few."""
    lanes = -(-2 * count // target.lanes) * target.lanes
    return lanes if size >= 2 * lanes else 0


def candidates(size: int, count: int, groups: int) -> float:
    """Candidates among `size` elements in random order."""
    return min(float(size), SELECTED * count) if groups else float(size)


def counting(target: Target, number: float) -> float:
    """To sort so many candidates, each by the number of those before it."""
    return number * (number / target.lanes + PLACED)


def bit_by_bit(target: Target, number: float) -> float:
    """To find a key of so many in order, but not to sort them."""
    return BITS * (number / target.lanes + FOLD_CYCLES)


def digits(number: float) -> float:
    """To sort so many candidates by four digits."""
    return BITS / 8 * (1.5 * DIGITS + number * DIGIT_CYCLES)


def searches_bits(target: Target, groups: int) -> bool:
    return bit_by_bit(target, groups) < counting(target, groups)


def sorts_digits(target: Target, candidates: float) -> bool:
    return digits(candidates) < counting(target, candidates)


def selection(target: Target, size: int, count: int, close: bool) -> float:
    """Of one fibre of `size` elements, `close` in memory or apart."""
    core, lanes = target.core, groups(target, size, count)
    number, reads = candidates(size, count, lanes), 2 if lanes else 1
    read = size / (target.lanes if close else 1) / core.load_ports + size / target.lanes * KEY / core.vector_pipes
    bound = min(bit_by_bit(target, lanes), counting(target, lanes)) if lanes else 0.0
    return reads * read + number * CANDIDATE + bound + min(counting(target, number), digits(number))
