"""Mutated ONNX files. The long run: `python -m tests.fuzz.onnx_files --files 5000 --seed 100000`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from multiprocessing.connection import Connection

from . import mutate, onnx_files
from .check import Finding

FILES = 60


def test_mutated_files() -> None:
    report = onnx_files.check_files(range(FILES))
    assert not report.failures, "\n".join(f"seed {seed}: {why}" for seed, why in sorted(report.failures.items()))
    assert report.done == FILES
    assert {"compared", "refused by ModelError", "refused by ShapeError"} <= set(report.total.ops)


def test_a_seed_is_a_file() -> None:
    assert all(mutate.mutated(seed) == mutate.mutated(seed) for seed in range(40))


@pytest.mark.parametrize("number", range(0, len(mutate.originals()), 40))
def test_originals_are_right(number: int, tmp_path: Path) -> None:
    finding = onnx_files.check_content(mutate.originals()[number].SerializeToString(), tmp_path)
    assert "compared" in finding.ops


def misbehave(content: bytes, folder: Path) -> Finding:
    """What no file may do: take memory, take time."""
    if len(content) == 1:
        bytearray(2 << 30)
    while len(content) == 2:
        pass
    if len(content) == 3:
        raise ValueError("no error of ours")
    return Finding()


def _misbehaving_work(connection: Connection, folder: str) -> None:
    mutate.mutated = lambda seed: b"." * seed  # type: ignore[assignment]
    onnx_files.check_content = misbehave
    onnx_files.SECONDS = 0.5
    _REAL_WORK(connection, folder)


_REAL_WORK = onnx_files.work


def test_limits_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "work", _misbehaving_work)
    report = onnx_files.check_files(range(5), workers=1)
    assert sorted(report.failures) == [1, 2, 3]
    assert "MemoryError" in report.failures[1] and "exit code -27" in report.failures[2]
    assert "no error of ours" in report.failures[3]
    assert os.environ.get("OPENBLAS_NUM_THREADS") != "1"
