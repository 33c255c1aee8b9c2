"""Models of one node with random attributes, compiled and compared with ONNX Runtime and ONNX's reference.

    python -m tests.onnx.single.run [--seed 0] [--only Conv,Pad]      every operator in every version, once
    python -m tests.onnx.single.run --open 2000 [--seed 0]            random ones with an open number of images

Right is what one of the two others says, where they run the model: shape, element type, and numbers within 1e-4 of the
largest one (whole numbers exactly). With an open number of images a model is imported for 1, 2 or 3 images and called
with 1, 2 and 5, by the interpreter and natively; it computes what the others do or refuses, also where they refuse.
`known.py` lists what is refused in the first run, with a reason each. Exit code 1 if a number is wrong, if
something crashes, if anything else is refused, or if something listed is not.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from cnncc.types import Array
from tests.fuzz.check import Finding
from tests.fuzz.run import Job, answer, run_job

from ..backend import PATIENCE, Refused, outcome
from ..support import WRONG
from .known import reason
from .maker import Maker
from .table import made, versions

CALLED = (1, 2, 5)
Task = tuple[str, int, int, int]
"""Operator, version, seed, and for how many images the model is imported; 0 for a number that is not open."""


# The others


def answers(maker: Maker, feeds: dict[str, Array]) -> list[list[Array]]:
    """By everyone who runs the model and can be believed."""
    found = []
    for run in (runtime,) if misread(maker) else (runtime, reference):
        try:
            found.append([np.asarray(array) for array in run(maker.model, feeds)])
        except Exception:  # not implemented, or no model of theirs
            continue
    return found


def misread(maker: Maker) -> bool:
    """Whether ONNX's reference computes something else than the standard says.

    It leaves out the axis of old broadcasting and the channels of old slopes, counts what pads in averages of opset 1,
    and sums neighbours of as many channels as there are images.
    """
    name, older = maker.schema.name, tuple(map(int, onnx.__version__.split(".")[:2])) < (1, 21)
    if older and name in WRONG:
        return True
    if maker.version < 7 and (name in ("AveragePool", "PRelu") or {"broadcast", "axis"} <= set(maker.attributes)):
        return True
    return name == "LRN"


def runtime(proto: onnx.ModelProto, feeds: dict[str, Array]) -> list[Array]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def reference(proto: onnx.ModelProto, feeds: dict[str, Array]) -> list[Array]:
    from ..open_batch import reference as by_onnx

    return by_onnx(proto, feeds)


def difference(found: Sequence[Array], wanted: Sequence[Array]) -> str:
    """In what results differ; '' if they do not."""
    for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if one.dtype != other.dtype or one.shape != other.shape:
            return f"output {place} is {one.dtype}{one.shape}, not {other.dtype}{other.shape}"
        wide = one.astype(np.float64), other.astype(np.float64)
        scale = float(np.max(np.abs(wide[1]), initial=1.0, where=np.isfinite(wide[1])))
        relative = 2e-3 if one.dtype == np.float16 else 1e-4 if one.dtype == np.float32 else 0.0
        if not np.allclose(*wide, rtol=relative, atol=relative * scale, equal_nan=True):
            return f"output {place} differs by {np.nanmax(np.abs(wide[0] - wide[1])):.3g}"
    return ""


def compare(found: Sequence[Array], wanted: Sequence[Sequence[Array]], place: str) -> None:
    told = [difference(found, each) for each in wanted]
    assert "" in told, f"{place}: {'; '.join(told)}"


# One model, in a worker


def check(task: Task, folder: Path) -> Finding:
    """Raises AssertionError for a wrong number, Refused, or whatever should not be."""
    import cnncc
    from cnncc.errors import CnnccError

    operator, version, seed, images = task
    maker = made(operator, version, seed)
    feeds = maker.feeds(images or 2)
    wanted = answers(maker, feeds)
    if not wanted:
        return Finding(ops=Counter({"nobody else runs it": 1}))
    file = folder / "model.onnx"
    file.write_bytes(maker.model.SerializeToString())
    try:
        graph = cnncc.load_graph(file, shapes={name: array.shape for name, array in feeds.items()} or None)
        with cnncc.compile(graph, cache=False) as model:
            if images:
                return called_with_others(maker, {"interpreted": _interpreted(graph), "native": model})
            compare(_tuple(model(feeds)), wanted, "native")
    except CnnccError as error:
        raise Refused(str(error).replace(f"{folder}/", "")) from None
    return Finding(ops=Counter({"equal": 1}))


def called_with_others(maker: Maker, runs: Mapping[str, Callable[[dict[str, Array]], Any]]) -> Finding:
    """With numbers of images that the model is not imported for."""
    from cnncc.errors import InputError

    counts: Counter[str] = Counter()
    for images in CALLED:
        feeds = maker.feeds(images)
        wanted = answers(maker, feeds)
        for name, run in runs.items():
            try:
                found = _tuple(run(feeds))
            except InputError:
                counts["calls refused" if wanted else "calls refused by all"] += 1
                continue
            assert wanted, f"{name}, called with {images}: computes what the others refuse"
            compare(found, wanted, f"{name}, called with {images}")
            counts["calls equal"] += 1
    return Finding(ops=counts)


def _interpreted(graph: Any) -> Callable[[dict[str, Array]], Any]:
    from cnncc import interpreter

    return lambda feeds: tuple(interpreter.run(graph, feeds).values())


def _tuple(found: Any) -> tuple[Array, ...]:
    return found if isinstance(found, tuple) else (found,)


def work(connection: Connection, tasks: Sequence[Task]) -> None:
    """What a worker does: the task of each number that it is sent."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        answer(connection, lambda number: check(tasks[number], Path(folder)))


# All models


def every_version(seed: int, only: set[str]) -> list[Task]:
    return [(name, version, seed, 0) for name, version in versions() if not only or name in only]


def open_ones(count: int, seed: int, only: set[str]) -> Iterator[Task]:
    able = [pair for pair in versions() if not only or pair[0] in only]
    for number in range(seed, seed + count):
        dice = random.Random(number)
        yield (*dice.choice(able), number, dice.choice((1, 2, 3)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--open", type=int, default=0, metavar="MODELS", help="random models with N open")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="OPERATORS", help="separated by commas")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    tasks = list(open_ones(options.open, options.seed, only)) if options.open else every_version(options.seed, only)
    report = run_job(range(len(tasks)), Job(work, tasks, PATIENCE), workers=options.workers)
    states: Counter[str] = Counter()
    surprises = 0
    for number, (operator, version, seed, images) in enumerate(tasks):
        state, why = outcome(report.failures.get(number, ""))
        known = "" if options.open else reason(made(operator, version, seed))
        states[state] += 1
        bad = state in ("failed", "crashed") or (not options.open and (state == "refused") != bool(known))
        surprises += bad
        if bad:
            place = f"{operator}-{version}, seed {seed}" + (f", imported for {images} images" if images else "")
            print(f"{place}: {state}{': ' + why if why else ', but is listed: ' + known}", flush=True)
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    alone = report.total.ops["nobody else runs it"]  # there is nothing to compare with: not counted
    compared = len(tasks) - alone
    share = (states["passed"] - alone) / max(1, compared)
    print(f"{len(tasks)} models in {report.seconds:.0f} s: {told}; {share:.1%} of the {compared} compared passed")
    print(f"{report.coverage()}; {surprises} not as listed")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
