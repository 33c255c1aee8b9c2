"""Ways to make the plan take another road than the cheapest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncc.plan import kernels
from cnncc.plan.kernels import direct_tiles, winograd_tiles
from cnncc.plan.kernels.direct_tiles import TileCandidate

Force = Callable[[str, int], None]
FAR = 1e12


@pytest.fixture
def force(monkeypatch: pytest.MonkeyPatch) -> Force:
    """A function (lanes along, seed): direct convolutions take these lanes where they can, with a random tile."""

    def forced(along: str, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)

        def instead(name: str, extra: float) -> None:
            original = getattr(direct_tiles, name)

            def one(*arguments: Any) -> Iterator[TileCandidate]:
                candidates = list(original(*arguments))
                if candidates:
                    chosen = candidates[int(rng.integers(len(candidates)))]
                    yield replace(chosen, cycles=chosen.cycles + extra)

            monkeypatch.setattr(direct_tiles, name, one)

        others = [entry for entry in kernels.COMPARED if entry.candidates != winograd_tiles.candidates]
        monkeypatch.setattr(kernels, "COMPARED", tuple(others))
        instead("_by_channels", 0.0 if along == "channels" else FAR)
        instead("_by_columns", 0.0 if along == "columns" else FAR)

    return forced
