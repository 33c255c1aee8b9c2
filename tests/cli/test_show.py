"""`cnncc show`: every stage, readable, and true to the compilation that it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cnncc
from cnncc import text
from cnncc.cli.show import STAGES
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.plan.make import make_plan
from cnncc.plan.text import show_memory, show_plan

from .conftest import DIGITS, Cli

STREAM = """
from cnncc import nn
model = nn.Sequential(
    nn.Conv(16, 3, padding="same", name="first"), nn.Conv(64, 3, stride=2, padding=1, name="conv"),
    nn.MaxPool(3, stride=2, name="pool"), nn.DepthwiseConv(3, name="each"), input=(3, 160, 160), name="stream"
)
"""


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """A model with a border, a stream into an overlapping pool and a depthwise layer."""
    file = tmp_path / "stream.py"
    file.write_text(STREAM)
    return file


@pytest.mark.parametrize("target", ["host", "x86-64-v2", "aarch64", "cortex-m4"])
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage(cli: Cli, stage: str, target: str) -> None:
    result = cli("show", DIGITS, "--stage", stage, "--target", target)
    assert (result.code, result.err) == (0, "")
    assert "digits" in result.out
    assert not re.search(r"[ \t]+$| object at 0x", result.out, re.MULTILINE if stage != "asm" else 0)


def test_graph_can_be_read_back(cli: Cli) -> None:
    graph = cnncc.load_graph(DIGITS)
    constants = {node.op.digest[: text.DIGEST]: node.op.data for node in graph if node.op.source == "constant"}
    assert text.parse(cli("show", DIGITS).out, constants).hash == graph.hash


def test_graphs_before_and_after_the_passes(cli: Cli) -> None:
    for stage, gone in (("graph", "%norm2 ="), ("dot", '"norm2"'), ("svg", 'data-layer="norm2"')):
        before, after = (cli("show", DIGITS, "--stage", stage, *more).out for more in ([], ["--graph", "optimised"]))
        assert gone in before and gone not in after
        assert cli("show", DIGITS, "--stage", stage, "--graph", "original").out == before


def test_a_step_is_drawn(cli: Cli) -> None:
    out = cli("show", DIGITS, "--stage", "svg", "--step", "--batch", "4").out
    assert {"update conv1.weights.momentum", "output loss"} <= set(re.findall(r"<title>(.+?)&#10;", out))


def test_passes_tell_what_fired_and_what_did_not(cli: Cli) -> None:
    out = cli("show", DIGITS, "--stage", "passes").out
    conv2 = out.partition("\nconv2\n")[2].partition("\ndense1\n")[0]
    assert "  + fold_batch_norm (rounding): absorbs norm2\n" in conv2
    assert "  - separable: each output sums over 16 input channels, and no float32 u, v were found" in conv2
    assert "      bound: 2^-24" in conv2
    assert out.count("removed weights") == 1
    assert "norm2.mean" in out


def test_passes_that_did_not_run(cli: Cli) -> None:
    out = cli("show", DIGITS, "--stage", "passes", "--precision", "strict", "--passes", "-fuse,-dead_code").out
    assert "\nfuse did not run: it is switched off\n" in out
    assert out.count("dead_code did not run: it is switched off\n") == 1
    assert "fold_batch_norm did not run: precision 'strict' allows no rewrites that are rounding\n" in out


def test_plan_of_a_stream(cli: Cli, stream: Path) -> None:
    out = cli("show", stream, "--stage", "plan", "--target", "x86-64-v4").out
    assert re.search(
        r"stage \d+, a stream of 2 steps in blocks of \d+ rows, rings of [\d,]+ bytes, after a barrier\n", out
    )
    assert re.search(r"result +pool \(1, 64, 39, 39\) ring of \d+, ring\n", out)
    assert re.search(r"image +first .* channels last, arena; halo 1\+0, 1\+0 \(with halo 1,658,944 bytes, cl", out)
    assert "window 3×3 maximum; 16 lanes along axis 1" in out
    assert "depthwise 3×3, 64 channels; 16 lanes along channels" in out
    assert "fill the border with 0" in out


def test_memory_of_a_stream(cli: Cli, stream: Path) -> None:
    out = cli("show", stream, "--stage", "memory", "--target", "x86-64-v4").out
    executable = Compilation(cnncc.load_graph(stream), Options(resolve_target("x86-64-v4"))).build()
    assert out.startswith(f"workspace of 'stream': {executable.workspace_bytes(1):,} bytes with one shard\n")
    assert re.search(r"\n +\d+ +[\d,]+ +\d+\.\.\d+ +first +\.*#+\.*\n", out)
    assert "    ring at" in out
    assert "  first: halo, 1,658,944 bytes; clip would take 1,638,400 (20,544 less)\n" in out


def test_memory_without_borders_says_what_they_would_take(cli: Cli) -> None:
    assert re.search(
        r"conv1: (clip|halo), [\d,]+ bytes; (halo|clip) would take ", cli("show", DIGITS, "--stage", "memory").out
    )


def test_multiply_adds_are_those_of_the_graph() -> None:
    graph = cnncc.load_graph(DIGITS)
    target = resolve_target("x86-64-v3")
    costs = [node.op.cost(*graph.types(node.inputs)).macs for node in graph if node.op.source is None]
    for off in ((), ("fuse",)):
        plan = Compilation(graph, Options(target, off=(*off, "fold_batch_norm"))).plan
        direct = sum(step.macs for step in plan.steps)
        assert direct == sum(costs)


def test_plan_text_needs_no_compilation() -> None:
    plan = make_plan(cnncc.load_graph(DIGITS), resolve_target("cortex-m4"))
    assert show_plan(plan).startswith("plan of 'digits' for cortex-m4 (1 lanes, 32 registers), one image at a time")
    assert "arena" in show_memory(plan)
