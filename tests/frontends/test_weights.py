"""Initialisation, files, and what happens when a file does not fit."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnncc import CnnccError, nn
from cnncc.errors import OutputError, WeightsError
from cnncc.types import Array


def network(seed: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv(8, 3, name="first"),
        nn.BatchNorm(name="norm"),
        nn.Flatten(),
        nn.Dense(3, name="last"),
        input=(2, 6, 6),
        seed=seed,
    )


def contents(model: nn.Model) -> dict[str, Array]:
    return {name: array.copy() for name, array in model.weights.items()}


def test_initialisation_depends_on_seed_and_name_only() -> None:
    x = nn.Input((2, 6, 6))
    last, norm, first = nn.Dense(3, name="last"), nn.BatchNorm(name="norm"), nn.Conv(8, 3, name="first")
    model = nn.Model(x, last(nn.Flatten()(norm(first(x)))))
    for name, array in network().weights.items():
        np.testing.assert_array_equal(model.weights[name], array)
    assert model.graph == network().graph
    assert network(1).graph != network().graph


def test_first_values() -> None:
    model = nn.Sequential(nn.Conv(64, 5), nn.BatchNorm(), input=(8, 9, 9))
    weights = model.weights
    assert weights["conv1.weights"].dtype == np.float32
    assert weights["conv1.weights"].std() == pytest.approx(np.sqrt(2 / 200), rel=0.02)
    assert abs(weights["conv1.weights"].mean()) < 0.005
    for name, value in (("conv1.bias", 0), ("norm1.scale", 1), ("norm1.bias", 0), ("norm1.mean", 0)):
        assert (weights[name] == value).all()
    assert (weights["norm1.variance"] == 1).all()


def test_save_and_load(tmp_path: Path) -> None:
    one, other = network(1), network(2)
    one.save(tmp_path / "w.npz")
    other.load(tmp_path / "w.npz")
    assert one.graph == other.graph
    assert [file.name for file in tmp_path.iterdir()] == ["w.npz"]
    first = (tmp_path / "w.npz").read_bytes()
    one.save(str(tmp_path / "w.npz"))
    assert (tmp_path / "w.npz").read_bytes() == first


def test_layers_keep_their_weights_in_a_second_model() -> None:
    first = nn.Conv(4, 3, name="shared")
    x = nn.Input((1, 6, 6))
    one = nn.Model(x, first(x), seed=1)
    two = nn.Model(x, nn.ReLU()(first(x)), seed=2)
    assert two.weights["shared.weights"] is one.weights["shared.weights"]


def test_weights_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        network().weights["first.bias"][0] = 1


def test_save_fails_whole(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError) as info:
        network().save(tmp_path / "folder")
    assert info.value.message == f"cannot write weights file '{tmp_path / 'folder'}': it is a folder"
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(OutputError, match=r"cannot write weights file '.*': No such file or directory"):
        network().save(tmp_path / "absent" / "w.npz")


def drop(arrays: dict[str, Array]) -> None:
    del arrays["last.bias"]


def add(arrays: dict[str, Array]) -> None:
    arrays["more.bias"] = np.zeros(3, np.float32)


def reshape(arrays: dict[str, Array]) -> None:
    arrays["last.weights"] = arrays["last.weights"].T


def widen(arrays: dict[str, Array]) -> None:
    arrays["first.weights"] = arrays["first.weights"].astype(np.float64)


def poison(arrays: dict[str, Array]) -> None:
    arrays["norm.mean"][3] = np.nan


def poison_twice(arrays: dict[str, Array]) -> None:
    arrays["norm.mean"][3:5] = np.inf


@pytest.mark.parametrize(
    ("change", "node", "message"),
    [
        (drop, "last", "'last.bias' in {} is missing, expected float32[3]"),
        (add, None, "{} holds 'more.bias', which the model does not have"),
        (reshape, "last", "'last.weights' in {} has shape (128, 3), expected (3, 128)"),
        (widen, "first", "'first.weights' in {} is float64, expected float32"),
        (poison, "norm", "'norm.mean' in {} holds 1 value that is not finite"),
        (poison_twice, "norm", "'norm.mean' in {} holds 2 values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(
    tmp_path: Path, change: Callable[[dict[str, Array]], None], node: str | None, message: str
) -> None:
    arrays = contents(network(1))
    change(arrays)
    np.savez(tmp_path / "w.npz", **arrays)  # type: ignore[arg-type]
    model = network(2)
    before = model.graph
    with pytest.raises(WeightsError) as info:
        model.load(tmp_path / "w.npz")
    assert info.value.message == message.format(f"'{tmp_path / 'w.npz'}'")
    assert info.value.node == node
    assert info.value.where
    assert info.value.where.file == __file__
    with pytest.raises(WeightsError) as info:
        model.assign(arrays)
    assert info.value.message == message.format("the given weights")
    assert model.graph == before


def load_error(path: Path) -> CnnccError:
    with pytest.raises(WeightsError) as info:
        network().load(path)
    assert info.value.where
    assert info.value.where.line == load_error.__code__.co_firstlineno + 2
    return info.value


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    assert load_error(file).message == f"weights file '{file}' does not exist"
    assert load_error(tmp_path).message == f"weights file '{tmp_path}' is not a file"
    for data in (b"", b"hello", b"PK", b"PK hello", b"\x93NUMPY", pickle.dumps([1, 2])):
        file.write_bytes(data)
        assert load_error(file).message == f"weights file '{file}' is not an .npz archive"
    with zipfile.ZipFile(file, "w") as archive:  # as PyTorch and Keras write
        archive.writestr("net/data.pkl", b"")
    told = "is no archive of NumPy's: like='torch' or like='keras' reads one of these"
    assert load_error(file).message == f"weights file '{file}' {told}"


def test_damaged_files(tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    network().save(file)
    whole = file.read_bytes()
    for data in (whole[: len(whole) // 2], whole[:200] + bytes(100) + whole[300:]):
        file.write_bytes(data)
        assert load_error(file).message.startswith(f"weights file '{file}' is damaged or holds no plain arrays: ")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"first.bias": np.array([{}], dtype=object)})  # type: ignore[arg-type]
    assert "allow_pickle=False" in load_error(tmp_path / "w.npz").message


def test_members_that_are_no_arrays(tmp_path: Path) -> None:
    import zipfile

    network().save(tmp_path / "w.npz")
    with zipfile.ZipFile(tmp_path / "w.npz", "a") as archive:
        archive.writestr("note.txt", "hello")
    assert load_error(tmp_path / "w.npz").message == (
        f"'{tmp_path / 'w.npz'}' holds 'note.txt', which the model does not have"
    )


def test_safetensors_save_and_load(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    one, other = network(1), network(2)
    one.save(tmp_path / "w.safetensors")
    other.load(tmp_path / "w.safetensors")
    assert one.graph == other.graph
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, "'last.bias' in {} is missing, expected float32[3]"),
        (add, "{} holds 'more.bias', which the model does not have"),
        (widen, "'first.weights' in {} is float64, expected float32"),
        (poison, "'norm.mean' in {} holds 1 value that is not finite"),
    ],
)
def test_safetensors_that_do_not_fit(tmp_path: Path, change: Callable[[dict[str, Array]], None], message: str) -> None:
    package = pytest.importorskip("safetensors.numpy")
    arrays = contents(network(1))
    change(arrays)
    file = tmp_path / "w.safetensors"
    package.save_file(arrays, file)
    model = network(2)
    before = model.graph
    with pytest.raises(WeightsError) as info:
        model.load(file)
    assert info.value.message == message.format(f"'{file}'")
    assert model.graph == before


def test_damaged_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    file = tmp_path / "w.safetensors"
    network().save(file)
    whole = file.read_bytes()
    for data in (b"", b"hello", whole[: len(whole) // 2], b"\xff" * 100):
        file.write_bytes(data)
        assert load_error(file).message.startswith(f"weights file '{file}' is damaged or holds no plain arrays: ")


def test_safetensors_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    file = tmp_path / "w.safetensors"
    with pytest.raises(OutputError) as info:
        network().save(file)
    assert info.value.message == f"weights file '{file}' needs a package: pip install 'cnncc[safetensors]'"
    assert not list(tmp_path.iterdir())
    file.write_bytes(b"anything")
    assert load_error(file).message == f"weights file '{file}' needs a package: pip install 'cnncc[safetensors]'"
