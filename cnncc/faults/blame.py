"""Who is to blame for what `check` found: a pass, a kernel with its candidates, or the plan.

A rewrite is judged pass by pass, on the same data: the interpreter before a pass and after it, as its tag demands. A
layer is taken out of the network, with the operands that it really read, and computed by the other candidates that the
plan had for it. Where each layer alone is right and the model is not, plans that put them together otherwise tell which
decision is wrong. All this runs only after something has been found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..check.bound import Bound, compare
from ..check.compiled import Feeds, as_it_is, label, run_compiled, values_of, with_values
from ..check.model import ROUNDING, Finding, Report, algorithms, expected, growth
from ..check.tolerance import bounds, op_bounds
from ..compiler import Compilation, Options
from ..elements import bits
from ..errors import DifferenceError
from ..interpreter import evaluate
from ..ir import Graph, Value, without_states
from ..measure.tuning import shortlist
from ..op import Constant
from ..passes import Optimised, Pass
from ..passes.manager import check_pass, stages
from ..plan import PlanOptions
from ..plan.kernels import Candidate
from ..types import Array
from .excerpt import Case, alone
from .outcome import OK, Outcome, apart

TRIED = 8
"""Most candidates that are compiled, and at least one of each algorithm."""

PATIENCE = 120.0
"""Seconds for each of them."""

Kind = Literal["pass", "kernel", "plan"]


@dataclass(frozen=True)
class Blame:
    """The culprit: the name of a pass, of a candidate or kernel, or of a decision of the plan.

    `right` and `wrong` are what was tried in its place, with the result; `layer` is the first that it spoils.
    """

    kind: Kind
    name: str
    layer: str
    sentences: tuple[str, ...]
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def blame(compilation: Compilation, feeds: Feeds, report: Report, threads: int = 1) -> Blame | None:
    """Who is to blame for the first culprit of a report about `compilation`; None if there is none.

    Raises whatever compiling and running raise.
    """
    if report.ok:
        return None
    first = report.culprits[0]
    with np.errstate(all="ignore"):
        if first in report.rewrite:
            return _pass(compilation, feeds, first)
        if first in report.kernels:
            return _kernel(compilation, feeds, first, threads)
        return _plan(compilation, feeds, first, threads) if report.rewrite else None


def _pass(compilation: Compilation, feeds: Feeds, finding: Finding) -> Blame:
    """The first pass that does more than its tag allows, else the first that lets rounding grow."""
    runs = list(stages(compilation.graph, compilation.options.precision, compilation.off))
    for step, before, result in runs:
        told = _beyond(step, before, result.graph, feeds)
        if told:
            return _of_pass(step, before, result, feeds, told)
    for step, _, result in runs if finding.op == ROUNDING else ():
        if finding.layer in growth(compilation.graph, result.graph, feeds):
            told = f"after pass '{step.name}' rounding moves output '{finding.layer}' further for the first time"
            return Blame("pass", step.name, finding.layer, (told, *_fired(result)))
    told = "each pass alone is within its bound: the differences of several add up"
    return Blame("pass", "", finding.layer, (told,))


def _beyond(step: Pass, before: Graph, after: Graph, feeds: Feeds) -> str:
    """What is wrong with a pass on these inputs; empty if nothing is."""
    finite = all(np.isfinite(data).all() for data in feeds.values() if data.dtype.kind == "f")
    judged = step if finite or step.tag == "exact" else replace(step, tag="rounding")
    try:
        check_pass(judged, before, after, feeds)
    except DifferenceError as error:
        return error.message
    return ""


def _of_pass(step: Pass, before: Graph, result: Optimised, feeds: Feeds, told: str) -> Blame:
    first = _first_changed(step, before, result, feeds)
    where = (f"the first value that it changed is '{first}'",) if first else ()
    return Blame("pass", step.name, first, (told, *where, *_fired(result)))


def _fired(result: Optimised) -> tuple[str, ...]:
    """What the pass did, a few layers of it."""
    layers = list(dict.fromkeys(entry.layer for entry in result.fired))
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    return (f"it rewrote {', '.join(map(repr, layers[:3]))}{more}",) if layers else ()


def _first_changed(step: Pass, before: Graph, result: Optimised, feeds: Feeds) -> str:
    """The first value that keeps its name and is another afterwards; rewritten layers may mean something else."""
    rewritten = {entry.layer for entry in result.fired}
    old, new = evaluate(before, feeds), evaluate(result.graph, feeds)
    allowed = bounds(before, feeds) if step.tag == "rounding" else {}
    for value, data in old.items():
        if value.node in rewritten or value not in new or new[value].shape != data.shape:
            continue
        bound = allowed.get(value)
        same = compare(new[value], Bound(bound.reference, 2 * bound.error)).ok if bound else _alike(data, new[value])
        if not same:
            return label(value)
    return ""


def _alike(one: Array, other: Array) -> bool:
    return bool((bits(one) == bits(other)).all())


def _kernel(compilation: Compilation, feeds: Feeds, finding: Finding, threads: int) -> Blame:
    """The candidates of a layer, on the operands that it really read."""
    after, options = without_states(compilation.optimised.graph), compilation.options
    layer = next(node.name for node in after for value in node.values if label(value) == finding.layer)
    whole = with_values(after, [value for node in after if node.op.source is None for value in node.values], options)
    known = {Value(name): np.asarray(data) for name, data in feeds.items()} | values_of(whole, feeds, threads)
    taken = {step.name: step.label for step in whole.plan.steps if step.signature}
    trial = _Trial(alone(after, layer, known), options, threads).taking(taken)
    if trial.is_right(trial.options):
        told = f"layer '{layer}' is right alone, on the same operands: what stands around it makes the difference"
        return _decisions(layer, told, options, _Trial(Case(whole.graph, feeds), options, threads).is_right)
    return _candidates(layer, trial, {step.label for step in compilation.plan.steps if step.name == layer})


def _candidates(layer: str, trial: _Trial, used: Collection[str]) -> Blame:
    """The kernel that was taken, which is wrong, and what the others make, with those that the model itself has."""
    plan = trial.compilation(trial.options).plan
    offered = [(step.signature, step.label) for step in plan.steps if step.signature]
    kernels = ", ".join(dict.fromkeys(type(step.kernel).__name__ for step in plan.steps))
    if not offered:
        told = f"the kernel of layer '{layer}' ({kernels}) is wrong on these operands alone, and there is no other one"
        return Blame("kernel", kernels, layer, (told,))
    taken = offered[0][1]
    tried = {
        candidate.label: trial.is_right(_choosing(trial.options, signature, candidate.label))
        for signature, chosen in offered
        for candidate in _tried(plan.offers[signature], used)
        if candidate.label != chosen
    }
    right, wrong = (tuple(name for name, ok in tried.items() if ok is which) for which in (True, False))
    told = f"kernel '{taken}' of layer '{layer}' ({kernels}) is wrong on these operands alone"
    own = [
        f"the model itself takes '{name}', which is {'right' if ok else 'wrong, too'}"
        for name, ok in tried.items()
        if name in used
    ]
    return Blame("kernel", taken, layer, (told, *own, *_verdicts("candidates", right, wrong)), right, wrong)


def _tried(offered: Sequence[Candidate], used: Collection[str]) -> list[Candidate]:
    found = shortlist(offered, TRIED)
    return [*found, *(candidate for candidate in offered if candidate.label in used and candidate not in found)]


def _choosing(options: Options, signature: str, chosen: str) -> Options:
    choices = {**dict(options.plan.choices), signature: chosen}
    return replace(options, plan=replace(options.plan, choices=tuple(sorted(choices.items())), source=""))


def _verdicts(what: str, right: Sequence[str], wrong: Sequence[str]) -> Iterator[str]:
    if right:
        yield f"other {what} that are right: {'; '.join(right)}"
    if wrong:
        yield f"other {what} that are wrong, too: {'; '.join(wrong)}"
    if not right and not wrong:
        yield f"there are no other {what}"


@dataclass(frozen=True)
class _Trial:
    """A graph that is rewritten no more, compiled with several options: whether each of its layers' results is right.

    Its outputs are judged by what the interpreter makes of the same inputs.
    """

    case: Case
    options: Options
    threads: int

    def taking(self, labels: Mapping[str, str]) -> _Trial:
        """The same by these candidates for layers of these names, where it has them: alone, others may be cheaper."""
        plan, options = self.compilation(self.options).plan, self.options
        for step in plan.steps:
            wanted = labels.get(step.name, "")
            if step.signature and any(candidate.label == wanted for candidate in plan.offers[step.signature]):
                options = _choosing(options, step.signature, wanted)
        return replace(self, options=options)

    def compilation(self, options: Options) -> Compilation:
        return as_it_is(self.case.graph, options)

    def is_right(self, options: Options) -> bool:
        return _holds_apart(lambda: self._holds(self.compilation(options)))

    def _holds(self, compilation: Compilation) -> bool:
        graph = self.case.graph
        found = run_compiled(compilation, self.case.feeds, self.threads).outputs
        how = algorithms(compilation)
        made = {value: found[name] for name, value in graph.outputs.items()}
        known = {Value(name): np.asarray(data) for name, data in self.case.feeds.items()} | made
        known |= {Value(node.name): node.op.data for node in graph if isinstance(node.op, Constant)}
        for node in graph:
            if node.op.source is None:
                allowed = op_bounds(node.op, [Bound.exact(known[value]) for value in node.inputs], how.of(node.name))
                if not all(compare(known[v], bound).ok for v, bound in zip(node.values, allowed, strict=True)):
                    return False
        return True


def _holds_apart(judged: Callable[[], bool]) -> bool:
    """Whether it holds, found out in a process of its own: code that cannot be made, crashes or hangs is not right."""

    def work() -> Outcome:
        try:
            return OK if judged() else Outcome("difference")
        except Exception as error:  # of a kernel that is broken, whatever it is
            return Outcome("error", (type(error).__name__,))

    return apart(work, PATIENCE) == OK


def _plan(compilation: Compilation, feeds: Feeds, finding: Finding, threads: int) -> Blame:
    """Decisions about the whole network, each taken back."""

    def within(options: Options) -> bool:
        other = Compilation(compilation.graph, options)
        found = run_compiled(other, feeds, threads).outputs
        return all(compare(found[name], bound).ok for name, bound in expected(other, feeds).items())

    told = f"each layer alone is right, and output '{finding.layer}' is not: the plan puts them together wrongly"
    return _decisions(finding.layer, told, compilation.options, lambda options: _holds_apart(lambda: within(options)))


DECISIONS: Mapping[str, Callable[[PlanOptions], PlanOptions]] = {
    "streaming": lambda plan: replace(plan, streaming="none"),
    "borders": lambda plan: replace(plan, borders="none"),
    "images at once": lambda plan: replace(plan, images_at_once=1),
    "choices": lambda plan: replace(plan, choices=(), source=""),
}
"""What a plan decides about several layers, and how to do without it."""


def _decisions(layer: str, told: str, options: Options, is_right: Callable[[Options], bool]) -> Blame:
    tried = {}
    for name, without in DECISIONS.items():
        if without(options.plan) != options.plan:
            tried[name] = is_right(replace(options, plan=without(options.plan)))
    right, wrong = (tuple(name for name, ok in tried.items() if ok is which) for which in (True, False))
    more = [f"without {name} it is right" for name in right] + [f"without {name} it is wrong, too" for name in wrong]
    return Blame("plan", right[0] if right else "", layer, (told, *more), right, wrong)
