"""Random graphs in worker processes. The long run: `python -m tests.fuzz.run --graphs 20000 --seed 10000 --checked`."""

from __future__ import annotations

import os
import time

import pytest

from cnncc.op import REGISTRY
from cnncc.verify import verify

from . import run as fuzz
from .generate import MOST_NODES, random_graph

GRAPHS = 600


def test_random_graphs() -> None:
    report = fuzz.run(range(GRAPHS))
    assert not report.failures, "\n".join(f"seed {seed}: {why}" for seed, why in sorted(report.failures.items()))
    assert report.done == GRAPHS
    # A ratio near 1 would be a bound about to break; a tiny one a bound that says nothing.
    assert 0.1 < report.worst <= 1


def test_random_graphs_in_checked_mode() -> None:
    report = fuzz.run(range(50_000, 50_060), checked=True)
    assert not report.failures, report.failures


def test_a_seed_is_a_graph() -> None:
    for seed in range(30):
        (first, feeds), (again, others) = random_graph(seed), random_graph(seed)
        assert first.canonical() == again.canonical()
        assert all((feeds[name] == others[name]).all() for name in feeds)


def test_the_graphs_reach_everything() -> None:
    """All ops, ranks, several inputs and outputs, run-time weights, one to three images."""
    ops, ranks, images, inputs, outputs, sizes = set(), set(), set(), set(), set(), set()
    for seed in range(300):
        graph, feeds = random_graph(seed)
        verify(graph)
        assert set(feeds) == set(graph.inputs)
        layers = [node for node in graph if node.op.source is None]
        ops |= {node.op.name for node in layers}
        ranks |= {len(node.types[0].shape) for node in layers}
        images.add(graph.inputs["x"].shape[0])
        inputs.add(len(graph.inputs))
        outputs.add(len(graph.outputs))
        sizes.add(len(layers))
    assert ops == set(REGISTRY) and {2, 3, 4, 5} <= ranks
    assert images == {1, 2, 3} and {1, 2, 3} <= inputs and {1, 2, 3} <= outputs
    assert 1 in sizes and max(sizes) >= MOST_NODES


# The run itself: workers that fail, crash and hang


def misbehave(seed: int, checked: bool) -> float:
    if seed == 1:
        raise AssertionError("wrong numbers")
    if seed == 2:
        os._exit(42)
    if seed == 3:
        time.sleep(60)
    return 0.25


def _misbehaving_work(connection, checked: bool) -> None:
    from . import check

    check.check_seed = misbehave
    _REAL_WORK(connection, checked)


_REAL_WORK = fuzz._work


def test_a_crash_or_a_hang_is_a_failure_and_the_run_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "_work", _misbehaving_work)
    monkeypatch.setattr(fuzz, "PATIENCE", 3.0)
    report = fuzz.run(range(8), workers=2)
    assert report.done == 8 and sorted(report.failures) == [1, 2, 3] and report.worst == 0.25
    assert "wrong numbers" in report.failures[1]
    assert "exit code 42" in report.failures[2]
    assert "no answer" in report.failures[3]
