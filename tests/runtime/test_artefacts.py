"""What other programs link: built with a C compiler and run, loaded again, the same bytes in every folder."""

from __future__ import annotations

import filecmp
import json
import os
import pickle
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cnncc.errors import InputError, OutputError, TargetError, UsageError
from cnncc.machine.target import TARGETS
from cnncc.objects import ELF
from cnncc.objects.elf import global_symbols
from cnncc.runtime import shared
from cnncc.runtime.artefacts import LISTINGS, SHARED, kinds_for, write
from cnncc.runtime.executable import Executable
from cnncc.runtime.reload import load
from cnncc.runtime.shared import can_link

from . import toy

KINDS = ("o", "a", "so", "h", "json", "cmake", "pc")
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
needs_cxx = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "one.h"
#include "two.h"

static const char *const names[] = ONE_LABELS;

int main(void)
{
    float x[ONE_INPUT_SIZE], y[ONE_OUTPUT_SIZE], a[TWO_INPUT0_SIZE], b[TWO_OUTPUT1_SIZE];
    char memory[ONE_WORKSPACE_BYTES + TWO_WORKSPACE_BYTES + 64];
    char *workspace = memory + (64 - (size_t)memory % 64) % 64;
    int i;
    memset(memory, 0, sizeof memory);
    if (one_check() || two_check() || one_workspace_bytes(1) != ONE_WORKSPACE_BYTES) return 1;
    for (i = 0; i < ONE_INPUT_SIZE; i++) x[i] = (float)i;
    for (i = 0; i < TWO_INPUT0_SIZE; i++) a[i] = 10.0f;
    if (one_infer(x, y, workspace) != CNNCC_OK) return 2;
    for (i = 0; i < ONE_OUTPUT_SIZE; i++) printf("%g ", y[i]);
    memset(workspace, 0, 64);
    if (two_infer(x, a, y, b, workspace) != CNNCC_OK) return 3;
    for (i = 0; i < TWO_OUTPUT1_SIZE; i++) printf("%g ", b[i]);
    if (one_infer(x, y, workspace + 4) != CNNCC_MISALIGNED) return 4;
    printf("%s %d", names[ONE_LABEL_COUNT - 1], ONE_IMAGES);
    return 0;
}
"""
PRINTED = '13 11 9 7 5 3 34 32 30 28 26 24 d"o\\g?? 1'


def _one() -> Executable:
    import dataclasses

    return dataclasses.replace(toy.executable(name="one"), labels=("*/ cat", 'd"o\\g??'))


def _two() -> Executable:
    return toy.executable(name="two", n_in=2, n_out=2)


@needs_cc
@pytest.mark.parametrize("linked", ["objects", "archives"])
@pytest.mark.parametrize("language", ["c", pytest.param("c++", marks=needs_cxx)])
def test_two_models_in_one_program(tmp_path: Path, linked: str, language: str) -> None:
    for executable in (_one(), _two()):
        write(executable, tmp_path, KINDS)
    (tmp_path / "main.c").write_text(PROGRAM)
    parts = ["-x", "none", *(f"{name}{end}.o" for name in ("one", "two") for end in ("", "_weights"))]
    if linked == "archives":
        parts = ["-x", "none", "libone.a", "libtwo.a"]
    flags = [
        "-std=c99" if language == "c" else "-std=c++11",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-error=pedantic",
    ]
    command = ["cc" if language == "c" else "c++", *flags, "-x", language, "main.c", *parts, "-o", "main"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    ran = subprocess.run([tmp_path / "main"], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, PRINTED)


@pytest.mark.parametrize(
    "target", ["host", "aarch64", "riscv64gcv", "cortex-m4", "wasm32", "windows-arm64", "macos-arm64"]
)
def test_the_same_bytes_in_every_folder(tmp_path: Path, target: str) -> None:
    found = []
    for folder in ("a", "somewhere/else"):
        executable = toy.executable(target=None if target == "host" else TARGETS[target])
        without = {*LISTINGS, *(() if can_link(executable.target) else SHARED)}
        kinds = [kind for kind in kinds_for(executable.target) if kind not in without]
        found.append(write(executable, tmp_path / folder, kinds))
    assert set(found[0]) == {*kinds, "weights", *(["import"] if "dll" in kinds else [])}
    for role, path in found[0].items():
        assert filecmp.cmp(path, found[1][role], shallow=False), role


@pytest.mark.parametrize("target", ["x86-64-v2", "aarch64", "riscv64gcv", "cortex-m4"])
def test_foreign_objects_need_nothing(tmp_path: Path, target: str) -> None:
    paths = write(toy.executable(target=TARGETS[target]), tmp_path, ["o", "a"])
    assert ELF.undefined_symbols(paths["o"].read_bytes()) == ELF.undefined_symbols(paths["weights"].read_bytes()) == ()
    assert [symbol.name for symbol in global_symbols(paths["weights"].read_bytes())] == ["toy_weights"]


def test_the_manifest_says_everything(tmp_path: Path) -> None:
    paths = write(toy.executable(n_in=2), tmp_path, ["json", "h"])
    text = paths["json"].read_text()
    manifest = json.loads(text)
    assert (manifest["abi"], manifest["symbol"], manifest["weights_bytes"]) == (2, "toy", 4)
    assert manifest["inputs"][1] == {"name": "x1", "shape": [1, 6], "dtype": "float32", "batched": True}
    assert manifest["errors"]["6"] == "an access left its bounds"
    assert manifest["files"] == {"h": "toy.h", "json": "toy.json"}
    assert manifest["undefined"] == [] and manifest["labels"] == ["cat", "dog"]
    assert str(tmp_path) not in text


@pytest.mark.skipif(shutil.which("ar") is None, reason="no ar")
def test_ar_reads_the_archive(tmp_path: Path) -> None:
    path = write(toy.executable(name="a_name_of_many_letters"), tmp_path, ["a"])["a"]
    listed = subprocess.run(["ar", "t", path], capture_output=True, text=True, check=True).stdout
    assert listed.split() == ["a_name_of_many_letters.o", "a_name_of_many_letters_weights.o"]


def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[str]:
        raise OutputError("no compiler")

    monkeypatch.setattr(shared, "_compiler", refuse)
    with pytest.raises(OutputError, match="no compiler"):
        write(toy.executable(), tmp_path / "new" / "folder", KINDS)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=f"^cannot write to '{folder}': "):
            write(toy.executable(), folder)
    (tmp_path / "folder" / "toy.h").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"toy\.h': it is a folder"):
        write(toy.executable(), tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["toy.h"]


def test_unknown_kinds_and_missing_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UsageError, match="unknown kind of artefact 'x': expected some of o, a, so, dll, dylib, wasm, h"
    ):
        write(toy.executable(), tmp_path, ["x"])
    with pytest.raises(UsageError, match="kind 'll' is written by who compiles"):
        write(toy.executable(), tmp_path, ["o", "ll"])
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(OutputError, match="needs a C compiler, and 'no-such-compiler' is not found"):
        write(toy.executable(), tmp_path, ["so"])
    monkeypatch.setenv("CC", "false")
    with pytest.raises(OutputError, match="'false' cannot link the library: no message"):
        write(toy.executable(), tmp_path, ["so"])
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(shared, "_ZIG", "no_such_package")
    for target, wanted in (
        ("riscv64gc", "riscv64-linux-gnu-gcc or the extra cnncc[cross]"),
        ("windows-x86-64", "x86_64-w64-mingw32-gcc or the extra cnncc[cross]"),
        ("macos-arm64", "the extra cnncc[cross]"),
    ):
        message = f"for target '{target}' needs a C compiler, and none is found: install {wanted}, set CC, or write the"
        with pytest.raises(OutputError, match=re.escape(message)):
            write(toy.executable(target=TARGETS[target]), tmp_path, [TARGETS[target].shared_library])
    assert not list(tmp_path.iterdir())


def test_kinds_that_a_target_has_not(tmp_path: Path) -> None:
    for target, kind, sentence in (
        ("cortex-m4", "so", "no shared library for target 'cortex-m4': write the static library"),
        ("wasm32", "dylib", "no shared library for target 'wasm32': take the kind wasm"),
        ("windows-x86-64", "so", "no .so for target 'windows-x86-64': take the kind dll"),
        ("macos-arm64", "dll", "no .dll for target 'macos-arm64': take the kind dylib"),
        ("aarch64", "dylib", "no .dylib for target 'aarch64': take the kind so"),
    ):
        with pytest.raises(OutputError, match=f"^cnncc writes {re.escape(sentence)}$"):
            write(toy.executable(target=TARGETS[target]), tmp_path, ["o", kind])
    assert not list(tmp_path.iterdir())


@needs_cc
@pytest.mark.parametrize("threads", [1, 2])
def test_a_shared_library_is_a_model_again(tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write(toy.executable(n_in=2), tmp_path, ["so"])
    monkeypatch.chdir(tmp_path)
    with load("toy.so", threads) as model:
        x = toy.images(3)
        np.testing.assert_array_equal(model(x, x), toy.expected(x, x))
        assert (model.name, model.threads, model.labels) == ("toy", threads, ("cat", "dog"))
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again(x, x), model(x, x))


@needs_cc
def test_a_shared_library_needs_nothing(tmp_path: Path) -> None:
    path = write(toy.executable(), tmp_path, ["so"])["so"]
    needed = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True, check=True).stdout
    assert "NEEDED" not in needed


@needs_cc
def test_a_library_for_another_processor_is_an_error(tmp_path: Path) -> None:
    write(toy.executable(check=1), tmp_path, ["so"])
    with pytest.raises(TargetError, match="this processor cannot run model 'toy'"):
        load(tmp_path / "toy.so")


@needs_cc
def test_libraries_that_are_none_of_ours(tmp_path: Path) -> None:
    path = write(toy.executable(), tmp_path, ["so", "o"])["so"]
    whole = path.read_bytes()
    cases = {
        "nothing": (b"", "not a little-endian ELF file"),
        "text": (b"hello" * 100, "not a little-endian ELF file"),
        "object": ((tmp_path / "toy.o").read_bytes(), "not a shared library"),
        **{f"cut{size}": (whole[:size], "") for size in range(1, len(whole), len(whole) // 50)},
    }
    for name, (data, reason) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}' is not a shared library written by cnncc: .*{reason}"):
            load(tmp_path / name)
    for name in ("missing.so", "."):
        with pytest.raises(InputError, match="cannot read"):
            load(tmp_path / name)


@needs_cc
def test_a_stranger_s_library_is_not_even_loaded(tmp_path: Path) -> None:
    trap = "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { abort(); }"
    (tmp_path / "trap.c").write_text(trap)
    subprocess.run(["cc", "-shared", "-fPIC", "trap.c", "-o", "trap.so"], cwd=tmp_path, check=True)
    with pytest.raises(InputError, match="it has no symbol 'cnncc_manifest'"):
        load(tmp_path / "trap.so")


@needs_cc
@pytest.mark.parametrize("manifest", ["", "{}", '{"abi": 7}', '{"abi": 1}', "[1"])
def test_strange_manifests(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "m.c").write_text(f"const char cnncc_manifest[] = {json.dumps(manifest)};")
    subprocess.run(["cc", "-shared", "-fPIC", "m.c", "-o", "m.so"], cwd=tmp_path, check=True)
    with pytest.raises(InputError, match="is not a shared library that this cnncc can use"):
        load(tmp_path / "m.so")


def test_files_have_ordinary_permissions(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        paths = write(toy.executable(), tmp_path / "out")
    finally:
        os.umask(umask)
    assert {oct(path.stat().st_mode & 0o777) for path in paths.values()} == {"0o644"}
