"""Numbers as people read them, with three digits."""

from __future__ import annotations

import math


def digits(value: float) -> str:
    """Three digits that count, without an exponent from 0.001 to a million."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2e}"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def micros(us: float) -> str:
    """A time that is given in microseconds."""
    for limit, unit, each in ((1e3, "µs", 1.0), (1e6, "ms", 1e3)):
        if us < limit:
            return f"{digits(us / each)} {unit}"
    return f"{digits(us / 1e6)} s"


def nbytes(count: float) -> str:
    """Bytes, also in larger units."""
    for unit, each, least in (("MiB", 1 << 20, 1), ("KiB", 1 << 10, 10)):
        if count >= least * each:
            return f"{digits(count / each)} {unit}"
    return f"{count:,.0f} bytes"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
