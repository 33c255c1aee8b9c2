"""Splitting a fused node: by cost, on every target, and told wherever a plan is shown, stored or measured."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnncc.expr import RUNNING
from cnncc.ir import Graph, Value
from cnncc.machine.target import TARGETS
from cnncc.measure.tuning import owners
from cnncc.op import Op
from cnncc.ops import Add, AveragePool, Clip, Conv, MaxPool, Mul, Relu, Sigmoid
from cnncc.plan import PlanOptions
from cnncc.plan.cost.step import SHORT_OF_MEMORY
from cnncc.plan.kernels import Candidate, Convolution, Depthwise, Direct, Elementwise, Window, Winograd
from cnncc.plan.lower import LoweredGraph, lower
from cnncc.plan.make import make_plan
from cnncc.plan.plan import Plan, Step
from cnncc.plan.saved import describe, load, save
from cnncc.plan.split import fused, split
from cnncc.plan.text import show_plan
from tests.graphs import Net, compilation

ON = ("x86-64-v3", "x86-64-v4", "cortex-m4")


def layer(
    pool: Op, channels: int = 64, size: int = 14, kernel: int = 3, outputs: int = 64, *more: Op, groups: int = 1
) -> Graph:
    """A convolution with ReLU and a pool, and what follows them, between two others as in a network."""
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(1, 8, size, size), net.weights(channels, 8, 1, 1))
    conv, weights = Conv((kernel, kernel), padding="same", groups=groups), (outputs, channels // groups, kernel, kernel)
    x = net.apply(pool, net.apply(Relu(), net.apply(conv, x, net.weights(*weights))))
    for op in more:
        x = net.apply(op, x)
    return net.graph(net.apply(Conv((1, 1)), x, net.weights(8, outputs, 1, 1)))


def pooled(plan: Plan) -> list[Step]:
    """The steps of the layer with the pool: all but what comes before and after it."""
    begin, end = (
        next(at for at, step in enumerate(plan.steps) if isinstance(step.kernel, Convolution) and step.name == name)
        for name in ("conv_1", "conv_2")
    )
    return [step for step in plan.steps[begin:end] if not step.kernel.is_copy and not step.kernel.only_border]


def lowered(*ops: Op, residual: bool = False) -> LoweredGraph:
    """A convolution of 4 channels to 6² pixels, perhaps with a sum, and these ops behind it."""
    net = Net()
    y: Value = net.apply(Conv((3, 3)), net.input(1, 2, 8, 8), net.weights(4, 2, 3, 3))
    if residual:
        y = net.apply(Add(), y, net.input(1, 4, 6, 6, name="residual"))
    for op in ops:
        y = net.apply(op, y)
    return lower(compilation(net.graph(y)).optimised.graph)


# What there is to choose from


def test_clamps_follow_a_maximum_in_registers_and_stand_before_it_elsewhere() -> None:
    """There is less to clamp then; an average would come out otherwise."""
    for pool, last in ((MaxPool((2, 2)), "minimum(maximum($0, 0), 6)"), (AveragePool((2, 2)), "$0")):
        works = lowered(Clip(0.0, 6.0), pool, residual=True)
        (work,) = works.works
        held = fused(work).held
        assert str(held.after) == last and len(held.extras) == 1
        apart = split(work, works.types)
        assert str(apart.held.before) == "minimum(maximum(add($0, $1), 0), 6)" and len(apart.held.extras) == 1
        assert apart.held.pool is None and [step.computation for step in apart.steps] == [work.pool]
    for pool, steps in ((MaxPool((2, 2)), 1), (AveragePool((2, 2)), 2)):
        works = lowered(pool, Relu())
        assert len(split(*works.works, works.types).steps) == steps


def test_what_follows_the_pool_is_a_step_with_its_own_operands() -> None:
    net = Net()
    y = net.apply(Conv((3, 3)), net.input(1, 2, 8, 8), net.weights(4, 2, 3, 3))
    y = net.apply(MaxPool((2, 2)), net.apply(Add(), y, net.input(1, 4, 6, 6, name="before")))
    y = net.apply(Sigmoid(), net.apply(Mul(), y, net.input(1, 4, 1, 1, name="after")))
    works = lower(compilation(net.graph(y)).optimised.graph)
    (work,) = works.works
    parts = split(work, works.types)
    assert [str(extra.tensor) for extra in parts.held.extras] == ["before"] and parts.held.after == RUNNING
    pool, last = parts.steps
    assert [str(tensor) for tensor in last.operands[1:]] == ["after"] and last.result == work.result
    assert str(last.computation.expr) == "sigmoid(multiply($0, $1))"
    assert parts.types[parts.held.result].shape == (1, 4, 6, 6) and parts.types[pool.result].shape == (1, 4, 3, 3)


# What is chosen


def shapes() -> Iterator[tuple[Op, int, int, int, int]]:
    """Convolutions × pools: (pool, channels, size, kernel, outputs)."""
    layers = ((4, 3, 16), (32, 1, 32), (64, 3, 64), (32, 5, 16))
    for number, (pool, size) in enumerate(((2, 14), (2, 28), (3, 28), (4, 28), (7, 14), (8, 8), (14, 28))):
        for channels, kernel, outputs in (layers[number % 4], layers[(number + 1) % 4]):
            kind = (MaxPool, AveragePool)[(size + channels) % 3 == 0]
            yield kind((pool, pool), pool), channels, size, kernel, outputs


@pytest.mark.parametrize("target", ON)
def test_fused_is_never_slower_than_unfused_by_the_model(target: str) -> None:
    """Nor does any tile need more registers than there are. A microcontroller may save memory instead."""
    kinds: set[bool] = set()
    more = 1.001 if TARGETS[target].l2 else SHORT_OF_MEMORY
    for shape in shapes():
        graph = layer(*shape)
        plan, apart = (compilation(graph, target, off=off).plan for off in ((), ("fuse",)))
        steps = pooled(plan)
        assert cost(steps, plan) <= more * cost(pooled(apart), apart), shape
        assert len(steps) in (1, 2)
        kinds.add(len(steps) == 2)
        kernel = steps[0].kernel
        assert not isinstance(kernel, Direct) or kernel.tile.registers(kernel.lanes_along) <= TARGETS[target].registers
    assert kinds == {False, True}


def cost(steps: list[Step], plan: Plan) -> float:
    """Cycles of the steps of a layer by the model: of what was chosen, or of each step."""
    total, core = 0.0, plan.target
    for step in steps:
        if step.split:
            continue  # counted with its layer
        offered = plan.offers.get(step.signature, ())
        total += next((offer.cycles for offer in offered if offer.label == step.label), step.cycles(core))
    return total


@pytest.mark.parametrize("target", ("x86-64-v3", "x86-64-v4"))
@pytest.mark.parametrize(("pool", "size"), [(AveragePool((8, 8)), 8), (MaxPool((7, 7), 7), 14)])
def test_a_large_pool_does_not_rule_out_transforms(target: str, pool: Op, size: int) -> None:
    """The heads of classifiers: 64 or 49 sums have no registers, and no tile of a transform holds such a window."""
    contraction, apart = pooled(compilation(layer(pool, size=size), target).plan)
    assert isinstance(contraction.kernel, Winograd) and not contraction.kernel.epilogue.pool
    assert isinstance(apart.kernel, Window) and apart.split and apart.split.cycles < apart.split.fused / 2


@pytest.mark.parametrize("target", ON)
def test_a_small_pool_stays_in_registers(target: str) -> None:
    for kernel in (3, 5):
        (step,) = pooled(compilation(layer(MaxPool((2, 2), 2), 32, 28, kernel, 32), target).plan)
        assert isinstance(step.kernel, Direct | Winograd) and step.kernel.epilogue.pool and not step.split


@pytest.mark.parametrize(("size", "steps"), [(2, 1), (14, 2)])
def test_depthwise_layers_hold_windows_for_which_there_are_registers(size: int, steps: int) -> None:
    found = pooled(compilation(layer(MaxPool((size, size), size), 64, 28, groups=64), "x86-64-v3").plan)
    assert len(found) == steps and isinstance(found[0].kernel, Depthwise)
    assert not found[-1].signature and bool(found[-1].split) == (steps == 2)


def test_a_pool_behind_merged_positions() -> None:
    """A 1×1 convolution alone has all positions in one axis, which a pool in registers does not allow."""
    for streaming in ("none", "chains"):
        plan = compilation(layer(AveragePool((7, 7), 7), 32, 28, 1, 128), "x86-64-v4", streaming=streaming).plan
        contraction, apart = pooled(plan)
        merged = streaming == "none"  # rows of a stream have two axes
        assert len(contraction.kernel.own_window) == 2 - merged
        assert apart.split and apart.split.label.startswith("split pool, direct")
        assert (apart.split.signature == contraction.signature) == merged
        assert choices(plan)[apart.split.signature] == apart.split.label


def test_equal_signatures_have_equal_candidates() -> None:
    """The pool that counts for the cost of a split is in the signature."""
    found: dict[str, tuple[tuple[str, float], ...]] = {}
    kinds = (MaxPool((3, 3), 3), AveragePool((3, 3), 3)), ((), (Sigmoid(),)), ((Sigmoid(),), (Relu(),))
    for pool, more in itertools.product(kinds[0], (*kinds[1], *kinds[2])):
        for name, offers in compilation(layer(pool, 16, 12, 3, 16, *more), "x86-64-v3").plan.offers.items():
            cycles = tuple((offer.label, offer.cycles) for offer in offers)
            assert found.setdefault(name, cycles) == cycles


# What is told


def choices(plan: Plan) -> dict[str, str]:
    """The labels that a saved plan holds, by signature."""
    return {choice["signature"]: choice["label"] for choice in describe(plan, PlanOptions())["choices"]}


def large() -> Graph:
    return layer(MaxPool((7, 7), 7), 64, 14, 3, 64, Sigmoid())


def offers_of(plan: Plan) -> tuple[str, tuple[Candidate, ...]]:
    """The signature of the layer with the pool, and its candidates."""
    ((name, offered),) = ((name, offers) for name, offers in plan.offers.items() if " pool" in name)
    return name, offered


def test_a_plan_shows_what_was_split_and_why() -> None:
    lines = show_plan(compilation(large(), "x86-64-v3").plan).splitlines()
    why = [line.strip() for line in lines if line.strip().startswith("split ")]
    assert len(why) == 2  # the pool, and the sigmoid that follows it
    assert all(line.startswith("split    behind the layer, not in its registers: ") for line in why)
    assert all(line.endswith("cycles with the layer; no tile holds it") for line in why)
    depthwise = show_plan(compilation(layer(MaxPool((14, 14), 14), 64, 28, groups=64), "x86-64-v3").plan)
    assert " in registers\n" in depthwise


def test_a_choice_splits_or_fuses_and_a_saved_plan_keeps_it(tmp_path: Path) -> None:
    graph, target = layer(MaxPool((2, 2), 2), 16, 12, 3, 16, Sigmoid()), TARGETS["x86-64-v3"]
    name, offered = offers_of(compilation(graph, target).plan)
    assert len({offer.label for offer in offered}) == len(offered)
    after = compilation(graph, target).optimised.graph
    for offer in (offered[0], offered[-1]):
        options = PlanOptions(choices=((name, offer.label),))
        plan = make_plan(after, target, options)
        assert [type(step.kernel) for step in pooled(plan)[1:]] == ([Window, Elementwise] if offer.split else [])
        save(plan, options, tmp_path / "plan.json")
        assert make_plan(after, target, load(tmp_path / "plan.json", target)) == plan
        stored = json.loads((tmp_path / "plan.json").read_text())["choices"]
        assert {"layers": ["conv_1"], "signature": name, "label": offer.label} in stored


def test_the_time_of_all_parts_belongs_to_the_choice() -> None:
    plan = compilation(large(), "x86-64-v3").plan
    name, _ = offers_of(plan)
    parts = [owner for owner, step in zip(owners(plan), plan.steps, strict=True) if step in pooled(plan)]
    assert parts == [name] * 3


def test_a_split_counts_the_functions_behind_the_pool_for_each_result() -> None:
    """In registers they are computed for the results of the pool as well, not for each sum."""
    for target in ON:
        plain, more = (
            compilation(layer(MaxPool((2, 2), 2), 32, 28, 3, 32, *ops), target).plan for ops in ((), (Sigmoid(),))
        )
        (before, after) = (
            {offer.label: offer.cycles for offer in offers_of(plan)[1] if not offer.split} for plan in (plain, more)
        )
        core, vectors = TARGETS[target].core, 14 * 14 * 32 / TARGETS[target].lanes
        label = min(before, key=lambda label: before[label])
        assert math.isclose(after[label] - before[label], core.transcendental_cycles * vectors, rel_tol=0.35)
