"""The checked mode: every access tests its bounds."""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace

import numpy as np
import pytest

from cnncc import abi, alignment
from cnncc import native as door
from cnncc.errors import NativeError
from cnncc.ir import Graph
from cnncc.ops import Conv, Exp, Flatten, MaxPool, ReduceMax, Relu, Softmax
from cnncc.plan.kernels import Direct
from cnncc.plan.plan import Plan
from cnncc.plan.views import View
from cnncc.runtime import layout
from cnncc.runtime.executable import Executable
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets

from .test_contract import network

pytestmark = pytest.mark.combinations

GUARD = 4096


def small() -> tuple[Graph, dict[str, Array]]:
    net = Net()
    x = net.apply(Conv((3, 3), padding="same"), net.input(1, 3, 8, 9), net.weights(5, 3, 3, 3), net.weights(5))
    x = net.apply(MaxPool((3, 3), 2), net.apply(Relu(), x))
    flat = net.apply(Flatten(), x)
    return net.graph(*(net.apply(op, flat) for op in (Softmax(), ReduceMax((1,)), Exp()))), net.feeds


def shifted(plan: Plan, number: int, source: int | None, distance: int) -> Plan:
    """The plan with one view of one step moved by `distance` elements (its target, for None)."""
    steps = list(plan.steps)
    step = steps[number]

    def moved(view: View) -> View:
        return replace(view, offset=view.offset + distance)

    if source is None:
        steps[number] = replace(step, target=moved(step.target))
    else:
        sources = list(step.sources)
        sources[source] = moved(sources[source])
        steps[number] = replace(step, sources=tuple(sources))
    return replace(plan, steps=tuple(steps))


def test_what_is_known_is_not_tested_at_run_time() -> None:
    """LLVM takes seconds for a kernel with thousands of tests one after the other, most of them of weights."""
    graph, _ = small()
    assert not re.search(r"icmp ule i64 \d+, \d+", compilation(graph, checked=True).llvm)


@pytest.mark.parametrize("target", list(runnable_targets()))
@pytest.mark.parametrize("streaming", ["none", "chains"])
def test_right_plans_have_no_fault(target: str, streaming: str) -> None:
    graph, feeds = network()
    for border in ("none", "all"):
        found = check(graph, feeds, target, checked=True, streaming=streaming, borders=border)
        assert_same_bits(check(graph, feeds, target, streaming=streaming, borders=border), found)


def wrong_plans(*distances: int) -> list[tuple[int, int | None, int]]:
    """Every view of every step, moved by every distance; packed weights are read from their buffer's beginning."""
    plan = compilation(small()[0], streaming="none").plan
    return [
        (number, source, distance)
        for number, step in enumerate(plan.steps)
        for source in (*range(len(step.sources)), None)
        for distance in distances
        if not (isinstance(step.kernel, Direct) and source == 1)
    ]


def test_wrong_plans_are_caught() -> None:
    """With code 6 and the step's name, whichever view is wrong, and with the memory around untouched."""
    graph, feeds = small()
    for number, source, distance in wrong_plans(100_000):
        compiled = compilation(graph, checked=True, streaming="none")
        step = compiled.plan.steps[number]
        compiled.__dict__["plan"] = shifted(compiled.plan, number, source, distance)
        executable = compiled.build()
        assert guarded_run(executable, feeds) == 6
        with Model(executable) as model, pytest.raises(NativeError, match="error 6") as caught:
            model(feeds)
        assert f"in step {number} ({step.name})" in str(caught.value), (number, source, distance)


def test_views_that_are_off_by_little_touch_nothing_outside() -> None:
    """One element beyond either end is seen if anything is read there, and never written (a border has room for it)."""
    graph, feeds = small()
    caught = tried = 0
    for number, source, distance in wrong_plans(-1, 1):
        compiled = compilation(graph, checked=True, streaming="none")
        step = compiled.plan.steps[number]
        view = step.target if source is None else step.sources[source]
        if any(map(any, compiled.plan.buffer(view).border)):
            continue
        compiled.__dict__["plan"] = shifted(compiled.plan, number, source, distance)
        code = guarded_run(compiled.build(), feeds)
        assert code in (0, 6)
        caught, tried = caught + (code == 6), tried + 1
    assert caught > tried - 3 and tried > 20


def guarded_run(executable: Executable, feeds: dict[str, Array]) -> int:
    """A call with guard zones around the workspace and each output; their bytes must not change."""
    code = door.load_object(executable.object)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(code.address(f"{executable.symbol}_run"))
    zones = []

    def zone(size: int) -> int:
        memory = alignment.aligned(GUARD + size + GUARD + 64)
        memory[:] = 0xA5
        memory[GUARD : GUARD + size] = 0
        zones.append((memory, size))
        return int(memory.ctypes.data) + GUARD

    weights = alignment.aligned_bytes(executable.weights)
    sources = layout.pointers([feeds[port.name].ctypes.data for port in executable.inputs])
    results = layout.pointers([zone(port.type.nbytes) for port in executable.outputs])
    record = layout.CallStruct(
        abi=abi.VERSION,
        fingerprint=executable.fingerprint,
        images=executable.images,
        shard=0,
        shards=1,
        inputs=ctypes.addressof(sources),
        outputs=ctypes.addressof(results),
        workspace=zone(executable.workspace_bytes(1)),
        weights=weights.ctypes.data,
    )
    result = int(run(ctypes.addressof(record)))
    for memory, size in zones:
        assert (memory[:GUARD] == 0xA5).all() and (memory[GUARD + size :] == 0xA5).all()
    return result


def test_a_fault_is_forgotten_by_the_next_session() -> None:
    graph, feeds = small()
    right, wrong = compilation(graph, checked=True), compilation(graph, checked=True)
    wrong.__dict__["plan"] = shifted(wrong.plan, 0, None, 1000)
    with Model(wrong.build()) as model, pytest.raises(NativeError):
        model(feeds)
    assert np.isfinite(native(right, feeds)["y0"]).all()
