"""Runs the pipeline: the verifier between passes and, on request, the interpreter before and after each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..batching import images_of
from ..check.graph import blamed, verify, verify_pass
from ..elements import bits
from ..errors import DifferenceError, ShapeError, UsageError, VerifyError
from ..ir import Graph
from ..types import Array, TensorType
from . import PIPELINE, typical
from .report import Entry, Missed, Optimised, Pass, Tag

PRECISIONS: dict[str, frozenset[Tag]] = {
    "fast": frozenset({"exact", "finite", "rounding"}),
    "strict": frozenset({"exact", "finite"}),
}
"""The tags that each precision allows."""

SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 1e-40, 3e38)


def optimise(graph: Graph, precision: str = "fast", off: Collection[str] = (), check: bool = False) -> Optimised:
    """`graph` after the pipeline, and the entries of every pass about its layers.

    `precision` "strict" leaves out rewrites that round differently; `off` names passes to leave out. With `check`, the
    graph is interpreted before and after each pass on seeded inputs and compared as the pass's tag demands.
    Raises UsageError for an unknown precision or pass, and VerifyError for a graph that breaks an invariant. Raises
    PassError if a pass breaks one or changes the type of a value, and DifferenceError if `check` finds a difference.
    """
    allowed = _check_options(precision, off)
    verify(graph)
    log: list[Entry] = []
    made: dict[str, tuple[str, str]] = {}
    given, ran = graph, stages(graph, precision, off)
    for step in PIPELINE:
        if step.name in off:
            log.append(Missed(step.name, None, "it is switched off"))
        elif step.tag not in allowed:
            log.append(Missed(step.name, None, f"precision '{precision}' allows no rewrites that are {step.tag}"))
        else:
            _, before, result = next(ran)
            if check:
                check_pass(step, before, result.graph)
            if result.graph is not before:
                fresh = (node for node in result.graph if node.of and node.name not in made)
                made.update((node.name, (node.of, step.name)) for node in fresh)
            graph = result.graph
            log += result.log
    return Optimised(_as_fixed(graph, given), tuple(log), made)


def stages(graph: Graph, precision: str = "fast", off: Collection[str] = ()) -> Iterator[tuple[Pass, Graph, Optimised]]:
    """The passes that run on a verified graph: each with the graph before it and what it made. Raises PassError."""
    allowed = _check_options(precision, off)
    for step in PIPELINE:
        if step.name not in off and step.tag in allowed:
            result = _run(step, graph)
            yield step, graph, result
            graph = result.graph


def _as_fixed(graph: Graph, given: Graph) -> Graph:
    """`graph` with N fixed if it is fixed in `given`: a slice that is all of one image is no identity for three.

    So is a constant in place of an output that has images: it has as many as the graph.
    """
    before, after = images_of(given), images_of(graph)
    if before.batched is None:
        return replace(graph, fixed=before.fixed)
    changed = sorted(after.own - before.own)
    return replace(graph, fixed=f"the passes computed output '{changed[0]}'") if changed else graph


def _run(step: Pass, graph: Graph) -> Optimised:
    """The result of the pass on `graph`; raises PassError if its inputs, outputs or types differ."""
    try:
        result = step.run(graph)
    except (ShapeError, VerifyError) as error:  # the type rule of a layer that the pass made, or `Rewriter`
        raise blamed(error, step.name) from error
    renamed = {entry.layer for entry in result.fired} if step.renames else ()
    verify_pass(graph, result.graph, step.name, renamed)
    return result


def _check_options(precision: str, off: Collection[str]) -> frozenset[Tag]:
    """The tags that `precision` allows; raises UsageError for names that do not exist."""
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision '{precision}': expected one of {', '.join(PRECISIONS)}")
    known = list(dict.fromkeys(step.name for step in PIPELINE))
    unknown = [name for name in off if name not in known]
    if unknown:
        raise UsageError(f"unknown pass '{unknown[0]}': expected some of {', '.join(known)}")
    return PRECISIONS[precision]


def check_pass(step: Pass, before: Graph, after: Graph, feeds: Mapping[str, Array] | None = None) -> None:
    """Compare the outputs of two graphs on `feeds`, or on seeded inputs; raises DifferenceError naming pass and output.

    An exact pass must agree bit for bit, also on NaN, infinities, −0 and subnormals; a finite one bit for
    bit on finite inputs (except for a NaN from infinities that the graph makes itself); a rounding one within
    the bound derived for both graphs.
    """
    if before is after or before.canonical() == after.canonical():
        return
    ordinary = seeded_feeds(before) if feeds is None else feeds
    if step.tag == "rounding":
        _check_bounds(step, before, after, ordinary)
        return
    _check_bits(step, before, after, ordinary)
    if step.tag == "exact" and feeds is None:
        _check_bits(step, before, after, seeded_feeds(before, special=True))


def seeded_feeds(graph: Graph, special: bool = False) -> dict[str, Array]:
    """Inputs as the model expects them; with `special` a quarter of their elements are extraordinary."""
    rng = np.random.default_rng(2026)
    feeds = typical.feeds(graph, rng)
    for name, type in graph.inputs.items():
        if special:
            feeds[name] = np.where(rng.random(type.shape) < 0.25, _special(type, rng), feeds[name])
    return feeds


def _special(type: TensorType, rng: np.random.Generator) -> Array:
    """What floats hold beside ordinary numbers; the ends of the range of whole ones, and what lies around 0."""
    element = type.dtype
    around = (0, 1) if element.least == 0 else (-1, 0, 1)
    numbers = SPECIAL if element.is_float else (element.least, *around, element.most)
    with np.errstate(over="ignore"):  # what is beyond a short float is an infinity
        return rng.choice(np.array(numbers, element.numpy), type.shape)


def _check_bits(step: Pass, before: Graph, after: Graph, feeds: Mapping[str, Array]) -> None:
    from ..interpreter import run

    found = run(after, feeds)
    for name, expected in run(before, feeds).items():
        different = bits(expected) != bits(found[name])
        if step.tag == "finite":
            different &= ~np.isnan(expected)
        if different.any():
            index = tuple(int(i) for i in np.argwhere(different)[0])
            raise DifferenceError(
                f"pass '{step.name}' ({step.tag}) changed output '{name}' at {index}: "
                f"expected {expected[index]!r}, got {found[name][index]!r}"
            )


def _check_bounds(step: Pass, before: Graph, after: Graph, feeds: Mapping[str, Array]) -> None:
    from ..check.bound import compare
    from ..check.tolerance import rewrite_bounds
    from ..interpreter import run

    found = run(after, feeds)
    for name, bound in rewrite_bounds(before, after, feeds).items():
        comparison = compare(found[name], bound)
        if not comparison.ok:
            raise DifferenceError(
                f"pass '{step.name}' moved output '{name}' at {comparison.index} by "
                f"{comparison.worst_ratio:.3g} times its bound"
            )
