"""Plans in files: what is written is read again, and every mistake in a file is told."""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncc.compiler import Compilation
from cnncc.errors import OutputError, UsageError
from cnncc.ir import Graph
from cnncc.machine.target import TARGETS, Target
from cnncc.ops import Add, AveragePool, Conv, MaxPool, Relu, Sigmoid, Tanh
from cnncc.plan import PlanOptions
from cnncc.plan.candidates import Choices, Chosen
from cnncc.plan.kernels import Candidate, Direct, Grouped, Winograd
from cnncc.plan.layout import lay_out
from cnncc.plan.lower import lower
from cnncc.plan.make import make_plan
from cnncc.plan.plan import Plan
from cnncc.plan.saved import describe, load, save
from cnncc.plan.shuffle import shuffles_as_tables
from tests.fuzz.check import random_choices
from tests.fuzz.generate import random_graph
from tests.graphs import Net, compilation

TARGET = TARGETS["x86-64-v3"]


def network() -> Graph:
    """Three convolutions, two of them equal."""
    net = Net()
    y = net.input(1, 16, 14, 14)
    for _ in range(2):
        y = net.apply(Conv((3, 3), padding="same"), y, net.weights(16, 16, 3, 3))
    return net.graph(net.apply(Conv((1, 1)), y, net.weights(24, 16, 1, 1)))


def saved(folder: Path, **options: Any) -> tuple[Path, dict[str, Any]]:
    """A file with the plan of the network, and its content."""
    chosen, file = PlanOptions(**options), folder / "plan.json"
    save(make_plan(network(), TARGET, chosen), chosen, file)
    return file, json.loads(file.read_text())


def test_a_saved_plan_is_the_same_plan(tmp_path: Path) -> None:
    plan = compilation(network(), TARGET).plan
    first = next(step.signature for step in plan.steps if step.signature)
    other = plan.offers[first][-1].label
    file, content = saved(tmp_path, streaming="chains", borders="all", choices=((first, other),))
    assert content["options"]["streaming"] == "chains"
    assert {choice["signature"]: choice["label"] for choice in content["choices"]}[first] == other
    assert sum(len(choice["layers"]) for choice in content["choices"]) == 3
    options = load(file, TARGET)
    assert (options.streaming, options.borders, options.source) == ("chains", "all", str(file))
    again = make_plan(network(), TARGET, options)
    wanted = make_plan(network(), TARGET, PlanOptions("chains", "all", ((first, other),)))
    assert (again.steps, again.weights, again.stages) == (wanted.steps, wanted.weights, wanted.stages)


# Whatever a plan takes has a label, for every target


ON_EVERY_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


def unshared(kernel: Any) -> Any:
    """A kernel as it was offered: how shards share it is decided later."""
    return kernel if isinstance(kernel, Grouped) else replace(kernel, partition_axis="rows", parts=1)


def check_labels(plan: Plan) -> None:
    """Every contraction but a depthwise one is one of the candidates that its signature offers."""
    for step in plan.steps:
        assert bool(step.signature) == bool(step.label) == isinstance(step.kernel, Direct | Grouped | Winograd)
        if step.signature:
            (offer,) = (offer for offer in plan.offers[step.signature] if offer.label == step.label)
            assert unshared(offer.kernel) == unshared(replace(step.kernel, epilogue=offer.kernel.epilogue))


@ON_EVERY_TARGET
def test_a_saved_plan_has_every_layer_and_makes_the_same_plan(target: Target) -> None:
    """Of the model's own choice, and of random ones: random graphs, and some whose layers shards share by blocks."""
    shared = 0
    for number, compiled in enumerate([*random_compilations(), *map(few_rows, (4, 7, 12))]):
        made = compiled.varied(target=target)
        choices = random_choices(made, np.random.default_rng(number))
        for given in {(), choices}:
            options = replace(made.options.plan, choices=given)
            plan = made.varied(plan=options).plan
            check_labels(plan)
            content = describe(plan, options)["choices"]
            saved = [name for choice in content for name in choice["layers"]]
            chosen = {(step.signature, step.name) for step in plan.steps if step.label}  # a layer's phases may be alike
            assert sorted(saved) == sorted(name for _, name in chosen)
            again = tuple(sorted((choice["signature"], choice["label"]) for choice in content))
            assert made.varied(plan=replace(options, choices=again, source="plan.json")).plan == plan
            shared += sum(getattr(step.kernel, "partition_axis", "rows") != "rows" for step in plan.steps)
    assert shared > 3


@functools.cache
def random_compilations() -> list[Compilation]:
    """Random graphs, whose passes run once for all targets."""
    found = [compilation(random_graph(seed)[0]) for seed in range(12)]
    assert all(compiled.optimised for compiled in found)
    return found


def few_rows(size: int) -> Compilation:
    """Layers of few rows and many channels, which shards share by blocks of outputs."""
    net = Net()
    y = net.input(1, 24, size, size)
    for outputs, kernel in ((64, 3), (64, 3), (100, 1), (10, size)):
        y = net.apply(
            Conv((kernel, kernel), padding=kernel // 2 if kernel == 3 else 0),
            y,
            net.weights(outputs, int(net.shape(y)[1]), kernel, kernel),
        )
    return compilation(net.graph(y))


@ON_EVERY_TARGET
def test_equal_signatures_offer_the_same(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a choice means the same for all layers of a signature, in one model or in several."""
    known: dict[str, list[tuple[str, float, Any]]] = {}
    pick = Choices.pick

    def compared(self: Choices, signature: str, candidates: list[Candidate]) -> Chosen:
        offered = [(offer.label, offer.cycles, replace(unshared(offer.kernel), epilogue=None)) for offer in candidates]
        assert known.setdefault(signature, offered) == offered, signature
        return pick(self, signature, candidates)

    monkeypatch.setattr(Choices, "pick", compared)
    for compiled in (layers_that_differ(), *random_compilations()):
        lay_out(shuffles_as_tables(lower(compiled.optimised.graph)), target)
    assert len(known) > 20


@functools.cache
def layers_that_differ() -> Compilation:
    """Convolutions of one shape that differ in what is known of their weights, and in what follows."""
    net, outputs = Net(), []
    wild = np.ones((16, 16, 3, 3), np.float32)
    wild[1, 2, 0, 1] = np.inf
    for weights, before, pool, residual, after in itertools.product(
        ("known", "given", "wild"),
        (None, Tanh()),
        (None, MaxPool((2, 2)), AveragePool((2, 2))),
        (False, True),
        (None, Sigmoid()),
    ):
        x = net.apply(Relu(), net.input(1, 16, 8, 8))
        w = net.known(wild) if weights == "wild" else net.weights(16, 16, 3, 3, arrive=weights == "given")
        y = net.apply(Conv((3, 3), padding=1), x, w)
        for op in (before, pool):
            y = net.apply(op, y) if op else y
        y = net.apply(Add(), y, net.input(*net.shape(y))) if residual else y
        outputs.append(net.apply(after, y) if after else y)
    return compilation(net.graph(*outputs))


# Files


def test_the_name_of_the_file_changes_nothing(tmp_path: Path) -> None:
    options = load(saved(tmp_path)[0], TARGET)
    assert str(tmp_path) not in repr(options)
    assert options == PlanOptions(options.streaming, options.borders, options.choices)


def refused(folder: Path, content: Any, problem: str) -> None:
    file = folder / "plan.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UsageError) as error:
        make_plan(network(), TARGET, load(file, TARGET))
    assert str(error.value) == f"plan '{file}': {problem}"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"cnncc plan": 2}, 'expected "cnncc plan": 1, got 2'),
        ({"target": "cortex-m4"}, "it was made for target 'cortex-m4', not for 'x86-64-v3'"),
        ({"options": []}, '"options" is not an object'),
        (
            {"options": {"streaming": "rows"}},
            "option 'streaming' is 'rows': expected one of none, pools, cost, chains, memory",
        ),
        ({"options": {"borders": "2"}}, "option 'borders' is '2': expected one of cost, all, none"),
        ({"options": {"images_at_once": "2"}}, "option 'images_at_once' is \"2\": expected a value like 16"),
        ({"choices": {}}, '"choices" is not a list'),
        ({"choices": [{"signature": "s"}]}, 'choice 0 has no "signature" and "label", both texts'),
        (
            {"choices": [{"signature": "s", "label": "a"}, {"signature": "s", "label": "b"}]},
            "choice 1 and an earlier one differ for signature 's'",
        ),
        ({"choices": [{"signature": "1>2", "label": "a"}]}, "model 'net' has no layer with signature '1>2'"),
    ],
)
def test_mistakes(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    _, content = saved(tmp_path)
    name = network().name
    refused(tmp_path, content | change, problem.replace("'net'", f"'{name}'"))


def test_an_unknown_option(tmp_path: Path) -> None:
    _, content = saved(tmp_path)
    known = ", ".join(content["options"])
    refused(tmp_path, content | {"options": {"speed": 1}}, f"unknown option 'speed': expected some of {known}")


def test_an_unknown_label(tmp_path: Path) -> None:
    _, content = saved(tmp_path)
    choice = content["choices"][0]
    offers = make_plan(network(), TARGET).offers[choice["signature"]]
    choice["label"] = "magic 9×9"
    labels = ", ".join(candidate.label for candidate in offers)
    refused(
        tmp_path, content, f"signature '{choice['signature']}' has no candidate 'magic 9×9': expected one of {labels}"
    )


def test_files_that_are_no_plans(tmp_path: Path) -> None:
    refused(tmp_path, "[]", "expected a JSON object")
    refused(tmp_path, "plan", "it is not JSON: Expecting value: line 1 column 1 (char 0)")
    with pytest.raises(UsageError) as error:
        load(tmp_path / "none.json", TARGET)
    assert str(error.value) == f"plan '{tmp_path / 'none.json'}': cannot read it: No such file or directory"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    options = PlanOptions()
    with pytest.raises(OutputError) as error:
        save(make_plan(network(), TARGET), options, tmp_path / "no" / "plan.json")
    assert str(error.value) == f"cannot write plan '{tmp_path / 'no' / 'plan.json'}': No such file or directory"
    assert list(tmp_path.iterdir()) == []
