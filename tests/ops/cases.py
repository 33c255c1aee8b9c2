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


def data(sample: Sample, seed: int = 1) -> list[Array]:
    """Normally distributed inputs; those of batch normalisation's variance are made positive."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in sample.shapes]
    if sample.op.name == "BatchNormalization":
        arrays[4] = np.abs(arrays[4]) + np.float32(0.1)
    return arrays


def label(sample: Sample) -> str:
    return f"{sample.op}-{'x'.join(map(str, sample.shapes[0]))}"


each_sample = pytest.mark.parametrize("sample", list(samples()), ids=label)
each_op = pytest.mark.parametrize("op", list(REGISTRY.values()), ids=lambda op: op.__name__)
