"""What `cnncc/abi.py` states is what a C compiler makes of the header, and what ctypes makes of its structures."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from cnncc import abi
from cnncc.runtime import layout
from cnncc.runtime.header import header

from .support import digits_for, needs_cc

COMPILERS = [
    pytest.param(["cc"], ctypes.sizeof(ctypes.c_void_p), id="cc"),
    pytest.param(["cc", "-m32", "-ffreestanding"], 4, id="cc -m32"),
    pytest.param(["aarch64-linux-gnu-gcc"], 8, id="aarch64", marks=pytest.mark.tools),
    pytest.param(["riscv64-linux-gnu-gcc"], 8, id="riscv64", marks=pytest.mark.tools),
    pytest.param(["arm-linux-gnueabihf-gcc"], 4, id="arm", marks=pytest.mark.tools),
]


def assertions(pointer_bytes: int) -> str:
    """A C program that compiles if the header agrees with `abi`."""
    facts = [f"offsetof(cnncc_call, {name}) == {place}" for name, place in abi.offsets(pointer_bytes).items()]
    facts += [f"sizeof(cnncc_call) == {abi.call_bytes(pointer_bytes)}", f"CNNCC_ABI == {abi.VERSION}"]
    facts += [f"{code.c_name} == {code.value}" for code in abi.ErrorCode]
    return "\n".join(['#include "digits.h"', *(f'_Static_assert({fact}, "{fact}");' for fact in facts), ""])


def compiled(compiler: list[str], program: str, folder: Path) -> str:
    """What a compiler says to a program beside the header of the digits network."""
    (folder / "digits.h").write_text(header(digits_for("host")))
    (folder / "program.c").write_text(program)
    command = [*compiler, "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "program.c"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False).stderr


@needs_cc
@pytest.mark.parametrize(("compiler", "pointer_bytes"), COMPILERS)
def test_the_header_in_c(tmp_path: Path, compiler: list[str], pointer_bytes: int) -> None:
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"not installed: {compiler[0]}")
    (tmp_path / "empty.c").write_text("")
    if subprocess.run(
        [*compiler, "-fsyntax-only", "empty.c"], cwd=tmp_path, capture_output=True, check=False
    ).returncode:
        pytest.skip(f"no such compiler: {' '.join(compiler)}")
    assert compiled(compiler, assertions(pointer_bytes), tmp_path) == ""


@needs_cc
def test_another_offset_is_seen(tmp_path: Path) -> None:
    text = assertions(ctypes.sizeof(ctypes.c_void_p)).replace(
        "offsetof(cnncc_call, shard) == 16", "offsetof(cnncc_call, shard) == 17"
    )
    assert "static assertion failed" in compiled(["cc"], text, tmp_path)


def test_the_call_in_ctypes() -> None:
    pointer_bytes = ctypes.sizeof(ctypes.c_void_p)
    found = {field.name: getattr(layout.CallStruct, field.name) for field in abi.CALL}
    assert {name: field.offset for name, field in found.items()} == abi.offsets(pointer_bytes)
    assert ctypes.sizeof(layout.CallStruct) == abi.call_bytes(pointer_bytes)
    assert {field.size for field in found.values()} == {abi.WORD_BYTES, pointer_bytes}


def test_codes_have_reasons() -> None:
    assert [abi.ErrorCode.OK, *abi.REASONS] == list(abi.ErrorCode) == list(range(8))


def test_the_words_of_the_head_stand_apart() -> None:
    """None over another, and each word of the pair in a line of its own."""
    assert abi.HEADER_BYTES_OF_ONE == abi.ALIGNMENT
    counted = abi.ARRIVED, abi.GENERATION, abi.FAULT_STEP
    lines = [place // abi.ALIGNMENT for place in (*counted, *abi.PAIR)]
    assert lines == [0, 0, 0, 1, 2] and abi.HEADER_BYTES == 3 * abi.ALIGNMENT
    assert sorted(counted) == sorted({place // abi.WORD_BYTES * abi.WORD_BYTES for place in counted})
