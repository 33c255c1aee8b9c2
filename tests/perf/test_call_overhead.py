"""How much slower a call from Python is than the same call from C.

Not part of the default run, since a busy machine says anything. The command, with its figures:

    python -m pytest tests/perf/test_call_overhead.py -s

All ways call the digits network in one process, in turns of some milliseconds, with the graph's one image and with two;
a round's difference to C is taken within the round, and the median of the rounds counts. Fresh outputs are made by
NumPy, whose own `empty` is timed beside them.
"""

from __future__ import annotations

import ctypes
import itertools
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.runtime import artefacts

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits.py"
CALLS, ROUNDS = 2000, 41
MOST_MICROSECONDS = 0.3
LOOP = """
#include "digits.h"
int loop(const void *x, void *y, void *workspace, int images, int calls)
{
    cnncc_call call = { .abi = CNNCC_ABI, .fingerprint = DIGITS_FINGERPRINT, .images = images, .shards = 1,
                        .inputs = &x, .outputs = &y, .workspace = workspace, .weights = digits_weights };
    int code = 0;
    while (calls-- > 0)
        code |= digits_run(&call);
    return code;
}
"""


def c_loop(folder: Path) -> Callable[..., int]:
    """A C function that calls the network again and again."""
    compiled = Compilation(cnncc.load_graph(DIGITS), Options(resolve_target("host")))
    artefacts.write(compiled.build(), folder, ("o", "h"))
    (folder / "loop.c").write_text(LOOP)
    objects = ("digits.o", "digits_weights.o")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "loop.c", *objects, "-o", "loop.so"], cwd=folder, check=True)
    function = ctypes.CDLL(str(folder / "loop.so")).loop
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
    return function  # type: ignore[no-any-return]


def aligned(size: int) -> np.ndarray:
    memory = np.zeros(size + 63, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


def microseconds(run: Callable[[], object]) -> float:
    """For one of the CALLS that `run` makes."""
    begin = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - begin) / CALLS / 1000


def python_loops(model: cnncc.Model, x: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], None]]:
    """The ways to call from Python, spelled as a program would."""
    bound, shape, kind = model.bind(x, y), y.shape, y.dtype

    def fresh() -> None:
        for _ in itertools.repeat(None, CALLS):
            model(x)

    def given() -> None:
        for _ in itertools.repeat(None, CALLS):
            model(x, out=y)

    def without_arguments() -> None:
        for _ in itertools.repeat(None, CALLS):
            bound()

    def empty() -> None:
        for _ in itertools.repeat(None, CALLS):
            np.empty(shape, kind)

    return {"model(x)": fresh, "model(x, out=y)": given, "bound()": without_arguments, "empty": empty}


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_call_from_python_costs_little_more_than_one_from_c(tmp_path: Path, images: int) -> None:
    x, y = np.random.default_rng(1).random((images, 1, 8, 8), np.float32), np.empty((images, 10), np.float32)
    loop = c_loop(tmp_path)
    with cnncc.compile(DIGITS, cache=False) as model:
        workspace = aligned(model.executable.workspace_bytes(1))
        pointers = x.ctypes.data, y.ctypes.data, workspace.ctypes.data, images
        assert loop(*pointers, 1) == 0
        np.testing.assert_array_equal(y, model(x))
        ways = {"C": lambda: loop(*pointers, CALLS), **python_loops(model, x, y)}
        rounds = [{name: microseconds(run) for name, run in ways.items()} for _ in range(ROUNDS)]
    empty = statistics.median(row.pop("empty") for row in rounds)
    print(
        f"\n{images} image(s) from C: {statistics.median(row['C'] for row in rounds):.3f} µs; np.empty {empty:.3f} µs"
    )
    slower = {name: statistics.median(row[name] - row["C"] for row in rounds) for name in rounds[0]}
    for name, difference in slower.items():
        print(f"{name:16} {difference:+6.3f} µs")
    assert max(slower.values()) <= MOST_MICROSECONDS
