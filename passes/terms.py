"""Expressions as sums of terms, each a factor times the rest: what `sums` moves factors out of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..expr import Apply, Expr, Number

ONE = Number(1.0)


@dataclass(frozen=True)
class Term:
    """`factor` is the same for all elements of a sum, `rest` is not; without a rest the term is the factor."""

    factor: Expr
    rest: Expr | None

    def scaled(self, by: Expr) -> Term:
        return replace(self, factor=times(by, self.factor))


Terms = list[Term]


def times(a: Expr, b: Expr) -> Expr:
    return b if a == ONE else a if b == ONE else a * b


def combined(function: str, parts: Sequence[Terms]) -> Terms | None:
    """The terms of a function of sums of terms; None if there is no such form."""
    rule = RULES.get(function)
    return rule(*parts) if rule else None


def _sum(a: Terms, b: Terms) -> Terms:
    """Terms with the same rest are one."""
    found = {term.rest: term for term in a}
    for term in b:
        known = found.get(term.rest)
        found[term.rest] = replace(known, factor=known.factor + term.factor) if known else term
    return list(found.values())


def _negative(a: Terms) -> Terms:
    return [term.scaled(Number(-1.0)) for term in a]


def _product(a: Terms, b: Terms) -> Terms | None:
    """A sum times a factor, or two terms; products of sums are not multiplied out, since their terms would cancel."""
    (first, *_), (second, *_) = a, b
    if len(a) == 1 and first.rest is None:
        return [term.scaled(first.factor) for term in b]
    if len(b) == 1 and second.rest is None:
        return [term.scaled(second.factor) for term in a]
    if len(a) == len(b) == 1 and first.rest is not None and second.rest is not None:
        return [Term(times(first.factor, second.factor), Apply("multiply", (first.rest, second.rest)))]
    return None


def _quotient(a: Terms, b: Terms) -> Terms | None:
    (divisor, *others) = b
    if others or divisor.rest is not None:
        return None
    return [replace(term, factor=term.factor / divisor.factor) for term in a]


RULES: dict[str, Callable[..., Terms | None]] = {
    "add": _sum,
    "subtract": lambda a, b: _sum(a, _negative(b)),
    "negate": _negative,
    "multiply": _product,
    "divide": _quotient,
}
