"""ONNX files that the cache knows: nobody reads what is in them, and whatever is different is noticed."""

from __future__ import annotations

import json
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

import cnncc
from cnncc.cache import identity, sources, store
from cnncc.cache.sources import OnnxFile
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import CnnccError, ModelError
from cnncc.frontends.onnx import importer
from cnncc.types import Array

from .making import data
from .support import model, node

X = data(1, 3, 8, 8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own; entries stand in `v1` below it."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path, cache: Path) -> Path:
    return written(tmp_path / "net.onnx", 1.0)


def proto(scale: float, shape: tuple[int | str, ...] = (1, 3, 8, 8)) -> onnx.ModelProto:
    nodes = [node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")]
    return model(nodes, {"x": shape}, weights={"w": scale * data(4, 3, 3, 3), "b": data(4)})


def written(file: Path, scale: float, weights: str | None = None) -> Path:
    """A convolution in a file, its weights in another one if that has a name."""
    onnx.save(proto(scale), file, save_as_external_data=weights is not None, location=weights, size_threshold=0)
    return file


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "v1").iterdir())


def fresh(file: Path, x: Array = X) -> Array:
    """What a compiler that knows nothing makes of a file."""
    return np.asarray(cnncc.compile(file, cache=False)(x))


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files that are imported from now on."""
    names: list[str] = []
    imported = importer.imported

    def noted(file: Path, *arguments: object) -> object:
        names.append(file.name)
        return imported(file, *arguments)

    monkeypatch.setattr(importer, "imported", noted)
    yield names


def test_the_second_time_nothing_is_imported_and_the_bits_are_the_same(file: Path, imports: list[str]) -> None:
    first, second = cnncc.compile(file), cnncc.compile(file)
    assert imports == ["net.onnx"]
    assert first.executable == second.executable
    np.testing.assert_array_equal(first(X), fresh(file))
    np.testing.assert_array_equal(second(X), fresh(file))


def test_weights_from_the_cache_are_not_copied(file: Path) -> None:
    cnncc.compile(file).close()
    with cnncc.compile(file) as model:
        assert isinstance(model.executable.weights, memoryview) and model.executable.weights.readonly
        assert np.shares_memory(model._weights, np.frombuffer(model.executable.weights, np.uint8))


SCRIPT = """
import sys, cnncc
model = cnncc.compile(sys.argv[1])
print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("onnx", "networkx", "cnncc")))
"""


def test_a_hit_needs_no_front_end_and_no_middle_one(file: Path) -> None:
    cnncc.compile(file)
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(file)], capture_output=True, text=True, check=True)
    heavy = ("onnx", "networkx", "cnncc.ir", "cnncc.op", "cnncc.frontends.", "cnncc.passes.", "cnncc.codegen.")
    assert [name for name in done.stdout.split() if name.startswith(heavy)] == []


def test_another_content_is_another_model(file: Path, imports: list[str]) -> None:
    first = cnncc.compile(file)(X)
    before = file.stat()
    written(file, 2.0)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    second = cnncc.compile(file)(X)
    assert len(imports) == 2 and not np.array_equal(first, second)
    np.testing.assert_array_equal(second, fresh(file))
    written(file, 1.0)
    np.testing.assert_array_equal(cnncc.compile(file)(X), first)


def test_weights_in_another_file_count(tmp_path: Path, cache: Path, imports: list[str]) -> None:
    file = written(tmp_path / "net.onnx", 1.0, "w.bin")
    first, weights = cnncc.compile(file)(X), (tmp_path / "w.bin").read_bytes()
    np.testing.assert_array_equal(cnncc.compile(file)(X), first)
    assert len(imports) == 1
    (tmp_path / "w.bin").write_bytes(np.frombuffer(weights, np.float32).__mul__(np.float32(2)).tobytes())
    second = cnncc.compile(file)(X)
    assert len(imports) == 2
    np.testing.assert_array_equal(second, fresh(file))
    assert not np.array_equal(first, second)
    (tmp_path / "w.bin").write_bytes(weights)
    np.testing.assert_array_equal(cnncc.compile(file)(X), first)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match="is not an ONNX model that can be read"):
        cnncc.compile(file)


def test_weights_that_change_while_they_are_read_are_not_remembered(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "net.onnx", 1.0, "w.bin")
    imported = importer.imported

    def interrupted(*arguments: object) -> object:
        graph = imported(*arguments)
        (tmp_path / "w.bin").write_bytes(bytes((tmp_path / "w.bin").stat().st_size))
        return graph

    monkeypatch.setattr(importer, "imported", interrupted)
    first = OnnxFile(file).hash
    monkeypatch.setattr(importer, "imported", imported)
    assert not cache.exists()
    assert OnnxFile(file).hash == OnnxFile(file).graph.hash != first


def test_the_name_of_the_file_counts(file: Path) -> None:
    first = cnncc.compile(file).executable
    second = cnncc.compile(file.rename(file.with_name("other.onnx"))).executable
    assert (first.symbol, second.symbol) == ("net", "other")


def test_given_shapes_count(tmp_path: Path, cache: Path, imports: list[str]) -> None:
    file = tmp_path / "open.onnx"
    onnx.save(proto(1.0, (1, 3, "h", "w")), file)
    for _ in range(2):
        for size in (6, 9):
            y = cnncc.compile(file, shapes={"x": (1, 3, size, size)})(data(1, 3, size, size))
            assert y.shape == (1, 4, size, size)
    assert len(imports) == 2
    for shapes in (None, {"x": (1, 3, 6)}, {"z": (1,)}, {"x": 3}, {"x": (1, 3, 6.0, 6)}, {"x": (1, 3, 0, 6)}):
        with pytest.raises((CnnccError, TypeError)) as compiled:
            cnncc.compile(file, shapes=shapes)
        with pytest.raises((CnnccError, TypeError)) as loaded:
            cnncc.load_graph(file, shapes)
        assert (compiled.type, str(compiled.value)) == (loaded.type, str(loaded.value))


def test_options_count(file: Path, imports: list[str]) -> None:
    """The graph is known, the code is not: each of these is compiled once."""
    variants = ({}, {"precision": "strict"}, {"off": ("fuse",)}, {"checked": True}, {"target": "x86-64-v2"})
    keys = set()
    for variant in variants:
        options = Options(resolve_target(variant.pop("target", "host")), **variant)
        for _ in range(2):
            compilation = Compilation(OnnxFile(file), options)
            compilation.executable()
            keys.add(compilation.key)
    assert len(keys) == len(imports) == len(variants)


def test_the_compiler_counts(file: Path, imports: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cnncc.compile(file)
    for module in (sources, sys.modules["cnncc.compiler"]):
        monkeypatch.setattr(module, "compiler_identity", lambda: identity.compiler_identity() + " of tomorrow")
    cnncc.compile(file)
    assert len(imports) == 2


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:200], lambda b: b[:-1], lambda b: b[:-9] + b"\0" * 9])
def test_damaged_entries_are_made_again(file: Path, cache: Path, damage: object) -> None:
    y = cnncc.compile(file)(X)
    before = entries(cache)
    for entry in before:
        entry.write_bytes(damage(entry.read_bytes()))
    np.testing.assert_array_equal(cnncc.compile(file)(X), y)
    assert entries(cache) == before
    np.testing.assert_array_equal(cnncc.compile(file)(X), y)


@pytest.mark.parametrize("memory", [b"", b"[]", b"{}", b"null", b'{"graph": 1}', b'{"graph": "", "files": 3}'])
def test_nonsense_under_the_right_digest_is_imported_again(
    file: Path, imports: list[str], monkeypatch: pytest.MonkeyPatch, memory: bytes
) -> None:
    write = store.write
    monkeypatch.setattr(store, "write", lambda key, data, label: write(key, memory, label))
    expected = OnnxFile(file).hash
    assert OnnxFile(file).hash == expected and len(imports) == 2


def test_the_graph_behind_a_hit_is_the_same(file: Path, imports: list[str]) -> None:
    """Also if the file has gone since."""
    options = Options(resolve_target("host"))
    first = Compilation(OnnxFile(file), options)
    first.executable()
    second = Compilation(OnnxFile(file), options)
    second.executable()
    file.unlink()
    assert len(imports) == 1
    assert (second.symbol, second.graph.hash, second.llvm) == (first.symbol, first.graph.hash, first.llvm)


def test_a_hit_can_be_pickled(file: Path) -> None:
    cnncc.compile(file)
    model = cnncc.compile(file)
    file.unlink()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again(X), model(X))


def test_a_graph_that_is_no_longer_that_of_the_code_is_refused(tmp_path: Path, cache: Path) -> None:
    file = written(tmp_path / "net.onnx", 1.0, "w.bin")
    cnncc.compile(file)
    known = OnnxFile(file)
    assert known.hash
    (tmp_path / "w.bin").write_bytes(bytes((tmp_path / "w.bin").stat().st_size))
    with pytest.raises(ModelError, match=r"weights of '.*net\.onnx' have changed since it was compiled"):
        _ = known.graph


def test_processes_at_once(file: Path, cache: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys, cnncc; print(hash(bytes(cnncc.compile(sys.argv[1]).executable.object)))",
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    started = [subprocess.Popen([*command, str(file)], stdout=subprocess.PIPE, env=environment) for _ in range(3)]
    answers = {process.communicate()[0] for process in started}
    assert len(answers) == 1 and all(process.returncode == 0 for process in started)
    assert all(len(entry.name) == 64 and stat.S_IMODE(entry.stat().st_mode) == 0o600 for entry in entries(cache))
    assert len(entries(cache)) == 3  # what the file's graph is, its code, and the shim


def test_a_folder_that_cannot_be_written_is_read(
    file: Path, cache: Path, imports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    y = cnncc.compile(file)(X)
    written(other := file.with_name("other.onnx"), 3.0)
    before = entries(cache)

    def refused(*arguments: object, **named: object) -> None:
        raise OSError(30, "Read-only file system")

    for name in ("utime", "rename", "unlink", "mkdir"):
        monkeypatch.setattr(os, name, refused)
    opened = os.open
    monkeypatch.setattr(
        os, "open", lambda p, flags, *a, **k: (refused if flags & os.O_CREAT else opened)(p, flags, *a, **k)
    )
    np.testing.assert_array_equal(cnncc.compile(file)(X), y)
    assert imports == ["net.onnx"]
    np.testing.assert_array_equal(cnncc.compile(other)(X), fresh(other))
    assert entries(cache) == before


def test_pipes_are_not_read(tmp_path: Path, cache: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match=r"pipe\.onnx' is not a file"):
        cnncc.compile(tmp_path / "pipe.onnx")


def test_what_is_remembered_names_files_and_their_digests(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bytes] = []
    monkeypatch.setattr(store, "write", lambda key, data, label: told.append(data))
    found = OnnxFile(written(tmp_path / "net.onnx", 1.0, "w.bin"))
    assert found.hash
    (content,) = map(json.loads, told)
    assert content["graph"] == found.graph.hash and list(content["files"]) == ["w.bin"]
