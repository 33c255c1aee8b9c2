"""The digits network for every target: objects that need nothing, run wherever something can run them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import native
from cnncc.compiler import Compilation, Options
from cnncc.elements import UINT8
from cnncc.errors import TargetError
from cnncc.ir import Graph, Value
from cnncc.machine.routines import allowed
from cnncc.machine.target import ALIASES, TARGETS, named
from cnncc.native import host_target
from cnncc.objects import format_of
from cnncc.op import REGISTRY, Sample
from cnncc.runtime import artefacts
from cnncc.types import Array, TensorType
from tests.codegen import stored
from tests.graphs import Net, assert_same_bits, compilation, expected, sprinkled, worst_ratio
from tests.ops.cases import data, indexed_samples, of_floats, wild

from . import nasty
from .emulated import CORTEX_M4, EMULATORS, Emulated, emulator_fails
from .support import C99, EXAMPLES, OBJECTS, build, classes, digits_for, needs, needs_cc, runs_here, write_digits

DIGITS = list("0123456789")
MODELS = ("digits", "ecg", "inception", "mobilenet", "resnet", "unet", "volume")
Feeds = dict[str, Array]
NAMES = [*TARGETS, *ALIASES]
ALL = {**EMULATORS, **dict.fromkeys(("cortex-m4", "cortex-m3", "cortex-m0plus"), CORTEX_M4)}
ON_X86 = pytest.mark.parametrize("target", [name for name in TARGETS if name.startswith("x86-64")])


@pytest.mark.combinations
@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checked"])
def test_objects_need_nothing(target: str, checked: bool) -> None:
    """But the compiler's routines where there are no floats, and its stack where the linker makes it."""
    executable = digits_for(target, checked)
    objects = format_of(executable.target)
    assert set(executable.undefined) <= allowed(executable.target)
    assert bool(executable.undefined) == (not executable.target.float_unit)
    names = sorted(symbol.name for symbol in objects.global_symbols(executable.object) if symbol.defined)
    assert names == ["digits_check", "digits_run", "digits_workspace_bytes"]
    sections = {section.name for section in objects.sections(executable.object)}
    assert not sections & {".ARM.exidx", ".eh_frame", ".pdata", ".xdata", "__compact_unwind", "__eh_frame"}


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
@needs("riscv64-linux-gnu-gcc", "qemu-riscv64")
@pytest.mark.parametrize("vector_bits", [128, 256, 1024])
@pytest.mark.parametrize("how", ["-static", "-pie", "-mcmodel=medany"])
def test_riscv64_under_qemu(tmp_path: Path, pictures: list[Path], vector_bits: int, how: str) -> None:
    """However it is linked, and on processors with longer vectors than it was compiled for."""
    folder = write_digits(tmp_path, "riscv64")
    program = build(folder, "riscv64-linux-gnu-gcc", *C99, how, "digits.c", "libdigits.a")
    command = ["qemu-riscv64", "-cpu", f"rv64,v=true,vlen={vector_bits},vext_spec=v1.0", "-L", "/usr/riscv64-linux-gnu"]
    if emulator_fails([*command, program, pictures[0]]):
        pytest.skip("this version of qemu fails itself")
    assert classes([*command, program], pictures) == DIGITS


@pytest.mark.tools
@needs("riscv64-linux-gnu-gcc")
def test_a_shared_library_for_riscv64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linked, and sealed, by a cross compiler; here it is another processor's."""
    monkeypatch.setenv("CC", "riscv64-linux-gnu-gcc")
    library = artefacts.write(digits_for("riscv64"), tmp_path, ["so"])["so"]
    with pytest.raises(TargetError, match="this machine cannot run"):
        cnncc.load(library)


def test_riscv64_reads_no_counter_that_linux_hides() -> None:
    """The number of cycles is not for programs; the time is."""
    work = Compilation(cnncc.load_graph(EXAMPLES / "digits.py"), Options(named("riscv64"), profiled=True))
    assert "rdtime" in work.assembly and "rdcycle" not in work.assembly


def test_what_is_checked_is_told(tmp_path: Path) -> None:
    """By the header and the manifest: CPUID is asked, or there is nothing to ask, or nothing is."""
    told = {
        "x86-64-v2": ("cpuid", "0 if this processor can run the code; run() does not ask."),
        "aarch64": ("baseline", "0: every aarch64 processor can run the code."),
        "wasm32": ("loader", "0: who loads the module has found that it can run the code."),
        "cortex-m4": ("none", "0, but nothing is checked: the processor has to be a cortex-m4."),
        "riscv64": ("none", "0, but nothing is checked: the processor has to be a generic-rv64 with +m,+a,+f,"),
    }
    for target, (check, sentence) in told.items():
        files = artefacts.write(digits_for(target), tmp_path, ["h", "json"])
        assert json.loads(files["json"].read_text())["processor_check"] == check
        assert sentence in files["h"].read_text()


def networks() -> Iterator[tuple[Graph, Feeds]]:
    """The examples, nasty networks, and for each op a graph of its samples, with parameters that are known."""
    rng = np.random.default_rng(0)
    for name in MODELS:
        graph = cnncc.load_graph(EXAMPLES / f"{name}.py")
        yield graph, {port: values(rng, type) for port, type in graph.inputs.items()}
    for make in nasty.NETWORKS:
        net = Net()
        yield net.graph(*make(net)), net.feeds
    for _, alike in groupby(indexed_samples(), lambda sample: sample.op.name):
        net = Net()
        results: list[Value] = []
        for sample in alike:
            results += net.of_arrays(sample.op, *wild(sample))
        yield net.graph(*results), net.feeds
    for op in REGISTRY.values():
        groups: dict[int, list[Sample]] = defaultdict(list)
        for sample in filter(of_floats, op.samples()):
            groups[sample.shapes[0][0]].append(sample)
        for samples in groups.values():
            net = Net()
            graph = net.graph(*(value for sample in samples for value in of_sample(net, sample)))
            yield graph, sprinkled(net.feeds, 1)


def values(rng: np.random.Generator, type: TensorType) -> Array:
    return (
        rng.integers(0, 256, type.shape).astype(np.uint8) if type.dtype is UINT8 else rng.random(type.shape, np.float32)
    )


def of_sample(net: Net, sample: Sample) -> Iterable[Value]:
    first, *others = data(sample)
    return net.builder.add(sample.op, [net.arrives(first), *map(net.known, others)])


@pytest.mark.tools
@pytest.mark.parametrize(
    "target",
    [pytest.param(name, marks=needs(emulator.compiler, emulator.command[0])) for name, emulator in ALL.items()],
)
def test_all_kernels_under_qemu(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the derived bounds of the interpreter, and the same bits from as many threads as there may be, up to 3."""
    monkeypatch.setattr(native, "_is_trusted", lambda _: True)  # 255 processes would take longer than all else
    emulator = ALL[target]
    graphs, feeds = zip(*networks(), strict=True)
    work = [compilation(graph, target, streaming="chains") for graph in graphs]
    program = Emulated.of(work, tmp_path, emulator)
    failed = 0
    for number, (compiled, given) in enumerate(zip(work, feeds, strict=True)):
        most = min(3, program.executables[number].max_shards)
        alone, shared = (program.run(emulator.command, number, given, shards) for shards in (1, most))
        if alone is None or shared is None:
            failed += 1
            continue
        with np.errstate(all="ignore"):
            worst_ratio(alone, expected(compiled, given))
        assert_same_bits(shared, alone)
    assert failed < 0.1 * len(work), f"the emulator failed for {failed} of {len(work)} networks"


@pytest.mark.tools
@needs("arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf-objcopy", "qemu-arm")
def test_cortex_m4_code_under_qemu(tmp_path: Path, pictures: list[Path]) -> None:
    folder = write_digits(tmp_path, "cortex-m4")
    CORTEX_M4.without_profile(folder, OBJECTS)
    program = build(folder, "arm-linux-gnueabihf-gcc", *C99, "-mthumb", "-static", "digits.c", *OBJECTS)
    assert classes(["qemu-arm", program], pictures) == DIGITS


@pytest.mark.tools
@pytest.mark.parametrize(
    "target",
    [
        pytest.param("aarch64", marks=needs("aarch64-linux-gnu-gcc", "qemu-aarch64")),
        pytest.param("cortex-m4", marks=needs("arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf-objcopy", "qemu-arm")),
    ],
)
def test_float16_weights_under_qemu(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel that reads weights, within its derived bound."""
    monkeypatch.setattr(native, "_is_trusted", lambda _: True)
    emulator = EMULATORS.get(target, CORTEX_M4)
    made = [(net.graph(*make(net)), net.feeds) for make, net in ((make, Net(1)) for make in stored.NETWORKS)]
    graphs, feeds = zip(*made, strict=True)
    work = [compilation(graph, target, weights="float16") for graph in graphs]
    program = Emulated.of(work, tmp_path, emulator)
    for number, (compiled, given) in enumerate(zip(work, feeds, strict=True)):
        assert compiled.plan.stored
        found = program.run(emulator.command, number, given)
        assert found is not None
        worst_ratio(found, expected(compiled, given))
