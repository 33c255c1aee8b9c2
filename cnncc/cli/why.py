"""why: tell why layers were compiled as they were.

Which nodes of the model went into a layer, which passes changed it and which did not, how its kernel was chosen among
which candidates, what bounds it, and where its results lie. LAYER is a layer of the optimised graph, or any node of the
model, also by the names of an ONNX file; without one, a line tells of each layer. Nothing is run or measured.
"""

from __future__ import annotations

import argparse

from . import common, steps
from .console import say
from .documents import add_json, say_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument(
        "layers", nargs="*", metavar="LAYER", help="layer, node or tensor (default: a line for each layer)"
    )
    add_json(parser)
    common.add_compiling(parser)
    common.add_timings(parser)
    steps.add_arguments(parser, "tell of a step of the model's training in its place")


def run(arguments: argparse.Namespace) -> None:
    from ..explain import explain
    from ..explain.plain import plain
    from ..explain.text import text

    steps.expect_step(arguments)
    compilation = common.compilation(arguments)
    if arguments.step:
        compilation = steps.learned(compilation.graph, arguments).compiled(compilation)
    names = tuple(dict.fromkeys(arguments.layers))
    explanation = explain(compilation, None if arguments.json and not names else names)
    if arguments.json:
        say_json(plain(explanation, names))
    else:
        say(text(explanation, names))
    common.tell_timings(compilation, arguments)
