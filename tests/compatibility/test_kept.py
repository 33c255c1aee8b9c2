"""Files of earlier versions, which `make.py` made: each is read as ever, or refused in a sentence that stands here.

What stays for how long is told in `cnncc/runtime/README.md`. If a change breaks one of these tests, it needs another
number (ABI, checkpoint, plan, document) and files of its own here; those of before are then refused.
"""

from __future__ import annotations

import base64
import ctypes
import json
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import abi, nn
from cnncc.cache import store
from cnncc.cli import main
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import UsageError
from cnncc.native import load_object
from cnncc.plan import saved
from cnncc.runtime.executable import Executable
from cnncc.runtime.header import header
from cnncc.runtime.manifest import describe_library, restore_library, to_json
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.cli.test_json import compare_kept

from .make import TARGET, TINY, TRAINING, data, public

KEPT = Path(__file__).parent / "kept"
RELEASE, FIRST = KEPT / "0.1.0", KEPT / "abi1"
needs_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the kept objects are of x86-64")


def content(file: Path) -> bytes:
    return base64.b64decode(file.with_name(f"{file.name}.base64").read_bytes())


def unpacked(file: Path, folder: Path) -> Path:
    (folder / file.name).write_bytes(content(file))
    return folder / file.name


def array(name: str, folder: Path) -> Array:
    found: Array = np.load(unpacked(RELEASE / name, folder))
    return found


def network() -> nn.Model:
    names: dict[str, Any] = {}
    exec(TINY, names)
    found: nn.Model = names["model"]
    return found


def kept_executable(tmp_path: Path) -> Executable:
    """The program of 0.1.0, from its manifest, its object and the section of its weights."""
    manifest = json.loads((RELEASE / "tiny.json").read_text())
    weights = load_object(content(RELEASE / "tiny_weights.o"))
    raw = ctypes.string_at(weights.address(manifest["weights_symbol"]), manifest["weights_bytes"])
    (executable,) = restore_library(manifest, [content(RELEASE / "tiny.o")], raw)
    return executable


def test_public_names_and_their_arguments() -> None:
    """There may be more of them."""
    today = public()
    for name, arguments in json.loads((RELEASE / "names.json").read_text()).items():
        assert name in today and set(arguments) <= set(today[name]), name


# ABI: objects, headers, manifests


@needs_x86
def test_an_object_of_the_release_runs(tmp_path: Path) -> None:
    with Model(kept_executable(tmp_path)) as model:
        found = model(array("x.npy", tmp_path))
    np.testing.assert_allclose(found, array("y.npy", tmp_path), rtol=1e-5, atol=1e-6)


@needs_x86
def test_an_object_of_abi_1_refuses_each_call() -> None:
    code = load_object(content(FIRST / "tiny.o"))
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(code.address("tiny_run"))
    call = (ctypes.c_uint32 * 64)(abi.VERSION)  # whose pointers are null: code of another ABI may follow none
    assert run(ctypes.addressof(call)) == abi.ErrorCode.WRONG_ABI


@needs_x86
def test_a_caller_of_abi_1_is_refused(tmp_path: Path) -> None:
    """Its call begins with its number as well, and nothing else of it is read."""
    code = load_object(kept_executable(tmp_path).object)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(code.address("tiny_run"))
    number = ctypes.c_uint32(1)
    assert run(ctypes.addressof(number)) == abi.ErrorCode.WRONG_ABI


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_headers_of_two_abis_do_not_go_together(tmp_path: Path) -> None:
    (tmp_path / "both.c").write_text(f'#include "{RELEASE}/tiny.h"\n#undef CNNCC_TINY_H\n#include "{FIRST}/tiny.h"\n')
    done = subprocess.run(["cc", "-fsyntax-only", tmp_path / "both.c"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "this header needs version 1 of the cnncc ABI" in done.stderr


def declared(text: str) -> str:
    """What a header says of the ABI, without comments."""
    found = re.search(r"#ifndef CNNCC_ABI\n.*?#endif", text, re.DOTALL)
    assert found
    return re.sub(r"/\*.*?\*/|\s+", " ", found[0], flags=re.DOTALL)


def test_the_same_number_is_the_same_abi() -> None:
    """The call, its fields and the errors are those of the release with this number."""
    now = header(Compilation(cnncc.load_graph(network()), Options(resolve_target(TARGET))).build())
    assert declared(now) == declared((RELEASE / "tiny.h").read_text())


def test_a_manifest_of_the_release() -> None:
    text = (RELEASE / "tiny.json").read_text()
    (executable,) = restore_library(json.loads(text))
    assert (executable.name, executable.fingerprint) == ("tiny", json.loads(text)["fingerprint"])
    today = describe_library([executable])
    unlike = {name for name, value in json.loads(text).items() if json.loads(to_json(today)).get(name, value) != value}
    assert unlike <= {"code_bytes", "weights_bytes"}  # of which nothing was given


@pytest.mark.parametrize("number", [1, 3])
def test_a_manifest_of_another_abi(number: int) -> None:
    manifest = json.loads((FIRST / "tiny.json").read_text()) | {"abi": number}
    with pytest.raises(ValueError, match=f"^the manifest is not of ABI version {abi.VERSION}$"):
        restore_library(manifest)


def test_fields_of_a_newer_manifest_are_skipped() -> None:
    manifest = json.loads((RELEASE / "tiny.json").read_text())
    assert restore_library(manifest | {"news": 1}) == restore_library(manifest)


def test_weights_for_code_of_abi_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.py").write_text(TINY)
    manifest = FIRST / "tiny.json"
    assert main(["weights", str(tmp_path / "tiny.py"), "-o", str(tmp_path / "w"), "--for", str(manifest)]) == 2
    told = f"cnncc: '{manifest}' is no manifest of one program: expected the .json that cnncc compile wrote\n"
    assert capsys.readouterr().err == told


# Plans, checkpoints, weights, documents, the cache


def test_a_plan_of_the_release(tmp_path: Path) -> None:
    target = resolve_target(TARGET)
    options = saved.load(RELEASE / "plan.json", target)
    compilation = Compilation(cnncc.load_graph(network()), Options(target, plan=options))
    asked = json.loads((RELEASE / "plan.json").read_text())["choices"]
    assert saved.describe(compilation.plan, options)["choices"] == asked


PLANS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "of an option that is gone": (
        lambda _: json.loads((FIRST / "plan.json").read_text()),
        "unknown option 'border_limit': expected some of streaming, ",
    ),
    "of a newer version": (lambda plan: plan | {"cnncc plan": 2}, 'expected "cnncc plan": 1, got 2'),
    "of a newer option": (
        lambda plan: plan | {"options": {"news": 1}},
        "unknown option 'news': expected some of streaming, ",
    ),
}


@pytest.mark.parametrize("case", PLANS)
def test_a_plan_that_is_refused(case: str, tmp_path: Path) -> None:
    change, sentence = PLANS[case]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(change(json.loads((RELEASE / "plan.json").read_text()))))
    with pytest.raises(UsageError, match="^" + re.escape(f"plan '{file}': {sentence}")):
        saved.load(file, resolve_target(TARGET))


def trained(**how: Any) -> nn.Model:
    x, y = data()
    found = network()
    found.fit(x, y, **TRAINING, progress=lambda _: None, **how)
    return found


def test_a_checkpoint_of_the_release_goes_on(tmp_path: Path) -> None:
    """To where training that was never interrupted ends, but for the roundings of another machine."""
    resumed = trained(checkpoint=unpacked(RELEASE / "checkpoint.npz", tmp_path), resume=True)
    whole = trained()
    for name, weights in whole.weights.items():
        np.testing.assert_allclose(resumed.weights[name], weights, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_version_1(tmp_path: Path) -> None:
    file = unpacked(FIRST / "checkpoint.npz", tmp_path)
    with pytest.raises(UsageError, match=f"^checkpoint '{file}' is of version 1, expected 3$"):
        trained(checkpoint=file, resume=True)


@pytest.mark.parametrize("version", [RELEASE, FIRST], ids=lambda path: path.name)
def test_weights_of_every_version(version: Path, tmp_path: Path) -> None:
    """They have no version: arrays by name."""
    found = network()
    found.load(unpacked(version / "weights.npz", tmp_path))
    for name, weights in network().weights.items():
        np.testing.assert_array_equal(found.weights[name], weights)


@pytest.mark.parametrize("file", sorted(RELEASE.glob("*.document.json")), ids=lambda file: file.name)
def test_documents_keep_their_fields(file: Path) -> None:
    """What a reader of the release knows is still there, with its type."""
    compare_kept(file.name.partition(".")[0], json.loads(file.read_text()))


def test_entries_of_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They count as none, and are replaced."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path))
    store.write("key", b"data", "label")
    (entry,) = (tmp_path / "v1").iterdir()
    entry.write_bytes(entry.read_bytes().replace(b"cnncc store 3", b"cnncc store 2"))
    assert store.read("key") is None
    store.write("key", b"data", "label")
    assert bytes(store.read("key") or b"") == b"data"
