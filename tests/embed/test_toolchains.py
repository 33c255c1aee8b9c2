"""The digits network as the compilers of other machines link it: nothing is missing, and what can run here is right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.machine.target import TARGETS
from cnncc.objects import format_of
from cnncc.objects.format import Symbol
from cnncc.runtime import artefacts

from .support import C99, EXAMPLES, build, classes, digits_for, needs, write_digits

pytestmark = pytest.mark.tools
DIGITS = list("0123456789")
WINE = next((path for path in (shutil.which("wine"), "/usr/lib/wine/wine64") if path and os.path.exists(path)), "wine")
MACHO_LINKER = next((path for path in map(shutil.which, ("ld64.lld", "/usr/lib/llvm-14/bin/ld64.lld")) if path), "")
CORTEX_M = {
    "cortex-m0plus": ("-mcpu=cortex-m0plus",),
    "cortex-m3": ("-mcpu=cortex-m3",),
    "cortex-m4": ("-mcpu=cortex-m4", "-mfloat-abi=hard"),
    "cortex-m4-softfp": ("-mcpu=cortex-m4", "-mfloat-abi=softfp"),
    "cortex-m7": ("-mcpu=cortex-m7", "-mfloat-abi=hard"),
    "cortex-m33": ("-mcpu=cortex-m33", "-mfloat-abi=hard"),
    "cortex-m55": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
}
RISCV = {"riscv32imc": ("rv32imc", "ilp32"), "riscv32imafc": ("rv32imafc", "ilp32f")}
MAIN = """\
#include "digits.h"
static float x[DIGITS_INPUT_SIZE], y[DIGITS_OUTPUT_SIZE];
static unsigned char memory[DIGITS_WORKSPACE_BYTES] __attribute__((aligned(64)));
int main(void) { return digits_infer(x, y, memory); }
"""
NODE = """\
const fs = require("fs");
const [, , file, input, workspaceBytes, fingerprint] = process.argv;
const { exports: e } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), {});
let top = e.__heap_base.value;
const take = (bytes) => { const at = (top + 63) & ~63; top = at + bytes; return at; };
const data = fs.readFileSync(input), images = data.length / 256;
const x = take(data.length), y = take(images * 40), workspace = take(+workspaceBytes);
const inputs = take(4), outputs = take(4), call = take(48);
if (top > e.memory.buffer.byteLength) e.memory.grow(((top - e.memory.buffer.byteLength) >> 16) + 1);
new Uint8Array(e.memory.buffer).set(data, x);
const words = new Uint32Array(e.memory.buffer);
words[inputs >> 2] = x;
words[outputs >> 2] = y;
words.set([2, +fingerprint, 0, images, 0, 1, inputs, outputs, workspace, e.digits_weights.value, 0, 0], call >> 2);
if (e.digits_check() || e.digits_run(call)) process.exit(1);
fs.writeSync(1, new Uint8Array(e.memory.buffer, y, images * 40));
"""


def run(command: Sequence[str | Path], folder: Path) -> bytes:
    """Standard output; nothing else is said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    return done.stdout


@needs("llvm-nm", "llvm-size")
@pytest.mark.parametrize("target", TARGETS)
def test_readers_agree_with_llvms(target: str, tmp_path: Path) -> None:
    """On symbols, and on sections and their sizes (those of WebAssembly have other names there)."""
    executable, objects = digits_for(target), format_of(TARGETS[target])
    (tmp_path / "digits.o").write_bytes(executable.object)
    listed = run(["llvm-nm", "digits.o"], tmp_path).decode()
    prefix = "_" if TARGETS[target].object_format == "Mach-O" else ""
    symbols = re.findall(r"^[0-9a-f]*\s+([A-Z])\s+(\S+)$", listed, re.MULTILINE)
    theirs = {Symbol(name.removeprefix(prefix), kind != "U") for kind, name in symbols}
    assert set(objects.global_symbols(executable.object)) == theirs
    listed = run(["llvm-size", "-A", "digits.o"], tmp_path).decode()
    rows = re.findall(r"^(\S+)\s+(\d+)\s+\d+", listed, re.MULTILINE)
    sizes = {section.name: len(section.data) for section in objects.sections(executable.object)}
    if TARGETS[target].object_format != "wasm":
        assert all(sizes[name] == int(size) for name, size in rows if int(size))


@pytest.mark.parametrize(
    ("target", "compiler", "emulator"),
    [
        pytest.param(*row, marks=needs(*row[1:]))
        for row in (
            ("armv7", "arm-linux-gnueabihf-gcc", "qemu-arm"),
            ("aarch64-none", "aarch64-linux-gnu-gcc", "qemu-aarch64"),
            ("riscv64gc", "riscv64-linux-gnu-gcc", "qemu-riscv64"),
        )
    ],
)
def test_programs_under_qemu(target: str, compiler: str, emulator: str, tmp_path: Path, pictures: list[Path]) -> None:
    program = build(write_digits(tmp_path, target), compiler, *C99, "-static", "digits.c", "libdigits.a")
    assert classes([emulator, program], pictures) == DIGITS


@needs("x86_64-w64-mingw32-gcc", WINE)
def test_a_program_for_windows(tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive, as GNU's linker reads it, and the code under Wine."""
    monkeypatch.setenv("WINEDEBUG", "-all")
    monkeypatch.setenv("WINEPREFIX", str(tmp_path / "wine"))
    folder = write_digits(tmp_path, "windows-x86-64")
    program = build(folder, "x86_64-w64-mingw32-gcc", *C99, "digits.c", "libdigits.a", output="digits.exe")
    subprocess.run([WINE, program], capture_output=True, timeout=120, check=False)  # it makes its folders, and tells
    assert classes([WINE, program], pictures) == DIGITS


@needs("lld-link")
@pytest.mark.parametrize("machine", ["x64", "arm64"])
def test_microsofts_format_links(machine: str, tmp_path: Path) -> None:
    """As a linker that follows Microsoft's reads the archive."""
    folder = write_digits(tmp_path, "windows-arm64" if machine == "arm64" else "windows-x86-64")
    names = [f"/export:digits_{name}" for name in ("run", "check", "weights")]
    run(["lld-link", "/dll", "/noentry", f"/machine:{machine}", *names, "libdigits.a", "/out:digits.dll"], folder)


@pytest.mark.skipif(not MACHO_LINKER, reason="not installed: ld64.lld")
@pytest.mark.parametrize("processor", ["x86_64", "arm64"])
def test_libraries_for_macos_link(processor: str, tmp_path: Path) -> None:
    folder = write_digits(tmp_path, "macos-arm64" if processor == "arm64" else "macos-x86-64")
    wanted = [word for name in ("run", "check", "weights") for word in ("-u", f"_digits_{name}")]
    version = ["-platform_version", "macos", "11.0", "11.0", "-undefined", "error"]
    run([MACHO_LINKER, "-arch", processor, *version, "-dylib", *wanted, "libdigits.a", "-o", "digits.dylib"], folder)


@needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("target", CORTEX_M)
def test_firmware_links(target: str, tmp_path: Path) -> None:
    """With code of the same convention: softfp with softfp, and with libgcc where there are no floats; no libc."""
    folder = write_digits(tmp_path, target)
    (folder / "main.c").write_text(MAIN)
    flags = (*C99, "-Wno-pedantic", *CORTEX_M[target], "-mthumb", "-nostdlib", "-Wl,-e,main,--no-warn-execstack")
    assert build(folder, "arm-none-eabi-gcc", *flags, "main.c", "libdigits.a", "-lgcc").exists()


@needs("riscv64-unknown-elf-gcc")
@pytest.mark.parametrize("target", RISCV)
def test_riscv32_links(target: str, tmp_path: Path) -> None:
    folder = write_digits(tmp_path, target)
    (folder / "main.c").write_text(MAIN)
    march, mabi = RISCV[target]
    flags = (*C99, "-ffreestanding", f"-march={march}", f"-mabi={mabi}", "-nostdlib", "-Wl,-e,main")
    assert build(folder, "riscv64-unknown-elf-gcc", *flags, "main.c", "libdigits.a", "-lgcc").exists()


@needs("wasm-ld", "node")
@pytest.mark.parametrize("target", ["wasm32", "wasm32-simd"])
def test_webassembly_in_node(target: str, tmp_path: Path) -> None:
    executable = digits_for(target)
    artefacts.write(executable, tmp_path, ["a"])
    names = ("digits_run", "digits_check", "digits_weights", "__heap_base")
    exports = [f"--export={name}" for name in names]
    run(["wasm-ld", "--no-entry", *exports, "libdigits.a", "-o", "digits.wasm"], tmp_path)
    (tmp_path / "run.js").write_text(NODE)
    images = (np.load(EXAMPLES / "digits" / "held_out.npz")["images"][:40, None] / 255).astype(np.float32)
    images.tofile(tmp_path / "images")
    numbers = [str(executable.workspace_bytes(1)), str(executable.fingerprint)]
    found = run(["node", "run.js", "digits.wasm", "images", *numbers], tmp_path)
    wanted = cnncc.interpret(EXAMPLES / "digits.py", images)
    np.testing.assert_allclose(np.frombuffer(found, np.float32).reshape(wanted.shape), wanted, atol=1e-5)
