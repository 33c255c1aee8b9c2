"""Writing models as artefacts, building C programs around them, and running those."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

import cnncc
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.runtime import artefacts
from cnncc.runtime.executable import Executable

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM = EXAMPLES / "embed" / "digits.c"
STRICT = ("-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")
C99, CXX11 = ("-std=c99", *STRICT), ("-std=c++11", *STRICT)
OBJECTS = ("digits.o", "digits_weights.o")

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip where one of these programs is not installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def digits_for(target: str, checked: bool = False) -> Executable:
    """The digits network, compiled for a target."""
    graph = cnncc.load_graph(EXAMPLES / "digits.py")
    return Compilation(graph, Options(resolve_target(target), checked=checked)).build()


def write_digits(folder: Path, target: str, kinds: Sequence[str] = ("o", "a", "h")) -> Path:
    """The digits network's artefacts, and the example program beside them."""
    artefacts.write(digits_for(target), folder, kinds)
    for file in (PROGRAM, PROGRAM.with_name("picture.h")):
        shutil.copy(file, folder)
    return folder


def build(folder: Path, compiler: str, *arguments: str, output: str = "digits") -> Path:
    """Build a program in `folder`; any warning is a failure."""
    command = [compiler, *arguments, "-o", output]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return folder / output


def classes(command: Sequence[str | Path], pictures: Sequence[Path]) -> list[str]:
    """The class that the program prints for each picture."""
    done = subprocess.run([*command, *pictures], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = [line.removeprefix(f"{path}: ") for line, path in zip(done.stdout.splitlines(), pictures, strict=True)]
    return [line.split()[0] for line in lines]


def runs_here(program: Path) -> bool:
    """Whether this processor can run the network inside the program."""
    done = subprocess.run([program, "no such picture"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (1, 3), done.stderr
    return done.returncode == 1
