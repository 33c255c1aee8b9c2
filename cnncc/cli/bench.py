"""bench: time a compiled model and compare it with the machine's peak.

For each number of threads: the time of a call on arrays bound once (median, 10th and 90th percentile), the rate, and
its share of the multiply-add peak of as many cores. Samples of all of them take turns, so that a machine that changes
its pace meets all alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from . import common
from .console import say, table

if TYPE_CHECKING:
    from ..ir import Graph

SAMPLE_SECONDS = 1e-3
LEAST_SAMPLES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("--threads", type=_counts, default=(1,), metavar="N,…", help="numbers of cores (default: 1)")
    parser.add_argument("--seconds", type=_seconds, default=2.0, metavar="S", help="time to spend (default: 2)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    common.add_compiling(parser)
    common.add_cache(parser)


@dataclass(frozen=True)
class Timing:
    """Microseconds of a call with so many threads, and what that is in GFLOP/s and of the peak of all its cores."""

    threads: int
    median_us: float
    p10_us: float
    p90_us: float
    gflops: float
    peak_share: float


def run(arguments: argparse.Namespace) -> None:
    import json

    compilation = common.compilation(arguments)
    flops = operations(compilation.optimised.graph)
    executable = compilation.executable(use_cache=not arguments.no_cache)
    peak, timings = measure(executable, arguments.threads, arguments.seconds, flops)
    if arguments.json:
        facts = {"model": executable.name, "target": executable.target.cpu, "images": executable.images}
        facts |= {"flops": flops, "peak_gflops": peak, "timings": [asdict(timing) for timing in timings]}
        say(json.dumps(facts, indent=2))
        return
    heads = ("threads", "median µs", "p10", "p90", "GFLOP/s", "of peak")
    rows = [
        (
            str(t.threads),
            *(f"{number:.2f}" for number in (t.median_us, t.p10_us, t.p90_us, t.gflops)),
            f"{t.peak_share:.1%}",
        )
        for t in timings
    ]
    say(table(heads, rows, right=range(len(heads))))
    say(f"{flops:,} operations a call of {executable.images} image(s); peak of one core {peak:.1f} GFLOP/s")


def operations(graph: Graph) -> int:
    """Floating-point operations of the graph; a multiply-add is two."""
    costs = [node.op.cost(*graph.types(node.inputs)) for node in graph if node.op.source is None]
    return sum(2 * cost.macs + cost.flops for cost in costs)


def measure(executable: Any, threads: Sequence[int], seconds: float, flops: int) -> tuple[float, list[Timing]]:
    """(peak of one core in GFLOP/s, a timing for each number of threads)."""
    import numpy as np

    from ..peak import Peak
    from ..runtime.model import Model

    models = [Model(executable, threads=count) for count in threads]
    rng = np.random.default_rng(0)
    inputs = [port.type.random(rng) for port in executable.inputs]
    calls = [model.bind(*inputs) for model in models]
    repeats = [_repeats(call) for call in calls]
    samples: list[list[float]] = [[] for _ in calls]
    peaks: list[float] = []
    kernel = Peak(executable.target)
    end = time.perf_counter() + seconds
    while len(peaks) < LEAST_SAMPLES or time.perf_counter() < end:
        peaks.append(kernel.measure())
        for call, count, found in zip(calls, repeats, samples, strict=True):
            found.append(_time(call, count) / count)
    for model in models:
        model.close()
    peak = float(np.median(peaks))
    timings = []
    for model, found in zip(models, samples, strict=True):
        p10, median, p90 = (float(number) for number in np.percentile(found, (10, 50, 90)))
        rate = flops / median
        share = rate / (peak * model.threads)
        timings.append(Timing(model.threads, median * 1e6, p10 * 1e6, p90 * 1e6, rate / 1e9, share))
    return peak / 1e9, timings


def _repeats(call: Callable[[], Any]) -> int:
    """Calls that together take long enough to be timed."""
    count = 1
    while _time(call, count) < SAMPLE_SECONDS:
        count *= 2
    return count


def _time(call: Callable[[], Any], count: int) -> float:
    rounds = range(count)
    begin = time.perf_counter()
    for _ in rounds:
        call()
    return time.perf_counter() - begin


def _counts(text: str) -> tuple[int, ...]:
    return tuple(map(common.at_least(1), text.split(",")))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds")
    return seconds
