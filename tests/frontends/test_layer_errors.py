"""Every mistake in a model is one sentence that names the layer and the user's line."""

# Most of these calls are wrong on purpose:
# mypy: disable-error-code="arg-type, operator, list-item"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnncc import CnnccError, nn
from cnncc.frontends.generic import activations

Action = Callable[[], Any]

X = nn.Input((3, 8, 8), name="image")
FLAT = nn.Input((7,), name="flat")
NAMES = "expected a letter or '_', then letters, digits and any of '_./-'"
ACTIVATIONS = ", ".join(map(repr, sorted(activations())))
BATCHED = nn.Input((4, 3, 3, 3), name="w", batch=None)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: nn.Input((3, 0)), "shape (3, 0): expected whole numbers of at least 1"),
        (lambda: nn.Input((3, 2.5)), "shape (3, 2.5): expected whole numbers of at least 1"),
        (lambda: nn.Input(3), "shape 3: expected a tuple of whole numbers"),
        (lambda: nn.Input((3,), batch=0), "batch 0: expected a whole number of at least 1"),
        (lambda: nn.Input((3,), "my input"), f"name 'my input': {NAMES}"),
        (
            lambda: nn.Input((70000, 70000)),
            "shape (1, 70000, 70000) has 4900000000 elements (18.3 GiB), at most 536870911 fit",
        ),
        (lambda: nn.ReLU(name=""), f"name '': {NAMES}"),
        (lambda: nn.Conv(0, 3), "layer 'conv': filters 0: expected a whole number of at least 1"),
        (lambda: nn.Conv(8, "3"), "layer 'conv': kernel '3': expected a tuple of whole numbers"),
        (lambda: nn.Conv(8, (3, 0)), "layer 'conv': kernel (3, 0): expected whole numbers of at least 1"),
        (lambda: nn.Conv(8, 3, stride=1.5), "layer 'conv': stride 1.5: expected a whole number of at least 1"),
        (lambda: nn.Conv(8, 3, padding=-1), "layer 'conv': padding -1: expected a whole number of at least 0"),
        (
            lambda: nn.Conv(8, 3, padding=[(0, -1), 1]),
            "layer 'conv': padding (0, -1): expected whole numbers of at least 0",
        ),
        (lambda: nn.Conv(8, 3, groups=0), "layer 'conv': groups 0: expected a whole number of at least 1"),
        (
            lambda: nn.Conv(8, 3, activation="tahn", name="c"),
            f"layer 'c': activation 'tahn' is unknown: expected {ACTIVATIONS} or None",
        ),
        (lambda: nn.Dense(True), "layer 'dense': units True: expected a whole number of at least 1"),
        (lambda: nn.BatchNorm(-1.0), "layer 'norm': epsilon -1.0: expected a finite number of at least 0"),
        (lambda: nn.MaxPool(None), "layer 'maxpool': kernel None: expected a whole number of at least 1"),
        (lambda: nn.Split(3), "layer 'split': sizes 3: expected a tuple of whole numbers"),
        (lambda: nn.Softmax("x"), "layer 'softmax': axis 'x': expected a whole number"),
        (
            lambda: nn.Conv(8, 9)(X),
            "layer 'conv': a window of 9 elements does not fit into 8 + 0 + 0 (axis 0 of the window)",
        ),
        (
            lambda: nn.Conv(8, (3, 3, 3))(X),
            "layer 'conv': kernel (3, 3, 3) has 3 entries, but float32[1, 3, 8, 8] has 2 spatial axes",
        ),
        (
            lambda: nn.Conv(8, 3, stride=(1, 1, 1))(X),
            "layer 'conv': stride (1, 1, 1) has 3 entries, expected 2 (one for each axis)",
        ),
        (
            lambda: nn.Conv(8, 3, padding=[1])(X),
            "layer 'conv': padding (1,) has 1 entries, expected 2 (one for each axis)",
        ),
        (
            lambda: nn.Conv(8, 3, padding="some")(X),
            "layer 'conv': padding 'some' is unknown: expected 'valid', 'same', 'full' or numbers",
        ),
        (lambda: nn.Conv(8, 3, groups=2)(X), "layer 'conv': groups=2 does not divide the 3 input channels"),
        (lambda: nn.Conv(8, 3, groups=9)(X), "layer 'conv': groups=9 does not divide the 3 input channels"),
        (lambda: nn.Conv(8, 3, groups=3)(X), "layer 'conv': groups=3 does not divide the 8 output channels"),
        (lambda: nn.Conv(8, 3)(FLAT), "layer 'conv': expected a tensor (N, C, 1 to 3 spatial axes), got float32[1, 7]"),
        (
            lambda: nn.MaxPool(2)(FLAT),
            "layer 'maxpool': expected a tensor (N, C, 1 to 3 spatial axes), got float32[1, 7]",
        ),
        (
            lambda: nn.Dense(4, name="d")(X),
            "layer 'd': a dense layer takes (N, features), got float32[1, 3, 8, 8]; flatten it first",
        ),
        (lambda: nn.Split((1, 1))(X), "layer 'split': sizes (1, 1) do not add up to the 3 elements of axis 1"),
        (lambda: nn.Softmax(5)(X), "layer 'softmax': axis 5 does not exist in a tensor of 4 axes"),
        (lambda: nn.Concat()(X, FLAT), "layer 'concat': cannot join (1, 3, 8, 8) and (1, 7) along axis 1"),
        (lambda: nn.Concat()([]), "layer 'concat': Concat takes 1 to 1000000 inputs, got 0"),
        (lambda: X + FLAT, "layer 'add': shapes (1, 3, 8, 8) and (1, 7) do not broadcast to one shape"),
        (lambda: X + "1", "layer 'add': takes tensors, got str"),
        (lambda: np.zeros(3) + X, "layer 'add': takes tensors, got ndarray"),
        (lambda: nn.Add()(X), "layer 'add': takes 2 tensors, got 1"),
        (lambda: nn.Conv(8, 3)(X, X), "layer 'conv': takes 1 tensor, got 2"),
        (lambda: nn.ReLU()(np.zeros(3)), "layer 'relu': takes tensors, got ndarray"),
        (
            lambda: nn.Conv(4, 3)(X, weight=BATCHED),
            "layer 'conv': there is no parameter 'weight' to be given (weights, bias)",
        ),
        (
            lambda: nn.ReLU()(X, weights=BATCHED),
            "layer 'relu': there is no parameter 'weights' to be given (it has none)",
        ),
        (
            lambda: nn.Conv(5, 3)(X, weights=BATCHED),
            "layer 'conv': weights given at run time is float32[4, 3, 3, 3], expected float32[5, 3, 3, 3]",
        ),
        (
            lambda: nn.Conv(4, 3)(X, weights=np.zeros(3)),
            "layer 'conv': weights must be a tensor (nn.Input(…, batch=None)), got ndarray",
        ),
        (
            lambda: nn.Sequential(nn.ReLU, input=(3,)),
            "Sequential takes layers, got <class 'cnncc.nn.ReLU'> (are its parentheses missing?)",
        ),
        (lambda: nn.Sequential("relu", input=(3,)), "Sequential takes layers, got 'relu'"),
        (
            lambda: nn.Sequential(nn.Split((1, 2)), input=(3,)),
            "layer 'split': has 2 outputs, which cannot stand in a Sequential",
        ),
        (
            lambda: nn.Sequential(nn.Dense(4), nn.Conv(8, 3), input=(3,)),
            "layer 'conv': expected a tensor (N, C, 1 to 3 spatial axes), got float32[1, 4]",
        ),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Dense(10000), input=(1, 200, 200)),
            "layer 'dense1': with its weights the model has 400000000 parameters, at most 268435456 fit",
        ),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Dense(10**6), input=(1, 200, 200)),
            "layer 'dense': shape (1000000, 40000) has 40000000000 elements (149.0 GiB), at most 536870911 fit",
        ),
        (lambda: nn.Model(X, []), "a model needs at least one output"),
        (lambda: nn.Model(X, [3]), "output 'output1' must be a tensor, got int"),
        (lambda: nn.Model(X, {"a b": X}), f"name 'a b': {NAMES}"),
        (
            lambda: nn.Model(nn.ReLU()(X), X),
            "the inputs of a model are nn.Input tensors, got Tensor(float32[1, 3, 8, 8])",
        ),
        (lambda: nn.Model(X, X, seed=-1), "seed -1: expected a whole number of at least 0"),
        (lambda: nn.Model(X, X, labels=("a", "b")), "2 labels for the 8 classes of output 'output'"),
        (lambda: nn.Model(X, nn.ReLU("same")(nn.ReLU("same")(X))), "there already is a layer or input called 'same'"),
        (lambda: nn.Model(X, nn.ReLU("image")(X)), "there already is a layer or input called 'image'"),
    ],
)
def test_message_and_line(action: Action, message: str) -> None:
    with pytest.raises(CnnccError) as info:
        action()
    assert str(info.value) == f"{message} (at {__file__}:{action.__code__.co_firstlineno})"


@pytest.mark.parametrize(
    ("action", "message", "culprit"),
    [
        (lambda: nn.Model(X, [X, BATCHED]), "input 'w' is read but is not among the model's inputs", BATCHED),
        (lambda: nn.Model([X, FLAT], nn.ReLU()(X)), "input 'flat' is read by nothing on the way to an output", FLAT),
        (lambda: nn.Model([X, X], nn.ReLU()(X)), "two inputs are called 'image'", X),
    ],
)
def test_wrong_inputs_are_told_where_they_were_made(action: Action, message: str, culprit: nn.Input) -> None:
    with pytest.raises(CnnccError) as info:
        action()
    assert info.value.message == message
    assert info.value.where == culprit.where


def test_a_shared_layer_refuses_other_channels() -> None:
    conv = nn.Conv(4, 3, name="shared")
    conv(X)
    with pytest.raises(CnnccError) as info:
        conv(nn.Input((5, 8, 8)))
    assert info.value.node == "shared"
    assert info.value.message == (
        "weights of shape (4, 3, 3, 3) do not fit input float32[1, 5, 8, 8]: expected (outputs, 5 channels, 3, 3)"
    )


def test_a_refused_call_leaves_the_layer_as_it_was() -> None:
    conv = nn.Conv(4, 9)
    with pytest.raises(CnnccError):
        conv(X)
    assert conv(nn.Input((5, 9, 9))).shape == (1, 4, 1, 1)
