"""Weights that lie in memory as float16: what they become, how far results may lie from the interpreter, errors."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import cnncc
from cnncc.abi import WEIGHTS_HEADER_BYTES
from cnncc.check.algorithms import Algorithms
from cnncc.check.bound import Bound, compare
from cnncc.check.tolerance import bounds, op_bounds
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.elements import FLOAT16, FLOAT32
from cnncc.errors import ModelError, TargetError, UsageError
from cnncc.ir import Graph, Value
from cnncc.machine.target import TARGETS, named
from cnncc.ops import Conv, Dense, SpectralPool
from cnncc.plan import PlanOptions
from cnncc.plan.kernels import Depthwise, Direct, Grouped, Winograd
from cnncc.plan.text import show_plan
from cnncc.runtime.manifest import describe, restore
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import (
    Net,
    assert_same_bits,
    call,
    check,
    compilation,
    expected,
    native,
    runnable_targets,
    sprinkled,
    worst_ratio,
)

from .conftest import Force
from .stored import NETWORKS, channels, columns, dense, groups

RUNNABLE = [name for name, target in runnable_targets().items() if target.float16]
ABLE = [name for name, target in TARGETS.items() if target.float16]
each = pytest.mark.parametrize("make", NETWORKS)

pytestmark = pytest.mark.skipif(not RUNNABLE, reason="this machine does not convert float16")


def made(make: Callable[[Net], list[Value]], seed: int = 1) -> tuple[Graph, dict[str, Array]]:
    net = Net(seed)
    return net.graph(*make(net)), net.feeds


def layer(weights: Array, x: Array) -> tuple[Graph, dict[str, Array]]:
    """A dense layer of weights (O, C)."""
    net = Net()
    return net.graph(net.apply(Dense(), net.arrives(x), net.known(weights))), net.feeds


# Within bounds


@each
@pytest.mark.parametrize("target", RUNNABLE)
def test_every_kernel_within_its_bound(make: Callable[[Net], list[Value]], target: str) -> None:
    graph, feeds = made(make)
    compiled = compilation(graph, target, weights="float16", checked=True)
    with Model(compiled.build()) as model:
        for given in (feeds, sprinkled(feeds, 2)):
            with np.errstate(all="ignore"):
                worst_ratio(call(model, given), expected(compiled, given))


@pytest.mark.parametrize("along", ["channels", "columns"])
@pytest.mark.parametrize("seed", range(3))
def test_any_tile(along: str, seed: int, force: Force) -> None:
    force(along, seed)
    for make in (channels, columns):
        check(*made(make), RUNNABLE[0], weights="float16")


@each
def test_shards_and_single_images_have_the_same_bits(make: Callable[[Net], list[Value]]) -> None:
    graph, feeds = made(make)
    executable = compilation(graph, weights="float16").build()
    with Model(executable) as one, Model(executable, threads=3) as three:
        whole = call(one, feeds)
        assert_same_bits(call(three, feeds), whole)
        if executable.batchable:
            first = call(one, {name: data[:1] for name, data in feeds.items()})
            assert_same_bits(first, {name: array[:1] for name, array in whole.items()})


def test_the_kernels_are_all_there() -> None:
    seen = set()
    for make in NETWORKS:
        for name in (name for name, target in TARGETS.items() if target.float16):
            plan = compilation(made(make)[0], name, weights="float16").plan
            reading = [step.kernel for step in plan.steps if step.kernel.macs(step.target)]
            assert all(kernel.weights is FLOAT16 for kernel in reading)  # type: ignore[attr-defined]
            seen |= {(type(k), getattr(k, "lanes_along", ""), getattr(k, "is_filter", False)) for k in reading}
    assert {kind for kind, _, _ in seen} == {Direct, Grouped, Depthwise}
    assert {(Direct, "channels", False), (Direct, "columns", False), (Direct, "columns", True)} <= seen


# Weights that need the bound, and weights that do not


def test_rounding_that_adds_up_reaches_the_bound() -> None:
    """Each weight lies half a unit beside a float16, all on one side."""
    weights = np.full((5, 64), 1 + 2.0**-11 - 2.0**-20, np.float32)
    weights[1::2] *= -(2.0**-9)
    graph, feeds = layer(weights, np.linspace(0.5, 2, 64, dtype=np.float32)[None])
    compiled = compilation(graph, weights="float16")
    found = native(compiled, feeds)
    assert 0.9 < worst_ratio(found, expected(compiled, feeds)) <= 1
    plain = bounds(compiled.optimised.graph, feeds)
    assert not any(compare(found[name], plain[value]).ok for name, value in compiled.optimised.graph.outputs.items())


STRUCTURED = {
    "zeros": np.zeros(9),
    "powers of two": 2.0 ** np.arange(-24, 15, 4.25).round(),
    "signs": np.array([-0.0, 0.0, 1.0, -1.0] * 3),
    "whole numbers": np.arange(-2048.0, 2049, 512),
    "subnormal halves": 2.0**-24 * np.arange(1, 9),
    "the largest": np.array([65504.0, -65504.0]),
    "no numbers": np.array([np.nan, 1.0, np.inf, 2.0, -np.inf]),
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_what_float16_holds_is_exact(name: str) -> None:
    """The same bits as with float32 weights, and no wider bound."""
    row = STRUCTURED[name].astype(np.float32)
    weights = np.stack([np.roll(row, shift) for shift in range(21)])
    graph, feeds = layer(weights, Net(3).random(2, row.size))
    feeds["x"][1, 0] = -0.0
    halves, floats = compilation(graph, weights="float16", precision="strict"), compilation(graph, precision="strict")
    assert halves.plan.stored
    assert_same_bits(native(halves, feeds), native(floats, feeds))
    with np.errstate(all="ignore"):
        for at, bound in expected(halves, feeds).items():
            np.testing.assert_array_equal(bound.error, expected(floats, feeds)[at].error)


def test_small_weights_lose_at_most_half_of_the_smallest_subnormal() -> None:
    weights = np.geomspace(2.0**-30, 2.0**-12, 120).astype(np.float32).reshape(4, 30)
    x = np.eye(30, dtype=np.float32)
    graph, feeds = layer(weights, x)
    found = check(graph, feeds, weights="float16")["y0"].T
    np.testing.assert_array_equal(found, weights.astype(np.float16).astype(np.float32))
    lost = np.abs(found - weights)
    assert (lost <= np.maximum(2.0**-11 * weights, 2.0**-25)).all() and (found == 0).any()


def test_rounded_once_to_even() -> None:
    """Ties go to the even neighbour; what is just above a tie goes up, though it is a tie as float32 rounded again."""
    weights = np.array([[1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-23, 65519.0]], np.float32)
    graph, feeds = layer(weights, np.eye(4, dtype=np.float32))
    found = check(graph, feeds, weights="float16")["y0"][:, 0]
    assert found.tolist() == [1.0, 1 + 2.0**-9, 1 + 2.0**-10, 65504.0]


def test_the_error_of_inexact_weights_is_carried_twice() -> None:
    x = Bound.exact(np.ones((1, 4), np.float32))
    inexact = Bound(np.full((3, 4), 1 + 2.0**-11), np.full((3, 4), 2.0**-20))
    how = Algorithms(stored={"dense": FLOAT16})
    (plain,), (held,) = (op_bounds(Dense(), [x, inexact], how.of(name)) for name in ("other", "dense"))
    assert (held.error - plain.error >= 4 * (2.0**-11 + 2.0**-20)).all()


# What is stored as float16, and what is not


def test_half_the_bytes() -> None:
    graph, _ = made(dense)
    halves, floats = compilation(graph, RUNNABLE[0], weights="float16"), compilation(graph, RUNNABLE[0])
    weights = [step.sources[1] for step in halves.plan.steps if step.kernel.macs(step.target)]
    assert {halves.plan.buffer(view).dtype for view in weights} == {FLOAT16}
    assert all(halves.plan.buffer(step.sources[2]).dtype is FLOAT32 for step in halves.plan.steps if bias(step.kernel))
    assert len(halves.plan.weights) < 0.6 * len(floats.plan.weights)


def bias(kernel: object) -> bool:
    return bool(getattr(kernel, "bias", False))


def test_weights_that_arrive_and_coefficients_of_an_op_stay() -> None:
    net = Net()
    x = net.input(1, 16, 8, 8)
    arriving = net.apply(Conv((3, 3)), x, net.weights(16, 16, 3, 3, arrive=True))
    known = net.apply(Conv((3, 3)), arriving, net.weights(16, 16, 3, 3))
    graph = net.graph(net.apply(SpectralPool((2, 3)), known))
    compiled = compilation(graph, weights="float16")
    stored = [step.kernel.weights for step in compiled.plan.steps if step.kernel.macs(step.target)]  # type: ignore[attr-defined]
    assert stored.count(FLOAT16) == 1 and len(stored) == 4
    worst_ratio(native(compiled, net.feeds), expected(compiled, net.feeds))


def test_no_transforms() -> None:
    net = Net()
    graph = net.graph(net.apply(Conv((3, 3), padding="same"), net.input(1, 64, 28, 28), net.weights(64, 64, 3, 3)))
    halves, floats = compilation(graph, "x86-64-v3", weights="float16"), compilation(graph, "x86-64-v3")
    offered = [
        {type(c.kernel) for plan in [made.plan] for o in plan.offers.values() for c in o} for made in (halves, floats)
    ]
    assert offered == [{Direct}, {Direct, Winograd}]
    assert len(halves.plan.weights) == WEIGHTS_HEADER_BYTES + 2 * 64 * 64 * 9 and not halves.plan.tiles


def test_choices_and_keys_tell_them_apart() -> None:
    graph, _ = made(channels)
    floats = compilation(graph, RUNNABLE[0])
    halves = floats.varied(weights="float16")
    assert halves.key != floats.key and halves.optimised is floats.optimised
    assert floats.plan.offers.keys().isdisjoint(halves.plan.offers)
    assert all(" float16 " in signature for signature in halves.plan.offers)
    (signature, offered), *_ = floats.plan.offers.items()
    choices = PlanOptions(choices=((signature, offered[0].label),), source="plan.json")
    with pytest.raises(UsageError, match="has no layer with signature"):
        Compilation(graph, Options(resolve_target(RUNNABLE[0]), plan=choices, weights="float16")).plan  # noqa: B018


def test_the_plan_tells_the_bytes() -> None:
    shown = show_plan(compilation(made(dense)[0], "x86-64-v3", weights="float16").plan)
    assert "conv: weights (10368,), weights of float16, 20,736 bytes\n" in shown
    assert "of float" not in show_plan(compilation(made(dense)[0], RUNNABLE[0]).plan)


def test_from_python() -> None:
    """Calls, the cache and pickles: what is loaded again has the same numbers."""
    graph, feeds = made(dense)
    with cnncc.compile(graph, weights="float16") as model:
        first = model(feeds)
        with pickle.loads(pickle.dumps(model)) as again:
            for left, right in zip(first, again(feeds), strict=True):
                np.testing.assert_array_equal(left, right)
        assert again.executable.weights_element == "float16"
    with cnncc.compile(graph) as plain:
        assert any((left != right).any() for left, right in zip(first, plain(feeds), strict=True))


def test_executables_say_it() -> None:
    executable = compilation(made(dense)[0], weights="float16").build()
    manifest = describe(executable)
    assert manifest["weights_element"] == executable.weights_element == "float16"
    assert restore(manifest, executable.object, executable.weights) == executable
    del manifest["weights_element"]
    assert restore(manifest).weights_element == "float32"  # of an earlier version


# Targets


@pytest.mark.parametrize("target", ABLE)
def test_objects_call_nothing(target: str) -> None:
    net = Net()
    graph = net.graph(*groups(net), *columns(net), *dense(net))
    compiled = compilation(graph, target, weights="float16")
    assert compiled.plan.stored and compiled.build().undefined == ()


def test_a_row_with_the_extension_converts() -> None:
    """RISC-V cores that have it: the features and the field of a row are all there is to say."""
    row = named("riscv64")
    able = replace(row, name="rv64", features=f"{row.features},+zfhmin,+zvfhmin", float16=True)
    assert compilation(made(dense)[0], able, weights="float16").build().undefined == ()


@pytest.mark.parametrize("target", sorted(TARGETS.keys() - ABLE))
def test_other_targets_refuse(target: str) -> None:
    with pytest.raises(TargetError) as caught:
        compilation(made(dense)[0], target, weights="float16")
    assert str(caught.value) == (
        f"target '{target}' has no instruction that reads float16 weights: expected one of {', '.join(ABLE)}, "
        "or weights of float32"
    )


def test_who_converts() -> None:
    """x86-64 from v3 on, 64-bit Arm, and 32-bit Arm with a unit for floats."""
    unable = {name for name, row in TARGETS.items() if name.startswith(("riscv", "wasm")) or not row.float_unit}
    assert set(ABLE) == TARGETS.keys() - unable - {"x86-64-v2"}


def test_weights_beyond_float16_are_refused() -> None:
    weights = np.ones((2, 3), np.float32)
    weights[1, 2] = -65520
    graph, _ = layer(weights, np.ones((1, 3), np.float32))
    compiled = compilation(graph, weights="float16")
    with pytest.raises(ModelError) as caught:
        compiled.plan  # noqa: B018
    assert str(caught.value).startswith(
        "layer 'dense': its weight -65520 becomes infinite as float16, which ends at 65504: expected weights of float32"
    )
    assert compilation(graph).plan


def test_unknown_weights() -> None:
    with pytest.raises(UsageError, match="unknown weights 'int8': expected 'float32' or 'float16'"):
        compilation(made(dense)[0], weights="int8")
