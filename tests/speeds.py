"""Three speeds: `-m fast`, the default, and `-m tools`, which holds what the default leaves out.

A test says by a mark where it belongs. `tools`: it wants an emulator, another compiler or framework, or takes long.
`combinations`: it is costly and has several parameters; the default has each value of each parameter at least once,
`tools` the other combinations. Of targets that are alike (`ALIKE`) one runs by default. What runs for `host` and for
the x86-64 levels runs by default for `host` and for the lowest level, and for those above the lowest with `tools`.
`fast` is given by the table `FAST`: these modules, for `host`, each value of each parameter once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

T = TypeVar("T")

TESTS = Path(__file__).parent
HOST, LOWEST = "host", "x86-64-v2"
ALIKE = {
    "aarch64-none": "aarch64",
    "cortex-m3": "cortex-m0plus",
    **dict.fromkeys(("cortex-m4-softfp", "cortex-m7", "cortex-m33", "cortex-m55"), "cortex-m4"),
    "riscv32imafc": "riscv32imc",
    "wasm32": "wasm32-simd",
    "windows-arm64": "windows-x86-64",
    "macos-x86-64": "macos-arm64",
}
"""Targets whose code hardly differs from another one's."""
FAST = {
    "cli": "check ops show",
    "codegen": "back_ends emitter every_op softmax program",
    "compatibility": "kept",
    "docs": "links generated map tiles",
    "drawing": "drawing",
    "embed": "names",
    "errors": "graph_errors bad_input",
    "explain": "names",
    "frontends": "composition counts layer_errors inputs blocks",
    "fuzz": "onnx_files",
    "gradient": "tangent walk images refused",
    "learning": "",  # every test there compiles a step
    "notebook": "shown",
    "onnx": "import order",
    "ops": "registry reference windows interpreter graph lowering text",
    "packaging": "installed",
    "passes": "manager fuse batch_norm identities dead_code padding constants subexpressions groups parallel",
    "plan": "choose lower memory schedule views",
    "report": "",  # every test there compiles and times
    "runtime": "model buffers native",
    "smoke": "imports llvm_text speeds",
    "torch": "",  # every test there wants PyTorch
}
"""For each folder the modules that say most in the least time."""


def mark(items: Iterable[pytest.Item]) -> None:
    """Give each test its marks."""
    functions: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        functions[item.nodeid.partition("[")[0]].append(item)
    for cases in functions.values():
        rare = {case for case in cases if case.get_closest_marker("tools")} | between(cases) | alike(cases)
        if cases[0].get_closest_marker("combinations"):
            often = [case for case in cases if case not in rare]
            rare |= {*often} - {*covering(often, parameters)}
        for case in rare:
            case.add_marker(pytest.mark.tools)
        if in_fast(cases[0].path):
            for case in covering([case for case in cases if case not in rare and level(case) == HOST], parameters):
                case.add_marker(pytest.mark.fast)


def in_fast(path: Path) -> bool:
    folder, _, module = path.relative_to(TESTS).with_suffix("").as_posix().rpartition("/")
    return module.removeprefix("test_") in FAST.get(folder, "").split()


def parameters(case: pytest.Item) -> frozenset[tuple[object, ...]]:
    """What this case has of each `parametrize`: the names, and which values."""
    found = values(case)
    rows = []
    for marker in case.iter_markers("parametrize"):
        names = marker.args[0].split(",") if isinstance(marker.args[0], str) else marker.args[0]
        rows.append(tuple((name.strip(), id(found[name.strip()])) for name in names))
    return frozenset(rows)


def values(case: pytest.Item) -> Mapping[str, object]:
    """The parameters by name."""
    found = getattr(case, "callspec", None)
    return found.params if found else {}


def level(case: pytest.Item) -> str:
    """The processor that a test compiles for, `host` if it has no parameter that says so."""
    return str(values(case).get("target", HOST))


def between(cases: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Those for a level above the lowest, of tests that run for `host` and the lowest level too."""
    if not {HOST, LOWEST} <= {level(case) for case in cases}:
        return set()
    return {case for case in cases if level(case).startswith("x86-64-") and level(case) != LOWEST}


def alike(cases: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Those for a target that is like another one for which the test runs too."""
    run = {level(case) for case in cases}
    return {case for case in cases if ALIKE.get(level(case)) in run}


def covering(cases: Sequence[T], values: Callable[[T], frozenset[object]]) -> list[T]:
    """Few cases in which each value occurs: those of nothing but new ones first, then those of any.

    They are taken in a random order, always the same one, so that no value meets the first of the others only.
    """
    order = Random(1).sample(cases, len(cases))
    kept: list[T] = []
    seen: set[object] = set()
    for case in order:
        if not values(case) & seen:
            kept.append(case)
            seen |= values(case)
    for case in order:
        if values(case) - seen:
            kept.append(case)
            seen |= values(case)
    return kept
