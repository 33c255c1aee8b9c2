"""Sections that linker scripts place, and which buffers are hot."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.cli import main
from cnncc.compiler import Compilation, Options
from cnncc.errors import CnnccError, TargetError, UsageError
from cnncc.machine.target import TARGETS
from cnncc.objects import format_of
from cnncc.objects.regions import Regions, regions
from cnncc.plan.hot import hot_buffers
from cnncc.runtime.manifest import describe, restore

from .support import EXAMPLES, needs

DIGITS = str(EXAMPLES / "digits.py")
PLACED = "weights=flash,code=.fast,workspace=sram1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cortex-m4", (".fast", "flash", '"sram1"')),
        ("x86-64-v3", (".fast", "flash", '"sram1"')),
        ("riscv64gcv", (".fast", "flash", '"sram1"')),
        ("windows-x86-64", (".fast", "flash", '"sram1"')),
        ("macos-arm64", (".fast", "flash", '"__DATA,sram1"')),
    ],
)
def test_objects_have_the_sections(tmp_path: Path, name: str, expected: tuple[str, str, str]) -> None:
    arguments = ["compile", DIGITS, "--target", name, "-o", str(tmp_path), "--kinds", "o,a,h,json", "--no-cache"]
    assert main([*arguments, "--place", PLACED]) == 0
    placed = json.loads((tmp_path / "digits.json").read_text())
    code, weights = (tmp_path / "digits.o").read_bytes(), (tmp_path / "digits_weights.o").read_bytes()
    form = format_of(TARGETS[name])
    found = {section.name: len(section.data) for section in form.sections(code)}
    assert found[expected[0]] > 1000 and not found.get(".text", 0) and not found.get("__text", 0)
    assert {section.name: len(section.data) for section in form.sections(weights)}[expected[1]] == placed[
        "weights_bytes"
    ]
    assert form.undefined_symbols(code) == () and ".ARM.exidx" not in "".join(found)
    assert f"#define DIGITS_WORKSPACE_SECTION {expected[2]} " in (tmp_path / "digits.h").read_text()
    assert placed["sections"] == {"weights": "flash", "code": ".fast", "workspace": "sram1"}
    assert main(arguments) == 0
    plain = json.loads((tmp_path / "digits.json").read_text())
    assert "sections" not in plain and plain["code_bytes"] == placed["code_bytes"]
    assert plain["stack_bytes"] == placed["stack_bytes"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_shared_library_of_placed_code_runs(tmp_path: Path) -> None:
    assert main(["compile", DIGITS, "-o", str(tmp_path), "--place", "weights=flash,code=.fast", "--no-cache"]) == 0
    x = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)
    with cnncc.load(tmp_path / "digits.so") as placed, cnncc.compile(DIGITS, cache=False) as plain:
        np.testing.assert_array_equal(placed(x), plain(x))


@pytest.mark.tools
@needs("qemu-system-arm", "arm-none-eabi-gcc")
@pytest.mark.parametrize("name", ["cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
def test_firmware_in_several_memories(tmp_path: Path, name: str) -> None:
    arguments = ["compile", DIGITS, "--target", name, "-o", str(tmp_path), "--example", "firmware", "--no-cache"]
    assert main([*arguments, "--place", PLACED]) == 0
    lines = [line.strip() for line in (tmp_path / "README.txt").read_text().splitlines()]
    build, run = (next(line for line in lines if line.startswith(word)) for word in ("arm-none-eabi-gcc", "qemu-"))
    subprocess.run(build.split(), cwd=tmp_path, check=True)
    done = subprocess.run(run.split(), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "10 of 10 values are" in done.stderr  # semihosting writes there
    names = subprocess.run(
        ["arm-none-eabi-nm", "digits.elf"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    inner = (tmp_path / "board.ld").read_text().partition("INNER (rw) : ORIGIN = ")[2][:10]
    assert f"{inner[2:]} b workspace" in names


@pytest.mark.parametrize(
    ("target", "text", "error", "message"),
    [
        ("cortex-m4", "", UsageError, "--place '': expected PART=SECTION, where PART is one of weights, code, "),
        ("cortex-m4", "weights", UsageError, "--place 'weights': expected PART=SECTION"),
        ("cortex-m4", "weights=", UsageError, "--place weights=: expected the name of a section, of letters"),
        ("cortex-m4", 'code=a"b', UsageError, "expected the name of a section, of letters, digits and _ . $ -"),
        ("cortex-m4", "code=" + 65 * "a", UsageError, "sections of ELF have names of at most 64 characters"),
        ("windows-x86-64", "code=ninechars", UsageError, "sections of COFF have names of at most 8 characters"),
        ("macos-arm64", "code=" + 17 * "a", UsageError, "sections of Mach-O have names of at most 16 characters"),
        ("cortex-m4", "weights=.bss.fast", UsageError, "sections of that name have a meaning for linkers"),
        ("cortex-m4", "weights=a,weights=b", UsageError, "--place names a section of weights twice: 'a' and 'b'"),
        ("cortex-m4", "weights=a,workspace=a", UsageError, "--place gives weights and workspace one section, 'a'"),
        ("wasm32", "weights=a", TargetError, "objects of target 'wasm32' have no sections that a linker places"),
    ],
)
def test_what_is_refused(target: str, text: str, error: type[CnnccError], message: str) -> None:
    with pytest.raises(error) as caught:
        regions(text, TARGETS[target])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_memory_of_the_caller_may_share_a_section() -> None:
    assert regions("workspace=a,states=a", TARGETS["cortex-m4"]) == Regions(workspace="a", states="a")


def test_the_manifest_keeps_regions_and_uses() -> None:
    options = Options(TARGETS["cortex-m4"], regions=Regions(weights="flash"))
    executable = Compilation(cnncc.load_graph(DIGITS), options).build()
    again = restore(json.loads(json.dumps(describe(executable))))
    assert again.regions == executable.regions and again.buffers == executable.buffers != ()


def test_uses_of_buffers() -> None:
    """Against what the layers are: two convolutions, two pools and two dense layers."""
    plan = Compilation(cnncc.load_graph(DIGITS), Options(TARGETS["cortex-m4"])).plan
    found = hot_buffers(plan)
    assert [use.heat for use in found] == sorted((use.heat for use in found), reverse=True)
    multiplied = sum(step.kernel.multiplied(step.target) for step in plan.steps)
    weights = [use for use in found if use.name.endswith(": weights")]
    assert sum(use.read for use in weights) == 4 * multiplied
    (result,) = (use for use in found if use.space == "output")
    assert (result.read, result.written, result.layers) == (0, 40, [plan.steps[-1].name])
    dense = next(use for use in weights if use.layers == ["dense2"])
    assert dense.heat == 1 and weights[0].heat > 10
