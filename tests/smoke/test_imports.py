"""Importing is light, and modules only import what stands below them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIGHT = {"cnncc", "numpy", *sys.stdlib_module_names}
SECONDS = 0.3

PROBE = """
import contextlib, io, json, sys, time
before, begin = set(sys.modules), time.perf_counter()
STATEMENT
seconds = time.perf_counter() - begin
print(json.dumps([seconds, sorted({name.split(".")[0] for name in set(sys.modules) - before})]))
"""
HELP = """
from cnncc.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(["--help"]) == main(["compile", "--help"]) == 0
"""

# Lowest first; modules on one level may import each other. What is not listed is checked against its folder.
LEVELS = [
    (
        "version",
        "errors",
        "allowance",
        "files",
        "file_kinds",
        "naming",
        "types",
        "windows",
        "expr",
        "computation",
        "op",
    ),
    ("ir", "target", "cook_toom"),
    ("ops",),
    ("batching", "interpreter", "tolerance", "tolerance_winograd", "verify", "text", "passes", "frontends", "plan"),
    ("codegen",),
    ("native",),
    ("runtime",),
    (
        "compiler",
        "api",
        "sources",
        "identity",
        "budget",
        "benchmark",
        "checking",
        "limits",
        "peak",
        "peers",
        "profiling",
        "tuning",
    ),
    ("cli", "__main__"),
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
FOLDERS = {"cnncc": ROOT / "cnncc", "cnncc.frontends": ROOT / "frontends", "cnncc.passes": ROOT / "passes"}
# The back end tells the runtime and the compiler what it made in these words; they import nothing above types.
DATA_ONLY = {"cnncc.runtime.executable"}


def modules():
    """(dotted name, file) of every module of the three source folders."""
    for package, folder in FOLDERS.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), file


MODULES = dict(modules())


def imported(module: str, file: Path) -> set[str]:
    """Absolute names of the modules that `file` imports, wherever in it; not those for type checkers only."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in _outside_type_checking(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            source = ".".join(filter(None, (base if node.level else "", node.module or "")))
            found.update(f"{source}.{alias.name}" for alias in node.names)
    return found


def _outside_type_checking(tree: ast.AST):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _outside_type_checking(node)


def level(name: str) -> int | None:
    """Where a dotted name of ours stands; None for the top package itself and for others' modules."""
    parts = name.split(".")
    return LEVEL.get(parts[1]) if parts[0] == "cnncc" and len(parts) > 1 else None


@pytest.mark.parametrize("statement", ["import cnncc", HELP], ids=["import", "help"])
def test_import_is_light(statement):
    command = [sys.executable, "-c", PROBE.replace("STATEMENT", statement)]
    results = [json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(5)]
    assert set(results[0][1]) <= LIGHT
    assert min(seconds for seconds, _ in results) < SECONDS


def test_every_module_has_a_level():
    unknown = {name for name in MODULES if name != "cnncc" and level(name) is None}
    assert not unknown


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    if module == "cnncc":
        return  # its lazy names are the public face of everything
    own = level(module)
    assert own is not None, f"give {module} its place in LEVELS"
    upwards = {
        name
        for name in imported(module, MODULES[module])
        if (level(name) or 0) > own and not any(name.startswith(allowed) for allowed in DATA_ONLY)
    }
    assert not upwards, f"{module} imports from above itself: {sorted(upwards)}"


@pytest.mark.parametrize("module", MODULES)
def test_only_native_knows_llvm(module):
    llvm = {name for name in imported(module, MODULES[module]) if name.split(".")[0] == "llvmlite"}
    assert not llvm or module == "cnncc.native"


def test_data_only_modules_hold_no_machinery():
    for module in DATA_ONLY:
        assert all((level(name) or 0) <= LEVEL["target"] for name in imported(module, MODULES[module]))
