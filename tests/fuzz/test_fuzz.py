"""Random graphs in worker processes. The long run: `python -m tests.fuzz.run --graphs 20000 --seed 100000`."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from multiprocessing.connection import Connection, wait

import numpy as np
import pytest

from cnncc.check.graph import verify
from cnncc.op import REGISTRY
from cnncc.passes.manager import optimise
from tests.ops.cases import FLOAT_OPS

from . import run as fuzz
from .check import Finding, live_ops
from .generate import MOST_NODES, has_structure, random_graph
from .layers import LAYERS
from .structured import STRUCTURES

GRAPHS = 400


def test_random_graphs() -> None:
    report = fuzz.run(range(GRAPHS))
    assert not report.failures, "\n".join(f"seed {seed}: {why}" for seed, why in sorted(report.failures.items()))
    assert report.done == GRAPHS
    # A ratio near 1 would be a bound about to break; a tiny one a bound that says nothing.
    assert 0.1 < report.worst <= 1
    assert set(report.total.ops) > set(FLOAT_OPS)
    assert report.total.unbounded < 0.02 * report.total.elements


def test_random_graphs_in_checked_mode() -> None:
    report = fuzz.run(range(50_000, 50_030), checked=True, thorough=True)
    assert not report.failures, report.failures


def test_a_seed_is_a_graph() -> None:
    for seed in range(30):
        (first, feeds), (again, others) = random_graph(seed), random_graph(seed)
        assert first.canonical() == again.canonical()
        assert all((feeds[name] == others[name]).all() for name in feeds)


def test_the_graphs_reach_everything() -> None:
    """All ops, ranks, several inputs and outputs, pictures, run-time weights, one to three images."""
    ops, ranks, images, inputs, outputs, sizes = set(), set(), set(), set(), set(), set()
    bytes_too = False
    for seed in range(GRAPHS):
        graph, feeds = random_graph(seed)
        verify(graph)
        assert set(feeds) == set(graph.inputs)
        layers = [node for node in graph if node.op.source is None]
        ops |= set(live_ops(graph))
        ranks |= {len(node.types[0].shape) for node in layers}
        images.add(next(iter(graph.inputs.values())).shape[0])
        bytes_too |= any(data.dtype == np.uint8 for data in feeds.values())
        inputs.add(len(graph.inputs))
        outputs.add(len(graph.outputs))
        sizes.add(len(layers))
    assert ops == {*FLOAT_OPS, *(LAYERS.keys() & REGISTRY.keys()), "Cast"} and {0, 1, 2, 3, 4, 5} <= ranks and bytes_too
    assert images == {1, 2, 3} and {1, 2, 3} <= inputs and {1, 2, 3} <= outputs
    assert 1 in sizes and max(sizes) >= MOST_NODES


def test_rewrites_stand_structured_weights_and_small_images() -> None:
    """The interpreter before and after every pass; the passes that ask for structure find it."""
    fired: Counter[str] = Counter()
    for seed in range(2, 150, 3):
        graph, _ = random_graph(seed)
        assert has_structure(seed) and not has_structure(seed - 1)
        fired.update(entry.pass_name for entry in optimise(graph, check=True).fired)
    assert fired["zero_rings"] > 5 and fired["groups"] and fired["separable"], fired


def test_each_structure_is_made() -> None:
    rng = np.random.default_rng(0)
    for shape in ((4,), (6, 4), (4, 2, 5), (6, 4, 3, 3), (2, 2, 3, 2, 4)):
        data = rng.standard_normal(shape).astype(np.float32)
        for name, structure in STRUCTURES.items():
            made = structure(rng, data)
            assert made.shape == shape and made.dtype == np.float32 and np.isfinite(made).all(), name


# The run itself: workers that fail, crash and hang


def misbehave(seed: int, checked: bool, thorough: bool) -> Finding:
    if seed == 1:
        raise AssertionError("wrong numbers")
    if seed == 2:
        os._exit(42)
    if seed == 3:
        time.sleep(60)
    return Finding(0.25, Counter({"Relu": 1}), 10, 1)


def _misbehaving_work(connection, options: tuple[bool, bool]) -> None:
    from . import check

    check.check_seed = misbehave
    _REAL_WORK(connection, options)


_REAL_WORK = fuzz._work


def test_a_crash_or_a_hang_is_a_failure_and_the_run_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "_work", _misbehaving_work)
    monkeypatch.setattr(fuzz, "PATIENCE", 3.0)
    report = fuzz.run(range(8), workers=2)
    assert report.done == 8 and sorted(report.failures) == [1, 2, 3] and report.worst == 0.25
    assert report.total == Finding(0.25, Counter({"Relu": 5}), 50, 5) and report.coverage() == "Relu 5"
    assert "wrong numbers" in report.failures[1]
    assert "exit code 42" in report.failures[2]
    assert "no answer" in report.failures[3]


def test_an_interrupted_run_reports_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()

    def interrupted(connections: list[Connection], timeout: float) -> list[object]:
        if next(calls) == 50:
            raise KeyboardInterrupt
        return wait(connections, timeout)

    monkeypatch.setattr(fuzz, "_work", _misbehaving_work)
    monkeypatch.setattr(fuzz, "wait", interrupted)
    report = fuzz.run(range(10, 100_000), workers=1)
    assert 0 < report.done <= 50 and not report.failures
