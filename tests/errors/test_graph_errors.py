"""Every message of the type rules, exactly: layer, what was expected, what came, the user's line."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.elements import UINT8, VALUES
from cnncc.errors import CnnccError, Location, ModelError, ShapeError
from cnncc.ir import Builder
from cnncc.op import REGISTRY, either
from cnncc.ops import (
    Add,
    AveragePool,
    BatchNormalization,
    Concat,
    Conv,
    Dense,
    Flatten,
    Fused,
    FusedOp,
    ImageToTensor,
    MaxPool,
    Relu,
    Softmax,
    Split,
)
from cnncc.types import MAX_ELEMENTS, TensorType

from . import (
    refused_arrangements,
    refused_elements,
    refused_elementwise,
    refused_indexed,
    refused_order,
    refused_statistics,
)

IMAGE = (1, 4, 8, 8)
WEIGHTS = (6, 4, 3, 3)

REFUSED = [
    (Conv((3, 3)), (IMAGE,), "Conv takes 2 to 3 inputs, got 1"),
    (Conv((3, 3)), (IMAGE, WEIGHTS, (6,), (6,)), "Conv takes 2 to 3 inputs, got 4"),
    (
        Conv((3,) * 4),
        ((1, 4, 8, 8, 8, 8), (6, 4, 3, 3, 3, 3)),
        "kernel (3, 3, 3, 3): expected 1, 2 or 3 spatial axes",
    ),
    (Conv(()), ((1, 4), (6, 4)), "kernel (): expected 1, 2 or 3 spatial axes"),
    (
        Conv((3, 3)),
        ((4, 8, 8), WEIGHTS),
        "a 2-D convolution takes (N, C, 2 spatial axes), got float32[4, 8, 8] of 3 axes",
    ),
    (Conv((3, 3), groups=3), (IMAGE, WEIGHTS), "groups=3 does not divide the 4 input channels"),
    (Conv((3, 3), groups=0), (IMAGE, WEIGHTS), "groups=0 does not divide the 4 input channels"),
    (Conv((3, 3), groups=-2), (IMAGE, WEIGHTS), "groups=-2 does not divide the 4 input channels"),
    (Conv((3, 3), groups=2.0), (IMAGE, WEIGHTS), "groups=2.0 does not divide the 4 input channels"),
    (Conv((3, 3), groups=True), (IMAGE, WEIGHTS), "groups=True does not divide the 4 input channels"),
    (
        Conv((3, 3)),
        (IMAGE, ()),
        "weights of shape () do not fit input float32[1, 4, 8, 8]: expected (outputs, 4 channels, 3, 3)",
    ),
    (Conv((3, 3), groups=4), (IMAGE, (6, 1, 3, 3)), "groups=4 does not divide the 6 output channels"),
    (
        Conv((3, 3)),
        (IMAGE, (6, 5, 3, 3)),
        "weights of shape (6, 5, 3, 3) do not fit input float32[1, 4, 8, 8]: expected (outputs, 4 channels, 3, 3)",
    ),
    (
        Conv((3, 3), groups=2),
        (IMAGE, WEIGHTS),
        "weights of shape (6, 4, 3, 3) do not fit input float32[1, 4, 8, 8]: "
        "expected (outputs, 2 channels a group, 3, 3)",
    ),
    (Conv((3, 3)), (IMAGE, WEIGHTS, (5,)), "bias of shape (5,), expected (6,)"),
    (Conv((3, 3)), (IMAGE, WEIGHTS, (1, 6)), "bias of shape (1, 6), expected (6,)"),
    (
        Conv((3, 3)),
        ((1, 4, 8, 2), WEIGHTS),
        "a window of 3 elements does not fit into 2 + 0 + 0 (axis 1 of the window)",
    ),
    (
        Conv((3, 3), dilation=4),
        (IMAGE, WEIGHTS),
        "a window of 9 elements does not fit into 8 + 0 + 0 (axis 0 of the window)",
    ),
    (
        Conv((3, 3), (2, 2, 2)),
        (IMAGE, WEIGHTS),
        "stride (2, 2, 2) has 3 entries, expected 2 (one for each axis)",
    ),
    (Conv((3, 3), 0), (IMAGE, WEIGHTS), "stride (0, 0): each entry must be a whole number of at least 1"),
    (
        Conv((3, 3), dilation=(1, 0)),
        (IMAGE, WEIGHTS),
        "dilation (1, 0): each entry must be a whole number of at least 1",
    ),
    (
        Conv((3, 3), padding="smae"),
        (IMAGE, WEIGHTS),
        "padding 'smae' is unknown: expected 'valid', 'same', 'full' or numbers",
    ),
    (
        Conv((3, 3), padding=-1),
        (IMAGE, WEIGHTS),
        "padding entry -1 is neither a number of at least 0 nor a (low, high) pair",
    ),
    (MaxPool((2, 2)), (IMAGE, IMAGE), "MaxPool takes 1 inputs, got 2"),
    (
        MaxPool((2, 2)),
        ((1, 4, 8),),
        "a 2-D pooling takes (N, C, 2 spatial axes), got float32[1, 4, 8] of 3 axes",
    ),
    (
        AveragePool((2,) * 4),
        ((1, 1, 4, 4, 4, 4),),
        "a 4-D pooling takes (N, C, 4 spatial axes), got float32[1, 1, 4, 4, 4, 4] of 6 axes",
    ),
    (
        MaxPool((9, 2)),
        (IMAGE,),
        "a window of 9 elements does not fit into 8 + 0 + 0 (axis 0 of the window)",
    ),
    (
        AveragePool((2, 2), padding=2),
        (IMAGE,),
        "padding (2, 2) reaches the pooling kernel's size 2: some windows would hold padding only",
    ),
    (
        MaxPool((2, 2), padding=((0, 0), (0, 10**8))),
        (IMAGE,),
        "padding (0, 100000000) reaches the pooling kernel's size 2: some windows would hold padding only",
    ),
    (
        MaxPool((2, 2), 1, "same", dilation=(1, 10**12)),
        (IMAGE,),
        "a window of 1000000000001 elements on 8 + 500000000000 + 500000000000: at most 536870911 fit "
        "(axis 1 of the window)",
    ),
    (MaxPool((2, 0)), (IMAGE,), "kernel (2, 0): each entry must be a whole number of at least 1"),
    (Dense(), ((1, 3),), "Dense takes 2 to 3 inputs, got 1"),
    (Dense(), (IMAGE, (10, 256)), "a dense layer takes (N, features), got float32[1, 4, 8, 8]; flatten it first"),
    (
        Dense(),
        ((1, 3), (3, 10)),
        "weights of shape (3, 10) do not fit input float32[1, 3]: expected (outputs, 3)",
    ),
    (Dense(), ((1, 3), (10, 3), (3,)), "bias of shape (3,), expected (10,)"),
    (BatchNormalization(), (IMAGE, (4,), (4,)), "BatchNormalization takes 5 inputs, got 3"),
    (BatchNormalization(), ((4,), *((4,),) * 4), "batch normalisation takes (N, C, …), got float32[4]"),
    (BatchNormalization(), (IMAGE, (5,), (4,), (4,), (4,)), "scale of shape (5,), expected (4,)"),
    (BatchNormalization(), (IMAGE, (4,), (5,), (4,), (4,)), "bias of shape (5,), expected (4,)"),
    (BatchNormalization(), (IMAGE, (4,), (4,), (1,), (4,)), "mean of shape (1,), expected (4,)"),
    (BatchNormalization(), (IMAGE, (4,), (4,), (4,), (4, 1)), "variance of shape (4, 1), expected (4,)"),
    (Relu(), (IMAGE, IMAGE), "Relu takes 1 inputs, got 2"),
    (Add(), (IMAGE,), "Add takes 2 inputs, got 1"),
    (Add(), (IMAGE, (1, 3, 8, 8)), "shapes (1, 4, 8, 8) and (1, 3, 8, 8) do not broadcast to one shape"),
    (Concat(), (), "Concat takes 1 to 1000000 inputs, got 0"),
    (Concat(4), (IMAGE,), "axis 4 does not exist in a tensor of 4 axes"),
    (Concat(), (IMAGE, (1, 4, 8, 7)), "cannot join (1, 4, 8, 8) and (1, 4, 8, 7) along axis 1"),
    (Concat(-1), (IMAGE, (1, 4, 8)), "cannot join (1, 4, 8, 8) and (1, 4, 8) along axis 3"),
    (Flatten(), (IMAGE, IMAGE), "Flatten takes 1 inputs, got 2"),
    (Flatten(5), (IMAGE,), "axis 5 does not exist in a tensor of 4 axes"),
    (Flatten(-5), (IMAGE,), "axis -5 does not exist in a tensor of 4 axes"),
    (Split((2, 3)), (IMAGE,), "sizes (2, 3) do not add up to the 4 elements of axis 1"),
    (Split((5, -1)), (IMAGE,), "sizes (5, -1) do not add up to the 4 elements of axis 1"),
    (Split(()), (IMAGE,), "sizes () do not add up to the 4 elements of axis 1"),
    (Split((2.0, 2.0)), (IMAGE,), "sizes=(2.0, 2.0) must be a tuple of whole numbers"),
    (Split("22"), (IMAGE,), "sizes='22' must be a tuple"),
    (Split((1, 1), -5), (IMAGE,), "axis -5 does not exist in a tensor of 4 axes"),
    (Split((1, 1)), (), "Split takes 1 inputs, got 0"),
    (ImageToTensor(True), ((2, 4, 5, 3), (3,)), "ImageToTensor takes factor and shift together, got one of them"),
    (ImageToTensor(True), ((2, 4, 5, 3), (4,), (3,)), "factor of shape (4,), expected (3,)"),
    (ImageToTensor(), ((2, 3, 4, 5), (3,), (1,)), "shift of shape (1,), expected (3,)"),
    (ImageToTensor(), ((4,),), "a picture has at least images and channels, got float32[4]"),
    (Softmax(), (IMAGE, IMAGE), "Softmax takes 1 inputs, got 2"),
    (Softmax(2), ((1, 3),), "axis 2 does not exist in a tensor of 2 axes"),
    (
        Fused(Conv((3, 3)), 2, (FusedOp(Relu()), FusedOp(MaxPool((7, 7))))),
        (IMAGE, WEIGHTS),
        "a window of 7 elements does not fit into 6 + 0 + 0 (axis 0 of the window)",
    ),
    *refused_arrangements.REFUSED,
    *refused_elementwise.REFUSED,
    *refused_elements.REFUSED,
    *refused_indexed.REFUSED,
    *refused_order.REFUSED,
    *refused_statistics.REFUSED,
]


@pytest.mark.parametrize(("op", "shapes", "message"), REFUSED, ids=[f"{op}-{m[:30]}" for op, _, m in REFUSED])
def test_the_message_tells_layer_and_line(op, shapes, message):
    builder = Builder()
    inputs = [builder.input(f"x{k}", TensorType(shape)) for k, shape in enumerate(shapes)]
    with pytest.raises(ShapeError) as caught:
        builder.add(op, inputs, "third", Location("model.py", 12))
    assert str(caught.value) == f"layer 'third': {message} (at model.py:12)"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("element", VALUES, ids=str)
@pytest.mark.parametrize("name", REGISTRY)
def test_every_op_refuses_the_elements_that_it_does_not_take(name, element):
    """All inputs of the wrong one, and one of them among others."""
    op = REGISTRY[name]
    sample = next(op.samples())
    way = "ImageToTensor makes float32 of pictures" if element is UINT8 else "Cast converts it"
    for index, shape in enumerate(sample.shapes):
        types = list(sample.types)
        wrong = types[index] = TensorType(shape, element)
        if element not in op.takes:
            message = f"{name} takes {either(op.takes)}, got {wrong}: {way}"
        elif not op.mixed and element is not types[index - 1].dtype:
            pair = f"{types[0]} and {types[1] if index == 0 else wrong}"
            message = f"{name} takes operands of one type, got {pair}: Cast converts one of them"
        else:
            continue
        with pytest.raises(ShapeError) as caught:
            sample.op.infer(*types)
        assert str(caught.value) == message


@pytest.mark.parametrize("name", REGISTRY)
def test_every_op_refuses_something_here(name):
    assert name in {op.name for op, _, _ in REFUSED}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 0, 3), "shape (1, 0, 3): every dimension must be at least 1"),
        ((1, -2), "shape (1, -2): every dimension must be at least 1"),
        ((1, 2.0), "shape (1, 2.0): 2.0 is not a whole number"),
        ((1, True), "shape (1, True): True is not a whole number"),
        ((1, None), "shape (1, None): None is not a whole number"),
        ((2**31,), "shape (2147483648,) has 2147483648 elements (8.0 GiB), at most 536870911 fit"),
        ((2**20, 2**20), "shape (1048576, 1048576) has 1099511627776 elements (4,096.0 GiB), at most 536870911 fit"),
    ],
)
def test_shapes_that_no_tensor_has(shape, message):
    with pytest.raises(ShapeError) as caught:
        TensorType(shape)
    assert str(caught.value) == message


def test_the_largest_tensor_fits():
    assert TensorType((MAX_ELEMENTS,)).size == MAX_ELEMENTS
    assert TensorType(()).size == 1


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (Conv((1, 1), padding=40000), ((1, 1, 8, 8), (1, 1, 1, 1))),
        (Conv((1, 1)), ((1, 1, 16384, 16384), (2, 1, 1, 1))),
        (Dense(), ((65536, 1), (65536, 1))),
        (Add(), ((65536, 1), (1, 65536))),
        (Concat(0), ((2**28, 1), (2**28, 1))),
    ],
    ids=str,
)
def test_results_that_are_too_large_are_refused_before_anything_is_allocated(op, shapes):
    builder = Builder()
    inputs = [builder.input(f"x{k}", TensorType(shape)) for k, shape in enumerate(shapes)]
    with pytest.raises(
        ShapeError, match=r"^layer 'big': shape .* has \d+ elements \(\d+\.\d GiB\), at most 536870911 fit \(at m:1\)$"
    ):
        builder.add(op, inputs, "big", Location("m", 1))


def test_a_constant_of_no_elements_is_refused():
    with pytest.raises(ShapeError) as caught:
        Builder().constant(np.zeros((2, 0)), "w", Location("m", 3))
    assert str(caught.value) == "layer 'w': shape (2, 0): every dimension must be at least 1 (at m:3)"


def test_two_inputs_of_one_name():
    builder = Builder()
    builder.input("x", TensorType((1,)))
    with pytest.raises(ModelError) as caught:
        builder.input("x", TensorType((1,)), Location("m", 4))
    assert str(caught.value) == "there already is a layer or input called 'x' (at m:4)"


def test_a_model_without_outputs():
    with pytest.raises(ModelError) as caught:
        Builder("empty").graph({})
    assert str(caught.value) == "model 'empty' has no outputs"


def test_an_error_keeps_the_place_where_it_happened_first():
    inner, outer = Location("a.py", 1), Location("b.py", 2)
    error = CnnccError("wrong").at("first", inner).at("second", outer)
    assert str(error) == "layer 'first': wrong (at a.py:1)"
