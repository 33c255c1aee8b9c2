"""Other engines on the same ONNX file, in turns with cnncc.

Each engine, cnncc too, runs in a process of its own, so that their thread pools do not compete. It is stopped (SIGSTOP)
while another engine has its turn. In a turn it makes as many calls as fill a sample, and reports their time.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.metadata
import importlib.util
import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from ..errors import PeerError, UsageError
from ..types import Array
from ..version import VERSION
from .benchmark import LEAST_SAMPLES, calls_in, seconds_of

if TYPE_CHECKING:
    from ..compiler import Options

OURS = "cnncc"
INPUTS, OPTIONS = "inputs.npz", "options.pickle"
TURN_SECONDS = 10e-3
WARM_SECONDS = 0.2
_SET_PARENT_DEATH_SIGNAL = 1

Feeds = Mapping[str, Array]
Loaded = tuple[Callable[[], Any], Callable[[], list[Any]]]
"""A function for one inference on the current content of the arrays, and one for the outputs of the last inference."""
Load = Callable[[str, str, int, Path], Loaded]
"""What loads a model (a path) in an engine with so many threads; the folder has what else it needs."""


def load_onnxruntime(model: str, threads: int, feeds: Feeds) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return functools.partial(session.run_with_iobinding, binding), binding.copy_outputs_to_cpu


def load_openvino(model: str, threads: int, feeds: Feeds) -> Loaded:
    """OpenVINO in float32; by default it would use a shorter type where the processor has one."""
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    core = openvino.Core()
    network = core.read_model(model)
    network.reshape({name: list(array.shape) for name, array in feeds.items()})
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    for name, array in feeds.items():
        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    return request.infer, lambda: [tensor.data.copy() for tensor in request.output_tensors]


def load_ours(model: str, threads: int, feeds: Feeds, options: Options) -> Loaded:
    from ..cache.sources import OnnxFile
    from ..compiler import Compilation
    from ..runtime.model import Model

    source = OnnxFile(model, {name: array.shape for name, array in feeds.items()}, convert=options.convert)
    compiled = Model(Compilation(source, options).executable(), threads=threads)
    results = [np.empty(port.shape, port.type.dtype.numpy) for port in compiled.outputs]
    return compiled.bind(dict(feeds), out=results if len(results) > 1 else results[0]), lambda: results


PEERS: Mapping[str, Callable[[str, int, Feeds], Loaded]] = {
    "onnxruntime": load_onnxruntime,
    "openvino": load_openvino,
}


@dataclass(frozen=True)
class PeerTiming:
    """Microseconds of a call; `difference` is the largest to cnncc's outputs, relative to their largest element."""

    engine: str
    version: str
    threads: int
    median_us: float
    p10_us: float
    p90_us: float
    difference: float


def named(text: str, known: Collection[str] = PEERS) -> tuple[str, ...]:
    """The engines named in `onnxruntime,…`, or all known ones for 'all', installed or not. Raises UsageError."""
    names = tuple(dict.fromkeys(filter(None, text.split(","))))
    if names == ("all",):
        return tuple(known)
    for name in names:
        if name not in known:
            raise UsageError(f"unknown engine '{name}': expected 'all' or some of {', '.join(known)}")
    if not names:
        raise UsageError(f"--against names no engine: expected 'all' or some of {', '.join(known)}")
    return names


def chosen(text: str, known: Collection[str] = PEERS) -> tuple[str, ...]:
    """The engines named in `onnxruntime,…`, or those of the known ones that are installed for 'all'.

    Raises UsageError for an unknown one, PeerError for one that is not installed.
    """
    names = named(text, known)
    if text.strip(",") == "all":
        names = tuple(filter(installed, names))
        if not names:
            raise PeerError(f"no other engine is installed: python -m pip install {' '.join(known)}")
    for name in names:
        if not installed(name):
            raise PeerError(f"engine '{name}' is not installed: python -m pip install {name}")
    return names


def installed(engine: str) -> bool:
    return importlib.util.find_spec(engine) is not None


def compare(
    model: str, feeds: Feeds, options: Options, engines: Sequence[str], threads: Sequence[int], seconds: float
) -> list[PeerTiming]:
    """Time cnncc, compiled with `options`, and each of `engines`, for `seconds` with each number of threads.

    Raises PeerError if an engine cannot load or run the model.
    """
    timings: list[PeerTiming] = []
    for count in threads:
        with tempfile.TemporaryDirectory(prefix="cnncc-peers-") as name, contextlib.ExitStack() as stack:
            folder = Path(name)
            save(folder / INPUTS, feeds)
            (folder / OPTIONS).write_bytes(pickle.dumps(options))
            children = [stack.enter_context(Child(engine, model, count, folder)) for engine in (OURS, *engines)]
            for child in children:
                child.begin()
            timings += timed(children, seconds)
    return timings


def save(file: Path | BinaryIO, arrays: Feeds) -> None:
    """Save arrays with any names, in order; `numpy.savez` itself reserves some names."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)


def timed(children: Sequence[Child], seconds: float) -> list[PeerTiming]:
    """Let children that have begun take turns."""
    return list(_timings(children, _samples(children, seconds)))


def _samples(children: Sequence[Child], seconds: float) -> list[list[float]]:
    """Seconds of a call for each child, measured in turns."""
    samples: list[list[float]] = [[] for _ in children]
    end = time.perf_counter() + seconds
    while len(samples[0]) < LEAST_SAMPLES or time.perf_counter() < end:
        for child, found in zip(children, samples, strict=True):
            found.append(child.turn())
    return samples


def _timings(children: Sequence[Child], samples: Sequence[Sequence[float]]) -> Iterator[PeerTiming]:
    ours = children[0].outputs()
    for child, found in zip(children, samples, strict=True):
        p10, median, p90 = (float(1e6 * number) for number in np.percentile(found, (10, 50, 90)))
        difference = worst_difference(ours, child.outputs())
        yield PeerTiming(child.engine, child.version, child.threads, median, p10, p90, difference)


def worst_difference(ours: Sequence[Array], theirs: Sequence[Array]) -> float:
    """The largest difference of two lists of outputs, relative to the largest element of `ours`."""
    worst = 0.0
    for own, other in zip(ours, theirs, strict=True):
        if own.size != other.size:
            return math.inf
        a, b = own.ravel().astype(np.float64), other.ravel().astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore"):
            differences = np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf))
        largest = float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a))) or 1.0
        worst = max(worst, float(differences.max(initial=0.0)) / largest)
    return worst


class Child:
    """An engine in a process of its own, which is stopped between its turns; `module` is what the process runs."""

    def __init__(self, engine: str, model: str, threads: int, folder: Path, module: str = "cnncc.measure.peers"):
        self.engine, self.threads, self._folder = engine, threads, folder
        self._errors = folder / f"{engine}.txt"
        self.version = ""
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", module, engine, model, str(threads), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=dict(os.environ, PYTHONPATH=paths, OMP_NUM_THREADS=str(threads)),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self) -> None:
        """Wait until the model is loaded and has run its first calls."""
        self.version = self._answer()

    def turn(self) -> float:
        """Seconds of a call, averaged over as many as fill a turn."""
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print("go", file=self._process.stdin, flush=True)
        return float(self._answer())

    def outputs(self) -> list[Array]:
        with np.load(self._folder / f"{self.engine}.npz") as found:
            return list(found.values())

    def _answer(self) -> str:
        """A line from the process, which is then stopped. Raises PeerError if it has ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            told = self._errors.read_text(errors="replace").strip().splitlines()
            raise PeerError(f"engine '{self.engine}' cannot run the model: {told[-1] if told else f'exit code {code}'}")
        self._process.send_signal(signal.SIGSTOP)
        return line.strip()


def end_with_parent() -> None:
    """Let the system end this process when its parent ends for any reason; a stopped process would remain."""
    with contextlib.suppress(OSError, AttributeError):  # Linux has it
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def load(engine: str, model: str, threads: int, folder: Path) -> Loaded:
    """A model in an engine, in the process of that."""
    with np.load(folder / INPUTS) as found:
        feeds = dict(found)
    if engine == OURS:
        # Written by the parent process, into a folder that only this user can read.
        return load_ours(model, threads, feeds, pickle.loads((folder / OPTIONS).read_bytes()))
    return PEERS[engine](model, threads, feeds)


def serve(engine: str, model: str, threads: int, folder: Path, load: Load = load) -> None:
    """The main function of an engine's process: load, warm up, then a turn for each line on standard input."""
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # engines print
    run, read = load(engine, model, threads, folder)
    end = time.perf_counter() + WARM_SECONDS
    run()
    while time.perf_counter() < end:
        run()
    save(folder / f"{engine}.npz", {str(number): array for number, array in enumerate(read())})
    calls = calls_in(TURN_SECONDS, run)
    print(VERSION if engine == OURS else importlib.metadata.version(package(engine)), file=answers, flush=True)
    for _ in sys.stdin:
        seconds_of(run, calls // 2 + 1)  # restore caches and clock after the turns of other engines
        print(seconds_of(run, calls) / calls, file=answers, flush=True)


def package(engine: str) -> str:
    """What is installed for an engine: the part of its name before what is told of how it runs."""
    return engine.partition(" ")[0]


def main(load: Load = load) -> None:
    """Serve as the command line says."""
    try:
        serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), load)
    except BaseException:
        sys.stdout.flush()  # the parent reads the last line, which is to be the reason and not what an engine printed
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # some engines are slow to take down


if __name__ == "__main__":
    main()
