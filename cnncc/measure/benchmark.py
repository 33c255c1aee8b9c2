"""The time of a compiled model with several numbers of threads, and the multiply-add peak of the machine.

Samples of all of them are taken in turns, so that a change of the clock affects all alike; results are medians.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Graph
from ..runtime.executable import Executable
from ..runtime.model import Model
from ..types import Array
from .peak import Peak

SAMPLE_SECONDS = 1e-3
LEAST_SAMPLES = 5


@dataclass(frozen=True)
class Timing:
    """Microseconds of a call with `threads` threads, also as GFLOP/s and as a fraction of the peak of these cores."""

    threads: int
    median_us: float
    p10_us: float
    p90_us: float
    gflops: float
    peak_share: float


def operations(graph: Graph) -> int:
    """Floating-point operations of the graph; a multiply-add is two."""
    costs = [node.op.cost(*graph.types(node.inputs)) for node in graph if node.op.source is None]
    return sum(2 * cost.macs + cost.flops for cost in costs)


def random_inputs(executable: Executable) -> dict[str, Array]:
    """An array for each input."""
    rng = np.random.default_rng(0)
    return {port.name: port.type.random(rng) for port in executable.inputs}


def measure(
    executable: Executable,
    threads: Sequence[int],
    seconds: float,
    flops: int,
    feeds: Mapping[str, Array] | None = None,
    each: float = SAMPLE_SECONDS,
) -> tuple[float, list[Timing]]:
    """(peak of one core in GFLOP/s, a timing for each number of threads) with these inputs, or random ones.

    They take turns of `each` seconds, in which calls follow one another.
    """
    models = [Model(executable, threads=count) for count in threads]
    inputs = dict(feeds or random_inputs(executable))
    calls = [model.bind(inputs) for model in models]
    repeats = [calls_in(each, call) for call in calls]
    samples: list[list[float]] = [[] for _ in calls]
    peaks: list[float] = []
    kernel = Peak(executable.target)
    end = time.perf_counter() + seconds
    while len(peaks) < LEAST_SAMPLES or time.perf_counter() < end:
        peaks.append(kernel.measure())
        for call, count, found in zip(calls, repeats, samples, strict=True):
            found.append(seconds_of(call, count) / count)
    for model in models:
        model.close()
    peak = float(np.median(peaks))
    timings = []
    for count, found in zip(threads, samples, strict=True):
        p10, median, p90 = (float(number) for number in np.percentile(found, (10, 50, 90)))
        rate = flops / median
        share = rate / (peak * count)
        timings.append(Timing(count, median * 1e6, p10 * 1e6, p90 * 1e6, rate / 1e9, share))
    return peak / 1e9, timings


def calls_in(seconds: float, call: Callable[[], Any]) -> int:
    """The number of calls that together take at least `seconds`."""
    count = 1
    while seconds_of(call, count) < seconds:
        count *= 2
    return count


def seconds_of(call: Callable[[], Any], count: int) -> float:
    rounds = range(count)
    begin = time.perf_counter()
    for _ in rounds:
        call()
    return time.perf_counter() - begin
