"""Random graphs in worker processes: `python -m tests.fuzz.run --graphs 2000 --seed 0 [--checked]`.

A worker that crashes or hangs is a failure of the graph that it had; another worker takes its place.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

PATIENCE = 120.0  # seconds for one graph


@dataclass
class Report:
    """What a run found: failures by seed, and the worst ratio of a difference to its bound."""

    done: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    worst: float = 0.0
    worst_seed: int = -1
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.done} graphs in {self.seconds:.0f} s, {len(self.failures)} failures, "
            f"worst difference {self.worst:.3g} of its bound (seed {self.worst_seed})"
        )


class Worker:
    """A process that checks one seed after the other."""

    def __init__(self, checked: bool):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, checked), daemon=True)
        self.process.start()
        theirs.close()
        self.seed, self.deadline = -1, 0.0

    def give(self, seed: int) -> None:
        self.seed, self.deadline = seed, time.monotonic() + PATIENCE
        self.connection.send(seed)

    def answer(self) -> tuple[float, str]:
        """Ratio and failure; a worker that has died or is late fails with that."""
        if not self.connection.poll() and time.monotonic() > self.deadline:
            return 0.0, f"no answer in {PATIENCE:.0f} s"
        try:
            ratio, failure = self.connection.recv()
            return float(ratio), str(failure)
        except (EOFError, ConnectionResetError):
            self.process.join()
            return 0.0, f"the worker ended with exit code {self.process.exitcode}"

    @property
    def alive(self) -> bool:
        return self.process.is_alive() and time.monotonic() <= self.deadline

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(connection: Connection, checked: bool) -> None:
    from .check import check_seed

    while True:
        try:
            seed = connection.recv()
        except EOFError:
            return
        try:
            connection.send((check_seed(seed, checked), ""))
        except Exception as error:
            lines = traceback.format_exception(error)
            connection.send((0.0, f"{type(error).__name__}: {error}\n{''.join(lines[-3:])}"))


def run(seeds: range, *, checked: bool = False, workers: int | None = None, say: bool = False) -> Report:
    """Check the graphs of all seeds."""
    report, begin = Report(), time.monotonic()
    left = iter(seeds)
    busy = [worker for _ in range(workers or os.cpu_count() or 1) for worker in _started(left, checked)]
    while busy:
        wait([worker.connection for worker in busy], timeout=1.0)
        for worker in list(busy):
            if worker.connection.poll() or not worker.alive:
                busy.remove(worker)
                busy += _next(worker, left, checked, report, say)
    report.seconds = time.monotonic() - begin
    return report


def _started(left: Iterator[int], checked: bool) -> Iterator[Worker]:
    """A new worker on the next seed, if there is one."""
    seed = next(left, None)
    if seed is not None:
        worker = Worker(checked)
        worker.give(seed)
        yield worker


def _next(worker: Worker, left: Iterator[int], checked: bool, report: Report, say: bool) -> list[Worker]:
    """Take down a worker's answer and give it, or one in its place, the next seed."""
    ratio, failure = worker.answer()
    report.done += 1
    if ratio > report.worst:
        report.worst, report.worst_seed = ratio, worker.seed
    if failure:
        report.failures[worker.seed] = failure
        if say:
            print(f"seed {worker.seed}: {failure}", flush=True)
    if say and report.done % 200 == 0:
        print(f"{report.done} graphs, {len(report.failures)} failures, worst ratio {report.worst:.3g}", flush=True)
    if not worker.alive:
        worker.end()
        return list(_started(left, checked))
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
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.graphs)
    report = run(seeds, checked=options.checked, workers=options.workers, say=True)
    print(report)
    if report.failures:
        print("failed seeds:", " ".join(map(str, sorted(report.failures))))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
