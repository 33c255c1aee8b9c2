"""`cnncc compile`: what it writes, under which name, and what it says about it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import native
from cnncc.compiler import resolve_target
from cnncc.objects import format_of
from cnncc.objects.elf import global_symbols
from cnncc.runtime import shared

from .conftest import DIGITS, PICTURES, Cli, listing

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@needs_compiler
def test_everything_by_default(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    folder = tmp_path / "new" / "build"
    result = cli("compile", DIGITS, "-o", folder)
    assert (result.code, result.err) == (0, "")
    names = {"digits.o", "digits_weights.o", "libdigits.a", "digits.so", "digits.h", "digits.json"}
    assert set(listing(folder)) == names
    for name in names:
        assert re.search(rf"{re.escape(str(folder / name))} +{(folder / name).stat().st_size:,} ", result.out)
    manifest = json.loads((folder / "digits.json").read_text())
    parts = ("workspace", "stack", "weights", "code")
    sizes = ", ".join(f"{part} {manifest[part + '_bytes']:,} bytes" for part in parts)
    assert result.out.endswith(f"digits for host: {sizes}\n")


def test_without_a_compiler_the_rest_is_written(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(shared, "_ZIG", "no_such_package")
    result = cli("compile", DIGITS, "-o", tmp_path / "build")
    assert result.code == 0
    assert "digits.so" not in listing(tmp_path / "build")
    assert result.out.endswith("no shared library: no C compiler\n")


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64", "riscv64gc", "cortex-m4"])
def test_targets(cli: Cli, tmp_path: Path, target: str) -> None:
    result = cli("compile", DIGITS, "-o", tmp_path, "--target", target, "--kinds", "o,json")
    assert result.code == 0
    assert set(listing(tmp_path)) == {"digits.o", "digits_weights.o", "digits.json"}
    assert json.loads((tmp_path / "digits.json").read_text())["target"]["name"] == target


def test_bare_metal_has_no_shared_library(cli: Cli, tmp_path: Path) -> None:
    result = cli("compile", DIGITS, "-o", tmp_path, "--target", "thumbv7em-none-eabihf")
    assert result.code == 0
    assert "digits.so" not in listing(tmp_path)
    assert result.out.endswith(
        "digits_check() asks nothing: the processor has to be a cortex-m4\nno shared library: cnncc writes none\n"
    )


@pytest.mark.parametrize("target", ["host", "cortex-m4", "windows-arm64"])
def test_the_code_as_text(cli: Cli, tmp_path: Path, target: str) -> None:
    """What is compiled, and what `show` prints; the same in every folder, and listed in the manifest."""
    for folder in ("a", "b"):
        words = ("compile", DIGITS, "--target", target, "-o", tmp_path / folder, "--kinds", "o,json,ll,s")
        assert cli(*words).code == 0
    for kind, stage in (("ll", "llvm"), ("s", "asm")):
        text = (tmp_path / "a" / f"digits.{kind}").read_text()
        assert text == (tmp_path / "b" / f"digits.{kind}").read_text()
        assert cli("show", "--target", target, "--stage", stage, DIGITS).out.rstrip("\n") == text.rstrip("\n")
        assert str(tmp_path) not in text and str(DIGITS.parent) not in text
    files = json.loads((tmp_path / "a" / "digits.json").read_text())["files"]
    assert (files["ll"], files["s"]) == ("digits.ll", "digits.s")
    found = native.emit_object((tmp_path / "a" / "digits.ll").read_text(), resolve_target(target))
    assert format_of(resolve_target(target)).without_unwinding(found) == (tmp_path / "a" / "digits.o").read_bytes()


@needs_compiler
def test_the_assembly_of_this_machine_is_taken_by_its_assembler(cli: Cli, tmp_path: Path) -> None:
    assert cli("compile", DIGITS, "-o", tmp_path, "--kinds", "o,s").code == 0
    subprocess.run(["cc", "-c", "digits.s", "-o", "again.o"], cwd=tmp_path, check=True)
    ours, theirs = (global_symbols((tmp_path / name).read_bytes()) for name in ("digits.o", "again.o"))
    assert set(ours) == set(theirs)


def test_webassembly_has_a_module_in_place_of_a_shared_library(cli: Cli, tmp_path: Path) -> None:
    result = cli("compile", DIGITS, "-o", tmp_path, "--target", "wasm32-simd")
    assert result.code == 0 and "shared library" not in result.out
    size = (tmp_path / "digits.wasm").stat().st_size
    assert re.search(rf"digits\.wasm +{size:,}  module\n", result.out)
    result = cli("compile", DIGITS, "-o", tmp_path, "--target", "cortex-m4", "--kinds", "wasm")
    assert result.code != 0 and "compile for wasm32 or wasm32-simd" in result.err


def test_routines_that_an_object_needs_are_told(cli: Cli, tmp_path: Path) -> None:
    result = cli("compile", DIGITS, "-o", tmp_path, "--target", "cortex-m0plus", "--kinds", "o,json")
    needed = json.loads((tmp_path / "digits.json").read_text())["undefined"]
    assert {"__aeabi_fadd", "__aeabi_fmul"} < set(needed)
    assert f"digits.o needs routines of the compiler's runtime: {', '.join(needed)}\n" in result.out


def test_name_prefixes_symbols_and_files(cli: Cli, tmp_path: Path) -> None:
    assert cli("compile", DIGITS, "-o", tmp_path, "--name", "reader", "--kinds", "h,json").code == 0
    assert set(listing(tmp_path)) == {"reader.h", "reader.json"}
    assert "reader_run" in (tmp_path / "reader.h").read_text()


def test_names_that_c_does_not_take_are_told(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text("from cnncc import nn\nmodel = nn.Sequential(nn.Dense(2), input=(3,), name='my-net')\n")
    result = cli("compile", script, "-o", tmp_path / "build", "--kinds", "h")
    (header,) = listing(tmp_path / "build")
    assert result.out.endswith(f"names in C begin with {Path(header).stem}; --name my_net gives shorter ones\n")
    result = cli("compile", script, "-o", tmp_path / "build", "--kinds", "h", "--name", "my_net")
    assert "names in C" not in result.out


def test_same_bytes_in_two_folders_with_and_without_cache(cli: Cli, tmp_path: Path) -> None:
    for folder, more in (("a", ()), ("b", ()), ("c", ("--no-cache",))):
        assert cli("compile", DIGITS, "-o", tmp_path / folder, "--kinds", "o,a,h,json", *more).code == 0
    for name in listing(tmp_path / "a"):
        assert len({(tmp_path / folder / name).read_bytes() for folder in "abc"}) == 1


def test_options_reach_the_compiler(cli: Cli, tmp_path: Path) -> None:
    def code(*options: str) -> bytes:
        assert cli("compile", DIGITS, "-o", tmp_path, "--kinds", "o", *options).code == 0
        return (tmp_path / "digits.o").read_bytes()

    variants = [code(), code("--precision", "strict"), code("--passes", "-fuse"), code("--checked")]
    assert len(set(variants)) == len(variants)
    assert code("--passes=-fuse") == variants[2]


@needs_compiler
def test_the_library_can_be_loaded_and_run(cli: Cli, tmp_path: Path) -> None:
    assert cli("compile", DIGITS, "-o", tmp_path, "--kinds", "so").code == 0
    x = np.zeros((1, 1, 8, 8), np.float32)
    expected = cnncc.compile(DIGITS, cache=False)(x)
    np.testing.assert_array_equal(cnncc.load(tmp_path / "digits.so")(x), expected)
    result = cli("run", tmp_path / "digits.so", PICTURES / "4.png", "--top", 1)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{PICTURES / '4.png'}: 4 (1)\n"
