"""What the runtime's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cnncc.runtime.model import Model

from . import toy


@pytest.fixture
def model() -> Iterator[Model]:
    """A toy of one input and one output, one thread."""
    with Model(toy.executable()) as model:
        yield model


@pytest.fixture
def only_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that native code does not finish by itself are failures."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this call went on to Python")

    monkeypatch.setattr(Model, "_call", refuse)


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own; entries stand in `v1` below it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CNNCC_CACHE", str(folder))
    return folder
