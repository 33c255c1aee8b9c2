"""`cnncc bench`: its numbers are consistent; how good they are is not asked here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.cli.bench import operations
from cnncc.compiler import resolve_target
from cnncc.native import emit_assembly
from cnncc.peak import CHAINS, ROUNDS, Peak, emit_peak
from cnncc.target import TARGETS

from .conftest import DIGITS, Cli


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


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_peak_kernel_keeps_its_chains_in_registers(target: cnncc.target.Target) -> None:
    """Each multiply-add is there, and the loop touches no memory."""
    assembly = emit_assembly(emit_peak(target), target)
    names = ("vfmadd", "fmla", "vfma.f32", "mulps", "vmla")
    count = sum(any(name in line for name in names) for line in assembly.splitlines())
    assert count >= CHAINS * ROUNDS


def test_the_peak_is_plausible() -> None:
    peak = Peak(resolve_target("host"))
    rates = [peak.measure() for _ in range(3)]
    assert all(1e8 < rate < 1e13 for rate in rates)
    assert np.isfinite(peak._data).all()
