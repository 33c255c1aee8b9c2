"""The profiled program: the same bits, and a count of cycles for every step of every shard."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.codegen.program import tick_bytes
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.machine.target import TARGETS
from cnncc.measure.limits import emit_clock
from cnncc.native import emit_assembly
from cnncc.ops import Conv, MaxPool, Relu
from cnncc.runtime.model import Model
from tests.graphs import Net


def test_a_profiled_program_gives_the_same_bits_and_counts_cycles() -> None:
    net, target = Net(), resolve_target("host")
    x = net.input(1, 8, 20, 20)
    y = net.apply(Relu(), net.apply(Conv((3, 3), padding="same"), x, net.weights(16, 8, 3, 3)))
    graph, feeds = net.graph(net.apply(MaxPool((3, 3), 2), y)), net.feeds
    plain = Model(Compilation(graph, Options(target)).build())
    compilation = Compilation(graph, Options(target, profiled=True))
    with Model(compilation.build(), threads=2) as profiled:
        assert np.array_equal(profiled(dict(feeds)), plain(dict(feeds)))
        plan, workspace = compilation.plan, profiled._session.workspace
        size = plan.shard_bytes + tick_bytes(plan)
        for shard in range(2):
            begin = plan.workspace_base + shard * size + plan.shard_bytes
            ticks = workspace[begin : begin + 8 * len(plan.steps)].view(np.uint64)
            assert (ticks > 0).all()


@pytest.mark.parametrize(
    ("name", "instruction"), [("x86-64-v2", "rdtsc"), ("x86-64-v4", "rdtsc"), ("aarch64", "mrs\tx0, CNTVCT_EL0")]
)
def test_the_counter_is_one_that_programs_may_read(name: str, instruction: str) -> None:
    target = TARGETS[name]
    assert instruction in emit_assembly(emit_clock(target), target)
