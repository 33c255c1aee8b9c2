"""Models with states: what a call leaves behind, in Python, in the cache, in a shared library and in C."""

from __future__ import annotations

import pickle
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import abi, text
from cnncc.api import interpret
from cnncc.check.graph import verify
from cnncc.check.model import check, random_feeds
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.cut import cut
from cnncc.errors import InputError, VerifyError
from cnncc.interpreter import evaluate
from cnncc.ir import Builder, Graph, Value
from cnncc.op import Constant, State
from cnncc.ops import Add, Mul, Relu
from cnncc.runtime import artefacts
from cnncc.runtime.executable import Executable
from cnncc.runtime.manifest import describe, restore
from cnncc.runtime.model import Model
from cnncc.types import TensorType
from tests.embed.support import C99, CXX11, build, needs, needs_cc
from tests.graphs import compilation


def counter() -> Graph:
    """y = x · gain, where `gain` stays; `seen` counts calls, `sum` adds up y."""
    builder = Builder("counter")
    x = builder.input("x", TensorType((1, 3, 5)))
    gain = builder.state(np.full((3, 1), 2, np.float32), "gain")
    seen, total = (
        builder.state(np.zeros((1,), np.float32), "seen"),
        builder.state(np.ones((1, 3, 5), np.float32), "sum"),
    )
    (y,) = builder.add(Mul(), (x, gain))
    (builder.updates["sum"],) = builder.add(Add(), (total, y))
    (builder.updates["seen"],) = builder.add(Add(), (seen, builder.constant(np.ones((1,), np.float32))))
    return builder.graph({"y": y, "positive": builder.add(Relu(), (y,))[0]})


X = np.arange(15, dtype=np.float32).reshape(1, 3, 5) - 7


@pytest.fixture(scope="module")
def executable() -> Executable:
    return compilation(counter()).build()


def test_states_are_arrays_in_the_models_memory(executable: Executable) -> None:
    model = Model(executable)
    for call in range(1, 4):
        y, _ = model(X)
        np.testing.assert_array_equal(y, 2 * X)
        assert model.state["seen"] == call
        np.testing.assert_array_equal(model.state["sum"], 1 + 2 * call * X)
    model.state["gain"][:] = [[0], [1], [3]]
    model.state["sum"][...] = 0
    step = model.bind(X)
    step()
    np.testing.assert_array_equal(model.state["sum"], X * np.float32([[0], [1], [3]]))
    assert model.state["seen"] == 4 and list(model.state) == ["gain", "seen", "sum"]


def test_each_model_has_states_of_its_own(executable: Executable) -> None:
    one, other = Model(executable), Model(executable)
    one(X)
    assert (one.state["seen"], other.state["seen"]) == (1, 0)
    again = pickle.loads(pickle.dumps(Model(executable, rebuild=(Model, (executable,)))))
    assert again.state["seen"] == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_of_several_threads_follow_each_other(executable: Executable, threads: int) -> None:
    model = Model(executable, threads=threads)
    step = model.bind(X)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: step() if number % 2 else model(X), range(400)))
    assert model.state["seen"] == 400
    np.testing.assert_array_equal(model.state["sum"], 1 + 800 * X)


def test_the_number_of_images_is_fixed_by_an_update(executable: Executable) -> None:
    assert not executable.batchable
    with pytest.raises(InputError, match="state 'sum' is updated once a call, so that the number of images is fixed"):
        Model(executable)(np.zeros((2, 3, 5), np.float32))


def test_states_that_stay_leave_the_number_of_images_free() -> None:
    """Such as weights that somebody else learns."""
    builder = Builder("net")
    x, scale = builder.input("x", TensorType((1, 3, 5))), builder.state(np.full((3, 1), 2, np.float32), "scale")
    model = cnncc.compile(builder.graph({"y": builder.add(Mul(), (x, scale))[0]}))
    for images in (1, 4):
        np.testing.assert_array_equal(model(np.repeat(X, images, 0)), np.repeat(2 * X, images, 0))
    model.state["scale"][...] = 5
    np.testing.assert_array_equal(model(X), 5 * X)


def test_states_come_back_from_the_cache(private_cache: Path) -> None:
    for _ in range(2):
        model = cnncc.compile(counter())
        model(X)
        assert model.state["seen"] == 1
    assert cnncc.compile(counter()).executable == Compilation(counter(), Options(resolve_target("host"))).build()


def test_other_first_values_are_another_model() -> None:
    graph = counter()
    other = Builder("counter")
    other.nodes = dict(graph.nodes)
    old = other.nodes["seen"]
    other.nodes["seen"] = type(old)("seen", State.of(np.ones((1,), np.float32)), (), old.types)
    other.updates = dict(graph.updates)
    assert other.graph(graph.outputs).hash != graph.hash


def test_a_manifest_tells_the_states(executable: Executable) -> None:
    manifest = describe(executable)
    assert [state["name"] for state in manifest["states"]] == ["gain", "seen", "sum"]
    assert restore(manifest, executable.object, executable.weights, bytes(executable.initial_state)) == executable


@needs_cc
def test_a_shared_library_keeps_first_values(executable: Executable, tmp_path: Path) -> None:
    paths = artefacts.write(executable, tmp_path, ("so", "o", "h"))
    assert set(paths) == {"so", "o", "weights", "state", "h"}
    with cnncc.load(paths["so"]) as model:
        model(X)
        np.testing.assert_array_equal(model.state["sum"], 1 + 2 * X)
    with cnncc.load(paths["so"]) as model:
        assert model.state["seen"] == 0


PROGRAM = """\
#include <stdio.h>
#include <string.h>
#include "counter.h"

static union { unsigned char bytes[COUNTER_STATE_BYTES + 64]; float number; } memory;
static unsigned char room[COUNTER_WORKSPACE_BYTES + 64];

int main(void)
{
    unsigned char *state = memory.bytes + (64 - (uintptr_t)memory.bytes % 64) % 64;
    unsigned char *workspace = room + (64 - (uintptr_t)room % 64) % 64;
    float x[15], y[15], positive[15], seen, sum;
    int i, code = 0;
    for (i = 0; i < 15; i++)
        x[i] = (float)i;
    memcpy(state, counter_initial_state, COUNTER_STATE_BYTES);
    for (i = 0; i < 3; i++)
        code |= counter_infer(x, y, positive, state, workspace);
    memcpy(&seen, state + COUNTER_STATE1_OFFSET, sizeof seen);
    memcpy(&sum, state + COUNTER_STATE2_OFFSET + 14 * sizeof sum, sizeof sum);
    printf("%d %g %g %g\\n", code, y[14], seen, sum);
    printf("%d\\n", counter_infer(x, y, positive, state + 4, workspace));
    printf("%d\\n", counter_infer(x, y, positive, NULL, workspace));
    return 0;
}
"""


@needs_cc
@pytest.mark.parametrize("language", ["c", pytest.param("c++", marks=needs("c++"))])
def test_states_in_c(executable: Executable, tmp_path: Path, language: str) -> None:
    artefacts.write(executable, tmp_path, ("a", "h"))
    (tmp_path / "main.c").write_text(PROGRAM)
    compiler, flags = ("cc", C99) if language == "c" else ("c++", CXX11)
    program = build(tmp_path, compiler, *flags, "-x", language, "main.c", "-x", "none", "libcounter.a")
    told = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True).stdout.split("\n")
    misaligned, null = abi.ErrorCode.MISALIGNED, abi.ErrorCode.NULL_POINTER
    assert told == ["0 28 3 85", f"{misaligned:d}", f"{null:d}", ""]


def test_text_and_back() -> None:
    graph = counter()
    arrays = {node.name: node.op.data for node in graph if isinstance(node.op, Constant)}
    arrays |= {name: graph.initial(name) for name in graph.states}
    again = text.parse(text.show(graph), arrays)
    assert again == graph and again.hash == graph.hash
    assert "update sum = %add" in text.show(graph) and "label=update" in text.dot(graph)


def test_every_layer_is_checked() -> None:
    report = check(counter(), Options(resolve_target("host")), random_feeds(counter(), 0))
    assert report.ok and {"sum (after)", "seen (after)"} <= {finding.layer for finding in report.outputs}


def test_a_cut_graph_updates_nothing() -> None:
    part = cut(counter(), ("mul",))
    assert list(part.states) == ["gain"] and not part.updates
    np.testing.assert_array_equal(interpret(part, X), 2 * X)


def test_states_that_do_not_fit() -> None:
    graph = counter()
    good = {name: graph.initial(name) for name in graph.states}
    with pytest.raises(InputError, match="model 'counter' has the states 'gain', 'seen', 'sum', got 'gain'"):
        evaluate(graph, {"x": X}, {"gain": good["gain"]})
    with pytest.raises(InputError, match=r"state 'seen' must be float32\[1\], got float64\[1\]"):
        evaluate(graph, {"x": X}, {**good, "seen": np.zeros(1)})


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ({"x": Value("mul")}, "'x' is updated, but is no state"),
        ({"sum": Value("gone")}, "state 'sum' becomes %gone, which does not exist"),
        ({"seen": Value("mul")}, r"state 'seen' is float32\[1\], and becomes %mul, float32\[1, 3, 5\]"),
    ],
)
def test_updates_that_do_not_fit(updates: dict[str, Value], message: str) -> None:
    graph = counter()
    with pytest.raises(VerifyError, match=f"check_updates: {message}"):
        verify(type(graph)(graph.name, graph.nodes, graph.outputs, updates=updates))
