"""How much work a step is: its multiply-adds, and a rough guess of its cycles on one core.

The guess is for decisions between steps, where a third more or less does not matter (what shards share); the costs
that kernels are chosen by are finer.
"""

from __future__ import annotations

import math

from ..target import Target
from .cost.step import TRANSFORMED, computed, moved
from .cost.transfer import BYTES, weights_cycles
from .kernels import Convolution, Depthwise, Direct, Fill, Window, Winograd
from .plan import Step
from .views import elements


def step_macs(step: Step) -> int:
    """Multiply-adds of one run of a step; padding counts as if it were multiplied."""
    kernel = step.kernel
    if not isinstance(kernel, Convolution):
        return 0
    positions = step.target.shape[0] * math.prod(axis.out for axis in kernel.window)
    if isinstance(kernel, Depthwise):
        return positions * kernel.taps * kernel.channels
    return positions * kernel.taps * kernel.outputs * (kernel.channels // kernel.groups)


def cycles(step: Step, target: Target) -> float:
    """About how long one core takes for a step."""
    moving = moved(target.core, _moved(step), min(target.lanes, _along(step)))
    if not isinstance(step.kernel, Convolution):
        return moving
    weights = weights_cycles(target.core, BYTES * elements(step.sources[1].shape), beyond=False)
    return max(computed(target, _products(step, target)), weights, moving)


def _products(step: Step, target: Target) -> float:
    """Multiply-adds of a convolution that its algorithm does, those of lanes without a result included."""
    kernel, products = step.kernel, float(step_macs(step))
    if isinstance(kernel, Winograd):
        saved = (w.kernel * m / n for w, m, n in zip(kernel.window, kernel.steps, kernel.points, strict=True))
        return TRANSFORMED * products / math.prod(saved)
    if isinstance(kernel, Direct) and kernel.lanes_along == "channels":
        outputs = kernel.outputs // kernel.groups
        return products * math.ceil(outputs / kernel.lanes) * target.lanes / outputs
    return products


def _moved(step: Step) -> int:
    """Elements that a step reads or writes, whichever are more."""
    kernel, view = step.kernel, step.target
    if isinstance(kernel, Fill):
        return elements(view.shape, view.border) - elements(view.shape)
    taps = math.prod(axis.kernel for axis in kernel.window) if isinstance(kernel, Window) else 1
    return max(elements(view.shape) * taps, *(elements(source.shape) for source in step.sources[:1]))


def _along(step: Step) -> int:
    """Elements that may share a vector."""
    axis = getattr(step.kernel, "lane_axis", 1)
    return max(1, step.target.shape[axis] if axis < step.target.rank else 1)
