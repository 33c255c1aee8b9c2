"""What callers have to align fits the machine: lines of a cache, or elements."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnncc import nn
from cnncc.check.model import check
from cnncc.compiler import Compilation, Options
from cnncc.ir import Graph
from cnncc.machine.target import TARGETS
from cnncc.objects import format_of
from cnncc.objects.elf_pieces import elf_pieces
from cnncc.runtime.header import library_header
from cnncc.runtime.manifest import describe

from .support import needs


def odd() -> Graph:
    """A network whose buffers and weights have odd sizes."""
    x = nn.Input((3, 7, 5), name="x")
    y = nn.MaxPool(2)(nn.Conv(5, 3, padding="same", activation="tanh")(x))
    y = nn.Conv(3, 2)(y)
    return nn.Model(x, nn.Softmax()(nn.Dense(3)(nn.Flatten()(y))), name="odd", seed=0).graph


@pytest.mark.parametrize("name", ["cortex-m0plus", "cortex-m4", "riscv32imafc", "aarch64", "wasm32", "x86-64-v3"])
def test_header_manifest_code_and_weights_agree(name: str) -> None:
    target = TARGETS[name]
    compilation = Compilation(odd(), Options(target))
    executable, plan = compilation.build(), compilation.plan
    alignment = 8 if name.startswith(("cortex-m", "riscv32")) else 64
    assert describe(executable)["alignment"] == target.alignment == alignment
    assert f"#define ODD_ALIGNMENT {alignment} " in library_header([executable])
    assert re.search(rf"and i{target.pointer_bits} %\w+, {alignment - 1}\n", compilation.llvm)
    assert executable.workspace_bytes(1) % alignment == len(executable.weights) % alignment == 0
    for buffer in plan.buffers.values():
        if buffer.space in ("arena", "weights"):
            assert buffer.place % alignment == 0
    if target.object_format == "ELF":
        data = format_of(target).data_object("odd_weights", executable.weights, target)
        assert [section.alignment for section in elf_pieces(data).sections] == [alignment]


def test_smaller_alignment_takes_fewer_bytes() -> None:
    m4 = Compilation(odd(), Options(TARGETS["cortex-m4"])).plan
    held = sum(-(-buffer.nbytes // 64) * 64 for buffer in m4.buffers.values() if buffer.space == "weights")
    assert len(m4.weights) < held


@pytest.mark.tools
@needs("qemu-system-arm")
@pytest.mark.parametrize("name", ["cortex-m0plus", "cortex-m4"])
def test_workspaces_at_multiples_of_eight_run(name: str) -> None:
    """The program places each block right before a page that is not there, so at any multiple of 8."""
    graph = odd()
    options = Options(TARGETS[name])
    assert Compilation(graph, options).build().workspace_bytes(1) % 64
    feeds = {"x": np.random.default_rng(0).standard_normal((1, 3, 7, 5)).astype(np.float32)}
    assert check(graph, options, feeds).ok
