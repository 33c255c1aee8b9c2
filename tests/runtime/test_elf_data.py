"""Objects that hold bytes: what they define on every architecture, and that a loader finds the bytes in place."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from cnncc.native import host_target, load_object
from cnncc.runtime.elf import Symbol, global_symbols, undefined_symbols
from cnncc.runtime.elf_data import data_object
from cnncc.target import TARGETS

BYTES = bytes(range(256)) * 3 + b"odd"


@pytest.mark.parametrize("size", [1, 8, 63, 64, len(BYTES)])
def test_loaded_bytes_are_aligned_and_the_same(size: int) -> None:
    code = load_object(data_object("held", BYTES[:size], host_target().architecture))
    address = code.address("held")
    assert address % 64 == 0 and ctypes.string_at(address, size) == BYTES[:size]


@pytest.mark.parametrize("target", TARGETS)
def test_one_symbol_on_every_target(target: str) -> None:
    made = data_object("held", BYTES, TARGETS[target].architecture)
    assert global_symbols(made) == (Symbol("held", True),) and undefined_symbols(made) == ()
    assert made[64 : 64 + len(BYTES)] == BYTES
    assert made == data_object("held", memoryview(BYTES), TARGETS[target].architecture)


@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf")
@pytest.mark.parametrize("target", TARGETS)
def test_others_can_read_it(tmp_path: Path, target: str) -> None:
    (tmp_path / "held.o").write_bytes(data_object("held", BYTES, TARGETS[target].architecture))
    command = ["readelf", "-W", "--sections", "--symbols", "--hex-dump=.rodata", str(tmp_path / "held.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"LC_ALL": "C"})
    assert done.stderr == ""
    words = [line.split() for line in done.stdout.splitlines()]
    assert [str(len(BYTES)), "OBJECT", "GLOBAL", "DEFAULT", "1", "held"] in [line[2:] for line in words]
    (section,) = [line for line in words if ".rodata" in line and "PROGBITS" in line]
    assert section[-4:] == ["A", "0", "0", "64"]
