"""check: compare compiled code with the reference interpreter, layer by layer.

Runs on seeded random inputs, which look like what the model's own constants normalise, or on one INPUT file for each
input of the model. Rewrites (graph before passes against after) and kernels (native code against the interpreter) are
looked at apart, within derived bounds. Of a step of training (--step), whose bounds grow without end, each layer is
judged alone, and the whole by the bits of one that updates nothing in place. Exit code 6 if anything is off.

Where something is off, who is to blame is found out: the pass, the kernel (the other candidates of its layer are tried
in its place), or a decision of the plan.

--against onnxruntime compares each tensor of an ONNX file with that engine's as well, and names the first that differs.

With --target of another machine, the object that `compile` writes runs under an emulator (qemu), without a compiler.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..errors import DifferenceError, UsageError
from ..sizes import is_open, telling, told
from . import against, common, steps
from .console import say, table
from .documents import add_json, say_json
from .found import check_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..check.model import Finding, Report
    from ..compiler import Compilation, Options
    from ..faults.against import Tensor
    from ..faults.blame import Blame
    from ..types import Array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("files", nargs="*", metavar="INPUT", help=".npy, .npz or picture, one for each input")
    parser.add_argument(
        "--seed", type=common.at_least(0), default=0, metavar="N", help="seed of the random inputs (default: 0)"
    )
    against.add_arguments(parser)
    add_json(parser)
    common.add_threads(parser)
    common.add_compiling(parser)
    steps.add_arguments(parser, "check a step of the model's training in its place, on random inputs")


def run(arguments: argparse.Namespace) -> None:
    steps.expect_step(arguments)
    if arguments.step and arguments.files:
        raise UsageError("check --step makes its inputs itself: it takes no files")
    if arguments.against:
        against.expect_against(arguments)
    found: list[dict[str, Any]] = []
    try:
        for size, each in common.each_size(arguments):
            if size and not arguments.json:
                say(f"with {told(size)}:")
            each.size, each.found = size, found
            with telling(size):
                _check(each)
    except DifferenceError:
        _say_found(found, arguments)
        raise
    _say_found(found, arguments)


def _say_found(found: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """With --json, what was found so far: of several sizes a list."""
    if arguments.json:
        say_json(found if is_open(common.shapes(arguments)) else found[0])


def _check(arguments: argparse.Namespace) -> None:
    emulator = common.emulated(arguments)
    if emulator and arguments.threads > 1:
        raise UsageError(f"--threads: code for target '{arguments.target}' runs under {emulator}, on one thread")
    compilation = common.compilation(arguments)
    (_check_step if arguments.step else _check_model)(compilation, arguments)


def _check_model(compilation: Compilation, arguments: argparse.Namespace) -> None:
    from ..check.model import check, random_feeds
    from ..compiler import Compilation
    from ..ir import without_states
    from ..reading.inputs import of_files

    graph, files = compilation.graph, arguments.files
    feeds = of_files(graph, files, arguments.convert) if files else random_feeds(graph, arguments.seed)
    report = check(graph, compilation.options, feeds, arguments.threads)
    tensors = against.compared(compilation, feeds, arguments) if arguments.against else ()
    checked = Compilation(without_states(graph), compilation.options)
    _tell(graph.name, report, lambda: _blamed(checked, feeds, report, arguments), tensors, arguments)
    if arguments.json:
        return
    say(f"{graph.name}: {len(report.kernels)} values and {len(report.outputs)} output(s) are within their bounds")
    if report.emulator:
        say(f"{graph.name}: {_ran(report)}")
    _tell_limits(graph.name, report, compilation.options)
    if arguments.against:
        against.tell(graph.name, tensors)


def _check_step(compilation: Compilation, arguments: argparse.Namespace) -> None:
    from ..check.model import check_step

    step = steps.learned(compilation.graph, arguments)
    checked, feeds = step.compiled(compilation), step.feeds(arguments.seed)
    report = check_step(checked, feeds, arguments.threads)
    _tell(step.graph.name, report, lambda: _blamed(checked, feeds, report, arguments), (), arguments)
    if arguments.json:
        return
    say(
        f"{step.graph.name}: {len(report.kernels)} values are within their bounds, and {len(report.outputs)} results "
        "and states have the bits of a step that updates nothing in place"
    )
    if report.emulator:
        say(f"{step.graph.name}: ran under {report.emulator}")
    _tell_limits(step.graph.name, report, compilation.options)


def _blamed(
    compilation: Compilation, feeds: Mapping[str, Array], report: Report, arguments: argparse.Namespace
) -> Blame | None:
    """Who is to blame, if anything is off: that takes more compilations, and all else takes none."""
    if report.ok:
        return None
    from ..faults.blame import blame

    return blame(compilation, feeds, report, arguments.threads)


def _tell(
    name: str,
    report: Report,
    blamed: Callable[[], Blame | None],
    tensors: Sequence[Tensor],
    arguments: argparse.Namespace,
) -> None:
    """The table and who is to blame, or all of it as JSON. Raises DifferenceError where something is off.

    The table is told first: to find the culprit takes longer, and may be interrupted.
    """
    error = "" if report.ok else _sentence(report)
    if arguments.json:
        error = error or against.fault(tensors)
        arguments.found.append(check_document(name, arguments.size, report, blamed(), tensors, error))
    else:
        say(show(report))
        found = blamed()
        for sentence in found.sentences if found else ():
            say(sentence)
    if error:
        raise DifferenceError(error)


def _tell_limits(name: str, report: Report, options: Options) -> None:
    """What the bounds allow, and what they do not judge."""
    if options.weights == "float16":
        say(f"{name}: bounds hold the rounding of float16 weights, up to 2^-11 |w| |x| for each product")
    if report.unbounded:
        say(f"{name}: {report.unbounded}")
    if report.special:
        say(f"{name}: {report.special}")


def _ran(report: Report) -> str:
    bits = "the same bits as" if report.same_bits else "other bits, within bounds, than"
    return f"ran under {report.emulator}, twice, with {bits} the layers one by one"


def show(report: Report) -> str:
    """A row for each value: where it was found, its worst difference over its bound, the verdict, the bound."""
    rows = []
    for what, findings in (("rewrite", report.rewrite), ("kernel", report.kernels), ("model", report.outputs)):
        for finding in findings:
            rows.append(_row(what, finding.layer, finding))
            rows += [_row("inside", f"  {inner.layer}", inner) for inner in finding.inner]
    return table(("what", "layer", "worst/bound", "verdict", "bound", "op"), rows, right=(2, 4))


def _row(what: str, layer: str, finding: Finding) -> tuple[str, ...]:
    verdict = {"ok": "ok", "off": "OFF", "inherited": "off (inherited)"}[finding.verdict]
    verdict += f", {finding.unbounded} without a bound" if finding.unbounded else ""
    return what, layer, f"{finding.ratio:.3g}", verdict, f"{finding.bound:.3g}", finding.op


def _sentence(report: Report) -> str:
    """The first cause."""
    from ..check.model import IN_PLACE, ROUNDING

    first = report.culprits[0]
    if first.op == ROUNDING:
        return (
            f"the passes let rounding move output '{first.layer}' by up to {first.actual:.3g}, which is "
            f"{first.expected:.3g} in the model as it was given"
        )
    if first.op == IN_PLACE:
        differs = f"at {first.index} {first.actual:.9g}, not {first.expected:.9g}"
        return f"'{first.layer}' has other bits than in a step that updates nothing in place: {differs}"
    if first in report.rewrite:
        return f"the passes move output '{first.layer}' {first}"
    if first in report.outputs:
        return f"the model's output '{first.layer}' is off {first}, although each layer alone is right"
    inner = [step for step in first.inner if step.verdict == "off"]
    if inner:
        return f"layer '{first.layer}' is off {first}; inside it, '{inner[0].layer}' ({inner[0].op}) is off {inner[0]}"
    alone = ", although its steps alone are right: their fusion is wrong" if first.inner else ""
    return f"layer '{first.layer}' is off {first}{alone}"
