"""Projects of firmware: each builds without a warning, runs on its board, and says whether its outputs are right."""

from __future__ import annotations

import ctypes
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cnncc.check.bound import Bound
from cnncc.check.model import expected
from cnncc.cli import main
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.elements import ELEMENTS, FLOAT16, FLOAT32
from cnncc.errors import ModelError
from cnncc.firmware.project import project
from cnncc.ir import Builder, Graph
from cnncc.ops import Add, ArgMax, Cast, Div, Relu
from cnncc.runtime import artefacts
from cnncc.types import Array, TensorType
from tests.graphs import Net
from tests.packaging.support import ROOT

from .support import EXAMPLES, build, needs, needs_cc

DIGITS = EXAMPLES / "digits.py"
PROJECT = ROOT / "cnncc" / "firmware" / "project"
TARGETS = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m4-softfp", "cortex-m7", "cortex-m33", "cortex-m55")
TOOLS = needs("arm-none-eabi-gcc", "qemu-system-arm")
RIGHT = "{0} of {0} values are what the interpreter finds, within their bounds"


def command(folder: Path, program: str) -> str:
    """How to build or to run, as README.txt has it."""
    (found,) = re.findall(rf"^ +({program} .*)$", (folder / "README.txt").read_text(), re.MULTILINE)
    return found


def compiled(folder: Path) -> None:
    """Build it, strictly."""
    compiler, *words = shlex.split(command(folder, "arm-none-eabi-gcc"))
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wfatal-errors"]
    done = subprocess.run(
        [compiler, *strict, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def ran(folder: Path) -> tuple[int, list[str]]:
    """The exit code, and what it prints."""
    words = shlex.split(command(folder, "qemu-system-arm"))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def write(graph: Graph, feeds: Mapping[str, Array], target: str, folder: Path, **changed: Bound) -> None:
    compilation = Compilation(graph, Options(resolve_target(target)))
    executable = compilation.build()
    files = project(executable, feeds, expected(compilation, feeds) | changed)
    artefacts.write(executable, folder, ("a", "h"), files)


@pytest.mark.tools
@TOOLS
@pytest.mark.parametrize("target", TARGETS)
def test_digits_on_each_target(target: str, tmp_path: Path) -> None:
    words = ["--target", target, "--example", "firmware", "-o", str(tmp_path)]
    assert main(["compile", str(DIGITS), str(EXAMPLES / "digits" / "7.png"), *words]) == 0
    compiled(tmp_path)
    code, (digit, verdict) = ran(tmp_path)
    assert (code, verdict) == (0, RIGHT.format(10))
    assert re.fullmatch(r"output: 7 \(9\.\d\d\de-01\)", digit)


@pytest.mark.tools
@TOOLS
@pytest.mark.parametrize("target", ["cortex-m3", "cortex-m4"])
def test_a_class_is_learned_on_the_device(target: str, tmp_path: Path) -> None:
    words = ["--step", "--label", "3", "--target", target, "--example", "firmware", "-o", str(tmp_path)]
    assert main(["compile", str(DIGITS), str(EXAMPLES / "digits" / "7.png"), *words]) == 0
    compiled(tmp_path)
    code, (before, first, last, after, verdict) = ran(tmp_path)
    assert (code, before[:9], after[:9]) == (0, "output: 7", "output: 3")
    assert verdict.startswith("12 of 12 values before learning and of the first step are what the interpreter finds")
    assert float(last.split()[1]) < 0.1 < float(first.split()[1])


@pytest.mark.tools
@TOOLS
def test_learning_what_is_no_class(tmp_path: Path) -> None:
    """Random numbers are wanted, weights of some layers stay, and the optimiser keeps two moments."""
    words = ["--step", "--loss", "mean-squares", "--optimiser", "adamw", "--train", "dense*", "--target", "cortex-m7"]
    assert main(["compile", str(DIGITS), *words, "--example", "firmware", "-o", str(tmp_path)]) == 0
    compiled(tmp_path)
    code, lines = ran(tmp_path)
    assert code == 0 and lines[-1].startswith("11 of 11 values before learning"), lines


def of_elements() -> tuple[Graph, dict[str, Array]]:
    """Inputs and outputs of every element, several of each, with special floats; a name that is no identifier."""
    net = Net()
    net.builder.name = 'a "net" */ of\\ elements'
    outputs = []
    for element in ELEMENTS.values():
        ends = [element.least, element.most] if element.role == "computed" else [65504, 6e-8]
        x = net.arrives(np.array([[0, 1, *ends]]), "x", element)
        outputs += [x if element is FLOAT16 else net.apply(Relu() if element is FLOAT32 else Cast("float32"), x)]
        outputs += [net.apply(Cast(element.name), net.arrives(np.array([[3, 1, 0, 2]]), "w"))]
    zeros = net.arrives(np.float32([[0, 1, -1, 5]]), "x")
    quotient = net.apply(Div(), zeros, net.arrives(np.zeros((1, 4)), "x"))  # NaN, both infinities
    outputs += [quotient, net.apply(Cast("float16"), quotient), net.apply(ArgMax(1), zeros)]
    return net.graph(*outputs), net.feeds


@pytest.mark.tools
@TOOLS
@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4"])
def test_each_element(target: str, tmp_path: Path) -> None:
    graph, feeds = of_elements()
    write(graph, feeds, target, tmp_path)
    compiled(tmp_path)
    code, lines = ran(tmp_path)
    total = sum(graph.type(value).size for value in graph.outputs.values())
    assert (code, lines[-1]) == (0, RIGHT.format(total)), lines


@pytest.mark.tools
@TOOLS
def test_what_is_off_is_counted(tmp_path: Path) -> None:
    net = Net()
    x = net.arrives(np.float32([[1, -2, np.nan, 4]]))
    graph = net.graph(net.apply(Relu(), x), net.apply(Cast("int16"), net.arrives(np.float32([[7, -8]]))))
    floats = Bound(np.array([[1.5, 0, 3, 4]]), np.array([[0.25, 0, 1, np.inf]]))
    whole = Bound(np.array([[6, -9]], np.int16), np.array([[0, np.inf]]))
    write(graph, net.feeds, "cortex-m3", tmp_path, y0=floats, y1=whole)
    compiled(tmp_path)
    code, lines = ran(tmp_path)
    assert code == 1
    assert lines == ["y0: class 2 (nan)", "y1: 7 first", RIGHT.format(6).replace("6 of", "3 of", 1)]


REFUSED = {
    "--target riscv64gc": f"no example of firmware for target 'riscv64gc': expected {', '.join(TARGETS)}",
    "--target cortex-m4 --kinds o,h": "--example is made of a and h: --kinds leaves out a",
    "--target cortex-m4 --step --batch 2": "--example with --step takes one image a step: leave --batch out",
    "--target cortex-m4 --step --label 10": "--label 10: the loss takes classes 0 to 9",
    "--target cortex-m4 --step --loss mean-squares --label 1": "--label 1: the loss takes no labels",
    "--target cortex-m4 --label 1": "--label is for --example with --step",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_has_no_project(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--example", "firmware", *words.split(), "-o", str(tmp_path / "out")]
    assert main(["compile", str(DIGITS), *given]) == 2
    assert REFUSED[words] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_files_without_an_example_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(DIGITS), "x.npy", "-o", str(tmp_path / "out")]) == 2
    assert "INPUT files are for --example, got 'x.npy'" in capsys.readouterr().err


def test_states_are_refused() -> None:
    builder = Builder("counter")
    x = builder.input("x", TensorType((1, 3)))
    (builder.updates["sum"],) = builder.add(Add(), (x, builder.state(np.zeros((1, 3), np.float32), "sum")))
    graph = builder.graph({"y": builder.updates["sum"]})
    with pytest.raises(ModelError, match="has states: the example of firmware is for models without"):
        project(Compilation(graph, Options(resolve_target("cortex-m4"))).build(), {}, {})


def test_the_document_has_the_commands_of_the_project(tmp_path: Path) -> None:
    """And what is written depends on no folder and no time."""
    for folder in ("one", "two"):
        words = ["--target", "cortex-m4", "--example", "firmware", "-o", str(tmp_path / folder)]
        assert main(["compile", str(DIGITS), *words]) == 0
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two and {"main.c", "start.c", "board.ld", "README.txt", "libdigits.a", "digits.h"} <= set(one)
    page = (ROOT / "examples" / "embed" / "README.md").read_text(encoding="utf-8")
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        assert f"$ cd build/firmware && {command(tmp_path / 'one', program)}" in page


PRINTED = """
#include "compare.c"
static char text[64];
static int at;
void print(const char *more) { while (*more) text[at++] = *more++; text[at] = 0; }
const char *of_float(float number) { at = 0; print_float(number); return text; }
const char *of_whole(int64_t number) { at = 0; print_whole(number); return text; }
"""


@needs_cc
def test_numbers_as_text(tmp_path: Path) -> None:
    (tmp_path / "printed.c").write_text(PRINTED)
    flags = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{PROJECT}", "printed.c")
    library = ctypes.CDLL(str(build(tmp_path, "cc", *flags, output="printed.so")))
    library.of_float.restype = library.of_whole.restype = ctypes.c_char_p
    library.from_half.restype = ctypes.c_float
    rng = np.random.default_rng(0)
    bits = np.concatenate([rng.integers(0, 1 << 32, 3000, np.uint32), np.uint32([0, 1, 0x7F7FFFFF, 0x7F800000])])
    for number in bits.view(np.float32):
        told = library.of_float(ctypes.c_float(number)).decode()
        if np.isfinite(number):  # half a unit of four digits, and what repeated division may be off
            assert re.fullmatch(r"-?\d\.\d\d\de[+-]\d\d", told), told
            assert abs(float(told) - float(number)) <= 0.000502 * 10.0 ** int(told[-3:]), (number, told)
        else:
            assert told == str(number)
    for number in (0, 7, -10, 2**63 - 1, -(2**63)):
        assert library.of_whole(ctypes.c_int64(number)).decode() == str(number)
    halves = np.arange(1 << 16, dtype=np.uint16)
    found = np.float32([library.from_half(ctypes.c_uint16(int(half))) for half in halves])
    np.testing.assert_array_equal(found, halves.view(np.float16).astype(np.float32))
