"""`cnncc targets`: the list, and the same for scripts."""

from __future__ import annotations

import json

from cnncc.machine.target import ALIASES, TARGETS, Target

from .conftest import Cli


def test_the_list_has_a_line_for_each(cli: Cli) -> None:
    result = cli("targets")
    assert (result.code, result.err) == (0, "")
    head, *lines = result.out.split("\n\n")[0].splitlines()
    assert head.split() == "target vector floats ABI objects shared library NAME_check tested".split()
    assert [line.split()[0] for line in lines] == list(TARGETS)
    assert any(
        line.split() == "cortex-m3 none routines AAPCS, soft float ELF none none qemu-system-arm".split()
        for line in lines
    )
    assert all(f"{alias} is another name of {name}" in result.out for alias, name in ALIASES.items())


def test_scripts_get_json(cli: Cli) -> None:
    """All fields, from which a target can be made again, and what follows from them."""
    told = {row["name"]: row for row in json.loads(cli("targets", "--json").out)}
    for name, target in TARGETS.items():
        assert Target.restore({field: told[name][field] for field in target.describe()}) == target
    assert told["cortex-m0plus"]["may_need"] and not told["cortex-m4"]["may_need"]
    assert (told["wasm32-simd"]["vector_bits"], told["wasm32"]["vector_bits"]) == (128, 0)
    shared = {name: {"so", "dll", "dylib"}.intersection(row["kinds"]) for name, row in told.items()}
    assert (shared["aarch64"], shared["windows-arm64"], shared["macos-arm64"]) == ({"so"}, {"dll"}, {"dylib"})
    assert not shared["cortex-m4"] and not shared["wasm32"]
    assert not any(shared[name].intersection(row["kinds_without_tools"]) for name, row in told.items())
    assert "wasm" in told["wasm32"]["kinds_without_tools"] and "wasm" not in told["aarch64"]["kinds"]
    assert told["riscv64gcv"]["aliases"] == ["riscv64"]
