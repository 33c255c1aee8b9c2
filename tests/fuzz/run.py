"""Random graphs in worker processes: `python -m tests.fuzz.run --graphs 2000 --seed 0 [--checked] [--thorough]`.

A worker that crashes or hangs is a failure of the graph that it had; another worker takes its place.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from .check import Finding

PATIENCE = 120.0  # seconds for one graph


@dataclass
class Report:
    """What a run found: failures by seed, the worst ratio of a difference to its bound, and what all graphs held."""

    done: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    total: Finding = field(default_factory=Finding)
    worst_seed: int = -1
    seconds: float = 0.0

    @property
    def worst(self) -> float:
        return self.total.ratio

    def add(self, seed: int, finding: Finding, failure: str) -> None:
        self.done += 1
        if failure:
            self.failures[seed] = failure
        if finding.ratio > self.worst:
            self.total.ratio, self.worst_seed = finding.ratio, seed
        self.total.ops += finding.ops
        self.total.elements += finding.elements
        self.total.unbounded += finding.unbounded

    def __str__(self) -> str:
        return (
            f"{self.done} graphs in {self.seconds:.0f} s, {len(self.failures)} failures, "
            f"worst difference {self.worst:.3g} of its bound (seed {self.worst_seed}); {self.total.elements} elements "
            f"of outputs, {self.total.unbounded} of them without a bound"
        )

    def coverage(self) -> str:
        """How often each op occurred."""
        return ", ".join(f"{name} {number}" for name, number in sorted(self.total.ops.items()))


@dataclass(frozen=True)
class Job:
    """What a worker does: `work(connection, options)`, a function of a module, answers each seed that is sent to it."""

    work: Callable[[Connection, Any], None]
    options: Any
    patience: float


class Worker:
    """A process that checks one seed after the other."""

    def __init__(self, job: Job):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=job.work, args=(theirs, job.options), daemon=True)
        self.process.start()
        theirs.close()
        self.seed, self.deadline, self.patience = -1, 0.0, job.patience

    def give(self, seed: int) -> None:
        self.seed, self.deadline = seed, time.monotonic() + self.patience
        self.connection.send(seed)

    def answer(self) -> tuple[Finding, str]:
        """What was found, and a failure; a worker that has died or is late fails with that."""
        if not self.connection.poll() and time.monotonic() > self.deadline:
            return Finding(), f"no answer in {self.patience:.0f} s"
        try:
            finding, failure = self.connection.recv()
            return finding, str(failure)
        except (EOFError, ConnectionResetError):
            self.process.join()
            return Finding(), f"the worker ended with exit code {self.process.exitcode}"

    @property
    def alive(self) -> bool:
        return self.process.is_alive() and time.monotonic() <= self.deadline

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(connection: Connection, options: tuple[bool, bool]) -> None:
    from .check import check_seed

    answer(connection, lambda seed: check_seed(seed, *options))


def answer(connection: Connection, check: Callable[[int], Finding]) -> None:
    """What a worker does with each seed until there is none any more."""
    while True:
        try:
            seed = connection.recv()
        except EOFError:
            return
        try:
            connection.send((check(seed), ""))
        except Exception as error:
            lines = traceback.format_exception(error)
            connection.send((Finding(), f"{type(error).__name__}: {error}\n{''.join(lines[-3:])}"))


def run(
    seeds: range, *, checked: bool = False, thorough: bool = False, workers: int | None = None, say: bool = False
) -> Report:
    """Check the graphs of all seeds, or of the first ones until Ctrl+C."""
    return run_job(seeds, Job(_work, (checked, thorough), PATIENCE), workers=workers, say=say)


def run_job(seeds: range, job: Job, *, workers: int | None = None, say: bool = False) -> Report:
    """Let workers do their job for all seeds, or for the first ones until Ctrl+C."""
    report, begin = Report(), time.monotonic()
    left = iter(seeds)
    busy = [worker for _ in range(workers or os.cpu_count() or 1) for worker in _started(left, job)]
    try:
        while busy:
            wait([worker.connection for worker in busy], timeout=1.0)
            for worker in list(busy):
                if worker.connection.poll() or not worker.alive:
                    busy.remove(worker)
                    busy += _next(worker, left, job, report, say)
    except KeyboardInterrupt:  # what is found until then counts
        for worker in busy:
            worker.end()
    report.seconds = time.monotonic() - begin
    return report


def _started(left: Iterator[int], job: Job) -> Iterator[Worker]:
    """A new worker on the next seed, if there is one."""
    seed = next(left, None)
    if seed is not None:
        worker = Worker(job)
        worker.give(seed)
        yield worker


def _next(worker: Worker, left: Iterator[int], job: Job, report: Report, say: bool) -> list[Worker]:
    """Take down a worker's answer and give it, or one in its place, the next seed."""
    finding, failure = worker.answer()
    report.add(worker.seed, finding, failure)
    if failure and say:
        print(f"seed {worker.seed}: {failure}", flush=True)
    if say and report.done % 100 == 0:
        seeds = f"up to seed {worker.seed}"
        print(f"{report.done} graphs {seeds}, {len(report.failures)} failures, worst {report.worst:.3g}", flush=True)
    if not worker.alive:
        worker.end()
        return list(_started(left, job))
    seed = next(left, None)
    if seed is None:
        worker.end()
        return []
    worker.give(seed)
    return [worker]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description="Random graphs, checked natively.")
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--checked", action="store_true", help="test the bounds of every memory access")
    parser.add_argument("--thorough", action="store_true", help="all checks on every graph, instead of by turns")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.graphs)
    report = run(seeds, checked=options.checked, thorough=options.thorough, workers=options.workers, say=True)
    print(report)
    print("ops:", report.coverage())
    if report.failures:
        print("failed seeds:", " ".join(map(str, sorted(report.failures))))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
