"""The table of operators measures, computes its bounds and adds up: `python -m tests.perf.operators` is the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.perf.operator_cases import FAMILIES, cases
from tests.perf.operators import Bench, label, summary


def test_at_least_150_different_cases() -> None:
    labels = [label(case) for _, case in cases()]
    assert len(set(labels)) == len(labels) >= 150


@pytest.mark.parametrize("family", FAMILIES)
def test_first_of_a_family(family: str, tmp_path: Path) -> None:
    row = Bench("host", 3, tmp_path).measure(family, next(FAMILIES[family]()))
    assert row.error < 1e-5
    assert row.bound > 0
    assert label(row.case) in str(row)
    assert summary([row]).startswith("1 operators")
