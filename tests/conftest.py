"""What all tests share: three speeds, a cache of their own, a seeded generator, and inputs for a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncc.ir import Graph
from cnncc.types import Array

from . import speeds

MakeFeeds = Callable[[Graph], dict[str, Array]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    speeds.mark(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Processes take tests from each other: the slowest ones come last, and would else be one process's alone."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled models of tests do not fill the user's cache, and no test depends on what is in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNCC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers on every run."""
    return np.random.default_rng(20261120)


@pytest.fixture
def make_feeds(rng: np.random.Generator) -> MakeFeeds:
    """A function from a graph to normally distributed float32 inputs for it."""

    def feeds(graph: Graph) -> dict[str, Array]:
        return {name: rng.standard_normal(type.shape).astype(np.float32) for name, type in graph.inputs.items()}

    return feeds


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own; entries stand in `v1` below it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CNNCC_CACHE", str(folder))
    return folder
