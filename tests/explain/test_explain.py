"""Reasons are true: they agree with the graph, with the plan, and with what happens without a pass."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.explain import Explanation, explain
from cnncc.explain.limits import rates
from cnncc.ir import Graph
from cnncc.ops import Add, Conv, Mul, Relu, Sigmoid
from cnncc.passes.manager import optimise
from cnncc.plan import PlanOptions
from cnncc.plan.memory import alive_bytes
from cnncc.plan.text import show_memory
from cnncc.plan.traffic import step_traffic, touches
from tests.graphs import Net

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODELS = ("digits", "ecg", "edges", "inception", "mobilenet", "resnet", "unet", "volume")
TARGETS = ("x86-64-v3", "cortex-m4")
COMPARED = 3
"""Layers of a model for which candidates are compared here; a second is what all of a large one take."""
SPLITTING = {"separable", "groups", "zero_rings", "powers", "rounded_powers", "sums"}
"""Passes that make multiply-accumulates more or fewer."""


@functools.cache
def compiled(model: str, target: str) -> Compilation:
    return Compilation(cnncc.load_graph(EXAMPLES / f"{model}.py"), Options(resolve_target(target)))


@functools.cache
def explained(model: str, target: str) -> Explanation:
    compilation = compiled(model, target)
    graph = compilation.optimised.graph
    anchors = [node.name for node in graph if node.op.cost(*graph.types(node.inputs)).macs]
    return explain(compilation, anchors[:COMPARED] + anchors[-1:])


@pytest.fixture(params=[(model, target) for model in MODELS for target in TARGETS], ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[Compilation, Explanation]:
    return compiled(*request.param), explained(*request.param)


Case = tuple[Compilation, Explanation]


def test_each_step_belongs_to_one_layer(case: Case) -> None:
    compilation, explanation = case
    numbers = [step.number for layer in explanation.layers for step in layer.steps]
    assert sorted(numbers) == list(range(len(compilation.plan.steps)))
    assert all(bool(layer.stands) != bool(layer.steps) for layer in explanation.layers)
    assert sum(layer.share for layer in explanation.layers) == pytest.approx(1)


def test_the_chosen_candidate_is_the_cheapest(case: Case) -> None:
    compilation, explanation = case
    found = [(layer, choice) for layer in explanation.layers for choice in layer.choices]
    assert found
    for layer, choice in found:
        labels = {compilation.plan.steps[step.number].label for step in layer.steps}
        chosen = choice.chosen
        if choice.signature:
            offers = compilation.plan.offers[choice.signature]
            assert {one.label: one.cycles for one in choice.candidates} == {one.label: one.cycles for one in offers}
            assert chosen.label in labels
        assert choice.decided in ("cost", "only") and chosen.cycles == min(one.cycles for one in choice.candidates)
        assert f"{chosen.cycles:,.0f}" in choice.told or choice.decided == "only"
        assert all(chosen.limits[chosen.limit] >= cost > 0 for cost in chosen.limits.values())
        assert chosen.without == pytest.approx(chosen.cycles - chosen.limits[chosen.limit])


def test_multiply_accumulates_are_those_of_the_summary(case: Case) -> None:
    """What a layer multiplies is what the nodes do that went into it, if no pass took multiplications away."""
    compilation, explanation = case
    given = compilation.graph
    for layer in explanation.layers:
        nodes = [given[name] for name in layer.origins]
        alone = all(explanation.origins[name].layers == (layer.name,) for name in layer.origins)
        if alone and not SPLITTING & {entry.pass_name for entry in layer.fired}:
            macs = sum(node.op.cost(*given.types(node.inputs)).macs for node in nodes)
            assert layer.multiply_accumulates == macs // images(compilation)
    whole = sum(step.macs for step in compilation.plan.steps)
    assert sum(layer.multiply_accumulates for layer in explanation.layers) == whole


def images(compilation: Compilation) -> int:
    return compilation.plan.images if compilation.plan.batchable else 1


def test_bytes_are_those_of_the_benchmark(case: Case) -> None:
    """`bench --layers` counts the traffic of each step with the same function, by the caches of this machine."""
    compilation, explanation = case
    moved = [sum(levels.values()) for levels in step_traffic(compilation.plan, lambda distance: "L1")]
    for layer in explanation.layers:
        assert layer.bytes == sum(moved[step.number] for step in layer.steps)
        for step in layer.steps:
            assert set(step.traffic) <= set(explanation.rates)
            apart = len({(view.buffer, view.order, view.shape) for view in step.views}) == len(step.views)
            assert step.bytes <= step.bytes_read + step.bytes_written or not apart
            assert step.bound_cycles == max(step.bounds.values())
    assert sum(layer.bytes for layer in explanation.layers) == sum(size for *_, size in touches(compilation.plan))


def test_memory_is_that_of_the_plan(case: Case) -> None:
    compilation, explanation = case
    memory, plan = explanation.memory, compilation.plan
    assert list(memory.alive) == alive_bytes(plan) and memory.workspace_bytes == plan.workspace_bytes
    shown = show_memory(plan)
    assert all(life.name in shown for life in memory.buffers)
    for life in memory.buffers:
        touching = {number for number, step in enumerate(plan.steps) for view in step.views if view.buffer == life.name}
        assert life.first_step <= min(touching) and max(touching) <= life.last_step


def test_borders_are_those_of_the_plan(case: Case) -> None:
    """What is said of borders is what the views of the steps have, and the cheaper way was taken."""
    _, explanation = case
    for layer in explanation.layers:
        told = [sentence for sentence in layer.decisions if sentence.startswith("its window reaches")]
        views = {view.border.split()[0] for step in layer.steps for view in step.views if view.border}
        assert {word for sentence in told for word in ("halo", "clip") if f"({word})" in sentence} <= views
        for sentence in told:
            if figures := re.search(r"tests would take ([\d,]+) cycles, a border ([\d,]+)$", sentence):
                tests, border = (int(figure.replace(",", "")) for figure in figures.groups())
                assert tests >= border if "(halo)" in sentence else tests <= border


# Passes


@pytest.mark.parametrize("model", MODELS)
def test_passes_that_fired_changed_the_layer(model: str) -> None:
    """Without a pass that fired, the layer is another one, or is not there, or its weights are others."""
    compilation, explanation = compiled(model, TARGETS[0]), explained(model, TARGETS[0])
    left, known = compilation.optimised.graph, dict[str, Graph]()
    for layer in explanation.layers:
        for entry in layer.fired:
            if entry.pass_name not in known:
                known[entry.pass_name] = optimise(compilation.graph, off=[entry.pass_name]).graph
            assert story(left, layer.name) != story(known[entry.pass_name], layer.name), (layer.name, str(entry))


def story(graph: Graph, name: str) -> object:
    """A node with what it reads, weights by their content; None if it is not there."""
    node = graph.nodes.get(name)
    return node and (repr(node.op), [getattr(graph[value.node].op, "digest", value) for value in node.inputs])


@pytest.mark.parametrize("model", MODELS)
def test_layers_without_a_pass_are_as_they_were_given(model: str) -> None:
    compilation, explanation = compiled(model, TARGETS[0]), explained(model, TARGETS[0])
    for layer in explanation.layers:
        if not layer.fired:
            assert compilation.optimised.graph[layer.name].op == compilation.graph[layer.name].op
            assert layer.origins == (layer.name,)


@pytest.mark.parametrize("model", MODELS)
def test_every_given_node_is_told(model: str) -> None:
    compilation, explanation = compiled(model, TARGETS[0]), explained(model, TARGETS[0])
    names = {layer.name for layer in explanation.layers}
    assert list(explanation.origins) == list(compilation.graph.nodes)
    for node in compilation.graph:
        origin = explanation.origins[node.name]
        assert origin.told.startswith(f"'{node.name}' ({node.op.name}) ") and origin.told.endswith(".")
        assert set(origin.layers) <= names
        assert all(node.name in explanation.layer(layer).origins for layer in origin.layers)
        assert bool(origin.layers) == (origin.how in ("kept", "rewritten", "absorbed", "split", "same"))


def test_fates() -> None:
    """A layer that nobody needs, two that are alike, one that changes nothing, one of constants, one that is fused."""
    net = Net()
    add = net.builder.add
    x, w, one = (
        net.input(1, 4, 8, 8),
        net.builder.constant(net.random(4, 4, 3, 3), "w"),
        net.builder.constant(np.ones(1, np.float32), "one"),
    )
    (first,) = add(Conv(kernel=(3, 3), padding="same"), [x, w], "first")
    (relu,) = add(Relu(), [first], "relu")
    (again,) = add(Conv(kernel=(3, 3), padding="same"), [x, w], "again")
    add(Sigmoid(), [again], "dead")
    (same,) = add(Mul(), [relu, one], "same")
    (two,) = add(Add(), [one, one], "two")
    (both,) = add(Add(), [same, again], "both")
    (last,) = add(Mul(), [both, two], "last")
    (second,) = add(Conv(kernel=(3, 3), padding="same"), [last, w], "second")
    explanation = explain(Compilation(net.builder.graph({"y": second}), Options(resolve_target("x86-64-v3"))), ())
    origins = explanation.origins
    hows = {"dead": "removed", "again": "same", "two": "constant", "same": "same", "last": "absorbed"}
    assert {name: origins[name].how for name in hows} == hows
    assert origins["again"].layers == origins["first"].layers and origins["same"].layers == origins["relu"].layers
    assert "no output needs it" in origins["dead"].told and "'first'" in origins["again"].told


# Choices that something else decided


def test_options_decide() -> None:
    compilation = compiled("digits", "x86-64-v3")
    signature, offers = next(item for item in compilation.plan.offers.items() if len(item[1]) > 2)
    dearer = max(offers, key=lambda one: one.cycles)
    options = Options(resolve_target("x86-64-v3"), plan=PlanOptions(choices=((signature, dearer.label),)))
    explanation = explain(Compilation(compilation.graph, options))
    (choice,) = {id(c): c for layer in explanation.layers for c in layer.choices if c.signature == signature}.values()
    assert choice.decided == "options" and choice.chosen.label == dearer.label
    assert "the options name it" in choice.told and f"'{choice.candidates[0].label}'" in choice.told


PLANS = {
    "least memory": PlanOptions(streaming="memory"),
    "no borders": PlanOptions(borders="none"),
    "replaceable weights": PlanOptions(replaceable=True),
}


@pytest.mark.parametrize("options", PLANS.values(), ids=list(PLANS))
def test_other_plans(options: PlanOptions) -> None:
    graph = compiled("digits", "x86-64-v3").graph
    compilation = Compilation(graph, Options(resolve_target("x86-64-v3"), "strict", plan=options))
    explanation = explain(compilation, ())
    assert sum(len(layer.steps) for layer in explanation.layers) == len(compilation.plan.steps)
    assert any(entry.pass_name == "fold_batch_norm" for entry in explanation.idle)
    assert all(layer.decisions for layer in explanation.layers if layer.name == "conv1")


def test_candidates_are_told_of_named_layers_alone() -> None:
    explanation = explain(compiled("digits", "cortex-m4"), ["norm2"])
    assert [layer.name for layer in explanation.layers if layer.choices] == ["conv2"]
    assert explanation.cycles == pytest.approx(explain(compiled("digits", "cortex-m4")).cycles)


@pytest.mark.parametrize("target", ["x86-64-v4", "aarch64", "cortex-m0plus", "riscv64gc", "wasm32-simd"])
def test_rates_fall_with_the_distance(target: str) -> None:
    found = list(rates(resolve_target(target)).values())
    assert found == sorted(found, reverse=True) and all(0 < rate < 1e4 for rate in found)
