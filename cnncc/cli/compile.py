"""compile: write a model as object, static and shared library, module of WebAssembly, C header and manifest.

Without --kinds, all that programs link is written; a shared library needs a C compiler. ll and s are the code as text.
Several --shape of an input write one library with a program for each size, which share the weights.
--step writes two programs with one block of states: the network, and a step of its training.
--example firmware writes a project for a Cortex-M around the model, which runs it on INPUT files, or on random inputs.
With --step it learns on the device that these are of class --label.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..naming import c_identifier, nearest
from ..sizes import is_open
from . import common, example, steps
from .budget import expect_flash, within_memory
from .console import say, table
from .documents import add_json, document, say_json
from .written import Written, facts, file_table, notes, sizes

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..machine.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    example.add_arguments(parser)
    parser.add_argument("-o", dest="folder", required=True, metavar="DIR", help="folder to write to, made if need be")
    common.add_compiling(parser)
    parser.add_argument("--name", metavar="NAME", help="C prefix of all symbols (default: the model's name)")
    parser.add_argument(
        "--kinds", metavar="KIND,…", help="some of o, a, so, dll, dylib, wasm, h, json, cmake, pc, ll, s"
    )
    parser.add_argument(
        "--memory", type=common.size, metavar="BYTES", help="the most that workspace, states and stack may take, as 32K"
    )
    parser.add_argument("--flash", type=common.size, metavar="BYTES", help="the most that code and weights may take")
    parser.add_argument(
        "--place", metavar="PART=SECTION,…", help="sections for a linker script: of weights, code, workspace, states"
    )
    common.add_tuning(parser)
    common.add_cache(parser)
    common.add_timings(parser)
    add_json(parser)
    steps.add_arguments(parser, "also write a training step, with weights that it updates", batch=1)


def run(arguments: argparse.Namespace) -> None:
    from ..runtime import artefacts

    kinds = None if arguments.kinds is None else _kinds(arguments.kinds, artefacts.KINDS)
    if (arguments.memory or arguments.flash) and (arguments.step or is_open(common.shapes(arguments))):
        raise UsageError("--memory and --flash are for one program")
    steps.expect_step(arguments)
    example.expect_example(arguments, kinds)
    if is_open(common.shapes(arguments)):
        if arguments.step:
            raise UsageError("--step takes one size: give one --shape for each input")
        written = _write_library(arguments, kinds)
    else:
        written = (_write_step if arguments.step else _write_one)(arguments, kinds)
    if arguments.json:
        say_json(document("compile", **facts(written)))
    else:
        say("\n".join(written.pages))


def _write_one(arguments: argparse.Namespace, kinds: tuple[str, ...] | None) -> Written:
    """One program of one size."""
    from ..runtime import artefacts

    compilation, report = common.tuned(_compilation(arguments), arguments)
    if arguments.memory:
        compilation = within_memory(compilation, arguments.memory)
    executable = compilation.executable(use_cache=not arguments.no_cache)
    if arguments.flash:
        expect_flash(executable, arguments.flash)
    common.tell_timings(compilation, arguments)
    beside = example.files(compilation, executable, arguments)
    kinds_here = kinds or (example.KINDS if beside else default_kinds(executable.target))
    files = artefacts.write(executable, arguments.folder, kinds_here, beside, _listings(kinds_here, [compilation]))
    said = notes(executable, kinds, files)
    pages = [common.show_tuned(report)] if report else []
    pages += [file_table(files), f"{executable.name} for {executable.target.name}: {sizes(executable)}", *said]
    return Written([executable], list(files.items()), pages, said, report)


def _write_library(arguments: argparse.Namespace, kinds: tuple[str, ...] | None) -> Written:
    """A program for each of several sizes, with one block of weights.

    Raises UsageError for another model than one of ONNX, and for what is chosen for one size.
    """
    from ..opening import compilations, library
    from ..runtime import artefacts
    from ..timings import Stopwatch
    from .progress import Compiling

    common.expect_listed(common.shapes(arguments))
    common.expect_untuned(arguments)
    options, stopwatch = common.options(arguments), Stopwatch(Compiling())
    source = common.onnx_source(arguments)
    use_cache = not arguments.no_cache
    asked = source, common.shapes(arguments), options, _name(arguments), stopwatch
    programs, added = library(*asked, use_cache=use_cache)
    kinds_here = kinds or default_kinds(options.target)
    listings = _listings(kinds_here, compilations(*asked)) if _listed(kinds_here) else {}
    common.tell_timings(stopwatch, arguments)
    files = artefacts.write(programs, arguments.folder, kinds_here, listings=listings)
    rows = [
        (each.symbol, f"{each.workspace_bytes(1):,}", f"{size:,}") for each, size in zip(programs, added, strict=True)
    ]
    said = notes(programs[0], kinds, files)
    pages = [
        file_table(files),
        table(("program", "workspace", "weights that no program above has"), rows, right=(1, 2)),
        f"{programs[0].name} for {options.target.name}: weights {sum(added):,} bytes",
    ]
    return Written(programs, list(files.items()), [*pages, *said], said)


def _write_step(arguments: argparse.Namespace, kinds: tuple[str, ...] | None) -> Written:
    """The network and a step of its training, which read and update one block of states."""
    from ..compiler import Compilation
    from ..learning.evaluation import inference
    from ..runtime import artefacts

    common.expect_untuned(arguments, "is for one program, and --step writes two")
    given = _compilation(arguments)
    step = steps.learned(given.graph, arguments, batch=1)
    network = inference(given.graph, step.graph, given.graph.outputs)
    every: list[tuple[str, Path]] = []
    rows, pages = [], []
    compilations = Compilation(network, given.options), Compilation(step.graph, given.options)
    executables = [each.executable(use_cache=not arguments.no_cache) for each in compilations]
    beside = example.learning_files(compilations, executables, step, arguments)
    kinds_here = kinds or (example.KINDS if beside else default_kinds(given.options.target))
    for compilation, executable, more in zip(compilations, executables, (None, beside), strict=True):
        texts = _listings(kinds_here, [compilation])
        files = artefacts.write(executable, arguments.folder, kinds_here, more, texts)
        every += files.items()
        pages.append(file_table(files))
        held = executable.workspace_bytes(1), executable.state_bytes, len(executable.object)
        rows.append((executable.symbol, *(f"{size:,}" for size in held)))
    pages.append(table(("program", "workspace", "states", "code"), rows, right=(1, 2, 3)))
    return Written(executables, every, pages)


def _listed(kinds: Sequence[str]) -> list[str]:
    """The kinds that are the code as text."""
    from ..runtime.artefacts import LISTINGS

    return [kind for kind in kinds if kind in LISTINGS]


def _listings(kinds: Sequence[str], compilations: Sequence[Compilation]) -> dict[str, list[str]]:
    """The code of the programs as text, in the order of the programs, by kind."""
    return {kind: [each.listing(kind) for each in compilations] for kind in _listed(kinds)}


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

    name = _name(arguments)
    compilation = common.compilation(arguments)
    if name is None:
        return compilation
    named = dataclasses.replace(compilation.graph, name=name)
    return Compilation(named, compilation.options, compilation.stopwatch)


def _name(arguments: argparse.Namespace) -> str | None:
    name: str | None = arguments.name
    if name is not None and c_identifier(name) != name:
        raise UsageError(f"--name '{name}' cannot prefix C symbols: '{nearest(name)}' could")
    return name


def default_kinds(target: Target) -> tuple[str, ...]:
    """Everything that programs link, as far as it can be written for `target` here."""
    from ..runtime.artefacts import LISTINGS, kinds_for
    from ..runtime.shared import can_link

    left_out = {"cmake", "pc", *LISTINGS, *(() if can_link(target) else (target.shared_library,))}
    return tuple(kind for kind in kinds_for(target) if kind not in left_out)
