"""Instructions that are counted under emulators, and cycles that are estimated of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc.cli import main
from cnncc.compiler import Compilation, Options
from cnncc.emulation import emulators
from cnncc.emulation.plugin import Executed, Plugin
from cnncc.errors import TargetError
from cnncc.machine.target import TARGETS, named
from cnncc.measure.counting import count
from cnncc.measure.cycles import CYCLES

from .handmade import EACH
from .support import EXAMPLES, needs

DIGITS = str(EXAMPLES / "digits.py")


@pytest.mark.tools
@needs("qemu-system-arm", "cc")
def test_counts_are_of_images() -> None:
    """Each image takes the same, and what is not of an image, once."""
    compilation = Compilation(cnncc.load_graph(DIGITS), Options(TARGETS["cortex-m4"]))
    rng = np.random.default_rng(0)
    one, two, three = (
        count(compilation, {"input": rng.random((n, 1, 8, 8), np.float32)}, use_cache=False) for n in (1, 2, 3)
    )
    assert 2 * two.instructions == one.instructions + three.instructions and one.instructions > 100_000
    assert one.cycles is not None and one.instructions < one.cycles < 4 * one.instructions
    assert {name for each in one.functions for name in each.steps} >= {"conv1", "conv2", "dense1", "dense2"}
    assert sum(each.instructions for each in one.functions) == one.instructions


@pytest.mark.tools
@EACH
@needs("cc")
def test_bench(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", DIGITS, "--target", target, "--layers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " instructions a call of 1 image(s), " in lines[0]
    assert ("cycles by the core's table" if target == "cortex-m4" else "no cycles:") in lines[1]
    assert lines[2].endswith(f"counted under {emulators.emulators_for(named(target))[0].told}")
    assert lines[3].split() == ["instructions", "share", "cycles", "function", "layers"]


@pytest.mark.tools
@needs("qemu-system-arm", "cc")
def test_bench_of_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    """It counts the step: more than the network alone on as many images, in functions of layers and of gradients."""
    words = ["bench", DIGITS, "--target", "cortex-m4", "--layers", "--json"]
    assert main([*words, "--step", "--batch", "2"]) == 0
    step = json.loads(capsys.readouterr().out)
    assert main(words) == 0
    alone = json.loads(capsys.readouterr().out)
    assert (step["model"], step["images"], alone["images"]) == ("digits_step", 2, 1)
    assert step["instructions"] > 4 * alone["instructions"] and step["macs"] > 4 * alone["macs"]
    names = {name for each in step["functions"] for name in each["steps"]}
    assert "conv2" in names and any(name.startswith("conv2.gradient") for name in names)


ESTIMATES: dict[str, tuple[list[tuple[int, str]], list[float]]] = {
    "fused, and its result read late": (
        [(5, "vfma.f32 s0, s1, s2"), (5, "vfma.f32 s0, s3, s4"), (5, "vadd.f32 s5, s0, s6"), (5, "vstr s5, [r0]")],
        [15, 15, 10, 15],
    ),
    "lists of registers": (
        [(2, "vldmia r0!, {s0, s1, s2}"), (2, "pop.w {r4, r5, pc}"), (1, "vpush {d8, d9}")],
        [8, 12, 5],
    ),
    "branches that are taken, or not": (
        [(10, "blt.w #0x100"), (4, "nop"), (3, "b #0x10"), (3, "bl #0x20")],
        [22, 4, 9, 9],
    ),
    "conditions": (
        [(4, "it ge"), (4, "vmovge.f32 s0, s1"), (4, "ldrne r0, [r1]"), (2, "vdiv.f32 s0, s1, s2")],
        [2, 4, 8, 28],
    ),
}


@pytest.mark.parametrize("what", ESTIMATES)
def test_cycles_of_a_cortex_m4(what: str) -> None:
    executed, cycles = ESTIMATES[what]
    given = [Executed(4 * place, times, text) for place, (times, text) in enumerate(executed)]
    assert list(CYCLES["cortex-m4"].estimate(given)) == cycles


def test_a_plugin_needs_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def without_cc(name: str) -> Any:
        return None if name == "cc" else f"/usr/bin/{name}"

    monkeypatch.setattr(shutil, "which", without_cc)
    with pytest.raises(TargetError, match=r"'cc', which compiles it, is not found: install a C compiler"):
        Plugin.compiled(tmp_path, "qemu-arm")
