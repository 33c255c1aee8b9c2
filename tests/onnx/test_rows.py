"""Every row of the operator table against other evaluators of ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import cnncc
from cnncc import interpreter
from cnncc.check import graph as verify
from cnncc.frontends.onnx.table import OPERATORS

from .cases import CASES
from .cases_floats import LATER, LEGACY
from .support import Case, imported

NO_CASE = {"Constant", "Shape", "Size"}  # they make known values: see test_folding
NO_CASE |= {"If"}  # see test_selection


def test_every_row_has_a_case():
    assert {case.operator for case in [*CASES, *LATER, *LEGACY]} == set(OPERATORS) - NO_CASE


@pytest.mark.parametrize("case", [*CASES, *LEGACY], ids=str)
def test_row(case: Case, tmp_path: Path, rng: np.random.Generator):
    proto, feeds = case.model, case.feeds(rng)
    graph = imported(proto, tmp_path)
    verify.verify(graph)
    results = list(interpreter.run(graph, feeds).values())
    for expected in case.wanted(feeds):
        for actual, wanted in zip(results, expected, strict=True):
            assert actual.shape == np.shape(wanted)
            np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


def test_layers_compile(tmp_path: Path, rng: np.random.Generator):
    """One road for all front ends: a case of each kind through native code."""
    for case in (CASES[1], CASES[8]):
        graph, feeds = imported(case.model, tmp_path), case.feeds(rng)
        actual = cnncc.compile(graph, cache=False)(*feeds.values())
        np.testing.assert_allclose(actual, next(iter(interpreter.run(graph, feeds).values())), rtol=1e-4, atol=1e-5)
