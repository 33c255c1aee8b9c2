"""The digits network for every target: objects that need nothing, run wherever something can run them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.errors import TargetError
from cnncc.native import host_target
from cnncc.objects.elf import global_symbols
from cnncc.target import ALIASES, TARGETS

from .support import C99, EXAMPLES, OBJECTS, build, classes, digits_for, needs, needs_cc, runs_here, write_digits

DIGITS = list("0123456789")
NAMES = [*TARGETS, *ALIASES]
ON_X86 = pytest.mark.parametrize("target", [name for name in TARGETS if name.startswith("x86-64")])


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checked"])
def test_objects_need_nothing(target: str, checked: bool) -> None:
    executable = digits_for(target, checked)
    assert executable.undefined == ()
    names = sorted(symbol.name for symbol in global_symbols(executable.object))
    assert names == ["digits_check", "digits_run", "digits_workspace_bytes"]


@needs_cc
@pytest.mark.skipif(host_target().architecture != "x86-64", reason="not an x86-64 machine")
@ON_X86
def test_x86_64_in_a_program(target: str, tmp_path: Path, pictures: list[Path]) -> None:
    program = build(write_digits(tmp_path, target), "cc", *C99, "digits.c", *OBJECTS)
    if not runs_here(program):
        pytest.skip(f"this processor is no {target}")
    assert classes([program], pictures) == DIGITS


@ON_X86
def test_x86_64_from_python(target: str) -> None:
    held_out = np.load(EXAMPLES / "digits" / "held_out.npz")
    images = (held_out["images"][:, None] / 255).astype(np.float32)
    try:
        model = cnncc.compile(EXAMPLES / "digits.py", target=target, cache=False)
    except TargetError as error:
        pytest.skip(str(error))
    with model:
        classes = model(images).argmax(axis=1)
    np.testing.assert_array_equal(classes, cnncc.interpret(EXAMPLES / "digits.py", images).argmax(axis=1))


@pytest.mark.tools
@needs("aarch64-linux-gnu-gcc", "qemu-aarch64")
def test_aarch64_under_qemu(tmp_path: Path, pictures: list[Path]) -> None:
    folder = write_digits(tmp_path, "aarch64")
    program = build(folder, "aarch64-linux-gnu-gcc", *C99, "-static", "digits.c", "libdigits.a")
    assert classes(["qemu-aarch64", program], pictures) == DIGITS


@pytest.mark.tools
@needs("arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf-objcopy", "qemu-arm")
def test_cortex_m4_code_under_qemu(tmp_path: Path, pictures: list[Path]) -> None:
    """The microcontroller's instructions in a Linux program of the same calling convention.

    The attributes that say "profile M" go, since a linker would not mix them with the system's profile A.
    """
    folder = write_digits(tmp_path, "cortex-m4")
    for name in OBJECTS:
        strip = ["arm-linux-gnueabihf-objcopy", "--remove-section=.ARM.attributes", name]
        subprocess.run(strip, cwd=folder, check=True)
    program = build(folder, "arm-linux-gnueabihf-gcc", *C99, "-mthumb", "-static", "digits.c", *OBJECTS)
    assert classes(["qemu-arm", program], pictures) == DIGITS
