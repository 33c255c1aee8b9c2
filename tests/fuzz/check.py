"""Everything that one random graph has to stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from cnncc.check.bound import Bound
from cnncc.compiler import Compilation, resolve_target
from cnncc.ir import Graph
from cnncc.op import Constant
from cnncc.passes.manager import optimise
from cnncc.plan.kernels import Winograd
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import assert_same_bits, call, compilation, expected, runnable_targets, sprinkled, worst_ratio

from .generate import has_structure, random_graph
from .mixed import mixed_graph

Choices = tuple[tuple[str, str], ...]
STREAMINGS = ("none", "pools", "cost", "chains")
BORDERS = ("none", "cost", "all")
MIXED = 5  # of so many graphs, one is of mixed element types


@dataclass
class Finding:
    """The worst ratio of a difference to its bound, the ops of the graph, and how much of it the bounds judge."""

    ratio: float = 0.0
    ops: Counter[str] = field(default_factory=Counter)
    elements: int = 0
    unbounded: int = 0


def check_seed(seed: int, checked: bool = False, thorough: bool = False) -> Finding:
    """Check the graph of a seed. Raises AssertionError or CnnccError.

    Always: one way of streaming against the bounds. By turns of the seeds, or all if `thorough`: special values,
    single images, float16 weights, other numbers of threads, other ways of streaming, every pass by the interpreter
    (for graphs with structured weights, which rewrites look for, always).
    """
    mixed = seed % MIXED == MIXED - 1
    graph, feeds = mixed_graph(seed) if mixed else random_graph(seed)
    rng = np.random.default_rng((seed, 2))
    names = list(runnable_targets())
    target = names[int(rng.integers(len(names)))] if rng.random() < 0.3 else "host"
    precision = "fast" if rng.random() < 0.6 else "strict"
    border = BORDERS[int(rng.integers(len(BORDERS)))]

    def turn(every: int, which: int) -> bool:
        return thorough or seed % every == which

    narrow = turn(5, 2) and not mixed and resolve_target(target).float16 and small(graph)
    weights = "float16" if narrow else "float32"
    optimised = optimise(graph, precision, check=(has_structure(seed) and not mixed) or turn(6, 0))

    def program(streaming: str, choices: Choices = ()) -> Compilation:
        made = compilation(
            graph,
            target,
            precision=precision,
            checked=checked,
            weights=weights,
            streaming=streaming,
            borders=border,
            choices=choices,
        )
        made.optimised = optimised  # what all ways of streaming have in common
        return made

    first = program(STREAMINGS[seed % len(STREAMINGS)])
    choices = random_choices(first, rng)
    if choices:
        first = program(STREAMINGS[seed % len(STREAMINGS)], choices)
    wild = sprinkled(feeds, seed)
    finding = Finding(ops=live_ops(graph))
    with Model(first.build()) as model:
        found, found_wild = call(model, feeds), call(model, wild)
        bounds = expected(first, feeds)
        finding.ratio = worst_ratio(found, bounds)
        count(finding, bounds)
        if turn(2, 0):
            worst_ratio(found_wild, expected(first, wild))
        if first.plan.batchable:
            check_images(model, feeds, found)
    programs = [first]
    if turn(3, 1):
        others = [program(streaming, choices) for streaming in STREAMINGS]
        programs += [other for other in others if other.plan != first.plan][: None if thorough else 1]
    for what, other in variants(programs, (1, 2, 3) if thorough else (2 + seed % 2,)):
        assert_same_bits(call(other, feeds), found, what)
        assert_same_bits(call(other, wild), found_wild, f"{what}, special values")
    return finding


def small(graph: Graph) -> bool:
    """Whether all constants stay finite as float16, also with a batch norm folded into them."""
    constants = (node.op.data for node in graph if isinstance(node.op, Constant))
    return all(float(np.abs(data[np.isfinite(data)]).max(initial=0)) < 1024 for data in constants)


def random_choices(compiled: Compilation, rng: np.random.Generator) -> Choices:
    """For two graphs of three a random candidate for every contraction, however slow: transforms for half of them."""
    if rng.random() < 1 / 3:
        return ()
    chosen = []
    for signature, offered in compiled.plan.offers.items():
        transforms = [candidate for candidate in offered if isinstance(candidate.kernel, Winograd)]
        among = transforms if transforms and rng.random() < 0.5 else offered
        chosen.append((signature, among[int(rng.integers(len(among)))].label))
    return tuple(chosen)


def variants(programs: list[Compilation], threads: tuple[int, ...]) -> Iterator[tuple[str, Model]]:
    """Each program with each number of threads."""
    for program in programs:
        executable = program.build()
        for number in threads:
            with Model(executable, threads=number) as model:
                yield f"streaming {program.options.plan.streaming}, {number} threads", model


def check_images(model: Model, feeds: Mapping[str, Array], whole: Mapping[str, Array]) -> None:
    """Each image alone has the same bits as among the others."""
    batched = {port.name: port.batched for port in (*model.inputs, *model.outputs)}
    for image in range(model.executable.images):
        one = {name: data[image : image + 1] if batched[name] else data for name, data in feeds.items()}
        alone = {name: array[image : image + 1] if batched[name] else array for name, array in whole.items()}
        assert_same_bits(call(model, one), alone, f"image {image} alone")


def live_ops(graph: Graph) -> Counter[str]:
    """How often each op occurs among the nodes that the outputs need."""
    needed = {value.node for value in graph.outputs.values()}
    for node in reversed(list(graph)):
        if node.name in needed:
            needed.update(value.node for value in node.inputs)
    return Counter(node.op.name for node in graph if node.name in needed and node.op.source is None)


def count(finding: Finding, bounds: Mapping[str, Bound]) -> None:
    """Elements of the outputs, and those for which the analysis allows any number."""
    for bound in bounds.values():
        finding.elements += bound.error.size
        finding.unbounded += int(np.isinf(bound.error).sum())
