"""Training steps: beside PyTorch, with two threads beside one, their compile times and their memory.

    python -m tests.perf.steps [WORD…] [--seconds 4]

A row for each of `ROWS` whose text contains one of the words, such as "lenet" or "lenet 32". PyTorch runs eager, on one
thread, in turns with ours, and the better of its two memory orders counts; the loss and all gradients of the first step
agree before anything is timed (`cnncc.measure.steps`). Without PyTorch its columns stay empty. Steps with one thread
and with two take turns of 50 ms: as in training, a step follows a step. Compile times are those of a fresh process,
with an empty cache and then with a filled one, in seconds of the processor. The arena is held to the largest sum of
bytes that are alive at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from cnncc import learn
from cnncc.check.model import random_feeds
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.learning.recipe import Recipe
from cnncc.measure import peers
from cnncc.measure.benchmark import measure, operations
from cnncc.measure.steps import Task, compare
from cnncc.types import Array

from .trained import NETWORKS

MIB = 2**20
COMPILED = """
import sys, time
from cnncc import learn
from tests.perf.trained import NETWORKS
network = NETWORKS[sys.argv[1]]()
begin = time.process_time()
learn.Step(network, batch=int(sys.argv[2]))
print(time.process_time() - begin)
"""


@dataclass(frozen=True)
class Row:
    """A step, and how many times as long PyTorch has to take: as `required`, and as the `aim`."""

    network: str
    batch: int
    required: float
    aim: float

    def __str__(self) -> str:
        return f"{self.network} {self.batch}"


ROWS = [
    Row("lenet", 32, 3.5, 5),
    Row("lenet", 64, 3.5, 5),
    Row("lenet", 128, 3, 4),
    Row("resnet8", 32, 1.8, 2.5),
    Row("resnet8", 64, 1.8, 2.5),
    Row("resnet8", 128, 1.8, 2.5),
    Row("digits", 32, 6, 9),
    Row("tiny", 8, 20, 40),
]
HEADS = (
    f"{'step':12} {'ms':>8} {'PyTorch':>8} {'times':>6} {'required':>8} {'aim':>4}  {'its order':14} "
    f"{'2 threads':>9} {'of peak':>7} {'compile':>8} {'cached':>7} {'MiB':>7} {'bound':>7}"
)


class Measured:
    """One row: the step, compiled, and the arrays it runs on."""

    def __init__(self, row: Row):
        self.row, self.network = row, NETWORKS[row.network]().graph
        self.recipe = Recipe(learn.CrossEntropy(), learn.SGD(0.01, 0.9), row.batch)
        step = self.recipe.training(self.network)
        feeds = self.recipe.trial(step, random_feeds(step.graph, 0))
        self.feeds: dict[str, Array] = {name: feeds[name] for name in step.graph.inputs}
        self.compilation = Compilation(step.graph, Options(resolve_target("host")))

    def beside_pytorch(self, seconds: float) -> str:
        """Milliseconds of both, how many times as long PyTorch takes, and in which order of memory."""
        engines = ("torch",) if peers.installed("torch") else ()
        task = Task(self.network, self.recipe, self.feeds, {"plan": self.compilation.options.plan})
        ours, *others = compare(task, engines, (1,), seconds)
        if not others:
            return f"{ours.median_us / 1e3:8.3f} {'–':>8} {'–':>6} {self.aims} {'':14}"
        best = min(others, key=lambda timing: timing.median_us)
        order = "channels last" if "last" in best.engine else "channels first"
        times = best.median_us / ours.median_us
        return f"{ours.median_us / 1e3:8.3f} {best.median_us / 1e3:8.3f} {times:6.2f} {self.aims} {order:14}"

    @property
    def aims(self) -> str:
        return f"{self.row.required:8g} {self.row.aim:4g} "

    def threads(self, seconds: float) -> str:
        """How many times as fast two threads are, and the share of one core's peak that one reaches."""
        flops = operations(self.compilation.optimised.graph)
        _, (one, two) = measure(self.compilation.build(), (1, 2), seconds, flops, self.feeds, each=0.05)
        return f"{one.median_us / two.median_us:9.2f} {one.peak_share:7.0%}"

    def compile_times(self) -> str:
        """Seconds of the processor with an empty cache, and with a filled one."""
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", COMPILED, self.row.network, str(self.row.batch)]
            environment = dict(os.environ, CNNCC_CACHE=folder)
            runs = [
                subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)
            ]
        cold, cached = (float(run.stdout) for run in runs)
        return f"{cold:8.2f} {cached:7.3f}"

    def memory(self) -> str:
        """The workspace in MiB, and how far the arena in it lies over its lower bound."""
        plan, whole = self.compilation.plan, self.compilation.build().workspace_bytes(1)
        return f"{whole / MIB:7.2f} {plan.arena_bytes / max(1, plan.arena_bound) - 1:+7.1%}"


def main(words: Sequence[str], seconds: float) -> None:
    print(HEADS)
    for row in ROWS:
        if not words or any(word in str(row) for word in words):
            found = Measured(row)
            timed = f"{found.beside_pytorch(seconds)} {found.threads(seconds)}"
            print(f"{row!s:12} {timed} {found.compile_times()} {found.memory()}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.perf.steps", description="Training steps, measured.")
    parser.add_argument("words", nargs="*", metavar="WORD", help="rows that contain one of these (default: all)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each of the two comparisons (default: 4)")
    options = parser.parse_args()
    main(options.words, options.seconds)
