"""Is the compiled model right? Rewrites and kernels are looked at apart, layer by layer.

Rewrite error: the graph before the passes against the graph after them, both in the interpreter; and what rounding
may do to the one against what it may do to the other, since a rewrite that is right in exact arithmetic can lose digits
(`GROWTH`). Kernel error: native code against the interpreter on the rewritten graph. To see every value that it
stores, that graph is compiled once more with each value as an output; a layer is judged by what it made of the values
that it really read, which is far sharper than bounds that have grown through the whole network. Where a fused layer is
off, it is taken apart and compiled again, so that the step inside is named. At last the model as it is, from its inputs
to its outputs. All bounds are derived (see `tolerance`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..compiler import Compilation, Options
from ..emulation.run import emulate, holding, is_foreign
from ..interpreter import run
from ..ir import Graph, Node, Value, without_states
from ..op import Constant
from ..ops.fused import Fused
from ..passes import typical
from ..passes.unfuse import expand
from ..runtime.model import Model
from ..types import Array
from .algorithms import Algorithms
from .bound import Bound, compare
from .compiled import Feeds, as_it_is, label, run_compiled, same_bits, values_of, with_values
from .special import beginnings
from .tolerance import bounds, op_bounds, rewrite_bounds

Verdict = Literal["ok", "off", "inherited"]

GROWTH = 16.0
"""How many times larger the passes may make the rounding error bound of an output.

They make it 2 · 4 + 1 times larger at most at typical inputs (`passes.weighted`), that is up to 11 times for noise,
whose mean size is 0.8; the rest is for chance.
"""
TRIES = 4  # inputs at which a bound has to have grown before it counts
LEAST = 2.0**-126  # bounds below it are of underflow
ROUNDING = "rounding"  # the `op` of a finding about that
IN_PLACE = "in place"  # that of one about a step's bits


@dataclass(frozen=True)
class Finding:
    """How one value compares: `ratio` is the worst difference over its bound, which is `bound`, found at `index`.

    An output is 'inherited' if it is off and so is some layer before it. `inner` are the steps of a fused layer that
    is off. `unbounded` of its `elements` have no bound (see `tolerance`). Of a finding about `ROUNDING`, `expected` and
    `actual` are the largest bounds before the passes and after.
    """

    layer: str
    op: str
    ratio: float
    verdict: Verdict
    index: tuple[int, ...]
    expected: float
    actual: float
    inner: tuple[Finding, ...] = ()
    unbounded: int = 0
    elements: int = 0
    bound: float = 0.0

    def __str__(self) -> str:
        place = f"at {self.index} by {self.ratio:.3g} times its bound: expected {self.expected:.9g}"
        return f"{place}, got {self.actual:.9g}"


@dataclass(frozen=True)
class Report:
    """Findings about the rewrites (by output), the kernels (by value) and the model as it is really compiled.

    `same_bits` tells whether the outputs of the model are those of the graph compiled with every value as an output:
    two plans of the same kernels. Another order of sums is no fault. `emulator` is what the model ran under, if it did.
    `special` tells where NaN and infinities begin, if the outputs hold any (see `special`).
    """

    rewrite: tuple[Finding, ...]
    kernels: tuple[Finding, ...]
    outputs: tuple[Finding, ...]
    same_bits: bool = True
    emulator: str = ""
    special: str = ""

    @property
    def ok(self) -> bool:
        return not self.culprits

    @property
    def culprits(self) -> tuple[Finding, ...]:
        """What is off by its own fault, the first cause first."""
        return tuple(f for f in self.findings if f.verdict == "off")

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.rewrite, *self.kernels, *self.outputs)

    @property
    def unbounded(self) -> str:
        """How many of the compared elements have no bound, in words; empty for none."""
        open, all = (sum(getattr(f, what) for f in self.findings) for what in ("unbounded", "elements"))
        if not open:
            return ""
        why = "float32 overflows there, NaN is near, or the bounds before them are too wide"
        return f"{open} of {all} elements have no bound: {why}"


def random_feeds(graph: Graph, seed: int) -> dict[str, Array]:
    """Random inputs as the model expects them (see `passes.typical`), the same for the same seed; first states."""
    held = {name: graph.initial(name) for name in graph.states}
    return typical.feeds(graph, np.random.default_rng(seed)) | held


def check(graph: Graph, options: Options, feeds: Feeds, threads: int = 1) -> Report:
    """Compile `graph` and compare what it computes from `feeds`; nothing is taken from the cache.

    States are inputs here, and what they become are outputs (see `without_states`).
    Raises InputError for feeds that do not fit, DifferenceError where two runs of emulated code differ, and whatever
    compiling and running raise.
    """
    graph = without_states(graph)
    compilation = Compilation(graph, options)
    after = compilation.optimised.graph
    with np.errstate(all="ignore"):
        rewrite = _rewrite(graph, after, feeds)
        seen: dict[Value, Array] = {}
        kernels = tuple(_kernels(after, options, feeds, threads, seen))
        model = run_compiled(compilation, feeds, threads)
        found = model.outputs
        outputs = _outputs(after, compilation, feeds, found)
        finite = all(np.isfinite(array).all() for array in found.values())
        special = "" if finite else beginnings(graph, feeds)
    same = all(same_bits(found[name], seen[value]) for name, value in after.outputs.items() if value in seen)
    if any(finding.verdict == "off" for finding in kernels):
        outputs = tuple(replace(f, verdict="inherited") if f.verdict == "off" else f for f in outputs)
    return Report(rewrite, kernels, outputs, same, model.emulator, special)


def check_step(compilation: Compilation, feeds: Feeds, threads: int = 1) -> Report:
    """Compare what one call of a graph whose states are updated makes of `feeds`, which hold these as well.

    Each layer is judged by what it really read: bounds of a whole training step grow without end. The step as it is
    really compiled must have the bits of the same layers with states that arrive and leave in memory of their own;
    these findings stand as `outputs`. Code of another machine runs once, since a second run goes on from the states of
    the first. Raises what `check` raises.
    """
    apart = without_states(compilation.optimised.graph)
    with np.errstate(all="ignore"):
        kernels = tuple(_kernels(apart, compilation.options, feeds, threads, {}))
        wanted = run_compiled(as_it_is(apart, compilation.options), feeds, threads)
        found = _stepped(compilation, feeds, threads)
    outputs = tuple(_finding(name, IN_PLACE, found[name], Bound.exact(array)) for name, array in wanted.outputs.items())
    return Report((), kernels, outputs, emulator=wanted.emulator)


def _stepped(compilation: Compilation, feeds: Feeds, threads: int) -> dict[str, Array]:
    """What one call leaves in its outputs and, under the names that `without_states` gives, in its states."""
    executable = compilation.build()
    inputs = {port.name: feeds[port.name] for port in executable.inputs}
    if is_foreign(executable.target):
        answer = emulate(holding(executable, feeds), inputs)
        outputs = zip(executable.outputs, answer.outputs[0], strict=True)
        states = zip(executable.states, answer.states[0], strict=True)
        return {port.name: array for port, array in outputs} | {_after(port.name): array for port, array in states}
    with Model(executable, threads=threads) as model:
        for name, array in model.state.items():
            array[...] = feeds[name]
        results = dict(model.named(inputs))
        return results | {_after(name): array.copy() for name, array in model.state.items()}


def _after(name: str) -> str:
    return f"{name} (after)"


def _rewrite(before: Graph, after: Graph, feeds: Feeds) -> tuple[Finding, ...]:
    """One finding for each output: how far it moved, or else how much further rounding may move it now."""
    found = run(after, feeds)
    allowed = rewrite_bounds(before, after, feeds)
    moved = {name: _finding(name, "output", found[name], bound) for name, bound in allowed.items()}
    for node in after:
        if isinstance(node.op, Fused):
            after = expand(after, node.name)
    grown = growth(before, after, feeds)
    for seed in range(TRIES if grown else 0):
        again = growth(before, after, random_feeds(before, seed))
        grown = {name: finding for name, finding in grown.items() if name in again}
    return tuple(grown.get(name, finding) if finding.verdict == "ok" else finding for name, finding in moved.items())


def growth(before: Graph, after: Graph, feeds: Feeds) -> dict[str, Finding]:
    """A finding for each output whose rounding error bound the passes made more than `GROWTH` times larger.

    Where one has no bound (softmax behind many layers), for what it is made of.
    """
    old, new = bounds(before, feeds), bounds(after, feeds, exact_constants=False)
    findings = {}
    for name, value in before.outputs.items():
        other = after.outputs[name]
        if not before.type(value).size:
            continue
        while not (bounded := np.isfinite(old[value].error) & np.isfinite(new[other].error)).any():
            node, twin = before[value.node], after[other.node]
            if node.op != twin.op or len(node.inputs) != 1 or len(twin.inputs) != 1:
                break
            value, other = node.inputs[0], twin.inputs[0]
        was, becomes = (np.where(bounded, errors, 0.0) for errors in (old[value].error, new[other].error))
        at = tuple(int(i) for i in np.unravel_index(int(becomes.argmax()), becomes.shape))
        largest, worst = float(was.max()), float(becomes[at])
        limit = GROWTH * largest + LEAST
        if worst > limit:
            findings[name] = Finding(name, ROUNDING, worst / limit, "off", at, largest, worst, bound=limit)
    return findings


def _outputs(after: Graph, compilation: Compilation, feeds: Feeds, found: Feeds) -> tuple[Finding, ...]:
    """The model as its users get it: with its own plan, which may stream and place otherwise."""
    allowed = bounds(after, feeds, how=algorithms(compilation))
    return tuple(_finding(name, "output", found[name], allowed[value]) for name, value in after.outputs.items())


def expected(compilation: Compilation, feeds: Feeds) -> dict[str, Bound]:
    """For each output, what the interpreter makes of the model as it was given, and how far compiled code may be off.

    The bound is that of the rewrites and that of the kernels together. Raises InputError for feeds that do not fit.
    """
    before, after = compilation.graph, compilation.optimised.graph
    with np.errstate(all="ignore"):
        moved, own = rewrite_bounds(before, after, feeds), bounds(after, feeds, how=algorithms(compilation))
        return {
            name: Bound(bound.reference, bound.error + own[after.outputs[name]].error) for name, bound in moved.items()
        }


def algorithms(compilation: Compilation) -> Algorithms:
    """What the bounds of compiled code depend on besides the graph."""
    return Algorithms(compilation.plan.tiles, compilation.plan.stored)


def _kernels(graph: Graph, options: Options, feeds: Feeds, threads: int, seen: dict[Value, Array]) -> Iterator[Finding]:
    """One finding for each value, which `seen` is given as well; a fused layer that is off is looked into."""
    nodes = [node for node in graph if node.op.source is None]
    for node, finding in _layers(graph, nodes, options, feeds, threads, seen):
        if finding.verdict == "off" and isinstance(node.op, Fused):
            expanded = expand(graph, node.name)
            members = [member for member in expanded if member.name == node.name or member.name not in graph.nodes]
            inner = tuple(found for _, found in _layers(expanded, members, options, feeds, threads, {}))
            yield replace(finding, inner=inner)
        else:
            yield finding


def _layers(
    graph: Graph, nodes: Sequence[Node], options: Options, feeds: Feeds, threads: int, seen: dict[Value, Array]
) -> Iterator[tuple[Node, Finding]]:
    """What each of these layers made of what it really read.

    So no layer answers for those before it, and the bound is as narrow as one layer's rounding.
    """
    if not nodes:
        return
    read = [value for node in nodes for value in node.inputs if graph[value.node].op.source is None]
    values = list(dict.fromkeys([*read, *(value for node in nodes for value in node.values)]))
    known = {Value(name): np.asarray(data) for name, data in feeds.items()}
    known |= {value: op.data for node in graph if isinstance(op := node.op, Constant) for value in node.values}
    compilation = with_values(graph, values, options)
    how = algorithms(compilation)
    seen |= values_of(compilation, feeds, threads)
    known |= seen
    for node in nodes:
        allowed = op_bounds(node.op, [Bound.exact(known[value]) for value in node.inputs], how.of(node.name))
        for value, bound in zip(node.values, allowed, strict=True):
            yield node, _finding(label(value), str(node.op), known[value], bound)


def _finding(layer: str, op: str, actual: Array, bound: Bound) -> Finding:
    comparison = compare(actual, bound)
    at = comparison.index
    if not actual.size:
        return Finding(layer, op, 0.0, "ok", at, 0.0, 0.0)
    verdict: Verdict = "ok" if comparison.ok else "off"
    numbers = float(bound.reference[at]), float(actual[at])
    return Finding(
        layer,
        op,
        comparison.worst_ratio,
        verdict,
        at,
        *numbers,
        unbounded=comparison.unbounded,
        elements=actual.size,
        bound=float(bound.error[at]),
    )
