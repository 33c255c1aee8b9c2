"""A page of single layers on one core, held to limits that are measured in the same run.

    python -m pytest tests/perf/test_layers.py -s

Each row is a layer between two others, timed by a profiled program: what copies its neighbours need does not count.
The limits are those of `cnncc bench --layers`: the multiply-adds of the definition at the peak of the core, or the
bytes that the layer reads and writes, each once, at the bandwidth of the level that holds them (a share above 1 means
that part of them was nearer). A new row is a line.
"""

from __future__ import annotations

import pytest

from .layers import Layer, measure

# (layer, least share of the multiply-add peak)
OF_PEAK = [
    (Layer(16, 16, 3, 56), 0.85),
    (Layer(32, 32, 3, 56), 0.92),
    (Layer(32, 32, 3, 28), 0.92),
    (Layer(64, 64, 3, 56), 0.92),
    (Layer(64, 64, 3, 28), 0.92),
    (Layer(128, 128, 3, 28), 0.92),
    (Layer(128, 128, 3, 14), 0.92),
    (Layer(256, 256, 3, 14), 0.92),
    (Layer(64, 128, 3, 28, stride=2), 0.92),
    (Layer(16, 16, 1, 56), 0.85),
    (Layer(32, 96, 1, 56), 0.92),
    (Layer(64, 256, 1, 28), 0.92),
    (Layer(256, 64, 1, 28), 0.92),
    (Layer(128, 128, 1, 28), 0.92),
    (Layer(256, 256, 1, 14), 0.92),
    (Layer(512, 512, 1, 14), 0.92),
    (Layer(16, 96, 1, 56), 0.85),
    (Layer(144, 24, 1, 56), 0.85),
    (Layer(160, 960, 1, 7), 0.80),
    (Layer(960, 320, 1, 7), 0.80),
    (Layer(320, 1280, 1, 7), 0.80),
    (Layer(64, 64, 3, 64, groups=8), 0.60),
    (Layer(128, 128, 3, 32, groups=32), 0.60),
    (Layer(256, 256, 3, 16, groups=32), 0.60),
]
# (layer, how many times as fast as direct convolution)
WINOGRAD = [
    (Layer(32, 32, 3, 56), 2.3),
    (Layer(64, 64, 3, 56), 2.3),
    (Layer(64, 64, 3, 28), 2.3),
    (Layer(128, 128, 3, 28), 2.3),
    (Layer(256, 256, 3, 28), 2.3),
    (Layer(64, 128, 3, 56, stride=2), 1.4),
    (Layer(32, 64, 5, 56, stride=2), 2.3),
]
# (layer, least share of its own bound)
OF_BOUND = [
    (Layer(32, 32, 3, 56, groups=32), 0.75),
    (Layer(64, 64, 3, 28, groups=64), 0.75),
    (Layer(128, 128, 3, 28, groups=128), 0.75),
    (Layer(256, 256, 3, 14, groups=256), 0.75),
    (Layer(64, 64, 3, 56, stride=2, groups=64), 0.75),
    (Layer(128, 128, 5, 14, groups=128), 0.75),
    (Layer(64, 64), 0.85),
    (Layer(256, 256), 0.85),
    (Layer(512, 512), 0.85),
    (Layer(1024, 1024), 0.85),
]


@pytest.fixture(scope="module", autouse=True)
def heading() -> None:
    columns = f"{'layer':34} {'µs':>9} {'GFLOP/s':>8} {'of peak':>8} {'of bound':>9} {'aim':>6}  bound, kernel"
    print(f"\n{columns}")


def row(layer: Layer, algorithm: str = "", *, aim: str) -> tuple[float, float, float]:
    """Print a measured layer; (µs, share of the peak, share of its bound). Skips what the plan does not offer."""
    step = measure(layer, algorithm)
    if step is None:
        pytest.skip(f"{layer}: no candidate '{algorithm}'")
    of_bound = step.bound_us / step.us
    figures = f"{step.us:9.2f} {step.gflops:8.1f} {step.peak_share:8.1%} {of_bound:9.1%} {aim:>6}"
    print(f"\r{layer!s:34} {figures}  {step.bound}, {step.kernel.split('; then')[0]}")
    return step.us, step.peak_share, of_bound


@pytest.mark.parametrize(("layer", "least"), OF_PEAK, ids=str)
def test_direct(layer: Layer, least: float) -> None:
    assert row(layer, "grouped" if layer.groups > 1 else "direct", aim=f"{least:.0%}")[1] >= least


@pytest.mark.parametrize(("layer", "least"), WINOGRAD, ids=str)
def test_winograd(layer: Layer, least: float) -> None:
    winograd, *_ = row(layer, "winograd", aim=f"{least}×")
    direct, *_ = row(layer, "direct", aim="1×")
    print(f"{'':34} {direct / winograd:.2f} times as fast as direct")
    assert direct >= least * winograd


@pytest.mark.parametrize(("layer", "least"), OF_BOUND, ids=str)
def test_own_bound(layer: Layer, least: float) -> None:
    assert row(layer, aim=f"{least:.0%}")[2] >= least
