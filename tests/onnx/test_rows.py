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
from .cases_elements import ALL, EVERY
from .cases_floats import LATER, LEGACY
from .support import Case, imported

NO_CASE = {"Constant", "Shape", "Size"}  # they make known values: see test_folding
# Graphs inside of nodes, and sequences: see test_selection and test_control.
NO_CASE |= {"If", "Loop", "Scan", "Optional", "OptionalGetElement", "OptionalHasElement", "ConcatFromSequence"}
NO_CASE |= {f"Sequence{name}" for name in ("At", "Construct", "Empty", "Erase", "Insert", "Length")} | {
    "SplitToSequence"
}


def test_every_row_has_a_case():
    assert {case.operator for case in [*ALL, *LATER, *LEGACY]} == set(OPERATORS) - NO_CASE


@pytest.mark.parametrize("case", [*EVERY, *LEGACY], ids=str)
def test_row(case: Case, tmp_path: Path, rng: np.random.Generator):
    proto, feeds = case.model, case.feeds(rng)
    graph = imported(proto, tmp_path)
    verify.verify(graph)
    results = list(interpreter.run(graph, feeds).values())
    for expected in case.wanted(feeds):
        for actual, wanted in zip(results, expected, strict=True):
            kind = np.asarray(wanted).dtype
            assert actual.shape == np.shape(wanted) and (kind == np.float64 or actual.dtype == kind)
            np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


def test_layers_compile(tmp_path: Path, rng: np.random.Generator):
    """One road for all front ends: a case of each kind through native code."""
    for case in (CASES[1], CASES[8]):
        graph, feeds = imported(case.model, tmp_path), case.feeds(rng)
        actual = cnncc.compile(graph, cache=False)(*feeds.values())
        np.testing.assert_allclose(actual, next(iter(interpreter.run(graph, feeds).values())), rtol=1e-4, atol=1e-5)
