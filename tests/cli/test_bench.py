"""`cnncc bench`: its numbers are consistent; how good they are is not asked here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.compiler import resolve_target
from cnncc.machine.target import TARGETS
from cnncc.measure.benchmark import operations
from cnncc.measure.peak import CHAINS, ROUNDS, Peak, emit_peak
from cnncc.native import emit_assembly

from .conftest import DIGITS, Cli

IN_REGISTERS = {name: row for name, row in TARGETS.items() if row.float_unit and row.object_format != "wasm"}


def test_table(cli: Cli) -> None:
    result = cli("bench", DIGITS, "--seconds", "0.05", "--threads", "1,2")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].split("  ")[0] == "threads"
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    assert re.match(r"[\d,]{7} operations a call of 1 image\(s\); peak of one core [\d.]+ GFLOP/s$", lines[-1])


def test_json(cli: Cli) -> None:
    facts = json.loads(cli("bench", DIGITS, "--seconds", "0.05", "--json").out)
    (timing,) = facts["timings"]
    assert timing["threads"] == 1
    assert timing["p10_us"] <= timing["median_us"] <= timing["p90_us"]
    assert timing["gflops"] == pytest.approx(facts["flops"] / timing["median_us"] / 1e3)
    assert timing["peak_share"] == pytest.approx(timing["gflops"] / facts["peak_gflops"])


def test_operations_count_a_multiply_add_twice(tmp_path: Path) -> None:
    script = tmp_path / "dense.py"
    script.write_text("from cnncc import nn\nmodel = nn.Sequential(nn.Dense(5, bias=False), input=(7,))\n")
    assert operations(cnncc.load_graph(script)) == 2 * 5 * 7


@pytest.mark.parametrize("target", IN_REGISTERS.values(), ids=IN_REGISTERS)
def test_the_peak_kernel_keeps_its_chains_in_registers(target: cnncc.machine.target.Target) -> None:
    """Each multiply-add is there, and the loop touches no memory."""
    assembly = emit_assembly(emit_peak(target), target)
    names = ("vfmadd", "fmla", "vfma.f32", "mulps", "vmla", "fmadd.s")
    count = sum(any(name in line for name in names) for line in assembly.splitlines())
    assert count >= CHAINS * ROUNDS


def test_the_peak_is_plausible() -> None:
    peak = Peak(resolve_target("host"))
    rates = [peak.measure() for _ in range(3)]
    assert all(1e8 < rate < 1e13 for rate in rates)
    assert np.isfinite(peak._data).all()


def test_layers(cli: Cli) -> None:
    result = cli("bench", DIGITS, "--seconds", "0.05", "--layers")
    assert (result.code, result.err) == (0, "")
    heads, *rows, call, limits = result.out.split("\n\n")[1].splitlines()
    assert re.split(" {2,}", heads.strip())[:5] == ["step", "µs", "share", "GFLOP/s", "of peak"]
    assert sorted(int(row.split()[0]) for row in rows[:-1]) == list(range(len(rows) - 1))
    assert rows[-1].split()[0] == "sum" and rows[-1].endswith(f"{len(rows) - 1} steps")
    assert re.match(r"a call takes [\d.]+ µs, [\d.]+ µs of it outside the steps", call)
    assert re.match(r"limits of one core: [\d.]+ GFLOP/s; L1 \d+ GB/s", limits)


def test_layers_as_json(cli: Cli) -> None:
    facts = json.loads(cli("bench", DIGITS, "--seconds", "0.05", "--layers", "--json").out)
    steps = facts["layers"]["steps"]
    assert [step["number"] for step in steps] == list(range(len(steps)))
    (conv,) = (step for step in steps if step["name"] == "conv1")
    assert conv["gflops"] == pytest.approx(2 * 9 * 16 * 8 * 8 / conv["us"] / 1e3)
    assert conv["bound_us"] >= conv["us"] * conv["peak_share"] * 0.999
    assert conv["bytes"] == pytest.approx(conv["gbytes"] * conv["us"] * 1e3)
    assert conv["bytes"] == 4 * (8 * 8 + 9 * 16 + 16 + 16 * 4 * 4)
