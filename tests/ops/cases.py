"""Sample cases of every registered op, with data, for the tests that walk the registry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.elements import FLOAT32, INTEGERS
from cnncc.op import REGISTRY, Op, Sample
from cnncc.ops import Clip
from cnncc.types import Array, TensorType


def samples() -> Iterator[Sample]:
    for op in REGISTRY.values():
        yield from op.samples()
        yield from typed(op)


POSITIVE = {"BatchNormalization": 4, "Log": 0, "Pow": 0, "ReduceLogSum": 0, "Sqrt": 0}
"""Inputs of which only positive numbers mean something."""


def data(sample: Sample, seed: int = 1) -> list[Array]:
    """Normally distributed inputs; some are made positive."""
    rng = np.random.default_rng(seed)
    arrays = [numbers(type, rng, 3 if sample.op.name in ("ReduceProd", "ReduceMean") else 100) for type in sample.types]
    if sample.op.name in POSITIVE and of_floats(sample):
        place = POSITIVE[sample.op.name]
        arrays[place] = np.abs(arrays[place]) + np.float32(0.1)
    return arrays


def numbers(type: TensorType, rng: np.random.Generator, most: int = 100) -> Array:
    """Normally distributed floats; whole numbers that are mostly small, and some that are not."""
    if type.dtype.is_float:
        return rng.standard_normal(type.shape).astype(type.dtype.numpy)
    if type.dtype not in INTEGERS:
        return type.random(rng)
    element = type.dtype
    small = rng.integers(max(-most, element.least), min(most, element.most) + 1, type.shape, element.numpy)
    bound, factor = 2 ** min(30, 8 * element.bytes - 2), max(1, element.bytes // 4)
    large = rng.integers(max(-bound, element.least), bound, type.shape, element.numpy) * element.numpy.type(factor)
    return np.where(rng.random(type.shape) < 0.2 * (most == 100), large, small)


def typed(op: type[Op]) -> Iterator[Sample]:
    """A sample of every element, beside floats, that an op with samples of floats takes."""
    sample = next(iter(op.samples()))
    if sample.elements == (FLOAT32,) and not op.mixed:
        for element in op.takes:
            if element is not FLOAT32:
                one = Clip(max(-30, element.least), 40) if op is Clip else sample.op
                yield Sample(one, sample.shapes, (element,))


def label(sample: Sample) -> str:
    return f"{sample.op}-{'x'.join(map(str, sample.shapes[0]))}" + "".join(
        f"-{element}" for element in sample.elements if element is not FLOAT32
    )


def of_floats(sample: Sample) -> bool:
    """Whether an op reads and makes floats only."""
    return all(type.dtype is FLOAT32 for type in (*sample.types, *sample.op.infer(*sample.types)))


each_sample = pytest.mark.parametrize("sample", list(samples()), ids=label)
each_float_sample = pytest.mark.parametrize("sample", [one for one in samples() if of_floats(one)], ids=label)
each_exact_sample = pytest.mark.parametrize("sample", [one for one in samples() if not of_floats(one)], ids=label)
each_op = pytest.mark.parametrize("op", list(REGISTRY.values()), ids=lambda op: op.__name__)
FLOAT_OPS = {name: op for name, op in REGISTRY.items() if of_floats(next(iter(op.samples())))}
each_float_op = pytest.mark.parametrize("op", list(FLOAT_OPS.values()), ids=lambda op: op.__name__)
