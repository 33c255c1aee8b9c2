"""Single operators, each beside its own bound and, where it is installed, beside ONNX Runtime.

    python -m tests.perf.operators [WORD…] [--target host] [--rounds 7]

A row for each case of `operator_cases.py` whose text contains one of the words: microseconds of a bound call on one
thread, how many times as long ONNX Runtime takes, the bound in microseconds and the share of it that is reached. Both
engines take turns of some milliseconds in one process, and the median of the rounds counts. The bound is the longer of
two times, both measured in this run: the multiply-adds of the definition at the core's peak (a Winograd convolution
may need fewer, and reach more than 100 %), and a loop that reads the operands and writes the result, each byte once,
and computes nothing. A move needs no more of its operand than it writes.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import cnncc
from cnncc.compiler import resolve_target
from cnncc.measure.benchmark import calls_in, operations, seconds_of
from cnncc.measure.peak import Peak
from cnncc.runtime.model import Model
from cnncc.types import Array, TensorType
from tests.onnx.support import Case
from tests.perf.operator_cases import cases
from tests.perf.traffic import Traffic

TURN_SECONDS = 4e-3
MOVING = ("moves", "resizes", "places")
FEW_NUMBERS = 8  # of a known operand are written out
FEW = 1.15  # times as long: where a peer may take less than this, says the summary

Call = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One measured case; times in seconds."""

    case: Case
    ours: float
    ratio: float
    bound: float
    error: float

    def __str__(self) -> str:
        beside = f"{self.ratio:6.2f}" if self.ratio else "     –"
        share = f"{1e6 * self.bound:9.2f} {self.bound / self.ours:6.0%}"
        return f"{1e6 * self.ours:9.2f} {beside} {share} {self.error:8.0e}  {label(self.case)}"


HEADING = f"{'µs':>9} {'peer':>6} {'bound µs':>9} {'share':>6} {'differ':>8}  operator"


def label(case: Case) -> str:
    """The operator, what arrives and what is known, attributes."""
    inputs = [text(given) for given in case.inputs if given is not None]
    attributes = [
        f"{name}={value if isinstance(value, int | str) else ','.join(map(str, value))}"
        for name, value in case.attributes.items()
    ]
    return " ".join([case.operator, *inputs, *attributes])


def text(given: Any) -> str:
    """A shape or type that arrives, or what is known: few numbers as they are, else their shape."""
    if isinstance(given, TensorType):
        return f"{given.dtype} {text(given.shape)}"
    if isinstance(given, tuple):
        return "x".join(map(str, given))
    few = given.size <= FEW_NUMBERS
    return f"[{','.join(map('{:g}'.format, given.ravel())) if few else 'x'.join(map(str, given.shape))}]"


class Bench:
    """Measures cases for one target, on this machine."""

    def __init__(self, target: str, rounds: int, folder: Path):
        self.target, self.rounds = target, rounds
        self.peak, self.traffic = Peak(resolve_target(target)), Traffic(resolve_target(target))
        self.file = folder / "operator.onnx"

    def measure(self, family: str, case: Case) -> Row:
        proto = case.model
        onnx.save(proto, self.file)
        feeds = case.feeds(np.random.default_rng(0))
        model = cnncc.compile(self.file, target=self.target)
        save_typed(proto, model, self.file)
        results = [np.empty(port.shape, port.type.dtype.numpy) for port in model.outputs]
        ours = model.bind(dict(feeds), out=results)
        peer = runtime_call(self.file, feeds, results)
        calls = [ours] if peer is None else [ours, peer[0]]
        times = in_turns(calls, self.rounds)
        ratio = statistics.median(b / a for a, b in zip(*times, strict=True)) if peer else 0.0
        error = max(map(difference, results, peer[1])) if peer else 0.0
        return Row(case, statistics.median(times[0]), ratio, self.bound(family, case, model, feeds), error)

    def bound(self, family: str, case: Case, model: Model, feeds: Mapping[str, Array]) -> float:
        written = sum(port.type.nbytes for port in model.outputs)
        known = [given for given in case.inputs if isinstance(given, np.ndarray) and given.dtype == np.float32]
        read = sum(array.nbytes for array in (*feeds.values(), *known))
        if family in MOVING:
            read = min(read, written)
        peak = statistics.median(self.peak.measure() for _ in range(3))
        return max(operations_of_products(self.file) / peak, self.traffic.seconds(read, written))


def save_typed(proto: onnx.ModelProto, model: Model, file: Path) -> None:
    """Save a model with the types of its outputs, which ONNX Runtime compares with its own."""
    for value, port in zip(proto.graph.output, model.outputs, strict=True):
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(port.type.dtype.numpy)
    onnx.save(proto, file)


def operations_of_products(file: Path) -> int:
    """Operations of convolutions and matrix products; those of other operators do not bound them."""
    graph = cnncc.load_graph(file)
    macs = sum(node.op.cost(*graph.types(node.inputs)).macs for node in graph if node.op.source is None)
    return operations(graph) if macs else 0


def runtime_call(file: Path, feeds: Mapping[str, Array], like: Sequence[Array]) -> tuple[Call, list[Array]] | None:
    """A call of ONNX Runtime on one thread with bound arrays, and its results; None where it cannot be had."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception:  # an operator that it does not have
        return None
    binding, results = session.io_binding(), [np.empty_like(array) for array in like]
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    for number, result in enumerate(results):
        binding.bind_output(f"y{number}", "cpu", 0, result.dtype, result.shape, result.ctypes.data)
    session.run_with_iobinding(binding)
    return lambda: session.run_with_iobinding(binding), results


def in_turns(calls: Sequence[Call], rounds: int) -> list[list[float]]:
    """Seconds of each call, for each round."""
    counts = [calls_in(TURN_SECONDS, call) for call in calls]
    times: list[list[float]] = [[] for _ in calls]
    for number in range(rounds):
        for place in range(len(calls)):
            which = (place + number) % len(calls)
            times[which].append(seconds_of(calls[which], counts[which]) / counts[which])
    return times


def difference(ours: Array, other: Array) -> float:
    """The largest difference over the largest value."""
    a, b = ours.astype(np.float64), other.astype(np.float64)
    return float(np.max(np.abs(a - b), initial=0) / max(np.max(np.abs(b), initial=0), 1e-30))


def summary(rows: Sequence[Row]) -> str:
    shares = statistics.median(row.bound / row.ours for row in rows)
    told = [f"{len(rows)} operators, at {shares:.0%} of their bounds in the median"]
    beside = sorted((row for row in rows if row.ratio), key=lambda row: row.ratio)
    if beside:
        mean = math.exp(statistics.fmean(math.log(row.ratio) for row in beside))
        few, slower = (sum(row.ratio < least for row in beside) for least in (FEW, 1))
        told.append(f"{len(beside)} beside onnxruntime: {mean:.2f} times as fast, {slower} below 1, {few} below {FEW}")
        told += [f"  {row.ratio:.2f}  {label(row.case)}" for row in beside if row.ratio < FEW]
    return "\n".join(told)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="of the rows to measure, or the name of a family")
    parser.add_argument("--target", default="host")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args(argv)
    os.environ.setdefault("CNNCC_CACHE", "off")
    words = [word.lower() for word in arguments.words]
    rows = []
    print(HEADING)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.target, arguments.rounds, Path(folder))
        for family, case in cases():
            if not words or any(word == family or word in label(case).lower() for word in words):
                rows.append(bench.measure(family, case))
                print(rows[-1], flush=True)
    print(summary(rows) if rows else "no such operator", file=sys.stdout)


if __name__ == "__main__":
    main()
