"""Whether a change of the compiler leaves what it compiles as it was, byte for byte.

    python -m tests.codegen.identical MODEL... --save before.json
    python -m tests.codegen.identical MODEL... --against before.json

For each model and target: code, read-only data, exported symbols, packed weights, and the numbers of the plan's text
(its words may be renamed). Exits with 1 and names what differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cnncc
from cnncc.compiler import Compilation, Options
from cnncc.ir import Graph
from cnncc.machine.target import named
from cnncc.objects import format_of
from cnncc.plan.text import show_memory, show_plan

READ_ONLY = (".text", ".rodata", ".rdata", "__text", "__const", "__literal", "code", "data")
"""How the names of sections begin that hold code or constants, in each format of objects."""
TARGETS = ("x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64", "cortex-m4")

Record = dict[str, str]


def record(graph: Graph, target: str, precision: str = "fast") -> Record:
    """A digest for each part of what `graph` becomes for `target`."""
    compilation = Compilation(graph, Options(named(target), precision))
    objects = format_of(compilation.options.target)
    parts = {each.name: each.data for each in objects.sections(compilation.object) if each.name.startswith(READ_ONLY)}
    parts["symbols"] = repr(sorted(map(repr, objects.global_symbols(compilation.object)))).encode()
    parts["weights"] = bytes(compilation.plan.weights)
    told = show_plan(compilation.plan) + show_memory(compilation.plan)
    parts["plan"] = " ".join(re.findall(r"\d+(?:\.\d+)?", told)).encode()
    return {name: hashlib.sha256(data).hexdigest()[:16] for name, data in parts.items()}


def records(models: Sequence[str], targets: Sequence[str]) -> Iterator[tuple[str, Record]]:
    for model in models:
        graph = cnncc.load_graph(model)
        for target in targets:
            yield f"{Path(model).stem} {target}", record(graph, target)


def differences(before: dict[str, Record], after: dict[str, Record]) -> list[str]:
    """What differs, for each model and target that both hold."""
    found = []
    for key in [key for key in after if key in before]:
        parts = before[key].keys() | after[key].keys()
        different = sorted(part for part in parts if before[key].get(part) != after[key].get(part))
        if different:
            found.append(f"{key}: {', '.join(different)}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.codegen.identical", description="Compare compiled bytes.")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--save", type=Path)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    made = dict(records(options.models, options.targets.split(",")))
    if options.save:
        options.save.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    if not options.against:
        return 0
    found = differences(json.loads(options.against.read_text(encoding="utf-8")), made)
    print("\n".join(found) or f"{len(made)} objects as before")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
