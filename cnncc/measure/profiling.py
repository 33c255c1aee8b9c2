"""The time of every step of a compiled model, and its lower bound.

A profiled program counts ticks around each step. The lower bound of a step's time is the largest of three times:

- multiply-adds: those of its algorithm at the peak that independent chains of multiply-adds reach;
- memory: each view is read or written once, from the level that still holds it and through the nearer levels; the
  slowest level counts. The level follows from the *reuse distance*: the bytes that were touched since this memory
  was touched last (over several calls), as in a cache that evicts the least recently used lines;
- the call of an empty step.

All of them are measured in the same run as the steps.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..codegen.program import tick_bytes
from ..compiler import Compilation
from ..plan.traffic import LEVELS, step_traffic
from ..runtime.model import Model
from ..types import Array
from .benchmark import calls_in, random_inputs, seconds_of
from .limits import Bandwidth, Clock
from .peak import Peak

if TYPE_CHECKING:
    from ..plan.plan import Step

LEAST_SAMPLES = 5
SAMPLE_SECONDS = 2e-3


@dataclass(frozen=True)
class StepTime:
    """One step of the plan. `bound` names its bound ('multiply-adds', 'L1'…'DRAM', 'call'), of `bound_us` microseconds.

    `gflops` counts the operations of the layer's definition, of which an algorithm may need fewer.
    """

    number: int
    name: str
    kernel: str
    us: float
    share: float
    gflops: float
    peak_share: float
    bytes: int
    gbytes: float
    bound: str
    bound_us: float

    @property
    def lost_us(self) -> float:
        """Time above the bound."""
        return max(0.0, self.us - self.bound_us)


@dataclass(frozen=True)
class Profile:
    """A call (median µs), its time outside of all steps, and the steps in order; limits in GFLOP/s and GB/s."""

    us: float
    outside_us: float
    peak_gflops: float
    bandwidths: dict[str, float]
    call_us: float
    steps: tuple[StepTime, ...]


def profile(compilation: Compilation, seconds: float = 1.0, feeds: Mapping[str, Array] | None = None) -> Profile:
    """Time a model on one core for about `seconds`, with these inputs or random ones.

    Raises TargetError if this machine cannot run it.
    """
    plan, target = compilation.plan, compilation.options.target
    peak, bandwidth, clock = Peak(target), Bandwidth(target), Clock(target)
    peaks, calls, steps = _samples(StepTimer(compilation, feeds), peak, seconds)
    tick = 1 / clock.ticks_per_second()
    limits = Limits(float(np.median(peaks)), bandwidth, clock.empty_call() * tick)
    whole, spent = float(np.median(calls)), np.median(steps, axis=0) * tick
    outside = float(np.median(np.subtract(calls, np.sum(steps, axis=1) * tick)))
    traffic = step_traffic(plan, bandwidth.level)
    images = plan.images if plan.batchable else 1
    times = tuple(
        _step_time(number, step, float(spent[number]), whole, images, limits, traffic[number])
        for number, step in enumerate(plan.steps)
    )
    bandwidths = {level: bandwidth.of(level) / 1e9 for levels in traffic for level in levels}
    return Profile(whole * 1e6, max(0.0, outside) * 1e6, limits.peak / 1e9, bandwidths, limits.call * 1e6, times)


def _samples(timer: StepTimer, peak: Peak, seconds: float) -> tuple[list[float], list[float], list[Array]]:
    """Samples taken in turns: peaks (operations a second), seconds of a call, ticks of each step."""
    peaks: list[float] = []
    calls: list[float] = []
    steps: list[Array] = []
    end = time.perf_counter() + seconds
    while len(calls) < LEAST_SAMPLES or time.perf_counter() < end:
        peaks.append(peak.measure())
        call, ticks = timer.sample()
        calls.append(call)
        steps.append(ticks)
    timer.close()
    return peaks, calls, steps


class StepTimer:
    """A profiled program that runs on these inputs, or random ones, and counts the ticks of each of its steps."""

    def __init__(self, compilation: Compilation, feeds: Mapping[str, Array] | None = None):
        compilation = compilation.varied(profiled=True)
        plan = compilation.plan
        self._model = Model(compilation.build())
        self._call = self._model.bind(dict(feeds or random_inputs(self._model.executable)))
        begin = plan.workspace_base + plan.shard_bytes
        memory = self._model.workspace[begin : begin + tick_bytes(plan)]
        self._ticks = memory.view(np.uint64)[: len(plan.steps)]
        self._calls = calls_in(SAMPLE_SECONDS, self._call)

    def sample(self) -> tuple[float, Array]:
        """(seconds of a call, ticks of each of its steps), averaged over some calls after a first one."""
        self._call()
        before = self._ticks.copy()
        seconds = seconds_of(self._call, self._calls) / self._calls
        return seconds, (self._ticks - before) / self._calls

    def close(self) -> None:
        self._model.close()


@dataclass(frozen=True)
class Limits:
    """Operations a second, bytes a second, and the seconds of an empty call."""

    peak: float
    bandwidth: Bandwidth
    call: float


def _step_time(
    number: int, step: Step, spent: float, whole: float, images: int, limits: Limits, traffic: dict[str, int]
) -> StepTime:
    flops, needed = 2 * step.macs * images, 2 * step.kernel.multiplied(step.target) * images
    bounds = {"multiply-adds": needed / limits.peak, "call": limits.call}
    for far, level in enumerate(LEVELS):
        if level in traffic:  # bytes from farther levels pass through it
            passing = images * sum(traffic.get(beyond, 0) for beyond in LEVELS[far:])
            bounds[level] = passing / limits.bandwidth.of(level)
    bound = max(bounds, key=lambda name: bounds[name])
    moved, rate = images * sum(traffic.values()), flops / spent
    return StepTime(
        number,
        step.name,
        step.kernel.describe(),
        spent * 1e6,
        spent / whole,
        rate / 1e9,
        rate / limits.peak,
        moved,
        moved / spent / 1e9,
        bound,
        bounds[bound] * 1e6,
    )
