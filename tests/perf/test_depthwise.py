"""Depthwise layers and global pools on one core, held to limits that are measured in the same run.

    python -m pytest tests/perf/test_depthwise.py -s

As in `test_layers`, of whose table these are further rows: the shapes of MobileNets, where multiply-adds and the second
cache bound a layer about alike. A global pool is nothing but reading: it is held to the bandwidth of the level that
holds its input.
"""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.ir import Builder, Graph
from cnncc.measure.profiling import StepTime, profile
from cnncc.ops import Conv, GlobalAveragePool
from cnncc.plan.kernels import Reduce
from cnncc.types import TensorType

from .layers import SECONDS, Layer, measure

DEPTHWISE = [
    Layer(144, 144, 3, 28, groups=144),
    Layer(384, 384, 3, 14, groups=384),
    Layer(512, 512, 3, 14, groups=512),
    Layer(960, 960, 3, 7, groups=960),
    Layer(1024, 1024, 3, 7, groups=1024),
    Layer(240, 240, 5, 14, groups=240),
    Layer(576, 576, 5, 7, groups=576),
    Layer(240, 240, 3, 28, stride=2, groups=240),
]
POOLS = [(240, 14), (576, 7), (1280, 7), (1024, 7)]  # channels, size
LEAST_DEPTHWISE, LEAST_POOL = 0.75, 0.7


def show(name: str, step: StepTime) -> float:
    share = step.bound_us / step.us
    print(f"\r{name:34} {step.us:9.2f} µs {step.peak_share:8.1%} of the peak {share:8.1%} of its bound, {step.bound}")
    return share


@pytest.mark.parametrize("layer", DEPTHWISE, ids=str)
def test_depthwise(layer: Layer) -> None:
    step = measure(layer)
    assert step is not None
    assert show(str(layer), step) >= LEAST_DEPTHWISE


def pooled(channels: int, size: int) -> Graph:
    """A global pool after a 1×1 convolution, as at the end of most networks."""
    builder = Builder("pooled")
    weights = builder.constant(np.random.default_rng(0).standard_normal((channels, 16, 1, 1)), "weights")
    x = builder.input("x", TensorType((1, 16, size, size)))
    x = builder.add(Conv((1, 1)), (x, weights), "conv")[0]
    return builder.graph({"y": builder.add(GlobalAveragePool(), (x,), "pool")[0]})


@pytest.mark.parametrize(("channels", "size"), POOLS)
def test_global_pools(channels: int, size: int) -> None:
    compiled = Compilation(pooled(channels, size), Options(resolve_target("host")))
    numbers = [number for number, step in enumerate(compiled.plan.steps) if isinstance(step.kernel, Reduce)]
    step = profile(compiled, SECONDS).steps[numbers[0]]
    assert show(f"global pool, {channels} of {size}²", step) >= LEAST_POOL
