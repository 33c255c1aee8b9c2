"""One computation as a node: its type rule, what it does with images, its text."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.batching import batched_inputs
from cnncc.computation import Concatenate, ConstantPad, Permute, Pointwise, Reduction, RowMajorReshape, StridedSlice
from cnncc.elements import FLOAT32, INT32
from cnncc.errors import ShapeError
from cnncc.expr import Arg, convert
from cnncc.interpreter import run
from cnncc.ir import Builder
from cnncc.meaning import meaning
from cnncc.op import REGISTRY
from cnncc.ops import Computed
from cnncc.text import parse, show
from cnncc.types import TensorType

from .cases import data, each_sample


@each_sample
def test_every_piece_of_every_op_as_a_node(sample):
    """They compute what the op does, but for roundings between them, and their text reads back."""
    arrays, b = data(sample, seed=2), Builder("pieces")
    known = [b.input(f"x{k}", type) for k, type in enumerate(sample.types)]
    lowering = sample.op.lower(*sample.types)
    for piece in lowering.pieces:
        types = tuple(b.nodes[known[k].node].types[0] for k in piece.operands)
        known += b.add(Computed(piece.computation, types, piece.type), [known[k] for k in piece.operands])
    graph = b.graph({f"y{k}": known[result] for k, result in enumerate(lowering.results)})
    assert parse(show(graph), {}) == graph
    found = run(graph, {f"x{k}": array for k, array in enumerate(arrays)})
    for result, reference in zip(found.values(), sample.op.reference(*arrays), strict=True):
        assert result.dtype == reference.dtype
        if reference.dtype == np.float32 and len(lowering.pieces) > 1:
            np.testing.assert_allclose(result, reference, rtol=3e-5, atol=3e-5 * np.abs(reference).max(initial=1))
        elif reference.dtype == np.float32:
            np.testing.assert_allclose(result, reference, rtol=2.0**-23, atol=1e-12)
        else:
            np.testing.assert_array_equal(result, reference)


def test_it_is_no_op_of_the_registry():
    assert "Computed" not in REGISTRY and list(Computed.samples()) == []


def floats(*shape):
    return TensorType(shape)


SUM = Computed(Pointwise(Arg(0) + Arg(1), ((0, 1), (0, 1))), (floats(2, 3), floats(1, 3)), floats(2, 3))
JOINED = Computed(Concatenate(1), (floats(2, 3), floats(2, 4)), floats(2, 7))


@pytest.mark.parametrize(
    "op, inputs, told",
    [
        (SUM, (floats(2, 3),), "Pointwise takes 2 inputs, got 1"),
        (SUM, (floats(2, 4), floats(1, 3)), r"Pointwise takes float32\[2, 3\] here, got float32\[2, 4\]"),
        (SUM, (floats(2, 3), floats(2, 3)), r"Pointwise takes float32\[1, 3\] here, got float32\[2, 3\]"),
        (SUM, (TensorType((2, 3), INT32), floats(1, 3)), r"here, got int32\[2, 3\]"),
        (JOINED, (floats(5, 3), floats(2, 4)), r"Concatenate takes operands of one number of images, got \[2, 5\]"),
    ],
)
def test_types_that_do_not_fit(op, inputs, told):
    with pytest.raises(ShapeError, match=told):
        op.infer(*inputs)


def test_another_number_of_images():
    assert SUM.infer(floats(5, 3), floats(1, 3)) == (floats(5, 3),)
    assert JOINED.infer(floats(1, 3), floats(1, 4)) == (floats(1, 7),)


ALONE = [
    Computed(Reduction((1,), "add"), (floats(2, 3),), floats(2, 1)),
    Computed(Permute((0, 2, 1)), (floats(2, 3, 4),), floats(2, 4, 3)),
    Computed(RowMajorReshape(), (floats(2, 3, 4),), floats(2, 12)),
    Computed(ConstantPad((0, 1), 0.0), (floats(2, 3),), floats(2, 5)),
    Computed(StridedSlice(1, 1), (floats(2, 3),), floats(2, 2)),
]
MIXED = [
    Computed(Reduction((0,), "add"), (floats(2, 3),), floats(1, 3)),
    Computed(Reduction((0,), "add"), (floats(1, 3),), floats(1, 3)),
    Computed(Permute((1, 0)), (floats(2, 2),), floats(2, 2)),
    Computed(RowMajorReshape(), (floats(2, 3, 4),), floats(6, 4)),
    Computed(ConstantPad((0, 0), 0.0), (floats(2, 3),), floats(4, 3)),
    Computed(ConstantPad((1, 0), 0.0), (floats(2, 3),), floats(3, 3)),
    Computed(StridedSlice(0, 1), (floats(2, 3),), floats(1, 3)),
]


@pytest.mark.parametrize("op, free", [(op, True) for op in ALONE] + [(op, False) for op in MIXED])
def test_which_keep_images_apart(op, free):
    b = Builder()
    graph = b.graph({"y": b.add(op, [b.input("x", op.operands[0])])[0]})
    assert (batched_inputs(graph) is not None) == free


def test_cost_and_name():
    assert (SUM.name, str(SUM), SUM.cost(*SUM.operands).flops) == ("Pointwise", "Pointwise(add($0, $1))", 6)
    assert JOINED.cost(*JOINED.operands).moved == 14 and FLOAT32.is_float


def test_meanings_are_in_float64():
    """Also of whole numbers that become floats."""
    whole = Pointwise(convert(Arg(0), FLOAT32), ((0,),))
    assert meaning(whole, [np.array([2**24 + 1], np.int64)], (1,)).dtype == np.float64
