"""Plans in files: what is written is read again, and every mistake in a file is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cnncc.errors import OutputError, UsageError
from cnncc.ir import Graph
from cnncc.ops import Conv
from cnncc.plan import PlanOptions
from cnncc.plan.make import make_plan
from cnncc.plan.saved import load, save
from cnncc.target import TARGETS
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
    file, content = saved(tmp_path, streaming="chains", border_limit=1.25, choices=((first, other),))
    assert content["options"]["streaming"] == "chains"
    assert {choice["signature"]: choice["label"] for choice in content["choices"]}[first] == other
    assert sum(len(choice["layers"]) for choice in content["choices"]) == 3
    options = load(file, TARGET)
    assert (options.streaming, options.border_limit, options.source) == ("chains", 1.25, str(file))
    again = make_plan(network(), TARGET, options)
    wanted = make_plan(network(), TARGET, PlanOptions("chains", 1.25, ((first, other),)))
    assert (again.steps, again.weights, again.stages) == (wanted.steps, wanted.weights, wanted.stages)


def test_the_name_of_the_file_changes_nothing(tmp_path: Path) -> None:
    options = load(saved(tmp_path)[0], TARGET)
    assert str(tmp_path) not in repr(options)
    assert options == PlanOptions(options.streaming, options.border_limit, options.choices)


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
        ({"options": {"streaming": "rows"}}, "option 'streaming' is 'rows': expected one of none, pools, cost, chains"),
        ({"options": {"border_limit": "2"}}, "option 'border_limit' is \"2\": expected a value like 1.4"),
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
