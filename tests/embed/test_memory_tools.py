"""Valgrind and the sanitizers find nothing in the host's examples (those of `learn.c` are in test_learn.py).

Objects are not instrumented: the sanitizers see the programs around them, valgrind sees all. It knows no AVX-512, so it
runs code for x86-64-v2.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cnncc.native import host_target
from cnncc.runtime import artefacts

from .support import C99, CXX11, EXAMPLES, STRICT, build, digits_for, needs, write_digits

EMBED = EXAMPLES / "embed"
LIBRARY = "libdigits.a"
PROGRAMS = {
    "digits.c": ("cc", *C99, "digits.c", LIBRARY),
    "threads.c": ("cc", "-std=c11", *STRICT, "-pthread", "threads.c", LIBRARY),
    "main.cpp": ("c++", "-std=c++17", *CXX11[1:], "main.cpp", LIBRARY),
}
KNOWN = "x86-64-v2" if host_target().architecture == "x86-64" else "host"
MEMCHECK = ("valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--track-origins=yes")

pytestmark = pytest.mark.tools


def folder_for(tmp_path: Path, target: str) -> Path:
    """Artefacts, sources, and one picture in the format of each program."""
    from PIL import Image

    write_digits(tmp_path, target, ("a", "h"))
    for source in (EMBED / "threads.c", *(EMBED / "cpp").glob("*.?pp")):
        shutil.copy(source, tmp_path)
    picture = Image.open(EXAMPLES / "digits" / "7.png")
    picture.save(tmp_path / "7.pgm")
    (tmp_path / "7.raw").write_bytes(np.asarray(picture, np.uint8).tobytes())
    return tmp_path


def arguments(source: str, folder: Path) -> list[Path]:
    """What a program reads: `threads.c` makes its inputs itself."""
    return {"digits.c": [folder / "7.pgm"], "threads.c": [], "main.cpp": [folder / "7.raw"]}[source]


def silent(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@needs("cc", "c++", "valgrind")
@pytest.mark.parametrize("source", PROGRAMS)
def test_memcheck(tmp_path: Path, source: str) -> None:
    folder = folder_for(tmp_path, KNOWN)
    program = build(folder, *PROGRAMS[source], "-g", output="program")
    silent(*MEMCHECK, program, *arguments(source, folder))


@needs("cc", "c++")
@pytest.mark.parametrize("source", PROGRAMS)
def test_sanitizers(tmp_path: Path, source: str) -> None:
    folder = folder_for(tmp_path, "host")
    flags = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    silent(build(folder, *PROGRAMS[source], *flags, output="program"), *arguments(source, folder))


@needs("cc")
def test_a_pool_without_races(tmp_path: Path) -> None:
    folder = folder_for(tmp_path, "host")
    silent(build(folder, *PROGRAMS["threads.c"], "-g", "-fsanitize=thread", output="program"))


@needs("cargo", "valgrind")
def test_memcheck_of_rust(tmp_path: Path) -> None:
    folder = folder_for(tmp_path, KNOWN)
    artefacts.write(digits_for(KNOWN), folder, ("json",))
    shutil.copytree(EMBED / "rust", folder / "rust", ignore=shutil.ignore_patterns("target", "Cargo.lock"))
    manifest = ("--manifest-path", folder / "rust" / "Cargo.toml", "--target-dir", folder / "target")
    silent("env", f"DIGITS_DIR={folder}", "cargo", "build", "-q", "--offline", *manifest)
    silent(*MEMCHECK, folder / "target" / "debug" / "which", folder / "7.raw")
