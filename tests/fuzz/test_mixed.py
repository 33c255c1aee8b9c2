"""Random graphs of mixed element types through the verifier, the interpreter, the passes, the text and the bounds."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import text
from cnncc.check.bound import compare
from cnncc.check.graph import verify
from cnncc.check.tolerance import bounds
from cnncc.elements import FLOAT32, VALUES, bits
from cnncc.interpreter import run
from cnncc.machine.routines import allowed
from cnncc.machine.target import TARGETS
from cnncc.op import REGISTRY, Constant
from cnncc.ops import Fused
from cnncc.passes.manager import optimise, seeded_feeds
from cnncc.passes.unfuse import expand
from tests.graphs import assert_same_bits, compilation, expected, native, runnable_targets, worst_ratio

from .check import live_ops
from .layers import LAYERS
from .mixed import mixed_graph

GRAPHS = 100
ONLY_FLOATS = {"Conv", "Dense", "BatchNormalization", "Softmax"}
each_seed = pytest.mark.parametrize("first", range(0, GRAPHS, 25))


def seeds(first):
    return range(first, first + 25)


@each_seed
def test_passes_change_no_bit(first):
    """Also with every pass checked on its own, and with fused layers taken apart again."""
    for seed in seeds(first):
        graph, feeds = mixed_graph(seed)
        optimised = optimise(graph, "strict", check=True).graph
        assert optimise(optimised, "strict").graph.canonical() == optimised.canonical()
        whole = optimised
        for node in optimised:
            if isinstance(node.op, Fused):
                whole = expand(whole, node.name)
        for given in (feeds, seeded_feeds(graph, special=True)):
            expected = run(graph, given)
            for other in (optimised, whole):
                for name, found in run(other, given).items():
                    assert found.dtype == expected[name].dtype, seed
                    same = bits(found) == bits(expected[name])
                    assert (same | (expected[name] != expected[name])).all(), (seed, name)


@each_seed
def test_rewrites_that_round_leave_exact_values_alone(first):
    for seed in seeds(first):
        graph, feeds = mixed_graph(seed)
        optimise(graph, "fast", check=True)
        known = bounds(graph, feeds)
        found = run(optimise(graph, "fast").graph, feeds)
        for name, value in graph.outputs.items():
            assert compare(found[name], known[value]).ok, (seed, name)


@each_seed
def test_bounds_of_whole_numbers_are_0_or_infinite(first):
    for seed in seeds(first):
        graph, feeds = mixed_graph(seed)
        for value, bound in bounds(graph, feeds).items():
            type = graph.type(value)
            assert bound.reference.shape == type.shape
            if not type.dtype.is_float:
                assert bound.reference.dtype == type.dtype.numpy
                assert np.isin(bound.error, (0.0, np.inf)).all()


@each_seed
def test_the_text_reads_back(first):
    for seed in seeds(first):
        graph, feeds = mixed_graph(seed)
        verify(graph)
        constants = {node.name: node.op.data for node in graph if isinstance(node.op, Constant)}
        again = text.parse(text.show(graph), constants)
        assert again.canonical() == graph.canonical()
        assert {name: data.dtype for name, data in feeds.items()} == {n: t.dtype.numpy for n, t in graph.inputs.items()}


def test_a_seed_is_a_graph_and_the_graphs_reach_everything():
    used, elements, fired = set(), set(), set()
    for seed in (*range(GRAPHS), 166):  # which has a diamond
        graph, _ = mixed_graph(seed)
        assert graph.canonical() == mixed_graph(seed)[0].canonical()
        used |= set(live_ops(graph))
        elements |= {type.dtype for node in graph for type in node.types}
        fired |= {entry.pass_name for entry in optimise(graph).fired}
    exact = set(REGISTRY) - set(LAYERS) - ONLY_FLOATS
    assert {name for name in exact if FLOAT32 not in REGISTRY[name].takes or REGISTRY[name].mixed} <= used
    assert {*VALUES} == elements
    assert {"constants", "identities", "subexpressions", "fuse", "dead_code", "diamonds"} <= fired


@pytest.mark.combinations
@pytest.mark.parametrize("first", range(0, 60, 20))
@pytest.mark.parametrize("target", list(runnable_targets()))
def test_native_code_has_the_bits_of_the_interpreter(target, first):
    """Floats within their bounds. Also from three threads, and with checked accesses."""
    for seed in range(first, first + 20):
        graph, feeds = mixed_graph(seed)
        compiled = compilation(graph, target, checked=seed % 4 == 0)
        with np.errstate(all="ignore"):
            found = native(compiled, feeds)
            worst_ratio(found, expected(compiled, feeds))
        assert_same_bits(native(compiled, feeds, threads=3), found, f"seed {seed}, three threads")
        assert compiled.build().undefined == ()


@pytest.mark.parametrize("target", TARGETS)
def test_objects_need_no_library(target):
    """Not even for numbers of 64 bits on a processor of 32; only routines for floats where there are none."""
    for seed in range(6) if target != "cortex-m4" else range(20):
        needed = compilation(mixed_graph(seed)[0], target).build().undefined
        assert set(needed) <= allowed(TARGETS[target])
