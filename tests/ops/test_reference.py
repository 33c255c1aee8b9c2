"""Each op's NumPy reference against naive loops, on all its sample cases."""

from __future__ import annotations

import tracemalloc
from dataclasses import asdict

import numpy as np

from cnncc.op import REGISTRY
from cnncc.ops import ConvTranspose
from cnncc.types import TensorType

from . import oracles, oracles_calculating, oracles_indexed, oracles_moving, oracles_order, oracles_pooling
from .cases import data, each_op, each_sample
from .oracles_exact import wrapped

UNIT = 2.0**-24


def attributes(op):
    return asdict(op)


ORACLES = {
    "BatchNormalization": lambda op, x: [oracles.batch_normalization(*x, **attributes(op))],
    "Concat": lambda op, x: [oracles.concat(*x, **attributes(op))],
    "Conv": lambda op, x: [oracles.conv(*x, **attributes(op))],
    "Dense": lambda op, x: [oracles.dense(*x)],
    "ImageToTensor": lambda op, x: [oracles.image_to_tensor(*x, **attributes(op))],
    "Softmax": lambda op, x: [oracles.softmax(*x, **attributes(op))],
    "Split": lambda op, x: oracles.split(*x, **attributes(op)),
    **oracles_calculating.ORACLES,
    **oracles_order.ORACLES,
    **{name: lambda op, x, f=f: [f(*x, **vars(op))] for name, f in oracles_moving.ORACLES.items()},
    **{name: lambda op, x, f=f: [f(op, x)] for name, f in oracles_pooling.ORACLES.items()},
    **{name: lambda op, x, f=f: [f(op, x)] for name, f in oracles_indexed.ORACLES.items()},
}


@each_op
def test_every_op_has_an_oracle(op):
    assert op.__name__ in ORACLES


def test_no_oracle_without_an_op():
    assert set(ORACLES) == set(REGISTRY)


@each_sample
def test_reference_is_the_oracle_rounded_once(sample):
    arrays = data(sample)
    results = sample.op.reference(*arrays)
    expected = ORACLES[sample.op.name](sample.op, arrays)
    assert len(results) == len(expected)
    for result, oracle in zip(results, expected, strict=True):
        assert result.shape == oracle.shape
        if result.dtype != np.float32:
            np.testing.assert_array_equal(result, wrapped(oracle, result.dtype))
            continue
        oracle = oracle.astype(float)
        # Half a unit in the last place, and what the two float64 sums may differ by.
        assert (np.abs(result - oracle) <= UNIT * np.abs(oracle) + 1e-12).all()


@each_sample
def test_reference_has_the_inferred_types(sample):
    results = sample.op.reference(*data(sample))
    assert tuple(TensorType.of(result) for result in results) == sample.op.infer(*sample.types)


@each_sample
def test_reference_leaves_its_inputs_alone(sample):
    arrays = data(sample)
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    sample.op.reference(*arrays)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_transposed_convolution_takes_no_room_for_what_padding_cuts_off():
    stride = 10**7
    op = ConvTranspose((1,), stride=stride, padding=((stride - 1, stride - 1),))
    x, w = np.array([[[1, 2, 3]]], np.float32), np.array([[[5]]], np.float32)
    tracemalloc.start()
    (result,) = op.reference(x, w)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.tolist() == [[[0, 10, 0]]]
    assert peak < 10**6
