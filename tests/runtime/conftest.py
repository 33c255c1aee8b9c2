"""What the runtime's tests share."""

from __future__ import annotations

from collections.abc import Iterator

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
