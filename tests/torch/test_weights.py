"""Weights of PyTorch and Keras in networks of ours: the same results as there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.errors import UsageError, WeightsError

pytestmark = [pytest.mark.tools, pytest.mark.filterwarnings("ignore::DeprecationWarning:keras")]


def close(one: Any, other: Any) -> None:
    """Sums of up to 676 products around 400 round by 2e-5, which the norm of a few of them divides by their spread."""
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * (1 + np.abs(other).max()))


def shuffled(shape: tuple[int, ...], seed: int = 3) -> Any:
    return np.random.default_rng(seed).uniform(0.3, 1.3, shape).astype(np.float32)


def torch_network() -> tuple[Any, Any]:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.BatchNorm2d(8),
        torch.nn.PReLU(8),
        torch.nn.ConvTranspose2d(8, 4, 3, 2),
        torch.nn.GroupNorm(2, 4),
        torch.nn.PReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 13 * 13, 5),
        torch.nn.LayerNorm(5),
    ).eval()
    for number, tensor in enumerate((*theirs.parameters(), *theirs.buffers())):
        if tensor.is_floating_point():
            tensor.data = torch.from_numpy(shuffled(tuple(tensor.shape), number))
    ours = nn.Sequential(
        nn.Conv(8, 3, name="l0"),
        nn.BatchNorm(name="l1"),
        nn.PReLU(name="l2"),
        nn.ConvTranspose(4, 3, 2, name="l3"),
        nn.GroupNorm(2, name="l4"),
        nn.PReLU(name="l5"),
        nn.Flatten(),
        nn.Dense(5, name="l7"),
        nn.LayerNorm(name="l8"),
        input=(3, 8, 8),
    )
    return theirs, ours


@pytest.mark.parametrize("kind", ["plain", "checkpoint", "parallel", "half", "safetensors"])
def test_state_dicts(tmp_path: Path, kind: str) -> None:
    theirs, ours = torch_network()
    import torch

    state, file = theirs.state_dict(), tmp_path / "weights.pt"
    if kind == "parallel":
        state = {f"module.{name}": tensor for name, tensor in state.items()}
    if kind == "half":
        theirs = theirs.half().float()
        state = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in theirs.state_dict().items()
        }
    if kind == "safetensors":
        file = tmp_path / "weights.safetensors"
        pytest.importorskip("safetensors.torch").save_file(state, file)
    else:
        torch.save({"state_dict": state, "epoch": 3} if kind == "checkpoint" else state, file)
    ours.load(file, like="torch", names={f"l{number}": str(number) for number in (0, 1, 2, 3, 4, 5, 7, 8)})
    x = shuffled((2, 3, 8, 8), 9)
    close(cnncc.compile(ours)(x), theirs(torch.from_numpy(x)).detach().numpy())


def test_other_names_and_what_is_missing(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    file = tmp_path / "weights.pt"
    torch.save(torch.nn.ModuleDict({"a": torch.nn.Linear(4, 3), "b": torch.nn.Linear(3, 2)}).state_dict(), file)
    network = nn.Sequential(nn.Dense(3, name="first"), nn.Dense(2, name="b"), input=(4,))
    network.load(file, like="torch", names={"first": "a"})
    x = shuffled((1, 4))
    weights = {name: tensor.numpy() for name, tensor in torch.load(file).items()}
    expected = (x @ weights["a.weight"].T + weights["a.bias"]) @ weights["b.weight"].T + weights["b.bias"]
    close(cnncc.compile(network)(x), expected)
    for options, kind, told in (
        ({}, WeightsError, r"has no layer 'first': names=\{'first': …\} says which of 'a', 'b' it is"),
        ({"names": {"second": "a"}}, UsageError, "names= has 'second', which is no layer with weights"),
        ({"like": "jax"}, UsageError, "unknown framework like='jax'"),
    ):
        with pytest.raises(kind, match=told):
            network.load(file, **{"like": "torch", **options})
    small = nn.Sequential(nn.Dense(3, bias=False, name="a"), input=(4,))
    with pytest.raises(WeightsError, match="holds layer 'b', which the model does not have"):
        small.load(file, like="torch")
    with pytest.raises(WeightsError, match="holds 'bias' for it, which the layer does not have"):
        nn.Sequential(nn.Dense(3, bias=False, name="a"), nn.Dense(2, name="b"), input=(4,)).load(file, like="torch")
    told = "is no state dict that PyTorch loads: it is damaged, or holds more than tensors, as .* does: save .*()$"
    for write in (lambda: file.write_bytes(b"no state dict"), lambda: torch.save(torch.nn.Linear(1, 1), file)):
        write()
        with pytest.raises(WeightsError, match=told):
            network.load(file, like="torch")
    torch.save(torch.nn.Linear(1, 1).state_dict(), file)
    with pytest.raises(WeightsError, match="is no archive of NumPy's: like='torch' or like='keras' reads one of these"):
        network.load(file)


@pytest.fixture
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    pytest.importorskip("torch")
    pytest.importorskip("h5py")
    return pytest.importorskip("keras")


def keras_network(keras: Any) -> tuple[Any, Any]:
    of = keras.layers
    theirs = keras.Sequential(
        [
            keras.Input((8, 9, 3)),
            of.Conv2D(4, 3, name="first"),
            of.BatchNormalization(name="norm", scale=False),
            of.DepthwiseConv2D(3, name="depth", depth_multiplier=2),
            of.ReLU(),
            of.Conv2DTranspose(5, 3, name="up"),
            of.PReLU(name="slopes", shared_axes=[1, 2]),
            of.Conv2D(6, 3, groups=1, use_bias=False, name="second"),
            of.Flatten(),
            of.BatchNormalization(name="flat"),
            of.Dense(6, name="wide"),
            of.LayerNormalization(name="rows"),
            of.Dense(3, name="last", use_bias=False),
        ]
    )
    for number, variable in enumerate(theirs.weights):
        variable.assign(shuffled(tuple(variable.shape), number) * 0.3)
    ours = nn.Sequential(
        nn.Conv(4, 3, name="first"),
        nn.BatchNorm(1e-3, name="norm"),
        nn.DepthwiseConv(3, multiplier=2, name="depth"),
        nn.ReLU(),
        nn.ConvTranspose(5, 3, name="up"),
        nn.PReLU(name="slopes"),
        nn.Conv(6, 3, bias=False, name="second"),
        nn.Flatten(),
        nn.BatchNorm(1e-3, name="flat"),
        nn.Dense(6, name="wide"),
        nn.LayerNorm(epsilon=1e-3, name="rows"),
        nn.Dense(3, bias=False, name="last"),
        input=(3, 8, 9),
    )
    return theirs, ours


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_weights_of_keras(keras: Any, tmp_path: Path, ending: str) -> None:
    theirs, ours = keras_network(keras)
    theirs.save(tmp_path / f"weights{ending}")
    ours.load(tmp_path / f"weights{ending}", like="keras")
    x = shuffled((2, 3, 8, 9), 5)
    expected = theirs(x.transpose(0, 2, 3, 1)).detach().numpy()
    close(cnncc.compile(ours)(x), expected)


def test_weights_of_keras_without_settings(keras: Any, tmp_path: Path) -> None:
    """A file of weights alone numbers the arrays: one that a norm was made without cannot be told from another."""
    theirs, ours = keras_network(keras)
    theirs.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(WeightsError, match=r"^layer 'norm': .* has no scale for it, only '0', '1', '2'"):
        ours.load(tmp_path / "a.weights.h5", like="keras")
    small = keras.Sequential(
        [keras.Input((5, 5, 2)), keras.layers.Conv2D(3, 2, name="c"), keras.layers.BatchNormalization(name="n")]
    )
    small.save_weights(tmp_path / "b.weights.h5")
    network = nn.Sequential(nn.Conv(3, 2, name="c"), nn.BatchNorm(1e-3, name="n"), input=(2, 5, 5))
    network.load(tmp_path / "b.weights.h5", like="keras")
    x = shuffled((1, 2, 5, 5))
    close(cnncc.compile(network)(x), small(x.transpose(0, 2, 3, 1)).detach().numpy().transpose(0, 3, 1, 2))


def test_an_order_that_is_not_known_is_refused(keras: Any, tmp_path: Path) -> None:
    of = keras.layers
    picture, more = keras.Input((4, 4, 2)), keras.Input((3,))
    model = keras.Model([picture, more], of.Dense(2, name="d")(of.Concatenate()([of.Flatten()(picture), more])))
    model.save(tmp_path / "w.keras")
    one, two = nn.Input((2, 4, 4), "picture"), nn.Input((3,), "more")
    network = nn.Model([one, two], nn.Dense(2, name="d")(nn.Concat()(nn.Flatten()(one), two)))
    with pytest.raises(WeightsError, match="the order of its inputs in Keras is not known"):
        network.load(tmp_path / "w.keras", like="keras")
    (tmp_path / "w.keras").write_bytes(b"PK\3\4 damaged")
    with pytest.raises(WeightsError, match="is no file of Keras that can be read"):
        network.load(tmp_path / "w.keras", like="keras")
