"""Importing is light, and modules only import what stands below them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[2]
LIGHT = {"cnncc", "numpy", *sys.stdlib_module_names}
HEAVY = {"asyncio", "concurrent", "http", "multiprocessing", "sqlite3", "unittest", "xml"}
"""Packages of the standard library that are slow to import."""

PROBE = """
import contextlib, io, json, sys
before = set(sys.modules)
STATEMENT
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""
HELP = """
from cnncc.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(["--help"]) == main(["compile", "--help"]) == 0
"""

# What each room may import, exactly: what stands here and is not imported is taken out again. Imports for type checkers
# count, for who reads a module has to know what they name. A room is a module or a folder of `cnncc/`.
ALLOWED: dict[str, set[str]] = {
    "abi": set(),
    "cook_toom": set(),
    "diagnostics": set(),
    "elements": set(),
    "errors": set(),
    "file_kinds": set(),
    "history": {"plain", "shown"},
    "naming": set(),
    "plain": set(),
    "shown": set(),
    "terminal": set(),
    "timings": {"terminal"},
    "version": set(),
    "allowance": {"errors"},
    "files": {"errors"},
    "machine": {"abi", "elements", "errors"},
    "types": {"elements", "errors"},
    "alignment": {"abi", "types"},
    "integers": {"elements", "types"},
    "lines": {"elements", "types"},
    "native": {"diagnostics", "errors", "machine"},
    "sizes": {"errors"},
    "windows": {"errors", "types"},
    "cache": {"alignment", "native", "version"},
    "functions": {"elements", "integers", "types"},
    "objects": {"abi", "alignment", "errors", "machine"},
    "expr": {"elements", "functions", "types"},
    "tangent": {"elements", "expr", "functions"},
    "runtime": {
        "abi",
        "alignment",
        "cache",
        "elements",
        "errors",
        "files",
        "machine",
        "naming",
        "native",
        "objects",
        "shown",
        "sizes",
        "types",
        "version",
    },
    "emulation": {"abi", "alignment", "errors", "machine", "native", "objects", "runtime", "types"},
    "reading": {"errors", "files", "ir", "runtime", "types"},
    "folders": {"errors", "files", "plain", "reading", "runtime", "types"},
    "firmware": {"alignment", "check", "elements", "emulation", "errors", "machine", "naming", "runtime", "types"},
    "cache.models": {"alignment", "cache", "runtime"},
    "computation": {"elements", "expr", "integers", "lines", "types", "windows"},
    "plan.cost": {"elements", "expr", "machine"},
    "sums": {"computation", "types", "windows"},
    "meaning": {"computation", "elements", "expr", "lines", "sums", "types"},
    "op": {"computation", "elements", "errors", "types"},
    "plan.views": {"abi", "alignment", "elements", "machine", "plan.cost", "types"},
    "ir": {"allowance", "computation", "elements", "errors", "op", "shown", "types"},
    "ops": {
        "computation",
        "elements",
        "errors",
        "expr",
        "functions",
        "integers",
        "lines",
        "meaning",
        "op",
        "types",
        "windows",
    },
    "plan.kernels": {
        "alignment",
        "computation",
        "cook_toom",
        "elements",
        "expr",
        "lines",
        "machine",
        "plan.cost",
        "plan.views",
        "types",
        "windows",
    },
    "batching": {"errors", "ir", "op", "types"},
    "codegen.kernels": {"codegen", "cook_toom", "expr", "plan.kernels", "plan.views", "windows"},
    "cut": {"errors", "ir"},
    "text": {"computation", "elements", "errors", "expr", "ir", "lines", "op", "ops", "types", "windows"},
    "drawing": {"elements", "ir", "op", "ops", "types"},
    "gradient": {
        "batching",
        "computation",
        "cut",
        "elements",
        "errors",
        "expr",
        "ir",
        "lines",
        "meaning",
        "op",
        "ops",
        "tangent",
        "types",
        "windows",
    },
    "frontends": {
        "allowance",
        "batching",
        "computation",
        "elements",
        "errors",
        "file_kinds",
        "files",
        "history",
        "ir",
        "op",
        "ops",
        "shown",
        "types",
        "windows",
    },
    "interpreter": {"batching", "errors", "ir", "op", "types"},
    "plan": {
        "abi",
        "alignment",
        "allowance",
        "batching",
        "computation",
        "cook_toom",
        "elements",
        "errors",
        "expr",
        "files",
        "ir",
        "lines",
        "machine",
        "meaning",
        "op",
        "ops",
        "plan.cost",
        "plan.kernels",
        "plan.views",
        "types",
        "windows",
    },
    "check": {
        "computation",
        "cook_toom",
        "elements",
        "errors",
        "expr",
        "functions",
        "interpreter",
        "ir",
        "lines",
        "meaning",
        "op",
        "ops",
        "sums",
        "types",
        "windows",
    },
    "codegen": {
        "abi",
        "alignment",
        "codegen.kernels",
        "computation",
        "elements",
        "expr",
        "functions",
        "machine",
        "plan",
        "plan.kernels",
        "plan.views",
        "windows",
    },
    "frontends.onnx": {
        "allowance",
        "batching",
        "cut",
        "elements",
        "errors",
        "file_kinds",
        "files",
        "frontends",
        "integers",
        "ir",
        "op",
        "ops",
        "types",
        "windows",
    },
    "frontends.torch": {"errors", "frontends.onnx", "ir"},
    "cache.sources": {"alignment", "cache", "errors", "files", "frontends", "frontends.onnx", "ir", "types"},
    "codegen.llvm": {"alignment", "codegen", "machine", "objects"},
    "passes": {
        "batching",
        "check",
        "computation",
        "elements",
        "errors",
        "expr",
        "functions",
        "interpreter",
        "ir",
        "op",
        "ops",
        "types",
        "windows",
    },
    "compiler": {
        "abi",
        "allowance",
        "cache",
        "cache.models",
        "cache.sources",
        "codegen",
        "codegen.llvm",
        "elements",
        "errors",
        "ir",
        "machine",
        "naming",
        "native",
        "objects",
        "passes",
        "plan",
        "runtime",
        "timings",
        "version",
    },
    "opening": {"cache.models", "cache.sources", "compiler", "errors", "runtime", "sizes", "timings"},
    "check.compiled": {"compiler", "emulation", "errors", "ir", "passes", "runtime", "types"},
    "check.model": {
        "check",
        "check.compiled",
        "compiler",
        "emulation",
        "interpreter",
        "ir",
        "op",
        "ops",
        "passes",
        "runtime",
        "types",
    },
    "measure": {
        "alignment",
        "cache",
        "codegen",
        "codegen.llvm",
        "compiler",
        "emulation",
        "errors",
        "ir",
        "machine",
        "native",
        "plan",
        "plan.kernels",
        "runtime",
        "terminal",
        "types",
    },
    "faults": {
        "cache.sources",
        "check",
        "check.compiled",
        "check.model",
        "compiler",
        "computation",
        "cut",
        "elements",
        "errors",
        "expr",
        "functions",
        "interpreter",
        "ir",
        "measure",
        "op",
        "passes",
        "plan",
        "plan.kernels",
        "text",
        "types",
        "version",
    },
    "report": {
        "cache",
        "cache.sources",
        "check.model",
        "compiler",
        "drawing",
        "emulation",
        "errors",
        "explain",
        "files",
        "frontends",
        "ir",
        "measure",
        "measure.peers",
        "native",
        "passes",
        "plan",
        "runtime",
        "timings",
        "types",
        "version",
    },
    "source": {"cache.sources", "check", "cut", "errors", "file_kinds", "files", "frontends", "ir", "sizes", "types"},
    "api": {
        "cache.sources",
        "compiler",
        "cut",
        "errors",
        "explain",
        "faults",
        "frontends",
        "frontends.torch",
        "interpreter",
        "ir",
        "machine",
        "measure",
        "measure.peers",
        "opening",
        "plan",
        "report",
        "runtime",
        "sizes",
        "source",
        "types",
    },
    "explain": {
        "cache.sources",
        "compiler",
        "cut",
        "elements",
        "errors",
        "expr",
        "ir",
        "machine",
        "passes",
        "plan",
        "plan.cost",
        "plan.kernels",
        "plan.views",
        "types",
    },
    "learning": {
        "allowance",
        "api",
        "batching",
        "cache.sources",
        "computation",
        "elements",
        "errors",
        "expr",
        "files",
        "frontends",
        "gradient",
        "history",
        "interpreter",
        "ir",
        "op",
        "ops",
        "runtime",
        "shown",
        "source",
        "terminal",
        "types",
    },
    "notebook": {"drawing", "errors", "frontends", "history", "ir", "learning", "report", "runtime", "types"},
    "__init__": {"api", "errors", "folders", "frontends", "learning", "runtime", "version"},
    "measure.peers": {"cache.sources", "compiler", "errors", "measure", "runtime", "types", "version"},
    "measure.torch_network": {"cut", "errors", "ir", "op", "ops", "types"},
    "measure.steps": {"batching", "errors", "ir", "learning", "measure.peers", "measure.torch_network", "types"},
    "cli": {
        "api",
        "cache",
        "cache.sources",
        "check.model",
        "compiler",
        "drawing",
        "emulation",
        "errors",
        "explain",
        "faults",
        "files",
        "firmware",
        "folders",
        "frontends",
        "frontends.onnx",
        "ir",
        "learning",
        "machine",
        "measure",
        "measure.peers",
        "measure.steps",
        "naming",
        "native",
        "objects",
        "op",
        "opening",
        "ops",
        "passes",
        "plain",
        "plan",
        "plan.views",
        "reading",
        "report",
        "runtime",
        "sizes",
        "source",
        "terminal",
        "text",
        "timings",
        "types",
        "version",
    },
    "__main__": {"cli"},
}
# Two halves of one room: a code generator calls its kernels, and they call what all of them share.
TOGETHER = {("codegen", "codegen.kernels")}
FOLDERS = {"cnncc": ROOT / "cnncc", "cnncc.frontends": ROOT / "frontends", "cnncc.passes": ROOT / "passes"}
INNER = {
    "cache.models",
    "cache.sources",
    "check.compiled",
    "check.model",
    "codegen.kernels",
    "codegen.llvm",
    "frontends.onnx",
    "frontends.torch",
    "measure.peers",
    "measure.steps",
    "measure.torch_network",
    "plan.cost",
    "plan.kernels",
    "plan.views",
}
"""Folders and modules in folders that are rooms of their own: what a room holds may stand on different floors."""


@cache
def modules() -> dict[str, str]:
    """The text of every module of the three source folders by its dotted name; a package is called NAME.__init__."""
    return {
        ".".join([package, *file.relative_to(folder).with_suffix("").parts]): file.read_text(encoding="utf-8")
        for package, folder in FOLDERS.items()
        for file in sorted(folder.rglob("*.py"))
    }


@cache
def imported(module: str, text: str) -> tuple[str, ...]:
    """Absolute names of what `module` imports, wherever in it; found once for each text, as most tests ask for all."""
    return tuple(_imported(module, text))


def _imported(module: str, text: str) -> Iterator[str]:
    package = module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            source = ".".join(filter(None, (base if node.level else "", node.module or "")))
            yield from (f"{source}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """The room of a module, or of what stands in it."""
    first, *inner = name.removeprefix("cnncc.").removesuffix(".__init__").split(".")
    within = ".".join([first, *inner[:1]])
    return within if within in INNER else first


def edges(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Which other rooms each room imports."""
    rooms = {room(name) for name in texts}
    found: dict[str, set[str]] = {name: set() for name in rooms}
    for module, text in texts.items():
        ours = {room(name) for name in imported(module, text) if name.startswith("cnncc.")}
        found[room(module)] |= (ours & rooms) - {room(module)}
    return found


def circles(texts: Mapping[str, str]) -> set[tuple[str, ...]]:
    """Modules that import each other, by whatever way round; empty if there are none."""
    graph = nx.DiGraph()
    graph.add_edges_from(  # to make it of them, old versions of networkx look for pandas, and warn
        (module, found)
        for module, text in texts.items()
        for name in imported(module, text)
        if (found := defining(name, texts)) not in (None, module)
    )
    return {tuple(sorted(circle)) for circle in nx.strongly_connected_components(graph) if len(circle) > 1}


def defining(name: str, texts: Mapping[str, str]) -> str | None:
    """The module that an imported name is, or the one that it stands in; None for what is not ours."""
    while name and name not in texts and f"{name}.__init__" not in texts:
        name = name.rpartition(".")[0]
    return name if name in texts else f"{name}.__init__" if name else None


def forbidden(texts: Mapping[str, str]) -> set[str]:
    return {
        f"{importer} imports {found}"
        for importer, all_found in edges(texts).items()
        for found in all_found - ALLOWED.get(importer, set())
    }


@pytest.mark.parametrize("statement", ["import cnncc", HELP], ids=["import", "help"])
def test_import_is_light(statement: str) -> None:
    command = [sys.executable, "-c", PROBE.replace("STATEMENT", statement)]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert "cnncc" in found
    assert set(found) <= LIGHT - HEAVY


def test_rooms_import_what_they_may() -> None:
    assert forbidden(modules()) == set()


def test_what_may_be_imported_is() -> None:
    found = edges(modules())
    assert {name: allowed - found[name] for name, allowed in ALLOWED.items() if allowed - found[name]} == {}


def test_imports_go_one_way() -> None:
    ways = {(importer, found) for importer, all_found in ALLOWED.items() for found in all_found}
    order = TopologicalSorter(
        {name: {found for found in ALLOWED[name] if (found, name) not in TOGETHER} for name in ALLOWED}
    )
    assert set(order.static_order()) == set(ALLOWED)
    assert ways >= TOGETHER


def test_no_two_modules_import_each_other() -> None:
    """Not inside a room either, and not for type checkers: what both need stands below both."""
    assert circles(modules()) == set()


ROUND = {
    "of two": {"cnncc.frontends.symbols": "from .generic import OpLayer"},
    "in a function": {"cnncc.frontends.symbols": "def f():\n    from .generic import op_layers"},
    "for type checkers only": {"cnncc.frontends.summary": "if TYPE_CHECKING:\n    from .model import Model"},
    "by way of others": {"cnncc.frontends.onnx.read": "from . import table"},
    "with the package": {"cnncc.cli.parser": "from . import __doc__"},
    "of modules in one room": {"cnncc.passes.match": "import cnncc.passes.fuse"},
}


@pytest.mark.parametrize("case", ROUND)
def test_a_planted_circle_is_caught(case: str) -> None:
    texts = {module: f"{text}\n{ROUND[case].get(module, '')}\n" for module, text in modules().items()}
    (circle,) = circles(texts)
    assert set(circle) > set(ROUND[case])


PLANTED = {
    "a pass that knows the machine": (
        "cnncc.passes.padding",
        "from ..machine.target import TARGETS",
        "passes imports machine",
    ),
    "a pass that knows the cost": ("cnncc.passes.padding", "from ..plan.cost import step", "passes imports plan.cost"),
    "a code generator that sees a graph": ("cnncc.codegen.program", "from ..ir import Graph", "codegen imports ir"),
    "a code generator that rewrites": ("cnncc.codegen.program", "import cnncc.passes", "codegen imports passes"),
    "a kernel that sees a graph": (
        "cnncc.codegen.kernels.direct",
        "def f():\n    from ...ir import Graph",
        "codegen.kernels imports ir",
    ),
    "a kernel that knows its back end": (
        "cnncc.codegen.kernels.move",
        "from ..llvm.text import spell",
        "codegen.kernels imports codegen.llvm",
    ),
    "for type checkers only": (
        "cnncc.plan.layout",
        "if TYPE_CHECKING:\n    from ..runtime.model import Model",
        "plan imports runtime",
    ),
    "from the package itself": ("cnncc.passes.__init__", "from .. import machine", "passes imports machine"),
    "a cost that knows a kernel": (
        "cnncc.plan.cost.step",
        "from ..kernels import Direct",
        "plan.cost imports plan.kernels",
    ),
    "a kernel that knows a stage of the plan": (
        "cnncc.plan.kernels.direct",
        "from ..plan import Step",
        "plan.kernels imports plan",
    ),
    "an op that knows a kernel": (
        "cnncc.ops.conv",
        "from cnncc.plan.kernels import Direct",
        "ops imports plan.kernels",
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_import_is_caught(case: str) -> None:
    module, line, told = PLANTED[case]
    texts = dict(modules())
    texts[module] += f"\n{line}\n"
    assert forbidden(texts) == {told}


def test_only_native_knows_llvm() -> None:
    knowing = {m for m, text in modules().items() if any(n.split(".")[0] == "llvmlite" for n in imported(m, text))}
    assert knowing == {"cnncc.native"}
