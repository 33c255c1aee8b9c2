"""Sample cases of every registered op, with data, for the tests that walk the registry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import cnncc.ops  # noqa: F401  (fills the registry)
from cnncc.op import REGISTRY, Sample
from cnncc.types import Array


def samples() -> Iterator[Sample]:
    for op in REGISTRY.values():
        yield from op.samples()


POSITIVE = {"BatchNormalization": 4, "Log": 0, "Pow": 0, "ReduceLogSum": 0, "Sqrt": 0}
"""Inputs of which only positive numbers mean something."""


def data(sample: Sample, seed: int = 1) -> list[Array]:
    """Normally distributed inputs; some are made positive."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in sample.shapes]
    if sample.op.name in POSITIVE:
        place = POSITIVE[sample.op.name]
        arrays[place] = np.abs(arrays[place]) + np.float32(0.1)
    return arrays


def label(sample: Sample) -> str:
    return f"{sample.op}-{'x'.join(map(str, sample.shapes[0]))}"


each_sample = pytest.mark.parametrize("sample", list(samples()), ids=label)
each_op = pytest.mark.parametrize("op", list(REGISTRY.values()), ids=lambda op: op.__name__)
