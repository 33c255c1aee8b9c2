"""The stack that header and manifest state is a bound of what calls take, and a near one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.check.model import random_feeds
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.diagnostics import frames_in, listening
from cnncc.emulation import starts
from cnncc.emulation.emulators import Emulator
from cnncc.emulation.program import Program
from cnncc.emulation.run import emulate, output
from cnncc.ir import Graph
from cnncc.machine.target import TARGETS, named
from cnncc.native import emit_object
from cnncc.objects.riscv_spills import spilled
from cnncc.runtime.manifest import describe, restore

from .handmade import EACH, on_x86
from .support import EXAMPLES

NEAR = 768  # bytes that a bound may be above: paths for several shards, alignment for wide vectors
ROUTINES = 64  # bytes of stack that libgcc's take


def wide() -> Graph:
    """A network whose layers spill many registers."""
    x = nn.Input((3, 20, 20), name="x")
    y = nn.Conv(12, 5, padding="same", activation="relu")(x)
    y = nn.MaxPool(2)(nn.Conv(16, 3, padding="same", activation="tanh")(y))
    y = nn.Softmax()(nn.Dense(10)(nn.Flatten()(nn.DepthwiseConv(3, activation="relu6")(y))))
    return nn.Model(x, y, name="wide", seed=0).graph


@pytest.mark.tools
@EACH
@pytest.mark.parametrize("make", [wide, lambda: cnncc.load_graph(EXAMPLES / "digits.py")], ids=["wide", "digits"])
def test_no_call_takes_more(target: str, make: Callable[[], Graph]) -> None:
    graph = make()
    executable = Compilation(graph, Options(named(target))).build()
    taken = emulate(executable, random_feeds(graph, 0)).stack_bytes
    assert executable.stack_bytes is not None
    assert taken <= executable.stack_bytes + (ROUTINES if executable.undefined else 0)
    assert executable.stack_bytes <= taken + NEAR


@on_x86
@pytest.mark.parametrize("level", ["x86-64-v2", "host"])
def test_no_call_takes_more_here(level: str) -> None:
    """Frames that this process emits, pushed arguments and the red zone among them."""
    graph = wide()
    target = TARGETS[level] if level in TARGETS else resolve_target(level)
    executable = Compilation(graph, Options(target)).build()
    program = Program(executable, Emulator(starts.X86_64, (), ""), [*random_feeds(graph, 0).values()], 1)
    taken = program.answer(output(program.file, [], "wide")).stack_bytes
    assert executable.stack_bytes is not None
    assert taken <= executable.stack_bytes <= taken + NEAR


@pytest.mark.parametrize("target", ["windows-x86-64", "macos-arm64", "wasm32-simd", "riscv64gcv", "cortex-m0plus"])
def test_each_format_has_a_figure(target: str) -> None:
    executable = Compilation(wide(), Options(named(target))).build()
    assert executable.stack_bytes is not None and executable.stack_bytes < 10_000
    assert restore(describe(executable)).stack_bytes == executable.stack_bytes
    if target == "cortex-m0plus":
        from cnncc.runtime.header import library_header

        assert "at most, of a call of run, without that of the routines of" in library_header([executable])


def test_what_else_is_said_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Of other threads and processes, whole or in part, before and after the frames."""
    with listening() as frames:
        os.write(2, b"one\nwarning: <unknown>:0:0: stack frame size (20) exceeds limit (0) in function 'f'\ntwo\nwar")
        thread = threading.Thread(target=os.write, args=(2, b"ning: <unknown>:0:0: some other\n"))
        thread.start()
        thread.join()
        subprocess.run(["/bin/sh", "-c", "echo three >&2"], check=True)
    os.write(2, b"after\n")
    assert frames == {"f": 20}
    assert capfd.readouterr().err == "one\ntwo\nwarning: <unknown>:0:0: some other\nthree\nafter\n"


def test_a_process_that_lives_on_may_go_on_to_write(capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as frames:
        late = subprocess.Popen(["/bin/sh", "-c", "read line; echo $line >&2"], stdin=subprocess.PIPE)
    late.communicate(b"late\n")
    assert late.returncode == 0 and not frames
    for thread in threading.enumerate():
        if "_forward" in thread.name:
            thread.join()
    assert capfd.readouterr().err == "late\n"


def test_compiling_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    compilation = Compilation(wide(), Options(resolve_target("host")))
    assert compilation.stack_bytes and compilation.assembly
    assert capfd.readouterr().err == ""


def test_without_stderr_models_compile() -> None:
    code = "from cnncc.native import *; emit_object('define void @f() { ret void }', host_target())"
    shell = ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]
    done = subprocess.run(shell, check=False)
    assert done.returncode == 0


def test_frames_and_the_rest() -> None:
    said = b"x\nwarning: <unknown>:0:0: stack frame size (16) exceeds limit (0) in function 'kernel0'\ny"
    assert frames_in(said) == ({"kernel0": 16}, b"x\ny")


def test_vectors_that_riscv_spills() -> None:
    """More live vectors than there are registers."""
    loads = "\n".join(
        f"  %p{i} = getelementptr <4 x float>, ptr %x, i64 {i}\n  %v{i} = load volatile <4 x float>, ptr %p{i}"
        for i in range(45)
    )
    stores = "\n".join(f"  store volatile <4 x float> %v{i}, ptr %p{i}" for i in range(45))
    target = TARGETS["riscv64gcv"]
    head = f'"target-features"="{target.features}"'
    text = f"define void @f(ptr %x) nounwind {head} {{\n{loads}\n{stores}\n  ret void\n}}\n"
    text += f"define void @g(ptr %x) nounwind {head} {{\n  ret void\n}}\n"
    code = emit_object(text, target)
    found = spilled(code, {"f", "g"}, 16)
    assert found is not None and found.keys() == {"f"}
    assert found["f"] % 16 == 0 and found["f"] >= 16 * (45 - 32)
    assert spilled(code, {"f"}, 32) == {"f": 2 * found["f"]}
    np.testing.assert_equal(spilled(code, {"g"}, 16), {})
