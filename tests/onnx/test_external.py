"""Weights in other files: judged before anything is opened, and only the stated bytes are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

import cnncc
from cnncc.cache import sources
from cnncc.errors import ModelError
from cnncc.frontends.onnx import external

from .support import model, node

DATA = np.arange(1, 9, dtype=np.float32)
X = np.ones((1, 4), np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model, beside a file that is none of its business; the cache is this test's own."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "secret.bin").write_bytes(DATA.tobytes())
    (tmp_path / "m" / "inner").mkdir(parents=True)
    (tmp_path / "m" / "w.bin").write_bytes(DATA.tobytes())
    (tmp_path / "m" / "inner" / "w.bin").write_bytes(DATA.tobytes())
    return tmp_path / "m"


def written(folder: Path, entries: dict[str, str], shape: tuple[int, ...] = (4,), attribute: bool = False) -> Path:
    """x + w in a file, w in another one that `entries` tell of; as an initialiser or an attribute."""
    tensor = onnx.TensorProto(name="w", data_type=1, dims=shape, data_location=1)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    nodes = [node("Add", "x w", "y")]
    proto = model([node("Constant", "", "w", value=tensor), *nodes] if attribute else nodes, {"x": (1, 4)})
    proto.graph.initializer.extend([] if attribute else [tensor])
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


@pytest.mark.parametrize("attribute", [False, True])
@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "inner/w.bin", "inner//w.bin", "link", "inner/back/w.bin"])
def test_the_stated_bytes_are_read(folder: Path, location: str, attribute: bool) -> None:
    """Also through a symbolic link that stays in the folder."""
    (folder / "link").symlink_to("inner/w.bin")
    (folder / "inner" / "back").symlink_to(folder)
    for entries, first in (({}, 0), ({"offset": "8"}, 2), ({"offset": "16", "length": "16"}, 4)):
        file = written(folder, {"location": location, **entries}, attribute=attribute)
        expected = X + DATA[first : first + 4]
        for _ in range(2):  # the second time from the cache
            np.testing.assert_array_equal(cnncc.compile(file)(X), expected)


WAYS_OUT: dict[str, str] = {
    "above": "../secret.bin",
    "above from inside": "inner/../../secret.bin",
    "back again": "../m/w.bin",
    "absolute": "{}/m/w.bin",
    "process": "/proc/self/environ",
    "device": "/dev/zero",
    "link": "out",
    "link of a folder": "up/secret.bin",
    "link to a device": "zero",
    "pipe": "pipe",
    "folder": "inner",
    "nothing": "",
    "the folder itself": ".",
    "a zero byte": "w\0.bin",
    "missing": "absent.bin",
}


@pytest.mark.parametrize("attribute", [False, True])
@pytest.mark.parametrize("case", WAYS_OUT)
def test_no_way_leads_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch, case: str, attribute: bool) -> None:
    (folder / "out").symlink_to("../secret.bin")
    (folder / "up").symlink_to("..")
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    opened: list[object] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *more, **named: opened.append(path) or real(path, *more, **named))
    file = written(folder, {"location": WAYS_OUT[case].format(folder.parent)}, attribute=attribute)
    for function in (cnncc.compile, cnncc.load_graph):
        with pytest.raises(ModelError, match="tensor 'w': ") as error:
            function(file)
        assert "\n" not in str(error.value)
    assert not {"secret.bin", "/dev/zero", "zero", "environ"} & set(map(str, opened))


@pytest.mark.parametrize(
    ("entries", "shape"),
    [
        ({"offset": "-4"}, (4,)),
        ({"offset": "four"}, (4,)),
        ({"offset": "1e3"}, (4,)),
        ({"offset": "٣"}, (4,)),
        ({"offset": "20"}, (4,)),
        ({"offset": str(2**62)}, (4,)),
        ({"offset": "9" * 5000}, (4,)),
        ({"length": "-1"}, (4,)),
        ({"length": "12"}, (4,)),
        ({"length": str(2**62)}, (4,)),
        ({}, (9,)),
        ({}, (-4,)),
        ({}, (2**31, 2**31)),
        ({}, (2**29,)),
        ({}, (-(2**31),) * 100_000),  # their product has a million digits
    ],
)
def test_bytes_that_are_not_there(folder: Path, entries: dict[str, str], shape: tuple[int, ...]) -> None:
    file = written(folder, {"location": "w.bin", **entries}, shape)
    with pytest.raises(ModelError, match=r"tensor 'w'|is not an ONNX model that can be read|100000 axes"):
        cnncc.compile(file)


@pytest.fixture
def read_bytes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many bytes of other files were asked for."""
    total = [0]
    real = external.read_part

    def counted(place: Path, part: external.FileRange) -> bytes:
        total[0] += part.length
        return real(place, part)

    monkeypatch.setattr(external, "read_part", counted)
    return lambda: total[0]


def test_a_large_file_is_read_and_hashed_in_parts_only(folder: Path, read_bytes: Callable[[], int]) -> None:
    with (folder / "large.bin").open("wb") as stream:
        stream.truncate(40 << 30)
        stream.seek(39 << 30)
        stream.write(DATA.tobytes())
    file = written(folder, {"location": "large.bin", "offset": str(39 << 30)})
    for _ in range(2):
        np.testing.assert_array_equal(cnncc.compile(file)(X), X + DATA[:4])
    assert read_bytes() == 16


def test_other_bytes_of_a_file_do_not_matter_and_the_stated_ones_do(folder: Path) -> None:
    file = written(folder, {"location": "w.bin", "offset": "16"})
    cnncc.compile(file)
    known = sources.OnnxFile(file).hash
    (folder / "w.bin").write_bytes(np.concatenate([DATA[:4] * 2, DATA[4:]]).tobytes())
    assert sources.OnnxFile(file).hash == known
    (folder / "w.bin").write_bytes((DATA * 3).tobytes())
    np.testing.assert_array_equal(cnncc.compile(file)(X), X + DATA[4:] * 3)


def test_the_sum_of_all_parts_is_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many tensors may lie on the same bytes."""
    file = written(folder, {"location": "w.bin"})
    proto = onnx.load(file, load_external_data=False)
    for number in range(20):
        proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
        proto.graph.initializer[-1].name = f"w{number}"
    file.write_bytes(proto.SerializeToString())
    monkeypatch.setenv("CNNCC_CONSTANT_BYTES", "320")
    with pytest.raises(ModelError, match=r"other files have 336 bytes, and 320 may be read \(.* CNNCC_CONSTANT_BYTES"):
        cnncc.compile(file)
