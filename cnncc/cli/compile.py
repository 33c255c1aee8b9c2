"""compile: write a model as object, static and shared library, C header and manifest.

Without --kinds, everything that the target can have is written; a shared library needs a C compiler.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..machine.architecture import ProcessorCheck
from ..naming import c_identifier, nearest
from . import common
from .console import say, table

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..machine.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("-o", dest="folder", required=True, metavar="DIR", help="folder to write to, made if need be")
    common.add_compiling(parser)
    parser.add_argument("--name", metavar="NAME", help="C prefix of all symbols (default: the model's name)")
    parser.add_argument("--kinds", metavar="KIND,…", help="some of o, a, so, h, json")
    common.add_tuning(parser)
    common.add_cache(parser)
    common.add_timings(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..runtime import artefacts

    kinds = None if arguments.kinds is None else _kinds(arguments.kinds, artefacts.KINDS)
    compilation, report = common.tuned(_compilation(arguments), arguments)
    executable = compilation.executable(use_cache=not arguments.no_cache)
    common.tell_timings(compilation, arguments)
    files = artefacts.write(executable, arguments.folder, kinds or default_kinds(executable.target))
    if report:
        say(common.show_tuned(report))
    rows = [(str(path), f"{path.stat().st_size:,}", _ROLES[role]) for role, path in files.items()]
    say(table(("file", "bytes", ""), rows, right=(1,)))
    say(
        f"{executable.name} for {executable.target.name}: workspace {executable.workspace_bytes(1):,} bytes, "
        f"weights {len(executable.weights):,} bytes"
    )
    if executable.symbol != executable.name:
        say(f"names in C begin with {executable.symbol}; --name {nearest(executable.name)} gives shorter ones")
    if executable.target.isa.check is ProcessorCheck.NONE:
        say(f"{executable.symbol}_check() asks nothing: the processor has to be a {executable.target.demands}")
    if kinds is None and "so" not in files:
        say("no shared library: " + ("no C compiler" if executable.target.has_system else "the target has none"))


_ROLES = {
    "o": "code",
    "weights": "weights",
    "a": "static library",
    "so": "shared library",
    "h": "C header",
    "json": "manifest",
}


def _kinds(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(filter(None, text.split(","))))
    for kind in kinds:
        if kind not in known:
            raise UsageError(f"unknown kind of artefact '{kind}': expected some of {', '.join(known)}")
    if not kinds:
        raise UsageError(f"--kinds names nothing to write: expected some of {', '.join(known)}")
    return kinds


def _compilation(arguments: argparse.Namespace) -> Compilation:
    """The model, under another name if that is wanted. Raises UsageError for one that C does not take as it is."""
    from ..compiler import Compilation

    name = arguments.name
    if name is not None and c_identifier(name) != name:
        raise UsageError(f"--name '{name}' cannot prefix C symbols: '{nearest(name)}' could")
    compilation = common.compilation(arguments)
    if name is None:
        return compilation
    named = dataclasses.replace(compilation.graph, name=name)
    return Compilation(named, compilation.options, compilation.stopwatch)


def default_kinds(target: Target) -> tuple[str, ...]:
    """Everything that can be written for `target` here."""
    from ..runtime.artefacts import can_link

    return ("o", "a", "so", "h", "json") if can_link(target) else ("o", "a", "h", "json")
