"""Object formats, and objects that hold bytes: what they define everywhere, and where a loader finds the bytes."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cnncc.errors import NativeError, TargetError
from cnncc.machine.target import TARGETS
from cnncc.native import emit_object, host_target, load_object
from cnncc.objects import ELF, FORMATS, format_of
from cnncc.objects.format import Symbol

BYTES = bytes(range(256)) * 3 + b"odd"
HOLDS = {"ELF": ".rodata", "COFF": ".rdata", "Mach-O": "__const", "wasm": "data"}
needs_readobj = pytest.mark.skipif(shutil.which("llvm-readobj") is None, reason="no llvm-readobj")


@pytest.mark.parametrize("size", [1, 8, 63, 64, len(BYTES)])
def test_loaded_bytes_are_aligned_and_the_same(size: int) -> None:
    code = load_object(ELF.data_object("held", BYTES[:size], host_target()))
    address = code.address("held")
    assert address % 64 == 0 and ctypes.string_at(address, size) == BYTES[:size]


@pytest.mark.parametrize("target", TARGETS)
def test_one_symbol_on_every_target(target: str) -> None:
    row = TARGETS[target]
    objects = format_of(row)
    made = objects.data_object("held", BYTES, row)
    assert objects.global_symbols(made) == (Symbol("held", True),) and objects.undefined_symbols(made) == ()
    assert [section.name for section in objects.sections(made) if BYTES in section.data] == [HOLDS[row.object_format]]
    assert made == objects.data_object("held", memoryview(BYTES), row)


@needs_readobj
@pytest.mark.parametrize("target", TARGETS)
def test_others_can_read_it(tmp_path: Path, target: str) -> None:
    (tmp_path / "held.o").write_bytes(format_of(TARGETS[target]).data_object("held", BYTES, TARGETS[target]))
    command = ["llvm-readobj", "--sections", "--section-data", "--symbols", str(tmp_path / "held.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "" and re.search(r"Name: _?held\b", done.stdout)
    expected = {
        "ELF": rf"Name: \.rodata .*?Flags .*?SHF_ALLOC.*?AddressAlignment: {TARGETS[target].alignment}",
        "COFF": r"Name: \.rdata .*?IMAGE_SCN_ALIGN_64BYTES",
        "Mach-O": r"Segment: __TEXT.*?Alignment: 6",
        "wasm": r"Name: \.rodata\.held.*?Alignment: 6|Type: DATA",
    }
    assert re.search(expected[TARGETS[target].object_format], done.stdout, re.DOTALL)
    assert "WRITE" not in done.stdout


NEEDS = """
declare void @outside(float)
define void @inside(float %x) nounwind { call void @outside(float %x)\n ret void }
define internal void @hidden() nounwind noinline { ret void }
define void @caller() nounwind { call void @hidden()\n ret void }
"""


@pytest.mark.parametrize(
    "target", ["cortex-m4", "riscv32imc", "wasm32", "windows-x86-64", "windows-arm64", "macos-arm64"]
)
def test_global_symbols_of_llvms_objects(target: str) -> None:
    """Those that are defined and those that are not, by their names in C, without what is local."""
    objects = format_of(TARGETS[target])
    code = emit_object(NEEDS, TARGETS[target])
    told = {Symbol("inside", True), Symbol("caller", True), Symbol("outside", False)}
    assert set(objects.global_symbols(code)) == told
    assert objects.undefined_symbols(code) == ("outside",)


@needs_readobj
@pytest.mark.parametrize("target", ["cortex-m4", "wasm32", "windows-x86-64", "macos-arm64"])
def test_an_archive_has_an_index(tmp_path: Path, target: str) -> None:
    objects, names = format_of(TARGETS[target]), ("a_name_of_many_letters", "b")
    held = {f"{name}.o": objects.data_object(name, BYTES, TARGETS[target]) for name in names}
    (tmp_path / "held.a").write_bytes(objects.archive(held))
    command = ["llvm-nm", "--print-armap", str(tmp_path / "held.a")]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    assert re.findall(r"^_?(\w+) in (\S+)$", found.stdout, re.MULTILINE) == [(name, f"{name}.o") for name in names]
    subprocess.run(["llvm-ar", "x", "held.a"], cwd=tmp_path, check=True)
    for name, data in held.items():
        assert (tmp_path / name).read_bytes().rstrip(b"\n") == data.rstrip(b"\n")  # those of macOS are padded


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_of_no_object_are_refused(name: str) -> None:
    """Those of another format; of one that is cut short anywhere, it is an error of ours or what the rest tells."""
    row = next(row for row in TARGETS.values() if row.object_format == name)
    made = FORMATS[name].data_object("held", b"1234", row)
    for other in FORMATS:
        if other != name:
            with pytest.raises(NativeError):
                FORMATS[other].global_symbols(made)
    for size in range(len(made)):
        for read in (FORMATS[name].global_symbols, FORMATS[name].sections):
            with contextlib.suppress(NativeError):
                read(made[:size])


def test_unwind_tables_are_taken_out() -> None:
    """All else stays: the bytes of the other sections, and the symbols."""
    before = emit_object(NEEDS, TARGETS["cortex-m4"])
    after = ELF.without_unwinding(before)
    removed = {".ARM.exidx", ".rel.ARM.exidx"}
    assert removed < {section.name for section in ELF.sections(before)}
    left = [section for section in ELF.sections(before) if section.name not in {*removed, ".symtab"}]
    assert [section for section in ELF.sections(after) if section.name != ".symtab"] == left
    assert ELF.global_symbols(after) == ELF.global_symbols(before)
    assert ELF.without_unwinding(after) == after


def test_an_architecture_that_is_missing_is_refused() -> None:
    with pytest.raises(TargetError, match=r"^target 'other' is of the unknown architecture 'z80': expected one of "):
        dataclasses.replace(TARGETS["x86-64-v2"], name="other", architecture="z80")
