"""What `check` finds is traced to the pass, the kernel or the decision of the plan that was planted."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import passes
from cnncc.check import compiled
from cnncc.check.model import Report, check, random_feeds
from cnncc.codegen import step_function
from cnncc.codegen.kernels import KERNELS
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.expr import Apply
from cnncc.faults import blame as blaming
from cnncc.faults.blame import Blame, blame
from cnncc.ir import Graph, Node, Rewriter, Value
from cnncc.op import Constant
from cnncc.ops import Greater, Where
from cnncc.passes import Optimised, Pass, batch_norm_before, manager
from cnncc.passes.report import Notes, Rule, Tag
from cnncc.plan import PlanOptions
from cnncc.plan import kernels as k

from .conftest import DIGITS, Cli
from .test_check import PRESSURE, STREAM, corrupt, shifted

Visit = Callable[[Rewriter, Node], tuple[Value, ...] | None]


def plant(monkeypatch: pytest.MonkeyPatch, name: str, tag: Tag, visit: Visit, after: str = "subexpressions") -> None:
    """A pass in the midst of the pipeline."""

    def run(graph: Graph) -> Optimised:
        notes, rewriter = Notes(name), Rewriter(graph)

        def noted(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
            made = visit(rewriter, node)
            if made:
                notes.fired(Rule("x => y", tag), node.name)
            return made

        return notes.on(rewriter.rewrite(noted))

    at = [step.name for step in passes.PIPELINE].index(after)
    pipeline = (*passes.PIPELINE[:at], Pass(name, run, tag, "to be found out"), *passes.PIPELINE[at:])
    for module in (passes, manager, compiled):
        monkeypatch.setattr(module, "PIPELINE", pipeline)


def scaled(layer: str, factor: float) -> Visit:
    """One constant times a factor."""

    def visit(rewriter: Rewriter, node: Node) -> tuple[Value, ...] | None:
        if isinstance(node.op, Constant) and node.name == layer:
            return (rewriter.constant(np.float32(factor) * node.op.data, node.name),)
        return None

    return visit


def judged(source: Any, feeds: Any = None, **options: Any) -> tuple[Report, Blame | None]:
    graph = cnncc.load_graph(source)
    compilation = Compilation(graph, Options(resolve_target("host"), **options))
    feeds = feeds or random_feeds(graph, 1)
    report = check(graph, compilation.options, feeds)
    return report, blame(compilation, feeds, report)


@pytest.mark.parametrize(("tag", "factor"), [("exact", 2.0), ("rounding", 1.01)])
def test_the_pass_is_named(monkeypatch: pytest.MonkeyPatch, tag: Tag, factor: float) -> None:
    """Not those before it and after it, which rewrite what it spoilt."""
    plant(monkeypatch, "spoil", tag, scaled("dense1.weights", factor), "fuse")
    blamed = judged(DIGITS)[1]
    assert blamed is not None and (blamed.kind, blamed.name) == ("pass", "spoil")
    assert "pass 'spoil'" in blamed.sentences[0] and "output 'output'" in blamed.sentences[0]
    assert blamed.sentences[-1] == "it rewrote 'dense1.weights'"


def test_the_first_value_that_a_pass_changed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def visit(rewriter: Rewriter, node: Node) -> tuple[Value, ...] | None:
        return (rewriter.mapping[node.inputs[0]],) if node.name == "relu2" else None

    plant(monkeypatch, "negligent", "exact", visit, "diamonds")
    result = cli("check", DIGITS)
    assert result.code == 6 and result.err.startswith("cnncc: the passes move output 'output' at (0, ")
    assert "pass 'negligent' (exact) changed output 'output' at (0, " in result.out
    assert result.out.endswith("the first value that it changed is 'flatten'\nit rewrote 'relu2'\n")


def test_a_pass_that_loses_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "pressure.py"
    script.write_text(PRESSURE.replace("MEAN", "101325").replace("LAYERS", "0"))
    monkeypatch.setattr(batch_norm_before, "LIMIT", np.inf)
    blamed = judged(script)[1]
    assert blamed is not None and blamed.name == "fold_batch_norm_before"


def test_a_nan_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """x > 0 ? x : 0 is ReLU for all numbers, and drops NaN."""

    def visit(rewriter: Rewriter, node: Node) -> tuple[Value, ...] | None:
        if node.name != "relu1":
            return None
        x, zero = rewriter.mapping[node.inputs[0]], rewriter.constant(np.float32(0))
        return rewriter.add(Where(), (*rewriter.add(Greater(), (x, zero)), x, zero), node.name)

    plant(monkeypatch, "drops", "exact", visit, "diamonds")
    blamed = judged(DIGITS, {"input": np.full((1, 1, 8, 8), np.nan, np.float32)})[1]
    assert blamed is not None and (blamed.kind, blamed.name) == ("pass", "drops")
    assert blamed.sentences[1] == "the first value that it changed is 'pool1'"


def wrong_where(monkeypatch: pytest.MonkeyPatch, kind: type, is_wrong: Callable[[Any], bool]) -> None:
    corrupt(monkeypatch, kind, lambda kernel: shifted(kernel) if is_wrong(kernel) else kernel)


def test_the_kernel_and_its_candidates_are_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every direct kernel with a border is wrong; transforms and others are right."""
    plan = Compilation(cnncc.load_graph(DIGITS), Options(resolve_target("host"))).plan
    monkeypatch.setattr(blaming, "TRIED", 3)
    wrong_where(monkeypatch, k.Direct, lambda kernel: True)
    result = cli("check", DIGITS, "--json", "--seed", 1)
    blamed = json.loads(result.out)["blame"]
    assert (result.code, blamed["kind"], blamed["layer"]) == (6, "kernel", "conv1")
    (step,) = (step for step in plan.steps if step.name == "conv1")
    kernels = {candidate.label: candidate.kernel for candidate in plan.offers[step.signature]}
    assert all(isinstance(kernels[name], k.Direct) for name in (blamed["name"], *blamed["wrong"]))
    assert blamed["right"] and not any(isinstance(kernels[name], k.Direct) for name in blamed["right"])
    told = blamed["sentences"]
    name = re.escape(blamed["name"])  # with steps before it where the machine's plan has a border
    assert re.fullmatch(
        rf"kernel '{name}' of layer 'conv1' \((.+, )?Direct\) is wrong on these operands alone", told[0]
    )
    assert f"the model itself takes '{step.label}', which is wrong, too" in told or step.label == blamed["name"]
    assert f"other candidates that are right: {'; '.join(blamed['right'])}" in told


def test_one_tile_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly this candidate is wrong."""
    plan = Compilation(cnncc.load_graph(DIGITS), Options(resolve_target("host"), "strict")).plan
    step = next(step for step in plan.steps if step.name == "conv2")
    tile = step.kernel.tile
    monkeypatch.setattr(blaming, "TRIED", 3)
    wrong_where(monkeypatch, k.Direct, lambda kernel: kernel.tile == tile and kernel.window == step.kernel.window)
    blamed = judged(DIGITS, precision="strict")[1]
    assert blamed is not None and (blamed.kind, blamed.layer) == ("kernel", "conv2")
    assert blamed.name == step.label
    assert blamed.right


def test_candidates_that_crash_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are tried in processes of their own."""
    plan = Compilation(cnncc.load_graph(DIGITS), Options(resolve_target("host"), "strict")).plan
    step = next(step for step in plan.steps if step.name == "conv2")

    def broken(kernel: k.Direct) -> k.Direct:
        if kernel.window == step.kernel.window and kernel.tile != step.kernel.tile:
            os.kill(os.getpid(), signal.SIGSEGV)
        return shifted(kernel) if kernel.window == step.kernel.window else kernel

    corrupt(monkeypatch, k.Direct, broken)
    monkeypatch.setattr(blaming, "TRIED", 2)
    blamed = judged(DIGITS, precision="strict")[1]
    assert blamed is not None and (blamed.name, blamed.right) == (step.label, ()) and blamed.wrong


def without_nan(expr: Any) -> Any:
    """x < 0 ? 0 : x for each maximum, the other way round: NaN becomes 0."""
    if not isinstance(expr, Apply):
        return expr
    first, second = expr.arguments if expr.function == "maximum" else (None, None)
    return expr if first is None else Apply("where_less", (second, first, first, second))


def test_a_nan_rule_of_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several images, in one of which a pixel is NaN."""

    def wrong(kernel: k.Direct) -> k.Direct:
        both = {part: without_nan(getattr(kernel.epilogue, part)) for part in ("before", "after")}
        return replace(kernel, epilogue=replace(kernel.epilogue, **both))

    corrupt(monkeypatch, k.Direct, wrong)
    monkeypatch.setattr(blaming, "TRIED", 3)
    images = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    images[1, 0, 4, 4] = np.nan
    report, blamed = judged(DIGITS, {"input": images})
    assert report.culprits[0].layer == "conv1" and report.culprits[0].index[0] == 1
    assert blamed is not None and (blamed.kind, blamed.layer) == ("kernel", "conv1")


def test_a_kernel_without_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(kernel: k.Sweeps) -> k.Sweeps:
        first, powers, *last = kernel.sweeps
        ((number, _, expr),) = powers.combined
        return replace(kernel, sweeps=(first, replace(powers, combined=((number, "maximum", expr),)), *last))

    corrupt(monkeypatch, k.Sweeps, wrong)
    blamed = judged(DIGITS)[1]
    assert blamed is not None and (blamed.kind, blamed.name, blamed.layer) == ("kernel", "Sweeps", "probabilities")


def test_a_decision_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "stream.py"
    script.write_text(STREAM)
    family = KERNELS[k.Window]

    def wrong_on_rings(e: Any, kernel: k.Window, tensors: Any) -> Any:
        return family(e, replace(kernel, combine="add") if tensors.sources[0].view.ring else kernel, tensors)

    monkeypatch.setattr(step_function, "KERNELS", {**KERNELS, k.Window: wrong_on_rings})
    blamed = judged(script, plan=PlanOptions(streaming="pools"))[1]
    assert blamed is not None and (blamed.kind, blamed.name, blamed.right) == ("plan", "streaming", ("streaming",))
    assert blamed.sentences[1] == "without streaming it is right"


def test_json(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    good = json.loads(cli("check", DIGITS, "--json").out)
    assert good["ok"] and good["error"] is good["blame"] is None and good["tensors"] == []
    layers = ["conv1", "conv2", "flatten", "dense1", "dense2", "probabilities"]
    assert [finding["layer"] for finding in good["kernels"]] == layers
    assert {"layer", "op", "ratio", "verdict", "index", "expected", "actual", "bound"} <= good["outputs"][0].keys()
    plant(monkeypatch, "spoil", "exact", scaled("dense1.weights", 2), "fuse")
    result = cli("check", DIGITS, "--json")
    bad = json.loads(result.out)
    assert (result.code, bad["ok"], bad["blame"]["name"]) == (6, False, "spoil")
    assert result.err == f"cnncc: {bad['error']}\n" and bad["rewrite"][0]["ratio"] > 1
