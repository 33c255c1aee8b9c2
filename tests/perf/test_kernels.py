"""Kernels against the multiply-add peak measured in the same run, one core.

    python -m pytest tests/perf/test_kernels.py -s

Derivation: a 3×3 convolution 64 → 64 at 56² is 9·64·64·56² = 115.6 million multiply-adds, two operations each; nothing
can do them faster than the peak. Samples of peak and kernels take turns, and the median of the ratios is compared, so
that a machine that changes its pace meets both alike. The whole model is timed, as the user calls it: planar arrays in
and out, copies into other memory orders included.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.ir import Builder, Graph
from cnncc.ops import Conv
from cnncc.peak import Peak
from cnncc.runtime.model import Model
from cnncc.types import TensorType

ROUNDS = 60


def convolution(channels: int, outputs: int, kernel: int, size: int) -> Graph:
    """One convolution with 'same' padding and constant weights."""
    rng = np.random.default_rng(0)
    builder = Builder("conv")
    x = builder.input("x", TensorType((1, channels, size, size)))
    weights = builder.constant(rng.standard_normal((outputs, channels, kernel, kernel)))
    (y,) = builder.add(Conv((kernel, kernel), padding="same"), (x, weights))
    return builder.graph({"y": y})


def bound(graph: Graph) -> tuple[Callable[[], object], int]:
    """A call without arguments, and its floating-point operations."""
    model = Model(Compilation(graph, Options(resolve_target("host"))).build())
    rng = np.random.default_rng(0)
    call = model.bind(*(rng.standard_normal(port.shape).astype(np.float32) for port in model.inputs))
    macs = sum(node.op.cost(*graph.types(node.inputs)).macs for node in graph if node.op.source is None)
    return call, 2 * macs


def share_of_peak(graph: Graph) -> float:
    call, flops = bound(graph)
    peak = Peak(resolve_target("host"))
    ratios = []
    for _ in range(ROUNDS):
        limit = peak.measure()
        call()
        begin = time.perf_counter()
        call()
        call()
        ratios.append(2 * flops / (time.perf_counter() - begin) / limit)
    return float(np.median(ratios))


@pytest.mark.parametrize(
    ("channels", "outputs", "kernel", "size", "least"),
    [(64, 64, 3, 56, 0.90), (256, 64, 1, 28, 0.90), (16, 16, 3, 56, 0.75)],
)
def test_share_of_the_peak(channels: int, outputs: int, kernel: int, size: int, least: float) -> None:
    share = share_of_peak(convolution(channels, outputs, kernel, size))
    print(f"\n{kernel}x{kernel} {channels} -> {outputs} at {size}: {share:.1%} of the peak (at least {least:.0%})")
    assert share >= least
