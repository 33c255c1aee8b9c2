"""bench: time a compiled model, against the machine's limits and against other engines.

For each number of threads: the time of a call on arrays bound once (median, 10th and 90th percentile), the rate, and
its share of the multiply-add peak of as many cores. Samples of all of them take turns, so that a machine that changes
its pace meets all alike.

--layers tells for each step (on one core) its time and what bounds it: multiply-adds, the level of the memory that its
operands come from (each byte counts once), or the call of an empty step; all limits are measured in the same run.

For a target of another machine, instructions are counted under its emulator (qemu), with an estimate of the cycles
where each instruction of the core has its time in a manual; --layers tells them for each function.

--against runs other engines on the same ONNX file, float32, in turns with ours, each in a process of its own; with
--step, a step of training in PyTorch, with the same network, weights and data.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..sizes import is_open, telling, told
from . import common, steps
from .console import say, table
from .documents import add_json, document, say_json

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..measure.benchmark import Timing
    from ..measure.peers import PeerTiming
    from .steps import Learned


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument(
        "--threads", type=common.counts, default=(1,), metavar="N,…", help="numbers of cores (default: 1)"
    )
    parser.add_argument("--seconds", type=common.seconds, default=2.0, metavar="S", help="time to spend (default: 2)")
    parser.add_argument("--layers", action="store_true", help="tell the time of each step, and what bounds it")
    parser.add_argument(
        "--against",
        metavar="ENGINE,…",
        help="other engines on the same ONNX file: onnxruntime, openvino, or all; on a step: torch",
    )
    add_json(parser)
    common.add_compiling(parser)
    common.add_tuning(parser)
    common.add_cache(parser)
    common.add_timings(parser)
    steps.add_arguments(parser, "time a step of the model's training in its place")


def run(arguments: argparse.Namespace) -> None:
    steps.expect_step(arguments)
    found = []
    for size, each in common.each_size(arguments):
        with telling(size):
            facts, pages = _measured(each)
        if size:
            facts, pages = {"size": size, **facts}, [f"with {told(size)}:", *pages]
        found.append(document("bench", **facts))
        if not arguments.json:
            say("\n".join(pages))
    if arguments.json:
        say_json(found if is_open(common.shapes(arguments)) else found[0])


def _measured(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What was measured of a model of one size, and its pages."""
    from ..measure.benchmark import measure, operations
    from . import counted

    if common.emulated(arguments):
        return counted.measured(arguments)
    given = common.compilation(arguments)
    engines = () if arguments.against is None else _engines(arguments, given)
    step = steps.learned(given.graph, arguments) if arguments.step else None
    feeds = step.inputs() if step else None
    compilation, report = common.tuned(step.compiled(given) if step else given, arguments)
    flops = operations(compilation.optimised.graph)
    executable = compilation.executable(use_cache=not arguments.no_cache)
    common.tell_timings(compilation, arguments)
    peak, timings = measure(executable, arguments.threads, arguments.seconds, flops, feeds)
    facts: dict[str, Any] = {
        "model": executable.name,
        "target": executable.target.cpu,
        "images": step.recipe.batch if step else executable.images,
    }
    facts |= {"flops": flops, "peak_gflops": peak, "timings": [asdict(timing) for timing in timings]}
    pages = [
        _show_timings(timings),
        f"{flops:,} operations a call of {facts['images']} image(s); peak of one core {peak:.1f} GFLOP/s",
    ]
    if report:
        facts["tuned"] = [asdict(change) for change in report.changes]
        pages = [common.show_tuned(report), "", *pages]
    if engines:
        found = _compare_step(arguments, given, step, engines) if step else _compare(arguments, compilation, engines)
        facts["against"] = [asdict(timing) for timing in found]
        pages += ["", _show_peers(found)]
    if arguments.layers:
        from ..measure.profiling import profile
        from . import layers

        profiled = profile(compilation, arguments.seconds, feeds)
        facts["layers"] = asdict(profiled)
        pages += ["", layers.show(profiled)]
    return facts, pages


def _show_timings(timings: Sequence[Timing]) -> str:
    heads = ("threads", "median µs", "p10", "p90", "GFLOP/s", "of peak")
    rows = [
        (
            str(t.threads),
            *(f"{number:.2f}" for number in (t.median_us, t.p10_us, t.p90_us, t.gflops)),
            f"{t.peak_share:.1%}",
        )
        for t in timings
    ]
    return table(heads, rows, right=range(len(heads)))


def _show_peers(timings: Sequence[PeerTiming]) -> str:
    """All engines, and how many times as long as ours they take."""
    ours = {timing.threads: timing.median_us for timing in timings if timing.engine == "cnncc"}
    heads = ("threads", "engine", "version", "median µs", "p10", "p90", "× cnncc", "difference")
    rows = [
        (
            str(t.threads),
            t.engine,
            t.version,
            *(f"{number:.2f}" for number in (t.median_us, t.p10_us, t.p90_us, t.median_us / ours[t.threads])),
            f"{t.difference:.1e}",
        )
        for t in timings
    ]
    worst = max(t.difference for t in timings)
    return "\n".join(
        [
            table(heads, rows, right=(0, 3, 4, 5, 6, 7)),
            f"outputs differ from cnncc's by at most {worst:.1e} of the largest element",
        ]
    )


def _engines(arguments: argparse.Namespace, compilation: Compilation) -> tuple[str, ...]:
    """The engines to compare with. Raises UsageError for a model that they cannot read."""
    from ..cache.sources import OnnxFile
    from ..measure.peers import chosen

    if arguments.step:
        from ..measure.steps import PEERS

        return chosen(arguments.against, PEERS)
    if arguments.cuts or arguments.fix or arguments.image:
        raise UsageError(
            "--against compares whole models: other engines cannot end one at --output, --fix an input, or take --image"
        )
    names = chosen(arguments.against)
    if not isinstance(compilation.source, OnnxFile):
        raise UsageError(f"--against needs an ONNX file, which other engines can read, got '{arguments.model}'")
    return names


def _compare(arguments: argparse.Namespace, compilation: Compilation, engines: Sequence[str]) -> list[PeerTiming]:
    import numpy as np

    from ..measure.peers import compare

    rng = np.random.default_rng(0)
    feeds = {name: type.random(rng) for name, type in compilation.graph.inputs.items()}
    model = os.path.abspath(arguments.model)
    return compare(model, feeds, compilation.options, engines, arguments.threads, arguments.seconds)


def _compare_step(
    arguments: argparse.Namespace, network: Compilation, step: Learned, engines: Sequence[str]
) -> list[PeerTiming]:
    from ..measure.steps import Task, compare

    options = network.options
    keywords = {"target": options.target, "precision": options.precision, "off": options.off, "plan": options.plan}
    keywords |= {"checked": options.checked, "weights": options.weights}
    task = Task(network.graph, step.recipe, step.inputs(), keywords)
    return compare(task, engines, arguments.threads, arguments.seconds)
