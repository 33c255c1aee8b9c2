"""The code of each multiply-accumulate (`cnncc.machine.mac`), of which the target says which one it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .emitter import Emitter
from .registers import Ssa, register_type

ACCUMULATE: Mapping[str, Callable[[Emitter, Ssa, Ssa, Ssa], Ssa]] = {
    "float32": lambda e, pixel, weight, total: e.multiply_add(pixel, weight, total),
}


def accumulate(e: Emitter, pixel: Ssa, weight: Ssa, total: Ssa) -> Ssa:
    """The sums `total`, and pixels times weights, lane by lane."""
    return ACCUMULATE[e.target.mac.name](e, pixel, weight, total)


def nothing(e: Emitter, lanes: int) -> Ssa:
    """Sums of nothing."""
    return e.constant(0, register_type(e.target.mac.sum).wide(lanes))
