"""Places that cannot be written to: one sentence, the right exit code, and files stay whole or as they were."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import DIGITS, Cli, fails, listing


@pytest.mark.parametrize("below", ["file", "file/deeper", "file/deeper/still"])
def test_folder_that_cannot_be_made(cli: Cli, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / below
    before = listing(tmp_path)
    result = cli("compile", DIGITS, "-o", folder)
    assert result.code == 5
    assert result.err.startswith(f"cnncc: cannot write to '{folder}': ")
    assert listing(tmp_path) == before


@pytest.mark.parametrize(("number", "reason"), [(13, "Permission denied"), (30, "Read-only file system")])
def test_folder_that_takes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    """Whoever runs the tests may write everywhere, so the system's refusal is played."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, reason)

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    fails(cli, tmp_path, 5, f"cannot write to '{tmp_path}': {reason}", "compile", DIGITS, "-o", tmp_path)


def test_folder_on_a_full_disk(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write(path: Path, data: bytes) -> int:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path.name)
        with path.open("wb") as stream:
            return stream.write(data)

    monkeypatch.setattr(Path, "write_bytes", write)
    folder = tmp_path / "a" / "b"
    message = f"cannot write to '{folder}': No space left on device"
    fails(cli, tmp_path, 5, message, "compile", DIGITS, "-o", folder, "--no-cache")
    assert len(written) == 2


def test_outputs_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "y.npy").mkdir()
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    for output, reason in (
        (tmp_path / "file" / "y.npy", "Not a directory"),
        (tmp_path / "none" / "y.npy", "No such file or directory"),
        (tmp_path / "y.npy", "it is a folder"),
    ):
        fails(cli, tmp_path, 5, f"cannot write '{output}': {reason}", "run", DIGITS, tmp_path / "x.npy", "-o", output)


def test_a_file_is_replaced_whole_or_not_at_all(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    output = tmp_path / "y.npy"
    output.write_text("the old one")

    def full(stream: Any, *_: Any, **__: Any) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        fails(
            cli,
            tmp_path,
            5,
            f"cannot write '{output}': No space left on device",
            "run",
            DIGITS,
            tmp_path / "x.npy",
            "-o",
            output,
        )
    assert output.read_text() == "the old one"


def test_shared_library_without_a_compiler(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    message = (
        "a shared library needs a C compiler, and 'no-such-compiler' is not found: install one or set CC to another"
    )
    fails(cli, tmp_path, 5, message, "compile", DIGITS, "-o", tmp_path / "build", "--kinds", "o,so")
