"""The entry function: what it promises beside its kernels."""

from __future__ import annotations

import numpy as np

import cnncc
from cnncc import nn
from cnncc.codegen.segment import MOST
from cnncc.compiler import Compilation, Options, resolve_target


def test_a_deep_network_is_many_short_functions() -> None:
    """One function with thousands of calls took LLVM minutes: its time grows faster than its length."""
    network = nn.Sequential(*(nn.Softmax() for _ in range(240)), input=(3,))
    compiled = Compilation(network.graph, Options(resolve_target("host")))
    text, segments = compiled.llvm, -(-len(compiled.plan.stages) // MOST)
    longest = max(function.count("\n") for function in text.split("\ndefine ")[1:])
    assert text.count("define internal void @segment") == 2 * segments > 4  # for one shard and for several
    assert longest < 1000
    x = np.array([[1, 2, 3]], np.float32)
    y = cnncc.compile(network, cache=False)(x)
    np.testing.assert_allclose(y, cnncc.interpret(network, x), rtol=1e-6)
