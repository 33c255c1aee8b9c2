"""States and their updates: in place where nobody reads the old value any more, whatever the order of the layers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cnncc import interpreter
from cnncc.check.model import check_step
from cnncc.compiler import Compilation
from cnncc.elements import INT32, UINT8, element_of
from cnncc.ir import Graph, Value, without_states
from cnncc.ops import Add, Conv, Dense, Mul, ReduceSum, Relu, Reshape, Slice, Softmax, Sub, Tanh, Transpose
from cnncc.plan.updates import Updates
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import Net, compilation, expected, worst_ratio


class Machine(Net):
    """A net with states; `becomes` says what a state is after a call."""

    def state(self, data: Array, name: str = "s") -> Value:
        return self.builder.state(data, name, element=element_of(data))

    def becomes(self, state: Value, value: Value) -> None:
        self.builder.updates[state.node] = value


def held(plan_of: Compilation) -> int:
    """How many steps write to the memory of states."""
    plan = plan_of.plan
    return sum(plan.buffer(step.target).space == "state" for step in plan.steps)


def copied(plan_of: Compilation) -> int:
    """How many of them are copies."""
    plan = plan_of.plan
    return sum(plan.buffer(step.target).space == "state" and step.kernel.is_copy for step in plan.steps)


def runs(net: Machine, graph: Graph, target: str = "host", calls: int = 3, threads: int = 1) -> dict[str, Array]:
    """Some calls in native code against the interpreter, which gets the states that were really there before each."""
    compiled, plain = compilation(graph, target), compilation(without_states(graph), target)
    with Model(compiled.build(), threads=threads) as model:
        for _ in range(calls):
            before = {name: array.copy() for name, array in model.state.items()}
            results = model(dict(net.feeds))
            outputs = results if isinstance(results, tuple) else (results,)
            found = {port.name: array for port, array in zip(model.outputs, outputs, strict=True)}
            found |= {f"{name} (after)": model.state[name] for name in graph.updates}
            worst_ratio(found, expected(plain, {**net.feeds, **before}))
            for name in before.keys() - graph.updates.keys():
                np.testing.assert_array_equal(model.state[name], before[name])
        return {name: array.copy() for name, array in model.state.items()}


@pytest.mark.parametrize(
    "shape", [(1,), (7,), (16,), (33,), (200,), (3, 5), (6, 33), (2, 3, 19), (4, 3, 5, 5), (1, 9, 8, 17)]
)
@pytest.mark.parametrize("target", ["host", "x86-64-v2"])
def test_each_element_is_updated_once(shape: tuple[int, ...], target: str) -> None:
    net = Machine()
    state, x = net.state(net.random(*shape)), net.input(*shape)
    net.becomes(state, net.apply(Sub(), net.apply(Mul(), state, net.known(np.float32([0.5]).reshape(()))), x))
    graph = net.graph(net.apply(Tanh(), x))
    compiled = compilation(graph, target)
    assert (held(compiled), copied(compiled)) == (1, 0)
    one = runs(net, graph, target)
    np.testing.assert_array_equal(one["s"], runs(net, graph, target, threads=3)["s"])


def test_the_old_value_is_read_before_it_goes() -> None:
    """The update stands first in the graph, its readers behind it."""
    net = Machine()
    x, weights = net.input(2, 3, 8, 9), net.state(net.scaled(4, 3, 3, 3), "w")
    net.becomes(weights, net.apply(Mul(), weights, net.known(np.full((), 0.5, np.float32))))
    first = net.apply(Conv((3, 3), padding="same"), x, weights)
    second = net.apply(Conv((3, 3)), net.apply(Relu(), x), weights)
    graph = net.graph(first, second)
    compiled = compilation(graph)
    assert (held(compiled), copied(compiled)) == (1, 0)
    writer = next(n for n, step in enumerate(compiled.plan.steps) if compiled.plan.buffer(step.target).space == "state")
    readers = [n for n, step in enumerate(compiled.plan.steps) if "w (state)" in [view.buffer for view in step.sources]]
    assert writer == max(readers)
    for threads in (1, 2, 4):
        runs(net, graph, threads=threads)


def test_what_spoils_a_state_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update that does not wait for a reader: each layer alone is right, and the step as a whole is not."""
    net = Machine()
    x, weights = net.input(2, 3, 8, 9), net.state(net.scaled(4, 3, 3, 3), "w")
    net.becomes(weights, net.apply(Mul(), weights, net.known(np.full((), 0.5, np.float32))))
    graph = net.graph(net.apply(Conv((3, 3)), net.apply(Relu(), x), weights))
    feeds = {**net.feeds, "w": graph.initial("w")}
    assert check_step(compilation(graph), feeds, 2).ok
    monkeypatch.setattr(Updates, "reads", lambda updates, job, name: False)
    report = check_step(compilation(graph), feeds)
    assert all(finding.verdict == "ok" for finding in report.kernels)
    assert {finding.layer for finding in report.culprits} == {"y0"}


def test_states_change_places() -> None:
    """Two that take each other's value, and a ring of three."""
    for count in (2, 3):
        net = Machine()
        states = [net.state(net.random(5, 7), f"s{n}") for n in range(count)]
        for n, state in enumerate(states):
            net.becomes(state, states[(n + 1) % count])
        graph = net.graph(net.apply(Relu(), states[0]))
        before = [graph.initial(f"s{n}") for n in range(count)]
        after = runs(net, graph, calls=count + 1)
        for n in range(count):
            np.testing.assert_array_equal(after[f"s{n}"], before[(n + 1) % count])


def test_states_computed_from_each_other() -> None:
    net = Machine()
    a, b = net.state(net.random(4, 21), "a"), net.state(net.random(4, 21), "b")
    net.becomes(a, net.apply(Add(), a, b))
    net.becomes(b, net.apply(Sub(), a, b))
    graph = net.graph(net.apply(Mul(), a, b))
    assert held(compilation(graph)) == 2
    runs(net, graph)


def test_a_state_becomes_a_view_of_itself() -> None:
    net = Machine()
    turned, rolled = net.state(net.random(6, 6), "turned"), net.state(net.random(4, 9), "rolled")
    net.becomes(turned, net.apply(Transpose((1, 0)), turned))
    net.becomes(rolled, net.apply(Add(), rolled, net.apply(Slice((0,), (1,), (0,)), rolled)))
    shaped = net.apply(Reshape((9, 4)), rolled)
    graph = net.graph(net.apply(Relu(), turned), net.apply(Relu(), shaped))
    runs(net, graph)


def test_a_state_becomes_what_arrives_or_is_known() -> None:
    net = Machine()
    x = net.input(3, 8)
    net.becomes(net.state(net.random(3, 8), "last"), x)
    net.becomes(net.state(net.random(2, 3), "set"), net.known(np.ones((2, 3), np.float32)))
    net.becomes(same := net.state(net.random(5), "same"), same)
    net.becomes(net.state(net.random(3, 8), "result"), result := net.apply(Softmax(), x))
    runs(net, net.graph(result, net.apply(Relu(), result)))


def test_counts_of_whole_numbers() -> None:
    net = Machine()
    steps, flags = net.state(np.zeros((1,), np.int32), "steps"), net.state(np.uint8([250] * 37), "flags")
    net.becomes(steps, net.apply(Add(), steps, net.known(np.int32([1]), INT32)))
    net.becomes(flags, net.apply(Add(), flags, net.known(np.uint8([3]), UINT8)))
    graph = net.graph(net.apply(Relu(), net.input(1, 4)))
    after = runs(net, graph, calls=5)
    assert after["steps"] == 5 and (after["flags"] == (250 + 15) % 256).all()


def test_a_step_of_learning() -> None:
    """A dense layer and its own update, with momentum: two states in place, both read before."""
    net = Machine()
    x, wanted = net.input(6, 20), net.input(6, 5, name="wanted")
    weights, momentum = net.state(net.scaled(5, 20), "w"), net.state(np.zeros((5, 20), np.float32), "m")
    error = net.apply(Sub(), net.apply(Dense(), x, weights), wanted)
    turned = net.apply(Transpose((1, 0)), error), net.apply(Transpose((1, 0)), x)
    gradient = net.apply(Dense(), *turned)
    kept = net.apply(Add(), net.apply(Mul(), momentum, net.known(np.full((), 0.9, np.float32))), gradient)
    net.becomes(momentum, kept)
    net.becomes(weights, net.apply(Sub(), weights, net.apply(Mul(), kept, net.known(np.full((), 0.01, np.float32)))))
    graph = net.graph(net.apply(ReduceSum((0, 1)), net.apply(Mul(), error, error)))
    compiled = compilation(graph)
    assert (held(compiled), copied(compiled)) == (2, 0)
    one = runs(net, graph, calls=5)
    for threads in (2, 3, 4):
        many = runs(net, graph, calls=5, threads=threads)
        for name, array in one.items():
            np.testing.assert_array_equal(many[name], array)


def shuffled(seed: int) -> tuple[Machine, Graph]:
    """Random updates of states of one shape from each other, some through views, some of them outputs as well."""
    net, rng = Machine(seed), np.random.default_rng(seed)
    shape = [(5, 7), (33,), (2, 3, 4, 9), (8, 8)][seed % 4]
    states = [net.state(net.random(*shape), f"s{n}") for n in range(int(rng.integers(1, 6)))]
    values = [*states, net.input(*shape)]
    for _ in range(int(rng.integers(2, 10))):
        a, b = (values[int(rng.integers(len(values)))] for _ in range(2))
        axes = tuple(int(axis) for axis in rng.permutation(len(shape))) if len(set(shape)) == 1 else ()
        pick = int(rng.integers(4))
        op = (Sub(), Add(), Tanh(), Transpose(axes) if axes else Relu())[pick]
        values.append(net.apply(op, a, b) if pick < 2 else net.apply(op, a))
    for state in states:
        if rng.random() < 0.85:
            net.becomes(state, values[int(rng.integers(len(values)))])
    return net, net.graph(*(values[int(rng.integers(len(values)))] for _ in range(2)))


@pytest.mark.parametrize("seed", range(60))
def test_any_updates(seed: int) -> None:
    net, graph = shuffled(seed)
    one = runs(net, graph)
    many = runs(net, graph, threads=1 + seed % 4)
    for name, array in one.items():
        np.testing.assert_array_equal(many[name], array)


def test_the_interpreter_steps_through_states() -> None:
    net = Machine()
    state = net.state(net.random(3), "s")
    net.becomes(state, net.apply(Add(), state, net.known(np.ones((3,), np.float32))))
    graph = net.graph(net.apply(Relu(), net.apply(Mul(), state, net.input(3))))
    states: Mapping[str, Array] = {"s": graph.initial("s")}
    for call in range(3):
        outputs, states = interpreter.step(graph, net.feeds, states)
        np.testing.assert_allclose(states["s"], graph.initial("s") + call + 1, rtol=1e-6)
        np.testing.assert_allclose(outputs["y0"], np.maximum((states["s"] - 1) * net.feeds["x"], 0), rtol=1e-5)
