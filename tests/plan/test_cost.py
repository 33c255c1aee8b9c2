"""A core is data: each of its numbers counts, and two cores choose differently."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import native
from cnncc.compiler import Compilation, Options
from cnncc.computation import Contraction
from cnncc.elements import FLOAT16, FLOAT32, Element
from cnncc.machine.core import Core
from cnncc.machine.cores import AVX512_SERVER
from cnncc.machine.target import TARGETS, Target, named
from cnncc.ops import Conv, Relu
from cnncc.plan.cost import parallel, step, transfer
from cnncc.plan.kernels import Layer, depthwise, direct_tiles, grouped, winograd_tiles
from cnncc.plan.text import show_plan
from cnncc.windows import WindowAxis
from tests.graphs import Net, assert_same_bits
from tests.graphs import native as outputs

PACKAGE = Path(cnncc.__file__).resolve().parent
NUMBER = re.compile(r"[A-Z][A-Z0-9_]* *(: *[a-z]+)? *= *[0-9.]")
MOST_NUMBERS = 16
IN_ORDER = replace(
    AVX512_SERVER,
    name="in-order",
    fma_pipes=1.0,
    vector_pipes=1.0,
    load_ports=1.0,
    fma_latency=3.0,
    window=0,
    hidden_sums=0,
    exposed_sum_cycles=1.0,
)
WIDE = replace(
    AVX512_SERVER,
    name="wide",
    fma_pipes=4.0,
    vector_pipes=4.0,
    load_ports=3.0,
    window=600,
    hidden_sums=24,
    l2_rate=64.0,
)
CORES = [AVX512_SERVER, IN_ORDER, WIDE]


def on(core: Core, target: str = "x86-64-v4") -> Target:
    return replace(named(target), core=core)


def convolution(
    size: int, kernel: int, channels: int, outputs: int, groups: int = 1
) -> tuple[Contraction, tuple[int, ...]]:
    axis = WindowAxis(size, kernel, low=kernel // 2, high=kernel // 2)
    return Contraction((axis, axis), channels, outputs, groups, True), (axis.out, axis.out)


def read_of_cores() -> Iterator[str]:
    """Names of what our modules read of a core."""
    for file in PACKAGE.rglob("*.py"):
        owners = {"core", "self"} if file.name == "core.py" else {"core"}
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = node.value
                if (owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")) in owners:
                    yield node.attr


def test_every_number_of_a_core_is_read() -> None:
    assert {field.name for field in fields(Core)} - set(read_of_cores()) == set()


def test_numbers_stand_in_the_room_of_costs() -> None:
    files = [file for file in (PACKAGE / "plan").rglob("*.py") if file.parent.name != "cost"]
    found = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if NUMBER.match(line)]
    assert len(found) <= MOST_NUMBERS, "\n".join(found)


@pytest.mark.parametrize("target", TARGETS)
def test_cores_choose_different_tiles(target: str) -> None:
    tiles = []
    for core in CORES[1:]:
        chosen = []
        shapes = ((28, 3, 64, 64), (28, 1, 16, 96), (14, 1, 96, 96), (56, 3, 16, 24), (10, 3, 16, 20))
        for size, kernel, channels, results in shapes:
            c, stored = convolution(size, kernel, channels, results)
            chosen.append(direct_tiles.candidates(on(core, target), Layer(c, stored))[0].label)
        tiles.append(chosen)
    assert tiles[0] != tiles[1]


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_all_kernels_can_be_chosen_for_a_core(core: Core) -> None:
    for target in (on(core, name) for name in TARGETS):
        c, stored = convolution(14, 3, 16, 32)
        copies = {"channels": 0, "columns": c.channels * 196}
        layer = Layer(c, stored, copies=copies)
        candidates = direct_tiles.candidates(target, layer) + winograd_tiles.candidates(target, layer)
        c, stored = convolution(14, 3, 16, 16, groups=4)
        candidates += grouped.candidates(target, Layer(c, stored))
        c, stored = convolution(14, 3, 4, 4, groups=4)
        candidates += direct_tiles.candidates(target, Layer(c, stored, copies={"columns": 0}))
        assert all(0 < candidate.cycles < float("inf") for candidate in candidates)
        c, stored = convolution(14, 3, 32, 32, groups=32)
        kernel = depthwise.kernel(target, Layer(c, stored))
        assert kernel and min(kernel.tile.columns, len(candidates)) > 0


def test_bits_are_those_of_any_core() -> None:
    """A core decides how fast a plan is, never what it computes (of direct sums)."""
    net = Net()
    x = net.input(1, 5, 20, 20)
    for channels, taps in ((40, 3), (16, 1), (24, 3), (70, 1), (12, 3)):  # so many that cores differ on every level
        weights = net.weights(channels, net.shape(x)[1], taps, taps)
        x = net.apply(Relu(), net.apply(Conv((taps, taps), padding="same"), x, weights))
    graph, host = net.graph(x), native.host_target()
    compiled = [Compilation(graph, Options(replace(host, core=core), "strict")) for core in CORES]
    assert len({show_plan(one.plan) for one in compiled}) > 1
    assert len({repr(one.options) for one in compiled}) == len(CORES)  # so that the cache tells them apart
    first, *others = (outputs(one, net.feeds) for one in compiled)
    for other in others:
        assert_same_bits(other, first)


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_cycles_grow_with_what_a_step_does(core: Core) -> None:
    values = [(1, 2, 7), (1, 2, 5), (0.5, 1.0, 4.0), (0.0, 3.0, 4.0), (0.0, 1.0, 30.0)]
    for arguments in itertools.product(*values):
        cycles = step.step_cycles(core, *arguments)
        for at, choices in enumerate(values):
            for more in (choice for choice in choices if choice > arguments[at]):
                assert step.step_cycles(core, *arguments[:at], more, *arguments[at + 1 :]) >= cycles
        assert cycles >= step.longest(core, arguments[0] * arguments[1], 0, 0)
    tiles = [step.InnerLoop(on(core), count, 64).tile(7, 2, weights=2) for count in range(1, 300, 7)]
    assert tiles == sorted(tiles)
    for cost in (transfer.round_trip, transfer.copied):
        found = [cost(on(core), size) for size in range(0, 4 << 20, 1 << 16)]
        assert found == sorted(found)


def test_costs_of_the_measured_core() -> None:
    """The figures of the documentation."""
    target = on(AVX512_SERVER)
    layer = step.InnerLoop(target, 576, 64)
    found = [step.step_cycles(target.core, s, 2, 1.0, 4.0, layer.arrival(2)) for s in (7, 10)]
    assert [round(cycles, 1) for cycles in found] == [7.3, 10.2]
    assert step.peak(target) == 32
    assert step.busy_sums(target.core) == 14
    assert parallel.foreign(target.core, 64) == target.core.foreign_line_cycles
    assert transfer.conflict_stride(target.core) == 512
    assert transfer.line_by_line(target.core, 64) == 1.2


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_goes_through_json(target: str) -> None:
    one = named(target)
    told = json.loads(json.dumps(one.describe()))
    assert Target.restore(told) == one
    default = replace(one, core=AVX512_SERVER)
    assert Target.restore({**told, "core": "of a later version"}) == default
    del told["core"]
    assert Target.restore(told) == default
    with pytest.raises(TypeError):
        Target.restore({**told, "colour": "red"})


def test_a_made_up_core_compiles_in_a_process_of_its_own() -> None:
    """Targets that LLVM gives up on at worst are compiled there; the object depends on the plan alone."""
    net = Net()
    graph = net.graph(net.apply(Conv((3, 3)), net.input(1, 3, 9, 9), net.weights(4, 3, 3, 3)))
    compiled = Compilation(graph, Options(on(IN_ORDER, "aarch64")))
    assert native._emit_in_child(compiled.llvm, compiled.options.target, "object").object == compiled.object
    assert np.frombuffer(compiled.object[:4], np.uint8).tolist() == [127, 69, 76, 70]


def test_narrow_weights_arrive_sooner_and_take_conversions() -> None:
    """So they are worth most where each is used once, and nothing where they stay in the first cache."""
    target = named("x86-64-v3")

    def cycles(channels: int, window: tuple[WindowAxis, ...], stored: tuple[int, ...], weights: Element) -> float:
        layer = Layer(Contraction(window, channels, 256), stored, weights=weights)
        return direct_tiles.candidates(target, layer)[0].cycles

    dense = [cycles(1024, (), (), element) for element in (FLOAT32, FLOAT16)]
    assert 0.45 * dense[0] < dense[1] < 0.9 * dense[0]
    cached = [cycles(8, (WindowAxis(14), WindowAxis(14)), (14, 14), element) for element in (FLOAT32, FLOAT16)]
    assert cached[0] <= cached[1] < 1.5 * cached[0]
    assert [step.widening(FLOAT16, lanes, scalar=scalar) for lanes, scalar in ((8, False), (8, True), (1, True))] == [
        step.WIDEN_VECTOR,
        step.WIDEN_SCALAR,
        step.WIDEN_ONE,
    ]
    assert step.widening(FLOAT32, 8, scalar=True) == 0


def test_narrow_panels_of_wide_blocks_crowd_in_some_sets_of_the_first_cache() -> None:
    core = AVX512_SERVER
    assert [transfer.share_of_sets(core, run, 512) for run in (512, 256, 192, 128)] == [1, 1 / 2, 3 / 8, 1 / 4]
    assert transfer.share_of_sets(core, 192, 704) == 1  # 11 lines and 64 sets have no common divisor
    assert transfer.share_of_sets(core, 256, 0) == transfer.share_of_sets(named("cortex-m4").core, 4, 64) == 1
    loop = step.InnerLoop(replace(named("x86-64-v4"), l1=48 << 10), 128, 64, packed=8)
    assert loop.arrival(8, 8) > 0 and loop.arrival(4, 8) == 256 / core.l2_rate
    assert loop.arrival(4, 1) == 256 / core.l2_stream_rate
    assert replace(loop, packed=0).arrival(4, 8) == 0
