"""reduce: shrink a failing model to a small one, and write a script for a bug report.

A model fails if `cnncc check` finds something beyond its bound, if it cannot be compiled, or if its process crashes or
hangs; each candidate runs in a process of its own. Layers are left out, weights become random numbers and shapes small
as long as it still fails in the same way, on random inputs or on one INPUT file for each input of the model. Ctrl-C
ends the search and keeps the best so far. The script holds all that it needs.

With --predicate SCRIPT, failing is what that says: it is run with the path of a candidate's script as its argument, and
ends with exit code 0 for a candidate that still fails.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import expect_writable, write_whole
from ..sizes import is_open
from . import common
from .console import say
from .documents import add_json, document, file_facts, say_json

if TYPE_CHECKING:
    from ..compiler import Compilation, Options
    from ..faults.excerpt import Case
    from ..faults.outcome import Outcome
    from ..faults.reduce import Reduced
    from ..ir import Node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("files", nargs="*", metavar="INPUT", help=".npy, .npz or picture, one for each input")
    parser.add_argument("-o", dest="output", default="bug.py", metavar="FILE", help="the script (default: bug.py)")
    parser.add_argument(
        "--seconds", type=common.seconds, default=60.0, metavar="S", help="how long to search (default: 60)"
    )
    parser.add_argument(
        "--seed", type=common.at_least(0), default=0, metavar="N", help="seed of the random inputs (default: 0)"
    )
    parser.add_argument("--predicate", metavar="SCRIPT", help="what tells whether a candidate still fails")
    common.add_threads(parser)
    common.add_compiling(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..faults.failing import Failing, confirmed
    from ..faults.reduce import reduce
    from .progress import Progress

    _expect(arguments)
    compilation = common.compilation(arguments)
    case, options = _case(compilation, arguments), compilation.options
    failing = Failing(options, arguments.threads, arguments.seconds, arguments.predicate)
    first = failing.first(case)
    if not arguments.json:  # now, since the search takes a while
        say(f"{case.graph.name}: {first.kind}: {first.sentence}")
    with Progress("reducing") as progress:
        found = reduce(case, failing.fails, arguments.seconds, first.layer, progress)
    _write(found, case, failing.last(found.case, first) if not found.interrupted else first, options, arguments)
    alike = None if found.interrupted or arguments.predicate else confirmed(arguments.output, first)
    if arguments.json:
        say_json(document("reduce", **_facts(found, case, first), **file_facts(arguments.output), confirmed=alike))
    else:
        say(_shown(found, case, arguments.output))
        if alike is False:
            say("warning: the script does not fail in the same way in a process of its own")
    if found.interrupted:
        raise KeyboardInterrupt


def _expect(arguments: argparse.Namespace) -> None:
    """Raise UsageError for what cannot be served, OutputError where the script cannot be written."""
    if is_open(common.shapes(arguments)):
        raise UsageError("reduce takes one size: give one --shape for each input")
    if Path(arguments.output).suffix != ".py":
        raise UsageError(f"-o '{arguments.output}' must end in .py")
    if arguments.predicate and not Path(arguments.predicate).is_file():
        raise UsageError(f"--predicate '{arguments.predicate}' is not a file")
    expect_writable(arguments.output, "script")


def _case(compilation: Compilation, arguments: argparse.Namespace) -> Case:
    """The model without states, and its inputs."""
    from ..check.model import random_feeds
    from ..faults.excerpt import Case
    from ..ir import without_states
    from ..reading.inputs import of_files

    graph = compilation.graph
    feeds = random_feeds(graph, arguments.seed)
    if arguments.files:
        feeds |= of_files(graph, arguments.files, arguments.convert)
    return Case(without_states(graph), feeds)


def _write(found: Reduced, before: Case, first: Outcome, options: Options, arguments: argparse.Namespace) -> None:
    """The script."""
    from ..faults.bug_script import script
    from ..faults.outcome import settings

    many, few = (len(_layers(case)) for case in (before, found.case))
    made_for = f"{options.target.name} ({options.target.cpu})"
    origin = f"Reduced by `cnncc reduce` from '{before.graph.name}', {many} layer(s), to {few}. Target: {made_for}"
    text = script(found.case, first, settings(options, arguments.threads), origin)
    write_whole(arguments.output, "script", lambda stream: stream.write(text.encode()))


def _layers(case: Case) -> list[Node]:
    from ..faults.shrink import computed

    return list(computed(case.graph))


def _shown(found: Reduced, before: Case, path: str) -> str:
    """What is in the script."""
    layers, types = _layers(found.case), found.case.graph.types
    stopped = f", {found.stopped}: it may not be the smallest" if found.stopped else ""
    head = f"{len(_layers(before))} layer(s) are {len(layers)} after {found.tried} candidate(s){stopped}"
    lines = [f"  {node.name}: {node.op} of {', '.join(map(str, types(node.inputs)))}" for node in layers]
    return "\n".join([head, *lines, f"wrote {path}"])


def _facts(found: Reduced, before: Case, first: Outcome) -> dict[str, Any]:
    """The same as data."""
    types = found.case.graph.types
    layers = [
        {"name": node.name, "op": str(node.op), "inputs": list(map(str, types(node.inputs)))}
        for node in _layers(found.case)
    ]
    return {
        "model": before.graph.name,
        "kind": first.kind,
        "sentence": first.sentence,
        "layers_before": len(_layers(before)),
        "layers": layers,
        "tried": found.tried,
        "stopped": found.stopped or None,
    }
