"""The door to LLVM: what it emits, what it refuses, and that nothing ends this process."""

from __future__ import annotations

import dataclasses
import subprocess
from typing import Any

import pytest

from cnncc.errors import NativeError, TargetError
from cnncc.machine.cores import AVX2_SERVER, AVX512_SERVER, CORES, CORTEX_A53, NEOVERSE
from cnncc.machine.target import TARGETS, core_of, lower, x86_level
from cnncc.native import emit_assembly, emit_object, host_target, load_object
from cnncc.objects import ELF
from cnncc.objects.elf import global_symbols
from tests.graphs import runnable_targets

from . import toy

ADD = "define float @f(float %x) nounwind { %y = fadd float %x, %x\n ret float %y }"
WANTS = "declare float @g(float)\ndefine float @f(float %x) nounwind { %y = call float @g(float %x)\n ret float %y }"


@pytest.mark.parametrize("name", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64", "cortex-m4"])
def test_objects_of_every_target_need_nothing(name: str) -> None:
    code = emit_object(toy.text("toy", 6, 2, 2, TARGETS[name]), TARGETS[name])
    assert ELF.undefined_symbols(code) == ()
    assert {symbol.name for symbol in global_symbols(code)} == {"toy_run", "toy_check", "toy_workspace_bytes"}


@pytest.mark.parametrize("name", ["x86-64-v3", "aarch64"])
def test_emission_is_deterministic(name: str) -> None:
    text = toy.text("toy", 6, 1, 1, TARGETS[name])
    assert emit_object(text, TARGETS[name]) == emit_object(text, TARGETS[name])


def test_a_child_emits_the_same_bytes() -> None:
    known = TARGETS["x86-64-v2"]
    foreign = dataclasses.replace(known, features="+sse4.2")  # not in our table, so a child compiles it
    assert emit_object(ADD, foreign) == emit_object(ADD, known)


def test_assembly_can_be_read() -> None:
    assert "fadd" in emit_assembly(ADD, TARGETS["aarch64"])


def test_the_host_is_a_target() -> None:
    host = host_target()
    assert host.name == "host" and host.lanes in (4, 8, 16) and host.cpu and host.l1 >= 8 << 10 and host.l2 > host.l1
    assert host_target() is host


def test_a_machine_has_all_of_its_level() -> None:
    """Without any one feature that the check of a level asks for, a machine is of a lower level."""
    third = set("avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave".split())
    fourth = third | set("avx512f avx512bw avx512cd avx512dq avx512vl".split())
    assert x86_level(fourth | {"popcnt"}).name == "x86-64-v4"
    assert x86_level(set()).name == "x86-64-v2"
    for feature in third:
        assert x86_level(fourth - {feature}).name == "x86-64-v2", feature
    for feature in fourth - third:
        assert x86_level(fourth - {feature}).name == "x86-64-v3", feature


def test_the_core_is_named_by_the_cpu_or_nearest_by_caches() -> None:
    """Never by timing, so that the same machine makes the same bytes."""
    v4, v3, arm = (TARGETS[name] for name in ("x86-64-v4", "x86-64-v3", "aarch64"))
    assert core_of(v4, "znver3") == core_of(v3, "haswell") == core_of(v3, "of tomorrow") == AVX2_SERVER
    assert core_of(v3, "znver5") == AVX512_SERVER  # though the machine hides its vectors
    assert core_of(dataclasses.replace(v4, l1=48 << 10, l2=2 << 20, l3=64 << 20), "of tomorrow") == AVX512_SERVER
    assert core_of(arm, "cortex-a55") == core_of(dataclasses.replace(arm, l1=32 << 10, l3=0), "") == CORTEX_A53
    assert core_of(dataclasses.replace(arm, l1=128 << 10, l2=16 << 20), "of tomorrow") == NEOVERSE
    assert all(core_of(target, "") in CORES.values() for target in TARGETS.values())
    names = [cpu for core in CORES.values() for cpu in core.cpus]
    assert len(names) == len(set(names))


MACHINE = dataclasses.replace(TARGETS["x86-64-v3"], name="host", triple="x86_64-linux", tune="znver3", l3=32 << 20)


def test_host_stands_for_a_lower_level() -> None:
    """Triple and tuning are the machine's; caches and core as well, unless the caches are named."""
    assert lower("host", MACHINE) == lower("x86-64-v3", MACHINE) == MACHINE
    second = lower("x86-64-v2", MACHINE)
    assert second == dataclasses.replace(
        TARGETS["x86-64-v2"], name="host", triple="x86_64-linux", tune="znver3", l3=32 << 20
    )
    caches = {"l1": 48 << 10, "l2": 1 << 20, "l3": 96 << 20}
    assert lower("x86-64-v2,48K,1M,96M", MACHINE) == dataclasses.replace(second, **caches, core=AVX512_SERVER)
    assert lower("host,32K,1M,96M", MACHINE) == dataclasses.replace(MACHINE, **caches | {"l1": 32 << 10})
    assert lower("aarch64", dataclasses.replace(TARGETS["aarch64"], name="host")).name == "host"


@pytest.mark.parametrize(
    "wish",
    [
        *("x86-64-v4", "x86-64-v5", "aarch64", "cortex-m4", "X86-64-V3", "v3", " ", ",32K,512K,32M"),
        *("host,", "host,32K", "host,32K,512K", "host,32K,512K,32M,", "host,32,512,32", "host,32k,512k,32m"),
        *("host,0K,512K,32M", "host,-1K,512K,32M", "host,512K,32K,32M", "host,32K,512K,1M2", "host,32K,512K,9999999M"),
        *("host, 32K,512K,32M", "host,٣K,512K,32M"),
    ],
)
def test_wishes_that_a_machine_cannot_fulfil(wish: str) -> None:
    with pytest.raises(TargetError) as caught:
        lower(wish, MACHINE)
    assert str(caught.value) == (
        f"environment variable CNNCC_HOST is '{wish}': expected a level that this machine can run "
        "(host, x86-64-v2, x86-64-v3), alone or with its caches, as in 'x86-64-v3,32K,512K,32M'"
    )


@pytest.mark.parametrize("level", [name for name in runnable_targets() if name != "host"])
def test_the_environment_makes_host_a_lower_level(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_HOST", f"{level},32K,512K,32M")
    host = host_target()
    assert (host.name, host.cpu, host.lanes) == ("host", TARGETS[level].cpu, TARGETS[level].lanes)
    assert (host.l1, host.l2, host.l3) == (32 << 10, 512 << 10, 32 << 20)
    assert load_object(emit_object(ADD, host)).address("f") != 0
    monkeypatch.setenv("CNNCC_HOST", "")
    assert host_target().lanes >= host.lanes


def test_a_part_of_what_the_compiler_process_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = subprocess.run

    def cut(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        done = made(*arguments, **options)
        done.stdout = done.stdout[:100]
        return done

    monkeypatch.setattr(subprocess, "run", cut)
    with pytest.raises(
        NativeError, match=r"compiler process for target 'cortex-m4' ended with 92 of the [0-9]{3,} bytes"
    ):
        emit_object(ADD, TARGETS["cortex-m4"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpu": "nonesuch"}, "'nonesuch' is not a recognized processor"),
        ({"features": "+nonesuch"}, "'+nonesuch' is not a recognized feature"),
        ({"triple": "nonesuch-unknown-unknown"}, "No available targets are compatible"),
    ],
)
def test_unknown_names_are_errors(change: dict[str, str], message: str) -> None:
    with pytest.raises(NativeError) as caught:
        emit_object(ADD, dataclasses.replace(TARGETS["x86-64-v3"], **change))  # type: ignore[arg-type]
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x86-64-v2", "cortex-m4"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("define nonsense", "parsing error"),
        ("define float @f() { ret float undef }\ndefine i32 @g() {", "parsing error"),
    ],
)
def test_bad_modules_are_errors(name: str, text: str, message: str) -> None:
    with pytest.raises(NativeError, match=message):
        emit_object(text, TARGETS[name])


def test_an_unverifiable_module_is_an_error() -> None:
    text = "define i32 @f() { a:\n br label %b\nb:\n %x = add i32 %y, 1\n %y = add i32 1, 1\n ret i32 %x }"
    with pytest.raises(NativeError, match="dominate"):
        emit_object(text, TARGETS["x86-64-v2"])


def test_an_abort_of_llvm_is_an_error_and_not_our_end() -> None:
    # inline assembly that only the back end finds to be wrong
    text = 'define void @f() nounwind { call void asm sideeffect "nonesuch", ""()\n ret void }'
    with pytest.raises(NativeError, match="compiler process for target 'cortex-m4' failed"):
        emit_object(text, TARGETS["cortex-m4"])


def test_loading_reports_what_is_missing() -> None:
    code = load_object(emit_object(WANTS, host_target()))
    with pytest.raises(NativeError, match="cannot load 'f'"):
        code.address("f")
    with pytest.raises(NativeError, match=r"cannot load 'h' from the object: .*h"):
        load_object(emit_object(ADD, host_target())).address("h")
    assert load_object(emit_object(WANTS, host_target()), {"g": 4096}).address("f")


def test_loading_something_else_is_an_error() -> None:
    with pytest.raises(NativeError, match="cannot load the object"):
        load_object(b"no object")


def test_an_object_for_the_linker_loads_here_too() -> None:
    assert load_object(emit_object(ADD, host_target())).address("f") != 0
