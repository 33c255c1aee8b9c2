"""Numbers that users give: what they have to be, in one sentence each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])


def functions(what: str, given: Function | Sequence[Function]) -> list[Function]:
    """One or several functions as a list. Raises UsageError for anything else."""
    several = list(given) if isinstance(given, Sequence) else [given]
    for each in several:
        if not callable(each):
            raise UsageError(f"{what}={given!r}: expected a function or several")
    return several


def expect_count(what: str, value: object) -> None:
    """Raise UsageError unless a value is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{what}={value!r}: expected a whole number of at least 1")


def expect_seed(seed: object) -> None:
    """Raise UsageError unless a seed is a whole number of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed={seed!r}: expected a whole number of at least 0")


def expect_rate(rate: object, what: str = "rate") -> None:
    """Raise UsageError unless a rate, or what else that is, is a positive, finite number."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise UsageError(f"{what}={rate!r}: expected a positive, finite number")


def expect_share(what: str, value: float) -> None:
    """Raise UsageError unless a value is a number from 0 on and below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UsageError(f"{what}={value!r}: expected a number from 0 on and below 1")


def expect_decay(decay: float) -> None:
    """Raise UsageError unless a decay is a finite number from 0 on."""
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < math.inf:
        raise UsageError(f"decay={decay!r}: expected a finite number from 0 on")
