"""Random graphs of all ops: gradients are those of central differences, wherever these agree from both sides."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.check.graph import verify
from cnncc.check.model import check
from cnncc.compiler import Options, resolve_target
from cnncc.elements import FLOAT32
from cnncc.errors import CnnccError
from cnncc.gradient import differentiated
from cnncc.ops.elementwise import widened
from tests.fuzz.generate import random_graph

from .support import STEP, precisely

GRAPHS = [*range(40), *(pytest.param(seed, marks=pytest.mark.tools) for seed in range(40, 600))]
CLOSE = 2e-5
"""Through many layers, rounding in float64 costs differences more digits than through one."""
MODEST = 1e4
"""Larger results leave no digits for a difference."""


def derivatives(graph, of, by, feeds, counts, rng):
    """From the gradient, and from differences with three steps, which tell kinks; and what their sizes add up to."""
    slopes = differentiated(graph, of, (by,))
    verify(slopes)
    x = widened(feeds[by])
    direction = rng.standard_normal(x.shape) * np.minimum(1, np.abs(x))
    own = precisely(slopes, {**feeds, f"d_{of}": counts})[f"d_{by}"] * direction

    def at(step):
        return float((precisely(graph, {**feeds, by: x + step * direction})[of] * counts).sum())

    middle, above, below = at(0), at(STEP), at(-STEP)
    return own, (above - below) / (2 * STEP), (above - middle) / STEP, (middle - below) / STEP


@pytest.mark.parametrize("seed", GRAPHS)
def test_gradients_of_random_graphs(seed):
    graph, feeds = random_graph(seed)
    rng = np.random.default_rng(seed)
    for of, value in graph.outputs.items():
        if graph.type(value).dtype is not FLOAT32 or not (np.abs(precisely(graph, feeds)[of]) < MODEST).all():
            continue
        counts = rng.standard_normal(graph.type(value).shape) if graph.type(value).size > 1 else np.ones(())
        for by, type in graph.inputs.items():
            if type.dtype is not FLOAT32:
                continue
            try:
                own, middle, right, left = derivatives(graph, of, by, feeds, counts, rng)
            except CnnccError as error:
                assert any(told in error.message for told in ("does not depend", "no slope", "has no gradient"))
                continue
            size = np.abs(own).sum() + abs(middle) + 1e-3
            if abs(right - left) < 1e-3 * size:
                assert abs(own.sum() - middle) < CLOSE * size, (of, by)


@pytest.mark.tools
@pytest.mark.parametrize("seed", range(600, 630))
def test_native_code_of_random_gradients(seed):
    graph, feeds = random_graph(seed)
    rng = np.random.default_rng(seed)
    for of, value in graph.outputs.items():
        by = [name for name in graph.inputs if has_gradient(graph, of, name)]
        if by:
            slopes = differentiated(graph, of, by)
            counts = {f"d_{of}": rng.standard_normal(graph.type(value).shape).astype(np.float32)}
            given = {name: (feeds | counts)[name] for name in slopes.inputs}
            report = check(slopes, Options(resolve_target("host")), given, threads=2)
            assert report.ok, [(finding.layer, finding.op, str(finding)) for finding in report.culprits][:3]


def has_gradient(graph, of, by):
    try:
        differentiated(graph, of, (by,))
    except CnnccError:
        return False
    return True
