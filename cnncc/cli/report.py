"""report: write a page that shows what became of a model, and why.

One HTML file without any other: the graph before the passes and after them as drawings, the reasons of each layer,
times of calls and layers beside those without passes and those of other engines, roofline, memory, errors against
their bounds, sizes, options and hashes. A browser shows it without a network, and without scripts.

A model that does not compile gets a page as well, which shows where it stopped; the exit code is that of the error.
For code of another machine instructions are counted under its emulator in place of times, where there is one.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import ModelError
from . import common
from .console import say
from .documents import add_json, document, file_facts, say_json

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..report import Report
    from ..report.facts import Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("-o", dest="out", required=True, metavar="FILE", help="the page to write, as report.html")
    parser.add_argument(
        "--against",
        metavar="ENGINE,…",
        help="other engines on the same ONNX file: onnxruntime, openvino, all or none (default: those installed)",
    )
    parser.add_argument(
        "--data",
        action="append",
        metavar="INPUT",
        help=".npy, .npz or picture, one for each input; may be repeated (default: random arrays)",
    )
    parser.add_argument(
        "--threads", type=common.counts, default=(1,), metavar="N,…", help="numbers of cores for a call (default: 1)"
    )
    parser.add_argument(
        "--seconds", type=common.seconds, default=1.0, metavar="S", help="time of each measurement (default: 1)"
    )
    parser.add_argument("--no-check", action="store_true", help="leave out the comparison with the interpreter")
    common.add_compiling(parser)
    common.add_timings(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..files import expect_writable

    expect_writable(arguments.out, "report")
    found = _report(arguments)
    found.save(arguments.out)
    if arguments.json:
        error = None if found.error is None else str(found.error)
        say_json(document("report", model=found.name, **file_facts(arguments.out), error=error))
    if found.error is not None:
        raise found.error
    if not arguments.json:
        say(f"{found.name}: wrote {arguments.out}")


def _report(arguments: argparse.Namespace) -> Report:
    from ..report import report, report_unread

    options = common.options(arguments)
    try:
        compilation = common.compilation(arguments)
    except ModelError as error:
        return report_unread(arguments.model, options, error)
    found = report(compilation, _request(arguments, compilation))
    common.tell_timings(compilation, arguments)
    return found


def _request(arguments: argparse.Namespace, compilation: Compilation) -> Request:
    """What is asked for. Raises UsageError for an unknown engine, InputError for data that does not fit."""
    from ..measure.peers import named
    from ..reading.inputs import of_files
    from ..report.facts import Request

    feeds = of_files(compilation.graph, arguments.data, arguments.convert) if arguments.data else None
    against = () if arguments.against == "none" else arguments.against and named(arguments.against)
    return Request(arguments.model, arguments.threads, against, feeds, arguments.seconds, not arguments.no_check)
