"""Random training steps. The long run: `python -m tests.fuzz.training --graphs 5000 --seed 0`, and with `--checked`."""

from __future__ import annotations

from collections import Counter

import pytest

from .check import live_ops
from .networks import random_step
from .training import REFUSED, check_training

STEPS = 8


@pytest.mark.parametrize("seed", range(STEPS))
def test_random_steps(seed: int) -> None:
    finding = check_training(seed, threads=4 if seed % 4 == 0 else 2)
    assert finding.ops[REFUSED] or 0 < finding.ratio <= 1


@pytest.mark.parametrize("seed", [5000])
def test_random_steps_in_checked_mode(seed: int) -> None:
    check_training(seed, checked=True, threads=2)


def test_a_seed_is_a_step() -> None:
    for seed in range(10):
        one, other = random_step(seed), random_step(seed)
        assert one.step.graph.canonical() == other.step.graph.canonical()
        assert all((one.feeds[name] == other.feeds[name]).all() for name in one.feeds)


def test_the_steps_reach_everything() -> None:
    ops: Counter[str] = Counter()
    for seed in range(40):
        ops.update(live_ops(random_step(seed).network))
    often = (
        "AveragePool BatchNormalization Concat Conv ConvTranspose Dense Dropout LayerNormalization MaxPool Relu Softmax"
    )
    assert set(often.split()) <= set(ops), ops
