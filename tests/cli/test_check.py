"""`cnncc check`: quiet where all is well; where something is wrong, it names what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import passes
from cnncc.check import compiled as checking
from cnncc.check.model import Report, check, random_feeds
from cnncc.codegen import step_function
from cnncc.codegen.emitter import Emitter
from cnncc.codegen.kernels import KERNELS, Tensors
from cnncc.codegen.kernels.family import KernelEmitter
from cnncc.compiler import Options, resolve_target
from cnncc.ir import Graph, Rewriter
from cnncc.op import Constant
from cnncc.passes import Optimised, Pass, batch_norm_before, manager
from cnncc.plan import kernels as k

from .conftest import DIGITS, Cli

STREAM = """
from cnncc import nn
model = nn.Sequential(
    nn.Conv(16, 3, name="conv"), nn.MaxPool(3, stride=2, name="pool"), input=(3, 40, 40), name="stream"
)
"""


def report(graph: Graph, **options: Any) -> Report:
    return check(graph, Options(resolve_target("host"), **options), random_feeds(graph, 1))


def corrupt(monkeypatch: pytest.MonkeyPatch, kind: type, change: Callable[[Any], Any]) -> None:
    """Emit another kernel than the plan asks for."""
    family = KERNELS[kind]
    kernels = {**KERNELS, kind: lambda e, kernel, tensors: family(e, change(kernel), tensors)}
    monkeypatch.setattr(step_function, "KERNELS", kernels)


def shifted(kernel: k.Direct) -> k.Direct:
    """Taps one column beside where they belong, wherever there is padding to move."""
    window = tuple(replace(a, low=a.low - 1, high=a.high + 1) if a.low else a for a in kernel.window)
    return replace(kernel, window=window)


def test_digits(cli: Cli) -> None:
    result = cli("check", DIGITS, "--seed", 3)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].split() == ["what", "layer", "worst/bound", "verdict", "bound", "op"]
    layers = [line.split()[1] for line in lines[2:-2]]
    assert layers == ["conv1", "conv2", "flatten", "dense1", "dense2", "probabilities"]
    assert all(line.split()[3] == "ok" for line in lines[1:-1])
    assert lines[-1] == "digits: 6 values and 1 output(s) are within their bounds"


@pytest.mark.parametrize("words", [("--threads", 2), ("--precision", "strict"), ("--passes", "-fuse"), ("--checked",)])
def test_options(cli: Cli, words: tuple[object, ...]) -> None:
    assert cli("check", DIGITS, *words).code == 0


def test_float16_weights(cli: Cli) -> None:
    """Their rounding is in the bounds of the layers that have weights, and in no others."""
    if not resolve_target("host").float16:
        pytest.skip("this machine does not convert float16")
    plain, halves = (cli("check", DIGITS, "--weights", weights) for weights in ("float32", "float16"))
    told = "digits: bounds hold the rounding of float16 weights, up to 2^-11 |w| |x| for each product"
    assert halves.code == 0 and told in halves.out.splitlines() and told not in plain.out
    bounds = [
        {words[1]: float(words[4]) for words in map(str.split, result.out.splitlines()) if words[0] == "kernel"}
        for result in (plain, halves)
    ]
    assert all(bounds[1][name] > 2 * bounds[0][name] for name in ("conv1", "conv2", "dense1", "dense2"))
    assert bounds[1]["flatten"] == 0


def test_given_input(cli: Cli, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((2, 1, 8, 8), np.nan, np.float32))
    assert cli("check", DIGITS, tmp_path / "x.npy").code == 0


def test_elements_without_a_bound_are_counted(cli: Cli, tmp_path: Path) -> None:
    """The square of 1e30 is beyond float32, its root is not."""
    model = (
        "from cnncc import nn\nmodel = nn.Sequential(nn.ReduceL2((1,), False, name='norm'), input=(4,), name='roots')"
    )
    (tmp_path / "roots.py").write_text(model)
    np.save(tmp_path / "x.npy", np.array([[1e30, 0, 0, 0], [3, 4, 0, 0]], np.float32))
    result = cli("check", tmp_path / "roots.py", tmp_path / "x.npy")
    assert result.code == 0
    assert "ok, 1 without a bound" in result.out
    why = "float32 overflows there, NaN is near, or the bounds before them are too wide"
    assert result.out.splitlines()[-1] == f"roots: 3 of 6 elements have no bound: {why}"


def test_two_inputs_and_outputs(cli: Cli, pair: Path, tmp_path: Path) -> None:
    assert cli("check", pair).code == 0
    a = np.ones((1, 2, 3, 3), np.float32)
    np.savez(tmp_path / "both.npz", a=a, b=a)
    assert cli("check", pair, tmp_path / "both.npz").code == 0


def test_nothing_to_compute(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "same.py"
    script.write_text(
        "from cnncc.ir import Builder\nfrom cnncc.types import TensorType\ndef model():\n"
        "    b = Builder('same')\n    x = b.input('x', TensorType((2, 3)))\n    return b.graph({'y': x})\n"
    )
    result = cli("check", script)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("same: 0 values and 1 output(s) are within their bounds\n")


def test_every_seed_has_its_input() -> None:
    graph = cnncc.load_graph(DIGITS)
    first, again, other = (random_feeds(graph, seed)["input"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_wrong_kernel_inside_a_fused_layer_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    corrupt(monkeypatch, k.Direct, shifted)
    result = cli("check", DIGITS, "--precision", "strict")
    assert result.code == 6
    assert result.err.startswith("cnncc: layer 'conv1' is off at (0, ")
    assert "; inside it, 'conv1' (Conv(kernel=(3, 3), padding='same')) is off at (0, " in result.err
    assert result.err.count("\n") == 1
    verdicts = {tuple(line.split()[:2]): line for line in result.out.splitlines()[1:]}
    assert " OFF " in verdicts["kernel", "conv1"]
    assert " OFF " in verdicts["inside", "conv1"]
    assert " ok " in verdicts["inside", "conv1.1_relu"]
    assert " OFF " in verdicts["kernel", "conv2"]
    assert " ok " in verdicts["kernel", "flatten"]
    assert " off (inherited) " in verdicts["model", "output"]
    assert " ok " in verdicts["rewrite", "output"]


def test_wrong_fusion_of_right_steps_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_relu(kernel: k.Direct) -> k.Direct:
        plain = k.Epilogue()
        return replace(kernel, epilogue=replace(kernel.epilogue, before=plain.before, after=plain.after))

    corrupt(monkeypatch, k.Direct, without_relu)
    result = cli("check", DIGITS, "--precision", "strict")
    assert result.code == 6
    assert result.err.startswith("cnncc: layer 'conv1' is off at ")
    assert result.err.endswith(", although its steps alone are right: their fusion is wrong\n")


def test_wrong_plain_layer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(kernel: k.Sweeps) -> k.Sweeps:
        """No sum, but a maximum."""
        first, powers, *last = kernel.sweeps
        ((number, _, expr),) = powers.combined
        return replace(kernel, sweeps=(first, replace(powers, combined=((number, "maximum", expr),)), *last))

    corrupt(monkeypatch, k.Sweeps, wrong)
    culprits = report(cnncc.load_graph(DIGITS)).culprits
    assert [finding.layer for finding in culprits] == ["probabilities"]


def test_wrong_stream_is_told_from_wrong_layers(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, plan = tmp_path / "stream.py", tmp_path / "plan.json"
    script.write_text(STREAM)
    options = {"streaming": "pools"}  # whatever the model of cost says
    content = {"cnncc plan": 1, "target": resolve_target("host").cpu, "options": options, "choices": []}
    plan.write_text(json.dumps(content))
    assert cli("check", script, "--plan", plan).code == 0
    family = KERNELS[k.Window]

    def wrong_on_rings(e: Emitter, kernel: k.Window, tensors: Tensors) -> KernelEmitter[Any]:
        return family(e, replace(kernel, combine="add") if tensors.sources[0].view.ring else kernel, tensors)

    monkeypatch.setattr(step_function, "KERNELS", {**KERNELS, k.Window: wrong_on_rings})
    result = cli("check", script, "--plan", plan)
    assert result.code == 6
    assert result.err.startswith("cnncc: the model's output 'output' is off at ")
    assert result.err.endswith(", although each layer alone is right\n")


def test_wrong_pass_is_a_rewrite_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def double(graph: Graph) -> Optimised:
        rewriter = Rewriter(graph)
        return Optimised(
            rewriter.rewrite(
                lambda node, inputs: (
                    (rewriter.constant(2 * node.op.data, node.name),)
                    if isinstance(node.op, Constant) and node.name == "dense1.weights"
                    else None
                )
            )
        )

    pipeline = (*passes.PIPELINE, Pass("double", double, "exact", "to be found out"))
    for module in (passes, manager, checking):
        monkeypatch.setattr(module, "PIPELINE", pipeline)
    result = cli("check", DIGITS)
    assert result.code == 6
    assert result.err.startswith("cnncc: the passes move output 'output' at (0, ")


def test_the_report_is_a_library() -> None:
    found = report(cnncc.load_graph(DIGITS), precision="strict")
    assert found.ok
    assert not found.culprits
    assert [finding.layer for finding in found.outputs] == ["output"]
    assert all(finding.ratio <= 1 for finding in (*found.rewrite, *found.kernels, *found.outputs))


PRESSURE = """
import numpy as np
from cnncc.ir import Builder
from cnncc import ops
from cnncc.types import TensorType

def model():
    b = Builder("pressure")
    known = lambda data: b.constant(np.asarray(data, np.float32))
    x = b.input("x", TensorType((1, 32)))
    (y,) = b.add(ops.Sub(), (x, known(MEAN)), "centred")
    (y,) = b.add(ops.Div(), (y, known(50.0)), "unit")
    rng = np.random.default_rng(0)
    for number in range(LAYERS):
        (y,) = b.add(ops.Dense(), (y, known(rng.standard_normal((32, 32)))), f"dense{number}")
        (y,) = b.add(ops.Relu(), (y,), f"relu{number}")
    (y,) = b.add(ops.Dense(), (y, known(rng.standard_normal((8, 32)))), "dense")
    if LAYERS:
        (y,) = b.add(ops.Softmax(1), (y,), "softmax")
    return b.graph({"y": y})
"""


@pytest.mark.parametrize(("mean", "count"), [(15000, 0), (101325, 0), (101325, 6)])
def test_digits_that_a_pass_loses_are_told(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mean: int, count: int
) -> None:
    """A fold that takes the mean of the inputs into the bias is right in exact arithmetic, so only bounds show it.

    With some layers and a softmax no bound is left for the output: there what goes into it tells.
    """
    script = tmp_path / "pressure.py"
    script.write_text(PRESSURE.replace("MEAN", str(mean)).replace("LAYERS", str(count)))
    graph = cnncc.load_graph(script)
    x = random_feeds(graph, 0)["x"]
    assert abs(x.mean() - mean) < 50 and 30 < x.std() < 80
    assert cli("check", script).code == 0
    monkeypatch.setattr(batch_norm_before, "LIMIT", np.inf)
    result = cli("check", script)
    assert result.code == 6
    assert result.err.startswith("cnncc: the passes let rounding move output 'y' by up to ")
    assert result.err.endswith(" in the model as it was given\n") and result.err.count("\n") == 1
    assert " OFF " in result.out.splitlines()[1] and "rounding" in result.out.splitlines()[1]
    np.save(tmp_path / "x.npy", np.zeros((1, 32), np.float32))  # far from the mean nothing cancels
    assert cli("check", script, tmp_path / "x.npy").code == 0


OVERFLOWS = """
from cnncc import nn
x = nn.Input((3,), "x")
net = nn.Model(x, nn.Dense(2, name="last")(nn.Exp(name="exp")(x)))
"""


@pytest.mark.parametrize(
    ("x", "told"),
    [
        ([0, 1, 2], ""),
        ([1000, 800, 0], "infinities begin at 'exp' (Exp()) (at {}:4), NaN begins at 'last' (Dense()) (at {}:4)"),
        ([np.nan, 0, 0], "NaN begins at 'x' (Input(float32[1, 3])) (at {}:3)"),
    ],
)
def test_where_nan_and_infinities_begin(cli: Cli, tmp_path: Path, x: list[float], told: str) -> None:
    """A model that is compiled rightly may still be wrong: then its layer is named."""
    script = tmp_path / "net.py"
    script.write_text(OVERFLOWS)
    np.save(tmp_path / "x.npy", np.array([x], np.float32))
    result = cli("check", script, tmp_path / "x.npy")
    assert result.code == 0
    within = "net: 2 values and 1 output(s) are within their bounds"
    special = f"net: its outputs hold NaN or infinities by the model's own definition: {told.format(script, script)}"
    assert result.out.splitlines()[-1] == (special if told else within)
