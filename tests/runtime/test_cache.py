"""The cache on disk: what it gives back, what it refuses to believe, and that it never fails a compile."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from cnncc.cache import models as cache
from cnncc.cache import store
from cnncc.cache.identity import source_lines
from cnncc.runtime.manifest import describe, restore
from cnncc.runtime.model import Model

from . import toy


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "v1").iterdir())


@pytest.fixture
def entry(private_cache: Path) -> Path:
    """The one file of a cache that holds a toy under 'key'."""
    cache.store("key", toy.executable())
    (path,) = entries(private_cache)
    return path


def test_an_executable_comes_back_whole(private_cache: Path) -> None:
    stored = toy.executable(n_in=2, n_out=3, fault=1)
    assert cache.load("key") is None
    cache.store("key", stored)
    assert cache.load("key") == stored
    assert cache.load("other key") is None


def test_what_comes_back_runs(private_cache: Path) -> None:
    cache.store("key", toy.executable())
    again = cache.load("key")
    assert again is not None
    np.testing.assert_array_equal(Model(again)(toy.images()), toy.expected(toy.images()))


def test_only_the_user_can_read_it(entry: Path) -> None:
    assert stat.S_IMODE(entry.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600


@pytest.mark.parametrize("place", [0, 20, 50, 90, 500, -1])
def test_a_changed_byte_is_noticed_and_replaced(entry: Path, place: int) -> None:
    data = bytearray(entry.read_bytes())
    data[place] ^= 1
    entry.write_bytes(data)
    assert cache.load("key") is None
    cache.store("key", toy.executable())
    assert cache.load("key") == toy.executable()


@pytest.mark.parametrize("size", [0, 1, 60, 300, 1500])
def test_a_short_file_is_noticed(entry: Path, size: int) -> None:
    entry.write_bytes(entry.read_bytes()[:size])
    assert cache.load("key") is None


MIB = 1 << 20


@pytest.mark.parametrize("place", [0, MIB - 1, MIB, 2 * MIB + 77, 3 * MIB + 9])
def test_a_changed_byte_of_a_large_entry_is_noticed(private_cache: Path, place: int) -> None:
    data = bytes(range(256)) * (12 * 1024) + b"the end..."
    store.write("key", data, "label")
    found = store.read("key")
    assert found == data and np.frombuffer(found, np.uint8).ctypes.data % 64 == 0
    (path,) = entries(private_cache)
    content = bytearray(path.read_bytes())
    content[128 + place] ^= 64
    path.write_bytes(content)
    assert store.read("key") is None


def test_blocks_that_changed_places_are_noticed(private_cache: Path) -> None:
    first, second = b"a" * MIB, b"b" * MIB
    store.write("key", first + first + second, "label")
    (path,) = entries(private_cache)
    path.write_bytes(path.read_bytes()[:128] + first + second + first)
    assert store.read("key") is None


def test_an_entry_under_another_name_is_noticed(entry: Path) -> None:
    cache.store("other", toy.executable(7))
    (other,) = set(entries(entry.parent.parent)) - {entry}
    other.replace(entry)
    assert cache.load("key") is None


@pytest.mark.parametrize("header", [b"", b"[]", b"{}", b"null", b'{"object_bytes": 3}', b"\xff"])
@pytest.mark.parametrize("size", [None, 0, 2, 2**32 - 1])
def test_a_strange_header_is_ignored(private_cache: Path, header: bytes, size: int | None) -> None:
    length = len(header) if size is None else size
    store.write("key", length.to_bytes(4, "little") + header + b"object", "label")
    assert store.read("key") is not None
    assert cache.load("key") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_may_touch_is_ignored(entry: Path, mode: int) -> None:
    entry.chmod(mode)
    assert cache.load("key") is None


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_folder_that_others_may_touch_is_ignored(entry: Path, mode: int) -> None:
    entry.parent.chmod(mode)
    assert cache.load("key") is None
    cache.store("second", toy.executable())
    assert len(list(entry.parent.iterdir())) == 1


def test_another_users_folder_is_ignored(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.load("key") is None


def test_links_are_not_followed(entry: Path) -> None:
    target = entry.rename(entry.parent.parent / "elsewhere")
    entry.symlink_to(target)
    assert cache.load("key") is None
    cache.store("key", toy.executable())
    assert not entry.is_symlink() and cache.load("key") == toy.executable()
    folder = entry.parent.rename(entry.parent.parent / "real")
    entry.parent.symlink_to(folder)
    assert cache.load("key") is None


def test_too_little_for_a_header_is_ignored(private_cache: Path) -> None:
    store.write("key", b"xyz", "label")
    assert store.read("key") == b"xyz" and cache.load("key") is None


def test_a_pipe_does_not_block(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry, 0o600)
    assert cache.load("key") is None


def test_a_folder_that_cannot_be_made_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "file" / "below"))
    cache.store("key", toy.executable())
    assert cache.load("key") is None


def test_it_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    cache.store("key", toy.executable())
    assert cache.load("key") is None and store.folder() is None and not list(tmp_path.iterdir())


def test_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNNCC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.folder() == tmp_path / "xdg" / "cnncc" / "v1"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.folder() == tmp_path / ".cache" / "cnncc" / "v1"


def test_the_least_recently_used_go_first(private_cache: Path) -> None:
    store.set_limit(3500)
    for name in "abc":
        store.write(name, name.encode() * 1000, "label")
        _age(private_cache)
    assert store.read("a") == b"a" * 1000  # used just now, so that `b` is the oldest
    store.write("d", b"d" * 1000, "label")
    assert [store.read(name) is not None for name in "abcd"] == [True, False, True, True]
    store.write("e", b"e" * 4000, "label")  # larger than all: not kept
    assert store.read("e") is None


def _age(folder: Path) -> None:
    for path in entries(folder):
        age = path.stat().st_mtime - 10
        os.utime(path, (age, age))


def test_manifests_of_another_abi_are_refused() -> None:
    manifest = json.loads(json.dumps(describe(toy.executable())))
    with pytest.raises(ValueError, match="not of ABI version 2"):
        restore(manifest | {"abi": 1})
    del manifest["steps"]
    with pytest.raises(ValueError, match="incomplete: 'steps'"):
        restore(manifest)


def test_each_source_of_the_compiler_counts() -> None:
    root = Path(__file__).resolve().parents[2]
    sources = [file for folder in ("cnncc", "frontends", "passes") for file in (root / folder).rglob("*.py")]
    assert sorted(line.split()[1] for line in source_lines()) == sorted(str(file.stat().st_size) for file in sources)


def test_what_is_stored_can_be_listed_and_cleared(private_cache: Path) -> None:
    assert store.entries() == [] and store.clear() == 0
    store.write("a", b"a" * 100, "first " + "é" * 60)
    _age(private_cache)
    store.write("b", b"b" * 10, "second\n")
    store.set_limit(5000)
    last, first = store.entries()
    assert (last.label, last.bytes, first.bytes) == ("second", 138, 228)
    assert first.label == "first " + "é" * 22 and first.used < last.used
    assert store.read("a") == b"a" * 100  # although its label is cut
    assert store.clear() == 366
    assert (store.entries(), store.read("a"), store.limit()) == ([], None, 5000)


def test_a_limit_that_is_damaged_is_the_default(private_cache: Path) -> None:
    store.set_limit(77)
    (path,) = entries(private_cache)
    path.write_bytes(path.read_bytes() + b"7")
    assert store.limit() == store.LIMIT
    path.parent.chmod(0o755)
    assert not store.set_limit(5) and store.entries() == []
