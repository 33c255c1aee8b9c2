"""Object formats, and objects that hold bytes: what they define everywhere, and where a loader finds the bytes."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cnncc.compiler import Compilation, Options
from cnncc.errors import TargetError
from cnncc.machine.target import TARGETS
from cnncc.native import host_target, load_object
from cnncc.objects import ELF
from cnncc.objects.elf import global_symbols
from cnncc.objects.format import Symbol
from cnncc.ops import Relu
from tests.graphs import one_op

BYTES = bytes(range(256)) * 3 + b"odd"


@pytest.mark.parametrize("size", [1, 8, 63, 64, len(BYTES)])
def test_loaded_bytes_are_aligned_and_the_same(size: int) -> None:
    code = load_object(ELF.data_object("held", BYTES[:size], host_target()))
    address = code.address("held")
    assert address % 64 == 0 and ctypes.string_at(address, size) == BYTES[:size]


@pytest.mark.parametrize("target", TARGETS)
def test_one_symbol_on_every_target(target: str) -> None:
    made = ELF.data_object("held", BYTES, TARGETS[target])
    assert global_symbols(made) == (Symbol("held", True),) and ELF.undefined_symbols(made) == ()
    assert made[64 : 64 + len(BYTES)] == BYTES
    assert made == ELF.data_object("held", memoryview(BYTES), TARGETS[target])


@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf")
@pytest.mark.parametrize("target", TARGETS)
def test_others_can_read_it(tmp_path: Path, target: str) -> None:
    (tmp_path / "held.o").write_bytes(ELF.data_object("held", BYTES, TARGETS[target]))
    command = ["readelf", "-W", "--sections", "--symbols", "--hex-dump=.rodata", str(tmp_path / "held.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"LC_ALL": "C"})
    assert done.stderr == ""
    words = [line.split() for line in done.stdout.splitlines()]
    assert [str(len(BYTES)), "OBJECT", "GLOBAL", "DEFAULT", "1", "held"] in [line[2:] for line in words]
    (section,) = [line for line in words if ".rodata" in line and "PROGBITS" in line]
    assert section[-4:] == ["A", "0", "0", "64"]


@pytest.mark.parametrize(
    ("triple", "format"),
    [("x86_64-pc-windows-msvc", "COFF"), ("arm64-apple-macosx", "Mach-O"), ("wasm32-unknown-unknown", "wasm")],
)
def test_a_format_that_is_missing_is_refused(triple: str, format: str) -> None:
    """Before anything is planned."""
    target = dataclasses.replace(TARGETS["x86-64-v2"], name="other", triple=triple)
    work = Compilation(one_op(Relu(), np.zeros((1, 4), np.float32))[0], Options(target))
    expected = f"target 'other' ({triple}) takes {format} objects, and cnncc writes ELF only"
    with pytest.raises(TargetError, match=f"^{re.escape(expected)}$"):
        work.build()
    assert not {"optimised", "plan"} & vars(work).keys()


def test_an_architecture_that_is_missing_is_refused() -> None:
    with pytest.raises(TargetError, match=r"^target 'other' is of the unknown architecture 'z80': expected one of "):
        dataclasses.replace(TARGETS["x86-64-v2"], name="other", architecture="z80")
