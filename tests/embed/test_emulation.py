"""Objects of other machines, linked here and run by emulators: what comes out, and what is said when nothing does."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.check import compiled as checking
from cnncc.check.model import Feeds, check, check_step, random_feeds
from cnncc.cli import main
from cnncc.codegen import step_function
from cnncc.codegen.kernels import KERNELS
from cnncc.compiler import Compilation, Options
from cnncc.emulation import emulators, starts
from cnncc.emulation.emulators import Emulator
from cnncc.emulation.program import Answer, Program
from cnncc.emulation.run import emulate, holding, output
from cnncc.emulation.starts import Semihosting, Start
from cnncc.errors import DifferenceError, NativeError, TargetError
from cnncc.ir import Graph
from cnncc.machine.target import TARGETS, Target, named
from cnncc.ops import Add, Relu
from cnncc.plan import kernels as k
from cnncc.runtime.executable import Executable
from tests.graphs import Net

from .handmade import EACH, FOREIGN, LENGTH, X, Y, handmade, on_x86
from .support import EXAMPLES, needs

DIGITS = str(EXAMPLES / "digits.py")


@on_x86
@pytest.mark.parametrize("runs", [1, 3])
def test_a_program_of_this_machine(runs: int) -> None:
    """Without an emulator: the linker, the table of calls, and what comes out of them."""
    executable = handmade(TARGETS["x86-64-v2"])
    program = Program(executable, Emulator(starts.X86_64, (), ""), [X], 1, runs)
    answer = program.answer(output(program.file, [], "m"))
    assert len(answer.outputs) == runs
    for (y,) in answer.outputs:
        np.testing.assert_array_equal(y, Y)
    assert 0 < answer.stack_bytes < 1000


@on_x86
def test_a_model_in_a_program_of_this_machine() -> None:
    graph = cnncc.load_graph(DIGITS)
    feeds = random_feeds(graph, 0)
    executable = Compilation(graph, Options(TARGETS["x86-64-v2"])).build()
    program = Program(executable, Emulator(starts.X86_64, (), ""), list(feeds.values()), 1)
    ((y,),) = program.answer(output(program.file, [], "digits")).outputs
    with cnncc.compile(DIGITS, target="x86-64-v2", cache=False) as model:
        np.testing.assert_array_equal(y, model(*feeds.values()))


@on_x86
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"check": 1}, TargetError, "the emulated processor cannot run code for target 'x86-64-v2'"),
        ({"result": 2}, NativeError, "model 'm': native code returned error 2: a pointer is null"),
        ({"rounds": LENGTH + 1}, NativeError, "model 'm': the emulated program ended by signal SIGSEGV"),
    ],
    ids=["processor", "refused", "beyond the output"],
)
def test_what_fails_is_told(changes: dict[str, int], error: type[Exception], words: str) -> None:
    program = Program(handmade(TARGETS["x86-64-v2"], **changes), Emulator(starts.X86_64, (), ""), [X], 1)
    with pytest.raises(error) as caught:
        program.answer(output(program.file, [], "m"))
    assert str(caught.value) == words


@on_x86
def test_a_workspace_of_another_size_is_told() -> None:
    executable = replace(handmade(TARGETS["x86-64-v2"]), workspace_base=128)
    program = Program(executable, Emulator(starts.X86_64, (), ""), [X], 1)
    with pytest.raises(NativeError, match=r"^model 'm': workspace_bytes\(1\) is 64, described as 128$"):
        program.answer(output(program.file, [], "m"))


@pytest.mark.tools
@EACH
def test_relocations(target: str) -> None:
    """A table of constants, and calls from one section to another."""
    for (y,) in emulate(handmade(named(target)), {"x": X}, runs=2).outputs:
        np.testing.assert_array_equal(y, Y)


@pytest.mark.tools
@EACH
def test_a_fault_is_told(target: str) -> None:
    """Elements are written until memory ends, which is far away on a board."""
    with pytest.raises(NativeError, match=r"^model 'm': the emulated program ended (by signal SIGSEGV|with code 1)"):
        emulate(handmade(named(target), rounds=1 << 23), {"x": X})


@pytest.mark.tools
@needs("qemu-system-arm")
def test_what_lies_behind_an_output_on_a_board() -> None:
    with pytest.raises(NativeError, match=r"^model 'm': it wrote behind its outputs, states or workspace$"):
        emulate(handmade(TARGETS["cortex-m4"], rounds=LENGTH + 1), {"x": X})


@pytest.mark.tools
@EACH
def test_check(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", DIGITS, "--target", target]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "digits: 6 values and 1 output(s) are within their bounds" in lines
    assert any(line.startswith(f"digits: ran under {FOREIGN[target]} ") for line in lines)


@pytest.mark.tools
@EACH
def test_check_of_a_step(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--step", "--batch", "2", "--optimiser", "adamw", DIGITS, "--target", target]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("have the bits of a step that updates nothing in place") for line in lines)
    assert lines[-1].startswith(f"digits_step: ran under {FOREIGN[target]} ")


def counter() -> Graph:
    """The state `m` becomes m + x, and the output is what it was."""
    net = Net()
    m, x = net.builder.state(np.float32([[0, 1, 2]]), "m"), net.input(1, 3)
    net.builder.updates["m"] = net.apply(Add(), m, x)
    return net.graph(net.apply(Relu(), m))


@on_x86
def test_states_go_on_from_run_to_run() -> None:
    executable = Compilation(counter(), Options(TARGETS["windows-x86-64"])).build()
    held, x = np.float32([[1, 2, 4]]), np.float32([[8, 16, 32]])
    answer = emulate(holding(executable, {"m": held}), {"x": x}, runs=3)
    for number, ((y,), (m,)) in enumerate(zip(answer.outputs, answer.states, strict=True)):
        np.testing.assert_array_equal(y, held + number * x)
        np.testing.assert_array_equal(m, held + (number + 1) * x)
    np.testing.assert_array_equal(emulate(executable, {"x": x}).outputs[0][0], [[0, 1, 2]])


@on_x86
def test_a_step_that_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own bits, where each layer alone is right."""
    compilation = Compilation(counter(), Options(TARGETS["windows-x86-64"]))
    feeds = {"m": np.float32([[1, 2, 4]]), "x": np.float32([[8, 16, 32]])}
    assert check_step(compilation, feeds).ok

    def other(executable: Executable, states: Feeds) -> Executable:
        return holding(executable, {name: array + 1 for name, array in states.items()})

    monkeypatch.setattr("cnncc.check.model.holding", other)
    report = check_step(compilation, feeds)
    assert [finding.layer for finding in report.culprits] == [*compilation.graph.outputs, "m (after)"]


@pytest.mark.tools
@needs("qemu-system-arm")
@pytest.mark.parametrize("images", [2, 3])
def test_other_numbers_of_images(images: int) -> None:
    graph = cnncc.load_graph(DIGITS)
    feeds = {"input": np.random.default_rng(0).random((images, 1, 8, 8), np.float32)}
    assert check(graph, Options(TARGETS["cortex-m4"]), feeds).ok


@pytest.mark.tools
@needs("qemu-system-arm")
def test_no_images() -> None:
    executable = Compilation(cnncc.load_graph(DIGITS), Options(TARGETS["cortex-m4"])).build()
    (first, second) = emulate(executable, {"input": np.zeros((0, 1, 8, 8), np.float32)}, runs=2).outputs
    assert first[0].shape == second[0].shape == (0, 10)


@pytest.mark.tools
@needs("qemu-system-arm")
def test_a_wrong_kernel_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def shifted(kernel: k.Direct) -> k.Direct:
        window = tuple(replace(a, low=a.low - 1, high=a.high + 1) if a.low else a for a in kernel.window)
        return replace(kernel, window=window)

    family = KERNELS[k.Direct]
    wrong = {**KERNELS, k.Direct: lambda e, kernel, tensors: family(e, shifted(kernel), tensors)}
    monkeypatch.setattr(step_function, "KERNELS", wrong)
    assert main(["check", DIGITS, "--target", "cortex-m4"]) == 6
    assert capsys.readouterr().err.startswith("cnncc: layer 'conv1' is off at (0, ")


@pytest.mark.tools
@needs("qemu-system-arm")
def test_a_model_that_one_board_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs on the board with the largest memory; what that cannot hold is refused."""
    board, largest = emulators.BOARDS["cortex-m4"], emulators.LARGEST
    monkeypatch.setitem(emulators.BOARDS, "cortex-m4", replace(board, most=4096))
    answer = emulate(handmade(TARGETS["cortex-m4"]), {"x": X})
    np.testing.assert_array_equal(answer.outputs[0][0], Y)
    assert answer.emulator == "qemu-system-arm -M mps3-an547"
    monkeypatch.setattr(emulators, "LARGEST", replace(largest, most=8192))
    with pytest.raises(TargetError, match=r"^model 'm' takes .* and qemu-system-arm -M mps3-an547 has 8,192$"):
        emulate(handmade(TARGETS["cortex-m4"]), {"x": X})


def test_runs_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that a call left behind in its workspace."""
    zero = np.zeros((1, 10), np.float32)
    monkeypatch.setattr(checking, "emulate", lambda *_, runs: Answer(((zero,), (-zero,)), 0, "qemu"))
    graph = cnncc.load_graph(DIGITS)
    with pytest.raises(
        DifferenceError, match=r"^output 'output' of a second run in the same workspace has other bits$"
    ):
        checking.emulated(Compilation(graph, Options(TARGETS["cortex-m4"])), random_feeds(graph, 0))


REFUSED = {
    ("check", "--threads", "2"): "--threads: code for target 'cortex-m4' runs under qemu-system-arm -M mps2-an386, "
    "on one thread",
    ("bench", "--threads", "1,2"): "--threads: instructions for target 'cortex-m4' are counted on one thread",
    ("bench", "--tune"): "--tune takes times, and for target 'cortex-m4' instructions are counted",
    ("bench", "--against", "all"): "--against takes times, and for target 'cortex-m4' instructions are counted",
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    verb, *others = words
    assert main([verb, DIGITS, "--target", "cortex-m4", *others]) == 2
    assert capsys.readouterr().err == f"cnncc: {REFUSED[words]}\n"


@pytest.mark.parametrize("verb", ["check", "bench"])
@pytest.mark.parametrize(
    ("target", "command", "package"),
    [("cortex-m4", "qemu-system-arm", "qemu-system-arm"), ("aarch64", "qemu-aarch64", "qemu-user")],
)
def test_a_missing_emulator(
    verb: str,
    target: str,
    command: str,
    package: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main([verb, DIGITS, "--target", target]) == 2
    assert capsys.readouterr().err == (
        f"cnncc: code for target '{target}' runs under {command}, which is not found: install it "
        f"(Debian: apt-get install {package})\n"
    )


def test_a_processor_without_an_emulator() -> None:
    unknown = replace(TARGETS["cortex-m4"], cpu="cortex-m85")
    with pytest.raises(TargetError, match=r"^no emulator is known that runs code for target 'cortex-m4'$"):
        emulators.emulators_for(unknown)


@pytest.mark.parametrize(
    ("features", "bits", "processor"),
    [
        ("+m,+a,+f,+d,+c,+v,+zvl128b,+zihintpause", 64, "rv64,v=true,vlen=128,vext_spec=v1.0"),
        ("+m,+a,+f,+d,+c,+zihintpause", 64, "rv64"),
        ("+m,+c", 32, "rv32,a=false,f=false,d=false"),
    ],
)
def test_riscv_has_what_the_target_has(features: str, bits: int, processor: str) -> None:
    target: Target = replace(named("riscv64"), features=features, pointer_bits=bits)
    assert emulators._riscv(target).words == (f"qemu-riscv{bits}", "-cpu", processor)


ASSEMBLERS = {
    "X86_64": ("as", ()),
    "WINDOWS_X86_64": ("as", ()),
    "AARCH64": ("aarch64-linux-gnu-as", ()),
    "THUMB": ("arm-linux-gnueabihf-as", ("-mcpu=cortex-m0",)),
    "CORTEX_M": ("arm-linux-gnueabihf-as", ("-mcpu=cortex-m0",)),
    "RISCV64": ("riscv64-linux-gnu-as", ("-march=rv64g",)),
    "RISCV32": ("riscv64-linux-gnu-as", ("-march=rv32g", "-mabi=ilp32d")),
}
HEADS = {
    "X86": ".intel_syntax noprefix\n",
    "AARCH64": "",
    "THUMB": ".syntax unified\n.thumb\n",
    "CORTEX": ".syntax unified\n.thumb\n",
    "RISCV": ".option norelax\n.option norvc\n",
}


@pytest.mark.tools
@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(tool)) for name, (tool, _) in ASSEMBLERS.items()])
def test_starts_are_what_they_say(name: str, tmp_path: Path) -> None:
    """The bytes are those of the assembly beside them."""
    start: Start = getattr(starts, name)
    tool, flags = ASSEMBLERS[name]
    head = next(text for word, text in HEADS.items() if word in name)
    lines = [line.partition(":")[2].strip() for line in start.text.strip().splitlines()]
    (tmp_path / "start.s").write_text(head + "\n".join(lines) + "\n")
    subprocess.run([tool, *flags, "start.s", "-o", "start.o"], cwd=tmp_path, check=True, timeout=60)
    copy = tool.removesuffix("as") + "objcopy"
    subprocess.run([copy, "-O", "binary", "-j", ".text", "start.o", "text"], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "text").read_bytes() == start.code


@pytest.mark.parametrize("name", ASSEMBLERS)
def test_starts(name: str) -> None:
    start: Start = getattr(starts, name)
    assert len(start.code) % 8 == 0 and 0 < start.system < len(start.code)
    assert start.thumb == (name in ("THUMB", "CORTEX_M"))
    assert isinstance(start.host, Semihosting) == (name == "CORTEX_M")
