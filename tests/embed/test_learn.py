"""The C example that learns: a network and a step of its training on one block of states."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import cli, learn
from cnncc.types import Array

from .support import C99, EXAMPLES, build, needs, needs_cc

LINKED = ("libdigits.a", "libdigits_step.a")
ROUNDS, RATE = 20, 0.001


def program(folder: Path, target: str, *flags: str) -> Path:
    """The example with its objects."""
    words = ["compile", str(EXAMPLES / "digits.py"), "--step", "--train", "dense*", "--kinds", "a,h"]
    assert cli.main([*words, "--target", target, "-o", str(folder)]) == 0
    for name in ("learn.c", "picture.h"):
        shutil.copy(EXAMPLES / "embed" / name, folder)
    return build(folder, "cc", *C99, *flags, "learn.c", *LINKED, output="learn")


def dark(folder: Path) -> tuple[Array, Array, list[Path]]:
    """Six digits of each class in black ink on white: (10, 6, 8, 8), their labels, and their files."""
    held = np.load(EXAMPLES / "digits" / "held_out.npz")
    places = np.concatenate([np.flatnonzero(held["labels"] == digit)[:6] for digit in range(10)])
    files = []
    for number, picture in enumerate(held["images"][places]):
        files.append(folder / f"{number}.pgm")
        files[-1].write_bytes(b"P5 8 8 255 " + (255 - picture).tobytes())
    return 255 - held["images"][places], held["labels"][places].astype(int), files


def run(*words: object) -> str:
    command = [str(word) for word in words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@needs_cc
def test_it_learns_what_python_learns(tmp_path: Path) -> None:
    made = program(tmp_path, "host")
    pictures, labels, files = dark(tmp_path)
    known = [6 * digit + number for number in range(4) for digit in range(10)]  # classes in turns
    others = [number for number in range(60) if number % 6 >= 4]
    examples = [f"{labels[number]}={files[number]}" for number in known]
    asked = [files[number] for number in others]

    def right(told: str) -> int:
        found = [int(line.split(": ")[1].split()[0]) for line in told.splitlines()[-len(asked) :]]
        return int((found == labels[others]).sum())

    before, after = run(made, 0, RATE, *asked), run(made, ROUNDS, RATE, *examples, *asked)
    assert right(before) < 10 and right(after) > 13

    step = learn.Step(cnncc.load_graph(EXAMPLES / "digits.py"), batch=1, train="dense*", plan=None)
    x = (pictures[:, None].astype(np.float32) / np.float32(255))[:, None]
    for _ in range(ROUNDS):
        losses = [step(x[number], labels[number : number + 1], rate=RATE) for number in known]
    assert re.search(r"learned from 40 pictures, loss ([\d.]+)", after)[1] == f"{np.mean(losses):.3f}"  # type: ignore[index]


@needs_cc
def test_mistakes(tmp_path: Path) -> None:
    made = program(tmp_path, "host")
    _, _, files = dark(tmp_path)
    cases = {
        f"11={files[0]}": (1, f"11={files[0]}: no label of the network"),
        "3=nothing.pgm": (1, "3=nothing.pgm: cannot be opened"),
        "nothing.pgm": (1, "nothing.pgm: cannot be opened"),
    }
    for word, expected in cases.items():
        done = subprocess.run([made, "1", "0.1", word], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr.strip()) == expected
    assert subprocess.run([made, "1"], capture_output=True, timeout=60, check=False).returncode == 2


@pytest.mark.tools
@needs("cc", "valgrind")
def test_no_access_outside_of_its_memory(tmp_path: Path) -> None:
    """Valgrind knows no AVX-512; the sanitizers see the program around the objects."""
    _, labels, files = dark(tmp_path)
    words = ["2", "0.001", *(f"{labels[number]}={files[number]}" for number in range(0, 60, 6)), str(files[1])]
    run("valgrind", "-q", "--error-exitcode=9", program(tmp_path, "x86-64-v2", "-g"), *words)
    run(program(tmp_path, "host", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"), *words)
