"""Objects of Windows, macOS and WebAssembly, and such as need routines: run on this machine, or by an emulator."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnncc import native
from cnncc.cli import main
from cnncc.emulation.routines import routines
from cnncc.emulation.run import emulate
from cnncc.errors import NativeError, TargetError
from cnncc.machine.target import TARGETS
from cnncc.objects.wasm_module import module

from .handmade import LENGTH, X, Y, handmade, on_x86
from .support import EXAMPLES, needs

DIGITS = str(EXAMPLES / "digits.py")
V2, ARM64 = TARGETS["x86-64-v2"], TARGETS["aarch64"]
FORMATS = {
    "COFF": replace(V2, triple="x86_64-pc-windows-gnu"),
    "Mach-O": replace(V2, triple="x86_64-apple-macosx11.0.0"),
    "COFF arm64": replace(ARM64, triple="aarch64-pc-windows-gnu"),
    "Mach-O arm64": replace(ARM64, triple="arm64-apple-macosx11.0.0"),
}
"""Objects of other systems, which ask nothing of them."""


@on_x86
@pytest.mark.parametrize("format", ["COFF", "Mach-O"])
def test_other_formats(format: str) -> None:
    for (y,) in emulate(handmade(FORMATS[format]), {"x": X}, runs=2).outputs:
        np.testing.assert_array_equal(y, Y)


@pytest.mark.tools
@needs("qemu-aarch64")
@pytest.mark.parametrize("format", ["COFF arm64", "Mach-O arm64"])
def test_other_formats_of_arm64(format: str) -> None:
    for (y,) in emulate(handmade(FORMATS[format]), {"x": X}, runs=2).outputs:
        np.testing.assert_array_equal(y, Y)


def test_windows_asks_for_large_frames() -> None:
    """By a routine that has nothing to do here."""
    (probe,) = routines([], ["___chkstk_ms"], FORMATS["COFF"])
    assert probe.sections[0].data == b"\xc3"


NO_FLOATS = replace(TARGETS["cortex-m4"], name="soft", triple="thumbv6m-none-unknown-eabi", cpu="cortex-m0plus")


@pytest.mark.tools
@needs("qemu-system-arm", "arm-none-eabi-gcc")
def test_without_hardware_for_floats() -> None:
    """Sums and products are routines of GCC's library."""
    executable = replace(handmade(NO_FLOATS), undefined=("__aeabi_fadd", "__aeabi_fmul"))
    for (y,) in emulate(executable, {"x": X}).outputs:
        np.testing.assert_array_equal(y, Y)


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TargetError) as caught:
        routines([], ["__aeabi_fadd"], NO_FLOATS)
    assert str(caught.value) == (
        "code for target 'soft' needs '__aeabi_fadd' of the runtime of arm-none-eabi-gcc, which is not found: install "
        "it (Debian: apt-get install gcc-arm-none-eabi)"
    )
    with pytest.raises(TargetError, match=r"^no library is known that has 'sinf' for target 'aarch64'$"):
        routines([], ["sinf"], ARM64)


WASM = replace(
    TARGETS["cortex-m4"], name="wasm32", triple="wasm32-unknown-unknown", cpu="mvp", features="+mutable-globals"
)
ADD = "define i32 @f(i32 %a, i32 %b) { %c = add i32 %a, %b\n ret i32 %c }\ndefine void @g() { ret void }\n"
CALL_ADD = """
const module = new WebAssembly.Module(require("fs").readFileSync(process.argv[1]));
const memory = new WebAssembly.Memory({ initial: 1 });
const { exports } = new WebAssembly.Instance(module, { env: { __linear_memory: memory } });
console.log(exports.f(40, 2), Object.keys(exports).join());
"""


@pytest.mark.tools
@needs("node")
def test_an_object_becomes_a_module(tmp_path: Path) -> None:
    (tmp_path / "f.wasm").write_bytes(module(native.emit_object(ADD, WASM), ["f"]))
    done = subprocess.run(["node", "-e", CALL_ADD, tmp_path / "f.wasm"], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"42 f\n"


def test_what_an_object_does_not_have_is_told() -> None:
    code = native.emit_object(ADD, WASM)
    assert b"\7\x09\2\1f\0\0\1g\0\1" in module(code, ["f", "g"])
    with pytest.raises(NativeError, match=r"^the object does not define 'h'$"):
        module(code, ["f", "h"])
    with pytest.raises(NativeError, match=r"^not a WebAssembly module$"):
        module(b"\x7fELF", ["f"])
    with pytest.raises(NativeError, match=r"^damaged WebAssembly file: "):
        module(code[:-5], ["f"])


@pytest.mark.tools
@needs("node")
@pytest.mark.skipif("wasm32" not in TARGETS, reason="no target of WebAssembly")
@pytest.mark.parametrize("target", ["wasm32", "wasm32-simd"])
def test_webassembly(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", DIGITS, "--target", target]) == 0
    assert "digits: ran under node, twice, " in capsys.readouterr().out
    assert main(["bench", DIGITS, "--target", target]) == 2
    told = f"cnncc: node does not count the instructions of target '{target}'\n"
    assert capsys.readouterr().err == told
    for (y,) in emulate(handmade(TARGETS[target]), {"x": X}, runs=2).outputs:
        np.testing.assert_array_equal(y, Y)
    with pytest.raises(NativeError, match=r"^model 'm': it wrote behind its outputs, states or workspace$"):
        emulate(handmade(TARGETS[target], rounds=LENGTH + 1), {"x": X})
    with pytest.raises(NativeError, match=r"^model 'm': the emulated program ended with code 1: RuntimeError: memory"):
        emulate(handmade(TARGETS[target], rounds=1 << 26), {"x": X})
