"""Loading shared libraries by what their files hold: compiled anew, overwritten, moved, damaged."""

from __future__ import annotations

import dataclasses
import gc
import os
import pickle
import random
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnncc.errors import InputError, OutputError, TargetError
from cnncc.machine.target import TARGETS
from cnncc.native import host_target
from cnncc.objects import ELF
from cnncc.objects.elf import library
from cnncc.runtime import artefacts, image, reload, shared
from cnncc.runtime.model import Model
from cnncc.runtime.reload import load
from cnncc.runtime.seal import HEAD_BYTES, is_whole, seal, stated

from . import toy

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
X = toy.images()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """Libraries of one name whose models add another weight each; the last has weights of several blocks."""
    found = {}
    for weight in (1, 2, 3):
        folder = tmp_path_factory.mktemp("built")
        weights = np.full(800_000 if weight == 3 else 1, weight, np.float32).tobytes()
        executable = dataclasses.replace(toy.executable(), weights=weights)
        found[weight] = artefacts.write(executable, folder, ["so"])["so"].read_bytes()
    return found


def replaced(path: Path, data: bytes) -> None:
    """As `cnncc compile` does it."""
    (path.parent / "new").write_bytes(data)
    os.replace(path.parent / "new", path)


def overwritten(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def weight_of(model: Model) -> float:
    """What the model adds, by its answer."""
    answer = model(X) - toy.expected(X) + np.float32(toy.WEIGHT)
    assert np.ptp(answer) == 0
    return float(answer.flat[0])


@pytest.mark.parametrize("change", [replaced, overwritten])
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "dropped"])
def test_a_path_means_what_the_file_holds(
    tmp_path: Path, built: dict[int, bytes], change: Callable[[Path, bytes], None], keep: bool
) -> None:
    path, models = tmp_path / "toy.so", []
    for weight in (1, 2, 3, 2, 1, 1, 3):
        change(path, built[weight])
        model = load(path)
        assert weight_of(model) == weight
        models.append((weight, model))
        if not keep:
            models.clear()
    path.write_bytes(b"")  # under a mapping of the file itself, calls would end the process
    assert [weight_of(model) for _, model in models] == [weight for weight, _ in models]


def test_links_and_other_names(tmp_path: Path, built: dict[int, bytes]) -> None:
    for weight in (1, 2):
        (tmp_path / f"{weight}.so").write_bytes(built[weight])
    link = tmp_path / "link.so"
    for weight in (1, 2, 1):
        link.unlink(missing_ok=True)
        link.symlink_to(f"{weight}.so")
        assert weight_of(load(link)) == weight
    os.rename(tmp_path / "1.so", tmp_path / "3.so")
    os.rename(tmp_path / "2.so", tmp_path / "1.so")
    assert (weight_of(load(tmp_path / "1.so")), weight_of(load(tmp_path / "3.so"))) == (2, 1)


def test_the_same_content_is_loaded_once(tmp_path: Path, built: dict[int, bytes]) -> None:
    paths = [tmp_path / "a.so", tmp_path / "b.so"]
    for path in paths:
        path.write_bytes(built[3])
    first, second = map(load, paths)
    assert first._code is second._code
    del first
    gc.collect()
    assert weight_of(second) == 3


def test_the_same_digest_is_not_enough_to_be_the_same(tmp_path: Path, built: dict[int, bytes]) -> None:
    """Without the check a file may state the digest of another."""
    other = bytearray(built[2])
    place, mine = (other.find(_digest(built[2])), _digest(built[1]))
    other[place : place + len(mine)] = mine
    (tmp_path / "one.so").write_bytes(built[1])
    (tmp_path / "two.so").write_bytes(other)
    one, two = load(tmp_path / "one.so"), load(tmp_path / "two.so", verify=False)
    assert (weight_of(one), weight_of(two)) == (1, 2)


def _digest(data: bytes) -> bytes:
    found = stated(memoryview(data), library(data[:HEAD_BYTES], len(data)))
    assert found is not None
    return found


def _mapped() -> int:
    return Path("/proc/self/maps").read_text().count("unloaded_again")


def test_code_stays_as_long_as_something_may_run_it(tmp_path: Path, built: dict[int, bytes]) -> None:
    path = tmp_path / "unloaded_again.so"
    path.write_bytes(built[2])
    model: Model | None = load(path, threads=2)
    assert model is not None and _mapped()
    bound = model.bind(X)
    del model
    gc.collect()
    np.testing.assert_array_equal(bound(), toy.expected(X) - 1)
    del bound
    gc.collect()
    assert not _mapped()
    assert weight_of(load(path)) == 2


def test_descriptors_are_not_used_up(tmp_path: Path, built: dict[int, bytes]) -> None:
    path = tmp_path / "toy.so"
    path.write_bytes(built[1])
    load(path)
    before = len(os.listdir("/proc/self/fd"))
    for weight in (2, 1) * 10:
        replaced(path, built[weight])
        load(path)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_threads_load_at_once(tmp_path: Path, built: dict[int, bytes]) -> None:
    found: list[tuple[int, float]] = []

    def work(number: int) -> None:
        for turn in range(10):
            weight = (number + turn) % 3 + 1
            path = tmp_path / f"{number}.so"
            replaced_by = tmp_path / f"{number}.new"
            replaced_by.write_bytes(built[weight])
            os.replace(replaced_by, path)
            found.append((weight, weight_of(load(path))))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40 and all(weight == got for weight, got in found)


def test_a_fork_loads_for_itself(tmp_path: Path, built: dict[int, bytes]) -> None:
    path = tmp_path / "toy.so"
    path.write_bytes(built[1])
    model = load(path, threads=2)
    child = os.fork()
    if child == 0:
        try:
            replaced(path, built[2])
            os._exit(0 if (weight_of(model), weight_of(load(path))) == (1, 2) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (weight_of(model), weight_of(load(path))) == (1, 2)


def test_systems_without_files_in_memory(
    tmp_path: Path, built: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    monkeypatch.setattr(image.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for weight in (1, 2, 3):
        (tmp_path / "toy.so").write_bytes(built[weight])
        assert weight_of(load(tmp_path / "toy.so")) == weight
    assert not list((tmp_path / "temporary").iterdir())


def test_a_pickled_model_is_loaded_again(tmp_path: Path, built: dict[int, bytes]) -> None:
    path = tmp_path / "toy.so"
    path.write_bytes(built[1])
    for verify in (True, False):
        text = pickle.dumps(load(path, verify=verify))
        assert weight_of(pickle.loads(text)) == 1


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A library with one flipped bit, some other bytes, a block of zeros or of others, or the end cut off."""
    changed, place = bytearray(data), chance.randrange(len(data))
    kind = chance.choice(["bit", "bit", "head", "bytes", "zeros", "noise", "cut", "swap"])
    if kind == "bit":
        changed[place] ^= 1 << chance.randrange(8)
    elif kind == "head":
        changed[chance.randrange(64 + 56 * 8)] ^= 1 << chance.randrange(8)
    elif kind == "bytes":
        for _ in range(chance.choice([2, 5, 50])):
            changed[chance.randrange(len(data))] = chance.randrange(256)
    elif kind == "cut":
        del changed[place:]
    else:
        size = min(chance.choice([4, 64, 4096]), len(data) - place)
        other = chance.randrange(len(data) - size)
        new = {"zeros": bytes(size), "noise": chance.randbytes(size), "swap": bytes(data[other : other + size])}
        changed[place : place + size] = new[kind]
    return bytes(changed)


@pytest.mark.parametrize(("weight", "count"), [(1, 500), (3, 60)])
def test_damage_is_found_before_code_runs(tmp_path: Path, built: dict[int, bytes], weight: int, count: int) -> None:
    """What loads has the same bytes wherever the system's loader reads."""
    chance, whole, path, loaded = random.Random(weight), built[weight], tmp_path / "toy.so", 0
    parts = library(whole[:HEAD_BYTES], len(whole))
    for _ in range(count):
        data = damaged(whole, chance)
        path.write_bytes(data)
        try:
            model = load(path)
        except InputError as error:
            assert data != whole and str(path) in str(error)
        else:
            loaded += 1
            assert weight_of(model) == weight
            head = bytearray(data[:64])
            for start, size in parts.unread:
                head[start : start + size] = whole[start : start + size]
            now = bytes(head) + data[64:]
            assert all(now[start : start + size] == whole[start : start + size] for start, size in parts.loaded)
    assert loaded < count / 2 or weight == 1


def test_a_bit_in_each_part_is_found(tmp_path: Path, built: dict[int, bytes]) -> None:
    """The first, a middle and the last byte of everything that is loaded, and each byte of the tables."""
    whole = built[1]
    parts, path = library(whole[:HEAD_BYTES], len(whole)), tmp_path / "toy.so"
    unread = {place for start, size in parts.unread for place in range(start, start + size)}
    places = {place for start, size in parts.tables for place in range(start, start + size)}
    for start, size in parts.loaded:
        places |= {start, start + size // 3, start + size // 2, start + size - 1}
    for place in sorted(places - unread):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with pytest.raises(InputError):
            load(path)


def test_what_nobody_loads_may_change(tmp_path: Path, built: dict[int, bytes]) -> None:
    path = tmp_path / "toy.so"
    path.write_bytes(built[2] + b"a signature")
    assert weight_of(load(path)) == 2
    for tool in ("strip", "llvm-strip"):
        if shutil.which(tool):
            path.write_bytes(built[2])
            subprocess.run([tool, path], check=True)
            assert weight_of(load(path)) == 2


def test_damage_is_said_in_a_sentence(tmp_path: Path, built: dict[int, bytes]) -> None:
    path, whole = tmp_path / "toy.so", built[3]
    path.write_bytes(whole[:2_000_000] + b"\1" + whole[2_000_001:])
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value) == f"'{path}' is damaged: what it holds is not what its digest was made of"
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"is not a shared library written by cnncc: the file is cut short$"):
        load(path)


def test_the_check_can_be_left_out(tmp_path: Path, built: dict[int, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    path, whole = tmp_path / "toy.so", built[3]
    path.write_bytes(whole[:2_000_000] + b"\1" + whole[2_000_001:])

    def never(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(reload, "is_whole", never)
    assert weight_of(load(path, verify=False)) == 3  # the toy reads only the first of its weights


def test_a_library_without_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As older versions wrote them."""
    monkeypatch.setattr(shared, "seal_object", lambda _: ELF.data_object("nothing", b"", host_target()))
    monkeypatch.setattr(shared, "seal", lambda _: None)
    path = artefacts.write(toy.executable(), tmp_path, ["so"])["so"]
    with pytest.raises(InputError, match=r"it has no digest, .*compile it again, or load it with verify=False"):
        load(path)
    assert weight_of(load(path, verify=False)) == toy.WEIGHT


def test_a_linker_that_drops_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "seal_object", lambda _: ELF.data_object("nothing", b"", host_target()))
    with pytest.raises(OutputError, match="made a library that cannot be loaded: it has no note for the digest"):
        artefacts.write(toy.executable(), tmp_path / "new", ["so"])
    assert not (tmp_path / "new").exists()


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-gcc") is None, reason="no cross compiler")
def test_libraries_for_other_processors_are_sealed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "aarch64-linux-gnu-gcc")
    path = artefacts.write(toy.executable(target=TARGETS["aarch64"]), tmp_path, ["so"])["so"]
    data = bytearray(path.read_bytes())
    assert is_whole(memoryview(data), library(bytes(data[:HEAD_BYTES]), len(data)))
    again = path.read_bytes()
    seal(path)
    assert path.read_bytes() == again
    if host_target().architecture != "aarch64":
        with pytest.raises(TargetError, match=f"^this machine cannot run '{path}', compiled for another processor$"):
            load(path)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.so")
    for path in (tmp_path, tmp_path / "pipe.so", Path("/dev/zero")):
        with pytest.raises(InputError, match=f"^cannot read '{path}': it is not a file$"):
            load(path)
    sparse = tmp_path / "sparse.so"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="not a little-endian ELF file"):
        load(sparse)


def test_a_file_that_would_take_all_memory(tmp_path: Path, built: dict[int, bytes]) -> None:
    """A sparse file whose tables tell of 1 TB."""
    data = bytearray(built[1])
    stride, count = data[54], data[56]
    for segment in range(64, 64 + stride * count, stride):
        if data[segment] == 1 and data[segment + 4] == 5:  # the loaded one with code: its size in the file
            data[segment + 32 : segment + 40] = (1 << 40).to_bytes(8, "little")
    path = tmp_path / "sparse.so"
    path.write_bytes(data)
    os.truncate(path, (1 << 40) + (1 << 20))
    with pytest.raises(InputError, match=r"1,099,511,\d\d\d,\d\d\d bytes would be loaded, at most 4,294,967,295 are$"):
        load(path)
