"""show: print a stage of the compilation.

graph: the layers; passes: what each pass did to each layer, and why not; plan: kernels, tiles and views; memory: the
arena; llvm, asm: the code; dot: the layers for Graphviz; svg: a drawing of them for a browser. graph, dot and svg show
the model as it was given, or with --graph optimised what the passes left of it. With --step, all that of a step of the
model's training.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from ..errors import UsageError
from . import common, steps
from .console import say
from .documents import add_json, say_json

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..ir import Graph
    from ..passes import Applied, Missed, Optimised

STAGES = ("graph", "passes", "plan", "memory", "llvm", "asm", "dot", "svg")
GRAPHS = ("original", "optimised")
DRAWN = ("graph", "dot", "svg")
TEXTS = ("llvm", "asm", "dot", "svg")  # which --json prints as they are


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument(
        "--stage",
        type=common.one_of("stage", STAGES),
        default="graph",
        metavar="STAGE",
        help=f"one of {', '.join(STAGES)} (default: graph)",
    )
    parser.add_argument(
        "--graph",
        type=common.one_of("graph", GRAPHS),
        metavar="|".join(GRAPHS),
        help=f"which graph the stages {', '.join(DRAWN)} show: before the passes or after them (default: {GRAPHS[0]})",
    )
    common.add_compiling(parser)
    common.add_timings(parser)
    add_json(parser)
    steps.add_arguments(parser, "show a step of the model's training in its place")


def run(arguments: argparse.Namespace) -> None:
    steps.expect_step(arguments)
    if arguments.graph and arguments.stage not in DRAWN:
        raise UsageError(f"--graph says which graph is shown: it needs --stage {', '.join(DRAWN[:-1])} or {DRAWN[-1]}")
    compilation = common.compilation(arguments)
    if arguments.step:
        compilation = steps.learned(compilation.graph, arguments).compiled(compilation)
    after = arguments.graph == "optimised"
    if arguments.json:
        from .stages import stage_document

        printed = _printers(after)[arguments.stage] if arguments.stage in TEXTS else None
        say_json(stage_document(compilation, arguments.stage, after, printed and printed(compilation)))
    else:
        say(_printers(after)[arguments.stage](compilation).rstrip("\n"))
    common.tell_timings(compilation, arguments)


def _printers(after: bool) -> dict[str, Callable[[Compilation], str]]:
    """What prints each stage; `after` shows the graph that the passes left where a graph is shown."""
    from .. import text
    from ..drawing import draw
    from ..plan.text import show_memory, show_plan

    def graph(c: Compilation) -> Graph:
        return c.optimised.graph if after else c.graph

    return {
        "graph": lambda c: text.show(graph(c)),
        "passes": lambda c: show_passes(c.graph, c.optimised),
        "plan": lambda c: show_plan(c.plan),
        "memory": lambda c: _with_stack(show_memory(c.plan), c.stack_bytes),
        "llvm": lambda c: c.listing("ll"),
        "asm": lambda c: c.listing("s"),
        "dot": lambda c: text.dot(graph(c)),
        "svg": lambda c: draw(graph(c)),
    }


def _with_stack(memory: str, stack: int | None) -> str:
    """The page of the workspace, and what a call takes of the stack where that is known."""
    return memory if stack is None else f"{memory.rstrip()}\n\nstack of a call: at most {stack:,} bytes"


def show_passes(graph: Graph, optimised: Optimised) -> str:
    """Layer by layer what fired and what did not and why, then passes that did not run, then the graph they left."""
    from ..passes import Missed
    from ..text import show

    constants = {node.name for node in graph if node.op.source == "constant"}
    layers: dict[str, list[Applied | Missed]] = {}
    whole, removed = [], []
    for entry in optimised.log:
        if entry.layer is None:
            whole.append(entry)
        elif not isinstance(entry, Missed) and entry.layer in constants and entry.pass_name == "dead_code":
            removed.append(entry.layer)
        else:
            layers.setdefault(entry.layer, []).append(entry)
    lines = [line for layer, entries in layers.items() for line in _layer(layer, entries)]
    if removed:
        lines.append(f"removed weights that nobody reads any more: {', '.join(removed)}")
    lines += [f"{entry.pass_name} did not run: {_why(entry)}" for entry in _distinct(whole)]
    return "\n".join([*lines, "", "The graph after the passes:", "", show(optimised.graph)])


def _why(entry: Applied | Missed) -> str:
    return getattr(entry, "why", "")


def _distinct(entries: Iterable[Applied | Missed]) -> Iterator[Applied | Missed]:
    """Neighbours that say the same once."""
    return (next(group) for _, group in groupby(dict.fromkeys(entries)))


def _layer(layer: str, entries: Iterable[Applied | Missed]) -> Iterator[str]:
    from ..passes import Applied

    yield layer
    for entry in entries:
        if isinstance(entry, Applied):
            detail = f": {entry.detail}" if entry.detail else ""
            yield f"  + {entry.pass_name} ({entry.tag}){detail}"
            yield f"      {entry.rule}"
            if entry.bound:
                yield f"      bound: {entry.bound}"
        else:
            yield f"  - {entry.pass_name}: {entry.why}"
