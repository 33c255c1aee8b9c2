"""Finds out what a report tells: each part by itself, so that a report is whole where one of them is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..cache.identity import compiler_identity
from ..cache.sources import Framed, OnnxFile
from ..check.model import Report as Checked
from ..check.model import check, random_feeds
from ..compiler import Compilation, Options
from ..emulation.run import is_foreign
from ..errors import CnnccError, PeerError
from ..explain import explain
from ..ir import Graph
from ..measure.benchmark import measure, operations
from ..measure.counting import Counts, count
from ..measure.peers import PEERS, PeerTiming, compare, installed
from ..measure.profiling import profile
from ..passes import PIPELINE
from ..runtime.arrays import checked_inputs, ordered_inputs
from ..runtime.manifest import describe
from .facts import NOT_REACHED, STAGES, Calls, Facts, Failure, LayerTimes, Peers, Request, Stopped

if TYPE_CHECKING:
    from ..frontends.inspection import Inspection
    from ..types import Array

T = TypeVar("T")
ELSEWHERE = Stopped("Times are not measured, since this machine cannot run code for the target.")
HERE = Stopped("Instructions are counted for other machines, under their emulators; here calls are timed.")
UNCHECKED = Stopped("Errors are not measured, since the comparison with the interpreter was left out.")


def facts_of(compilation: Compilation, request: Request) -> tuple[Facts, Exception | None]:
    """All facts, and the error at which the compilation stopped, if it did."""
    compiled, error = _compiled(compilation)
    failure, stages = None if error is None else _failure(compilation, error), compilation.timings
    feeds = _feeds(compilation, compiled, request)
    foreign = is_foreign(compilation.options.target)
    whole = None if error is None else NOT_REACHED
    timed = whole or (ELSEWHERE if foreign else None)

    def part(stage: str, make: Callable[[], T], why: Stopped | None) -> T | Stopped:
        """What is made, told as a stage of the work, or why it is not."""
        if why is not None:
            return why
        with compilation.stopwatch.stage(stage):
            return attempted(make)

    facts = Facts(
        name=_name(compilation),
        source=_source(compilation, request),
        options=compilation.options,
        original=compiled.get("graph", NOT_REACHED),
        optimised=compiled["optimised"].graph if "optimised" in compiled else NOT_REACHED,
        reasons=part("explain", lambda: explain(compilation), None if "plan" in compiled else NOT_REACHED),
        manifest=part("object", lambda: describe(compilation.build()), whole),
        calls=part("calls", lambda: _calls(compilation, request, feeds), timed),
        after=part("layers", lambda: _layer_times(compilation, request, feeds), timed),
        before=part("layers", lambda: _layer_times(_without_passes(compilation), request, feeds), timed),
        peers=part("peers", lambda: _peers(compilation, request, feeds), timed),
        counts=part("count", lambda: _counts(compilation, feeds), whole if foreign else whole or HERE),
        checked=part("check", lambda: _checked(compilation, feeds), whole if request.check else whole or UNCHECKED),
        stages=stages,
        failure=failure,
        inspection=_inspection(compilation) if failure and failure.stage == "read" else None,
        hashes=_hashes(compilation, complete=error is None),
        inputs="the given data" if request.feeds else "random arrays of seed 0",
    )
    return facts, error


def unread(source: str, options: Options, error: CnnccError) -> Facts:
    """The facts about a model of which there is no graph: why."""
    failure = Failure(STAGES[0], sentence(error), error.node or "")
    return Facts(Path(source).stem, source, options, failure=failure)


def attempted(make: Callable[[], T]) -> T | Stopped:
    """What is made, or the sentence of the error that prevents it."""
    try:
        return make()
    except CnnccError as error:
        return Stopped(sentence(error))


def sentence(error: BaseException) -> str:
    """An error as a sentence: of our own its message, of any other also its kind."""
    told = str(error) if isinstance(error, CnnccError) else f"internal error: {type(error).__name__}: {error}"
    return f"{told[:1].upper()}{told[1:]}".rstrip(".") + "."


def _compiled(compilation: Compilation) -> tuple[dict[str, Any], Exception | None]:
    """The results of the stages that ended, and the error of the one that did not."""
    found: dict[str, Any] = {}
    try:
        for stage in ("graph", "optimised", "plan", "llvm", "object"):
            found[stage] = getattr(compilation, stage)
    except Exception as error:  # also a fault of ours: the report shows where it happened
        return found, error
    return found, None


def _failure(compilation: Compilation, error: Exception) -> Failure:
    """The stage that began last is the one that did not end."""
    begun = [timing.stage for timing in compilation.timings if timing.stage in STAGES]
    return Failure(begun[-1] if begun else STAGES[0], sentence(error), getattr(error, "node", None) or "")


def _feeds(compilation: Compilation, found: Collection[str], request: Request) -> dict[str, Array]:
    """Arrays for inputs and states. Raises InputError for given ones that do not fit."""
    if "graph" not in found:
        return {}
    if request.feeds is None:
        return random_feeds(compilation.graph, 0)
    given = dict(request.feeds)
    if "object" in found:
        executable = compilation.build()
        checked_inputs(executable, ordered_inputs(executable, [given]))
    return {name: compilation.graph.initial(name) for name in compilation.graph.states} | given


def _calls(compilation: Compilation, request: Request, feeds: Mapping[str, Array]) -> Calls:
    flops = operations(compilation.optimised.graph)
    executable = compilation.build()
    given = {port.name: feeds[port.name] for port in executable.inputs}
    peak, timings = measure(executable, request.threads, request.seconds, flops, given)
    return Calls(peak, tuple(timings))


def _layer_times(compilation: Compilation, request: Request, feeds: Mapping[str, Array]) -> LayerTimes:
    given = {port.name: feeds[port.name] for port in compilation.plan.inputs}
    found = profile(compilation, request.seconds, given)
    layers = explain(compilation).layers
    us = {each.name: sum(found.steps[step.number].us for step in each.steps) for each in layers}
    return LayerTimes(found, us, compilation.plan.images if compilation.plan.batchable else 1)


def _without_passes(compilation: Compilation) -> Compilation:
    """The same model as it was given; what a plan chose for other layers is left to the costs again."""
    plan = replace(compilation.options.plan, choices=(), source="")
    return compilation.varied(off=tuple(dict.fromkeys(step.name for step in PIPELINE)), plan=plan)


def _peers(compilation: Compilation, request: Request, feeds: Mapping[str, Array]) -> Peers:
    """Raises PeerError where there is nothing to compare with, or an engine cannot run the model."""
    source, wanted = compilation.source, PEERS if request.against is None else request.against
    names, missing = (tuple(each for each in wanted if installed(each) is there) for there in (True, False))
    if not wanted:
        raise PeerError("no other engine was asked for")
    if not names:
        raise PeerError(f"no other engine is installed: python -m pip install {' '.join(missing)}")
    if not isinstance(source, OnnxFile) or source.given or source.outputs or source.fixed:
        raise PeerError("other engines are timed on a whole model in an ONNX file, which this is not")
    model, given = str(source.path.absolute()), {name: feeds[name] for name in compilation.graph.inputs}

    def compared(engines: Sequence[str]) -> list[PeerTiming]:
        return compare(model, given, compilation.options, engines, request.threads, request.seconds)

    return _able(compared, names, missing)


def _able(
    compared: Callable[[Sequence[str]], list[PeerTiming]], names: Sequence[str], missing: tuple[str, ...]
) -> Peers:
    """All engines in turns; where one of them cannot run the model, those that can. Raises PeerError if none can."""
    try:
        return Peers(tuple(compared(names)), missing)
    except PeerError:
        alone = {name: attempted(partial(compared, [name])) for name in names} if len(names) > 1 else {}
        able = [name for name, found in alone.items() if not isinstance(found, Stopped)]
        if not able:
            raise
    failed = tuple(found.why for found in alone.values() if isinstance(found, Stopped))
    return Peers(tuple(compared(able)), missing, failed)


def _counts(compilation: Compilation, feeds: Mapping[str, Array]) -> Counts:
    return count(compilation, {name: feeds[name] for name in compilation.graph.inputs})


def _checked(compilation: Compilation, feeds: Mapping[str, Array]) -> Checked:
    return check(compilation.graph, compilation.options, feeds)


def _given(compilation: Compilation) -> Graph | OnnxFile:
    """The source without the frames that stand in front of it."""
    source = compilation.source
    return source.source if isinstance(source, Framed) else source


def _name(compilation: Compilation) -> str:
    source = _given(compilation)
    if not isinstance(source, OnnxFile):
        return source.name
    return compilation.graph.name if "graph" in compilation.__dict__ else source.path.stem


def _source(compilation: Compilation, request: Request) -> str:
    source = _given(compilation)
    known = str(source.path) if isinstance(source, OnnxFile) and not source.given else ""
    return known or request.source or "a graph in memory"


def _inspection(compilation: Compilation) -> Inspection | None:
    """What can be told of an ONNX file that cannot be imported."""
    source = _given(compilation)
    if not isinstance(source, OnnxFile):
        return None
    found = attempted(source.inspected)
    return None if isinstance(found, Stopped) else found


def _hashes(compilation: Compilation, complete: bool) -> dict[str, str]:
    """SHA-256 of what went in and what came out."""
    source, found = compilation.source, {"compiler": compiler_identity()}
    if isinstance(source, OnnxFile) and source.content:
        found["file"] = hashlib.sha256(source.content).hexdigest()
    if "graph" in compilation.__dict__ or not isinstance(source, OnnxFile):
        found["graph"] = compilation.graph.hash
    if complete:
        found["object code"] = hashlib.sha256(compilation.object).hexdigest()
        found["weights"] = hashlib.sha256(compilation.weights).hexdigest()
        found["fingerprint"] = f"{compilation.identity.fingerprint:#x}"
    return found
