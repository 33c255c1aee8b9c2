"""`cnncc reduce`: a failing network shrinks to what fails, and its script fails by itself."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import ops
from cnncc.check.graph import verify
from cnncc.compiler import Options, resolve_target
from cnncc.faults import shrink
from cnncc.faults.bug_script import spelled
from cnncc.faults.excerpt import Case
from cnncc.faults.failing import Failing
from cnncc.faults.outcome import Outcome, apart, options_of, outcome, settings
from cnncc.faults.reduce import reduce
from cnncc.interpreter import run
from cnncc.plan import PlanOptions
from cnncc.types import TensorType
from tests.graphs import Net

from .conftest import DIGITS, ROOT, Cli, listing
from .test_blame import plant, scaled

# Of all convolutions, the planted fault is in those with a dilation.
DEEP = """
from cnncc import nn
layers = []
for number in range(COUNT):
    dilation = 2 if number == COUNT // 2 else 1
    layers += [nn.Conv(4, 3, padding="same", dilation=dilation, name=f"conv{number}"), nn.ReLU(name=f"relu{number}")]
model = nn.Sequential(*layers, nn.Flatten(name="flat"), nn.Dense(4, name="dense"), input=(3, 6, 6), seed=0, name="deep")
"""
# Faults that also a fresh process has, which imports this first.
FAULTS = {
    "kernel": """
from cnncc.codegen import step_function
from cnncc.codegen.kernels import KERNELS
from cnncc.plan.kernels import Direct

family = KERNELS[Direct]

def wrong(e, kernel, tensors):
    from dataclasses import replace
    if any(axis.dilation > 1 for axis in kernel.window):
        kernel = replace(kernel, window=tuple(replace(a, low=a.low - 1, high=a.high + 1) for a in kernel.window))
    return family(e, kernel, tensors)

step_function.KERNELS = {**KERNELS, Direct: wrong}
""",
    "internal error": """
from cnncc.plan import make

planned = make.make_plan

def broken(graph, *arguments, **more):
    if any("dilation=2" in str(node.op) for node in graph):
        raise AssertionError(f"no kernel for {len(graph.nodes)} nodes")
    return planned(graph, *arguments, **more)

make.make_plan = broken
""",
    "crash": """
import os
from cnncc.plan import make

planned = make.make_plan

def broken(graph, *arguments, **more):
    if any("dilation=2" in str(node.op) for node in graph):
        os.kill(os.getpid(), 11)
    return planned(graph, *arguments, **more)

make.make_plan = broken
""",
}
TOLD = {
    "kernel": "deep: difference: '",
    "internal error": "deep: error: AssertionError: no kernel for ",
    "crash": "deep: crash: the process ended with SIGSEGV",
}


def process(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """A fresh Python with the fault in `folder`."""
    paths = os.pathsep.join((str(folder), str(ROOT)))
    surroundings = {**os.environ, "PYTHONPATH": paths, "CNNCC_CACHE": "off"}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("fault", "count"), [("kernel", 14), ("internal error", 3), ("crash", 3)])
def test_all_layers_become_the_one_that_fails(tmp_path: Path, fault: str, count: int) -> None:
    """Of 30 layers, and of 8."""
    (tmp_path / "deep.py").write_text(DEEP.replace("COUNT", str(count)))
    (tmp_path / "sitecustomize.py").write_text(FAULTS[fault])
    done = process(tmp_path, "-m", "cnncc", "reduce", "deep.py", "--seconds", 300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(TOLD[fault])
    assert lines[1].startswith(f"{2 * count + 2} layer(s) are 1 after ")
    assert lines[2].startswith(f"  conv{count // 2}: Conv(kernel=(") and "dilation=2" in lines[2]
    assert lines[-1] == "wrote bug.py" and len(lines) == 4
    text = (tmp_path / "bug.py").read_text()
    assert text.count("default_rng(") == 3 and len(text) < 3000  # weights, bias and input
    if fault != "kernel":
        return  # the command itself has run the script, and would have warned
    alone = process(tmp_path, "bug.py")
    assert alone.returncode == 6 and alone.stdout.startswith("difference: 'conv7' is off at ")


def test_a_model_that_is_right_is_told(cli: Cli, tmp_path: Path) -> None:
    before = listing(tmp_path)
    result = cli("reduce", DIGITS, "-o", tmp_path / "bug.py")
    told = "cnncc: model 'digits' is right on these inputs: there is nothing to reduce\n"
    assert (result.code, result.out, result.err) == (2, "", told)
    for words, code, message in (
        (("-o", tmp_path / "bug.txt"), 2, f"-o '{tmp_path}/bug.txt' must end in .py"),
        (("-o", tmp_path / "no" / "bug.py"), 5, f"cannot write script '{tmp_path}/no/bug.py': No such file"),
        (("--predicate", tmp_path / "p.py", "-o", tmp_path / "bug.py"), 2, f"--predicate '{tmp_path}/p.py' is not a"),
        (("--seconds", "0"), 2, "argument --seconds: '0' is not a number of seconds"),
    ):
        result = cli("reduce", DIGITS, *words)
        assert result.code == code and result.err.startswith(f"cnncc: {message}"), result.err
    assert listing(tmp_path) == before


def test_a_pass_that_is_wrong(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of this process have the fault that was planted here; a fresh one has not, and that is told."""
    plant(monkeypatch, "spoil", "exact", scaled("dense1.weights", 2), "fuse")
    result = cli("reduce", DIGITS, "-o", tmp_path / "bug.py", "--seconds", 300)
    assert result.code == 0 and "digits: difference: 'output' is off at (0, " in result.out
    assert kinds(Case(cnncc.load_graph(tmp_path / "bug.py"), {})) == ["Dense"]
    last = "warning: the script does not fail in the same way in a process of its own"
    assert result.out.splitlines()[-1] == last


def test_a_predicate_of_the_users_own(cli: Cli, tmp_path: Path) -> None:
    """It fails, says this one, as long as there is a softmax behind a dense layer."""
    predicate, bug = tmp_path / "predicate.py", tmp_path / "bug.py"
    predicate.write_text(
        "import sys\ntext = open(sys.argv[1]).read()\nsys.exit(not ('= Softmax' in text and '= Dense' in text))\n"
    )
    result = cli("reduce", DIGITS, "--predicate", predicate, "-o", bug, "--seconds", 300)
    assert (result.code, result.err.count("cnncc:")) == (0, 0)
    assert f"digits: ok: '{predicate}' says that it fails" in result.out
    graph = cnncc.load_graph(bug)
    assert [node.op.name for node in shrink.computed(graph)] == ["Dense", "Softmax"]
    assert max(type.size for node in graph for type in node.types) == 1
    predicate.write_text("raise SystemExit(1)\n")
    again = cli("reduce", DIGITS, "--predicate", predicate, "-o", bug)
    assert (again.code, again.err) == (
        2,
        f"cnncc: --predicate '{predicate}' does not end with 0 for the model as it is\n",
    )


def test_ctrl_c_writes_the_best_so_far(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, True])

    def fails(self: Failing, case: Case) -> bool:
        try:
            return next(answers)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(
        Failing, "first", lambda self, case: Outcome("difference", ("layer Conv",), "it is off", "conv2")
    )
    monkeypatch.setattr(Failing, "fails", fails)
    result = cli("reduce", DIGITS, "-o", tmp_path / "bug.py")
    assert (result.code, result.err.splitlines()[-1]) == (130, "cnncc: interrupted")
    assert "are 1 after 3 candidate(s), interrupted: it may not be the smallest\n  conv2: Conv(" in result.out
    assert kinds(Case(cnncc.load_graph(tmp_path / "bug.py"), {})) == ["Conv"]


def net() -> Case:
    """Two branches, one of them with a flattening."""
    made = Net()
    x = made.input(2, 6, 5, 5)
    a = made.apply(ops.Conv((3, 3), padding=1), x, made.weights(4, 6, 3, 3))
    b = made.apply(ops.Relu(), made.apply(ops.Neg(), a))
    flat = made.apply(ops.Flatten(), made.apply(ops.Add(), a, b))
    graph = made.graph(made.apply(ops.Dense(), flat, made.weights(3, 100)), b)
    return Case(graph, made.feeds)


def kinds(case: Case) -> list[str]:
    return [node.op.name for node in shrink.computed(case.graph)]


def test_every_candidate_is_a_graph_that_means_the_same() -> None:
    """What is left of a graph computes on the recorded inputs what it computed before, as long as only layers go."""
    case = net()
    known = shrink.values(case)
    steps = (shrink.halves, shrink.single_outputs, lambda c: shrink.around(c, "add"))
    for step in steps:
        for other in step(case):
            verify(other.graph)
            assert len(kinds(other)) < len(kinds(case)) or len(other.graph.outputs) < len(case.graph.outputs)
            for name, data in run(other.graph, other.feeds).items():
                value = other.graph.outputs[name]
                np.testing.assert_array_equal(data, known[value])
    for step in (shrink.without_one, shrink.seeded, shrink.smaller_shapes):
        for other in step(case):
            verify(other.graph)
            assert run(other.graph, other.feeds).keys() == other.graph.outputs.keys()


def test_shapes_shrink_together() -> None:
    """Channels of a convolution and of its weights, positions and, behind a flattening, multiples of them."""
    found = reduce(net(), lambda case: {"Conv", "Flatten", "Dense"} <= set(kinds(case)), 300)
    assert (kinds(found.case), found.stopped) == (["Conv", "Flatten", "Dense"], "")
    assert sum(type.size for node in found.case.graph if node.op.source for type in node.types) < 40


def test_attributes_shrink_with_shapes() -> None:
    made = Net()
    x = made.apply(ops.Conv((3, 3), groups=12), made.input(1, 12, 5, 5), made.weights(12, 1, 3, 3))
    case = Case(made.graph(made.apply(ops.Reshape((1, 12, 9)), x)), made.feeds)
    found = reduce(case, lambda case: kinds(case) == ["Conv", "Reshape"], 300).case
    assert [str(type) for type in found.graph.inputs.values()] == ["float32[1, 1, 5, 5]"]
    assert "groups" not in str(next(iter(shrink.computed(found.graph))).op)


def test_time_and_interrupts_keep_the_best_so_far() -> None:
    case = net()
    assert reduce(case, lambda other: True, 0.0).case is case
    asked: list[Case] = []

    def interrupted(other: Case) -> bool:
        asked.append(other)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return True

    found = reduce(case, interrupted, 300)
    assert found.stopped == "interrupted" and found.case is asked[1] and found.tried == 3


def test_outcomes_tell_failures_apart() -> None:
    one = Outcome("difference", ("layer Conv", "layer Relu"))
    assert Outcome("difference", ("layer Relu", "layer Conv")).is_like(one)
    assert not Outcome("difference", ("layer Relu",)).is_like(one) and not Outcome().is_like(one)
    assert apart(lambda: Outcome("error", ("a",)), 10) == Outcome("error", ("a",))
    assert apart(lambda: time.sleep(60), 0.2).kind == "hang"  # type: ignore[arg-type,return-value]
    ended = apart(lambda: os._exit(3), 10)
    assert (ended.kind, ended.signs) == ("crash", ("exit code 3",))
    case = Case(net().graph, {})
    found = outcome(case, Options(resolve_target("host")))
    assert (found.kind, found.exit_code) == ("error", 4) and found.signs == (
        "InputError: model … takes the inputs …, got none",
    )


def test_options_are_spelled_and_read_again() -> None:
    plan = PlanOptions(streaming="none", choices=(("a", "b"),))
    options = Options(resolve_target("x86-64-v2"), "strict", ("fuse",), True, plan)
    told = settings(options, 2)
    assert told["threads"] == 2 and options_of(**{name: told[name] for name in told if name != "threads"}) == options
    assert settings(Options(resolve_target("host"))) == {"target": "host"}


@pytest.mark.parametrize(
    "array",
    [
        shrink.noise(TensorType((3, 50)), "w"),
        np.array([1.5, -0.0, 1e-42], np.float32),
        np.array([np.nan, np.inf], np.float32),
        np.arange(200, dtype=np.int64).reshape(2, 100),
        np.array([True, False]),
        np.float32(0.1) * np.ones((), np.float32),
    ],
)
def test_arrays_are_spelled_bit_by_bit(array: Any) -> None:
    text = spelled("w", array)
    found = eval(text, {"np": np, "base64": base64, "zlib": zlib})
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert len(text) < 1000
