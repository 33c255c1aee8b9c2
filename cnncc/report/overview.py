"""The first section: the figures that count most, and where a compilation stopped."""

from __future__ import annotations

from collections.abc import Iterator

from .facts import STAGES, Facts, Stopped
from .html import Html, join, table, tag
from .numbers import digits, micros, nbytes, percent


def overview(facts: Facts) -> Html:
    tiles = [tag("div", tag("b", value), tag("span", name), class_="tile") for value, name in _figures(facts)]
    return join(_stopped(facts) if facts.failure else None, tag("div", tiles, class_="tiles"), _stages(facts))


def _figures(facts: Facts) -> Iterator[tuple[str, str]]:
    if not isinstance(facts.calls, Stopped):
        for timing in facts.calls.timings:
            threads = "one thread" if timing.threads == 1 else f"{timing.threads} threads"
            yield micros(timing.median_us), f"a call with {threads}"
            yield percent(timing.peak_share), f"of the peak of {'one core' if timing.threads == 1 else 'these cores'}"
    if not isinstance(facts.counts, Stopped):
        yield f"{facts.counts.instructions:,}", "instructions a call"
        if facts.counts.cycles is not None:
            yield f"{facts.counts.cycles:,.0f}", "cycles a call, estimated"
    if not isinstance(facts.reasons, Stopped):
        yield f"{sum(layer.multiply_accumulates for layer in facts.reasons.layers):,}", "multiply-adds of the plan"
    if not isinstance(facts.manifest, Stopped):
        yield nbytes(int(facts.manifest["workspace_bytes"])), "workspace"
        yield nbytes(int(facts.manifest["weights_bytes"])), "weights"
        yield nbytes(int(facts.manifest["code_bytes"])), "code"
    if not isinstance(facts.original, Stopped) and not isinstance(facts.optimised, Stopped):
        before, after = (sum(node.op.source is None for node in each) for each in (facts.original, facts.optimised))
        yield f"{before} → {after}", "layers before and after passes"
    if not isinstance(facts.checked, Stopped):
        worst = max((found.ratio for found in facts.checked.findings), default=0.0)
        yield digits(worst), "of its bound is the worst error" if facts.checked.ok else "of its bound: an error is off"


def _stopped(facts: Facts) -> Html:
    """What went wrong, where, and what an ONNX file holds that cannot be read."""
    failure = facts.failure
    assert failure is not None
    problems = facts.inspection.problems if facts.inspection else ()
    more = [
        tag("li", problem.message, f" ({problem.count}: {', '.join(problem.places)})" if problem.places else "")
        for problem in problems
    ]
    where = f"Stopped at stage “{failure.stage}”" + (f", layer {failure.layer}" if failure.layer else "")
    return tag("div", tag("b", where), tag("p", failure.why), tag("ul", more) if more else None, class_="stopped")


def _stages(facts: Facts) -> Html:
    """The stages of the compilation with their times, up to the one that failed."""
    seconds = {each.stage: each.seconds for each in facts.stages}
    failed = facts.failure.stage if facts.failure else ""
    rows = []
    for stage in STAGES:
        later = failed and STAGES.index(stage) > STAGES.index(failed)
        state = "stopped here" if stage == failed else "not reached" if later else "done"
        rows.append((stage, "" if later else f"{1e3 * seconds.get(stage, 0.0):.1f} ms", state))
    return join(tag("h3", "Stages of the compilation"), table(("stage", "time", "state"), rows, right=(1,)))
