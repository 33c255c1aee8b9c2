"""Everything that one random graph has to stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cnncc.compiler import Compilation
from cnncc.passes.manager import optimise
from cnncc.plan.plan import Plan
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import assert_same_bits, call, compilation, expected, runnable_targets, sprinkled, worst_ratio

from .generate import random_graph

STREAMINGS = ("none", "pools", "chains")


def check_seed(seed: int, checked: bool = False) -> float:
    """Check the graph of a seed; the worst ratio of difference to bound. Raises AssertionError or CnnccError."""
    graph, feeds = random_graph(seed)
    rng = np.random.default_rng((seed, 2))
    names = list(runnable_targets())
    target = names[int(rng.integers(len(names)))] if rng.random() < 0.3 else "host"
    precision = "fast" if rng.random() < 0.6 else "strict"
    border = float(rng.choice([1.0, 1.25, 10.0]))
    optimise(graph, precision, check=True)
    programs = {
        streaming: compilation(
            graph, target, precision=precision, checked=checked, streaming=streaming, border_limit=border
        )
        for streaming in STREAMINGS
    }
    first = programs["none"]
    wild = sprinkled(feeds, seed)
    with Model(first.build()) as model:
        found, found_wild = call(model, feeds), call(model, wild)
        worst = worst_ratio(found, expected(first, feeds))
        worst_ratio(found_wild, expected(first, wild))
        if first.plan.batchable:
            check_images(model, feeds, found)
    for what, other in variants(programs):
        assert_same_bits(call(other, feeds), found, what)
        assert_same_bits(call(other, wild), found_wild, f"{what}, special values")
    return worst


def variants(programs: Mapping[str, Compilation]) -> Iterator[tuple[str, Model]]:
    """The first program with two and three threads, and all that differ from it with one, two and three."""
    known: list[Plan] = []
    for streaming, program in programs.items():
        if program.plan in known:
            continue
        known.append(program.plan)
        executable = program.build()
        for threads in (1, 2, 3):
            if streaming != "none" or threads > 1:
                with Model(executable, threads=threads) as model:
                    yield f"streaming {streaming}, {threads} threads", model


def check_images(model: Model, feeds: Mapping[str, Array], whole: Mapping[str, Array]) -> None:
    """Each image alone has the same bits as among the others."""
    batched = {port.name: port.batched for port in model.inputs}
    for image in range(model.executable.images):
        one = {name: data[image : image + 1] if batched[name] else data for name, data in feeds.items()}
        alone = {name: array[image : image + 1] for name, array in whole.items()}
        assert_same_bits(call(model, one), alone, f"image {image} alone")
