"""Sample cases of every registered op, with data, for the tests that walk the registry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.elements import FLOAT32, INTEGERS
from cnncc.op import REGISTRY, Op, Sample
from cnncc.ops import Clip
from cnncc.types import Array, TensorType
from tests.graphs import SPECIAL, ends


def samples() -> Iterator[Sample]:
    for op in REGISTRY.values():
        yield from op.samples()
        yield from typed(op)


INSIDE = {"Acos", "Asin", "Atanh"}
"""Functions of numbers between −1 and 1."""
POSITIVE = {"Acosh": 0, "BatchNormalization": 4, "Log": 0, "Pow": 0, "ReduceLogSum": 0, "Sqrt": 0}
"""Inputs of which only positive numbers mean something."""


INDEXED = ("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND")
"""Ops whose input 1 has indices: most of them should exist."""


def data(sample: Sample, seed: int = 1) -> list[Array]:
    """Normally distributed inputs; some are made positive."""
    rng = np.random.default_rng(seed)
    arrays = [numbers(type, rng, 3 if sample.op.name in ("ReduceProd", "ReduceMean") else 100) for type in sample.types]
    if sample.op.name in INSIDE:
        return [np.asarray(np.sin(x), x.dtype) for x in arrays]
    if sample.op.name in POSITIVE and of_floats(sample):
        place = POSITIVE[sample.op.name]
        arrays[place] = np.abs(arrays[place]) + np.float32(1 if sample.op.name == "Acosh" else 0.1)
    if sample.op.name in INDEXED and len(arrays) > 1:
        indices = arrays[1]
        arrays[1] = np.where(rng.random(indices.shape) < 0.8, indices % 8 - 4, indices)
    return arrays


def wild(sample: Sample) -> list[Array]:
    """Data with indices at the ends of their type and just beyond those of every axis, in turn; or coordinates that
    are huge or not finite."""
    x, indices, *updates = data(sample)
    if indices.dtype.kind == "f":
        return [x, np.resize(np.roll(np.append(SPECIAL, -3e38).astype(np.float32), indices.size), indices.shape)]
    beyond = [place for size in x.shape for place in (-size - 1, size, -size, size - 1)]
    turn = np.array([*ends(indices.dtype), *beyond], indices.dtype)
    return [x, np.resize(np.roll(turn, indices.size), indices.shape), *updates]


def indexed_samples() -> list[Sample]:
    """The samples of these ops whose indices arrive."""
    return [
        sample for name in (*INDEXED, "GridSample") for sample in REGISTRY[name].samples() if len(sample.shapes) > 1
    ]


def numbers(type: TensorType, rng: np.random.Generator, most: int = 100) -> Array:
    """Normally distributed floats; whole numbers that are mostly small, and some that are not."""
    if type.dtype.is_float:
        return rng.standard_normal(type.shape).astype(type.dtype.numpy)
    if type.dtype not in INTEGERS:
        return type.random(rng)
    element = type.dtype
    least, highest = int(element.least), int(element.most)
    small = rng.integers(max(-most, least), min(most, highest) + 1, type.shape, element.numpy)
    bound, factor = 2 ** min(30, 8 * element.bytes - 2), max(1, element.bytes // 4)
    large = rng.integers(max(-bound, least), bound, type.shape, element.numpy) * element.numpy.type(factor)
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


def exact(sample: Sample) -> bool:
    """Whether an op reads or makes something else, and does not round."""
    combines = getattr(sample.op, "reduction", "none") in ("add", "mul")
    return not of_floats(sample) and not (combines and sample.types[0].dtype is FLOAT32)


each_sample = pytest.mark.parametrize("sample", list(samples()), ids=label)
each_float_sample = pytest.mark.parametrize("sample", [one for one in samples() if of_floats(one)], ids=label)
each_exact_sample = pytest.mark.parametrize("sample", [one for one in samples() if exact(one)], ids=label)
each_op = pytest.mark.parametrize("op", list(REGISTRY.values()), ids=lambda op: op.__name__)
FLOAT_OPS = {name: op for name, op in REGISTRY.items() if of_floats(next(iter(op.samples())))}
each_float_op = pytest.mark.parametrize("op", list(FLOAT_OPS.values()), ids=lambda op: op.__name__)
