"""Mutated ONNX files in worker processes: `python -m tests.fuzz.onnx_files --files 5000 --seed 0 [--workers 1]`.

Whatever a file says, it is compiled, or refused by a CnnccError in one sentence; and what is compiled computes what the
interpreter does. A finding is anything else: another exception, a crash, a difference, or one of the two limits.
A worker has an address space of 1 GiB (what it imports takes 300 MB of it, with one thread for NumPy's BLAS) and 5 s of
processor time for each file; time of the processor, so that what else the machine does is no finding.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from .check import Finding
from .run import Job, Report, answer, run_job

BYTES, SECONDS = 1 << 30, 5.0
PATIENCE = 120.0  # seconds of waiting, for who waits takes no time of the processor
COMPARED = 3 * 10**6
"""Operations of a model, at most, that is run and compared: the interpreter is slow. Others are compiled only."""


def work(connection: Connection, folder: str) -> None:
    """What a worker does."""
    os.environ["CNNCC_CACHE"] = "off"
    warnings.simplefilter("ignore")  # ONNX and NumPy warn of what a file holds
    from .mutate import originals

    originals()
    check_content(originals()[0].SerializeToString(), Path(folder))  # imports and LLVM's start are not a file's time
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    answer(connection, lambda seed: timed(seed, Path(folder)))


def timed(seed: int, folder: Path) -> Finding:
    """The check of one file. After 5 s of the processor the signal ends the process, in native code too."""
    from .mutate import mutated

    content = mutated(seed)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return check_content(content, folder)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def check_content(content: bytes, folder: Path) -> Finding:
    """Compile a file of these bytes, and compare. Raises AssertionError for a difference, anything for a finding."""
    from cnncc.errors import CnnccError

    file = folder / f"{os.getpid()}.onnx"
    file.write_bytes(content)
    try:
        return compiled(file)
    except CnnccError as error:
        assert "\n" not in str(error), f"a message of several lines: {error}"
        assert error.exit_code in (1, 2, 3, 4), f"exit code {error.exit_code}: {error}"
        return Finding(ops=Counter({f"refused by {type(error).__name__}": 1}))


def compiled(file: Path) -> Finding:
    """Natively and by the interpreter, on one set of inputs. Raises CnnccError."""
    import cnncc
    from cnncc.interpreter import run
    from cnncc.measure.benchmark import operations
    from tests.graphs import call, compilation, expected, worst_ratio

    cnncc.compile(file).close()
    graph = cnncc.load_graph(file)
    sizes = sum(type.size for node in graph for type in node.types)
    if operations(graph) + sizes > COMPARED:
        return Finding(ops=Counter({"compiled, too large to compare": 1}))
    feeds = {name: type.random(np.random.default_rng(0)) for name, type in graph.inputs.items()}
    program = compilation(graph)
    with cnncc.Model(program.build()) as model:
        ratio = worst_ratio(call(model, feeds), expected(program, feeds))
    for name, array in run(graph, feeds).items():
        assert array.shape == graph.type(graph.outputs[name]).shape, f"output '{name}' is of shape {array.shape}"
    return Finding(ratio, Counter({"compared": 1}))


def check_files(seeds: range, *, workers: int | None = None, say: bool = False) -> Report:
    """Check the files of all seeds."""
    threads = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each thread reserves some of the address space
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run_job(seeds, Job(work, folder, PATIENCE), workers=workers, say=say)
    finally:
        os.environ.pop("OPENBLAS_NUM_THREADS")
        os.environ.update({"OPENBLAS_NUM_THREADS": threads} if threads is not None else {})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.onnx_files", description="Mutated ONNX files.")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    report = check_files(range(options.seed, options.seed + options.files), workers=options.workers, say=True)
    print(f"{report.done} files in {report.seconds:.0f} s, {len(report.failures)} findings: {report.coverage()}")
    if report.failures:
        print("seeds:", " ".join(map(str, sorted(report.failures))))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
