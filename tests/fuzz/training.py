"""Random training steps in worker processes: `python -m tests.fuzz.training --graphs 5000 --seed 0 [--checked]`.

A random network with every kind of layer that has a gradient, a random loss, optimiser and choice of parameters: its
step in native code is judged layer by layer within the derived bounds, has the bits of a step that updates nothing in
place, and has the same bits for one to four threads. One of six goes through every pass with the interpreter before and
behind it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from multiprocessing.connection import Connection

import numpy as np

from cnncc.check.model import Report as Judged
from cnncc.check.model import check_step
from cnncc.compiler import Compilation
from cnncc.errors import ModelError, UsageError
from cnncc.ir import Graph
from cnncc.passes.manager import optimise
from cnncc.runtime.executable import Executable
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import assert_same_bits, compilation, runnable_targets

from .check import STREAMINGS, Finding, live_ops
from .networks import Case, random_step
from .run import PATIENCE, Job, answer, run_job

REFUSED = "refused"
CALLS = 2
THREADS = 4


def check_training(seed: int, checked: bool = False, threads: int = THREADS) -> Finding:
    """Check the step of a seed, with up to so many threads. Raises AssertionError or CnnccError."""
    try:
        case = random_step(seed)
    except (ModelError, UsageError) as error:
        assert any(told in error.message for told in ("no slope", "does not depend", "one value a channel")), error
        return Finding(ops=Counter({REFUSED: 1}))
    step = program(case.step.graph, seed, checked)
    if seed % 6 == 0:
        with np.errstate(all="ignore"):
            optimise(step.graph, step.options.precision, check=True)
    report = check_step(step, case.feeds, threads=1 + seed % min(threads, 3))
    assert report.ok, "; ".join(f"{f.layer} ({f.op}) {f}" for f in report.culprits[:3])
    same_for_all_threads(step.build(), case, threads)
    return judged(report, live_ops(case.network))


def program(graph: Graph, seed: int, checked: bool) -> Compilation:
    """With options that a step has to stand; everything is shared, however small."""
    rng = np.random.default_rng((seed, 2))
    names = list(runnable_targets())
    target = names[int(rng.integers(len(names)))] if rng.random() < 0.3 else "host"
    precision = "fast" if rng.random() < 0.7 else "strict"
    borders, streaming = str(rng.choice(["none", "cost", "all"])), STREAMINGS[seed % len(STREAMINGS)]
    return compilation(graph, target, precision=precision, checked=checked, borders=borders, streaming=streaming)


def same_for_all_threads(executable: Executable, case: Case, most: int) -> None:
    """Several steps leave the same bits in outputs and states."""
    one = after_steps(executable, case, 1)
    for threads in range(2, most + 1):
        assert_same_bits(after_steps(executable, case, threads), one, f"{threads} threads")


def after_steps(executable: Executable, case: Case, threads: int) -> dict[str, Array]:
    """Outputs and states after some steps."""
    inputs = {port.name: case.feeds[port.name] for port in executable.inputs}
    with Model(executable, threads=threads) as model:
        for _ in range(CALLS):
            results = model(inputs)
        arrays = results if isinstance(results, tuple) else (results,)
        found = {port.name: array for port, array in zip(model.outputs, arrays, strict=True)}
        return found | {name: array.copy() for name, array in model.state.items()}


def judged(report: Judged, ops: Counter[str]) -> Finding:
    """What a fuzzer's report counts."""
    kernels = report.kernels
    elements, unbounded = (sum(getattr(f, what) for f in kernels) for what in ("elements", "unbounded"))
    return Finding(max(f.ratio for f in kernels), ops, elements, unbounded)


def work(connection: Connection, options: tuple[bool, int]) -> None:
    answer(connection, lambda seed: check_training(seed, *options))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.training", description="Random training steps.")
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--checked", action="store_true", help="test the bounds of every memory access")
    parser.add_argument("--threads", type=int, default=THREADS, help="most threads that share a step (default: 4)")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    seeds, job = (
        range(options.seed, options.seed + options.graphs),
        Job(work, (options.checked, options.threads), PATIENCE),
    )
    report = run_job(seeds, job, workers=options.workers, say=True)
    print(report)
    print("layers:", report.coverage())
    if report.failures:
        print("failed seeds:", " ".join(map(str, sorted(report.failures))))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
