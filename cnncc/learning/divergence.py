"""Where numbers ceased to be finite: the steps since the last good state run again, the last one interpreted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .. import interpreter
from ..types import Array
from .step import Step


def spoiled(states: Mapping[str, Array]) -> list[str]:
    """The states that are not finite."""
    return [name for name, array in states.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]


def first_fault(step: Step, good: Array, number: int, run: Callable[[], float]) -> str:
    """What the first value that is not finite is, in half a sentence; empty if it does not show again.

    `good` is the block of states before step `number`; `run` does the next step and returns its loss. Steps have the
    same bits whenever they run, so the state before the bad one is found without keeping any.
    """
    end = step.number
    step.block[:], step.number = good, number
    while step.number < end:
        before = {name: array.copy() for name, array in step.state.items()}
        if not np.isfinite(run()) or spoiled(step.state):
            return _named(step, before)
    return ""


def _named(step: Step, states: Mapping[str, Array]) -> str:
    """The first layer of a step that makes such a value, from the arrays that the step was given last."""
    graph = step.training.graph
    with np.errstate(all="ignore"):
        values = interpreter.evaluate(graph, step.arrays, states)
    for value, array in values.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            node = graph[value.node]
            what = "input" if node.op.source == "input" else "layer"
            where = f" (at {node.where})" if node.where else ""
            return f"the first value that is not finite is that of {what} '{value.node}'{where}"
    return ""
