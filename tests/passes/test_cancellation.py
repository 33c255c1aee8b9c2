"""No rewrite moves a subtraction behind a sum where that costs digits: normalised inputs, and results made large."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc.check.tolerance import bounds
from cnncc.ir import Graph, Value
from cnncc.op import Op
from cnncc.ops import Add, BatchNormalization, Concat, Conv, ConvTranspose, Dense, Div, Mul, Relu, Sub, Transpose
from cnncc.passes.batch_norm import fold_batch_norm
from cnncc.passes.batch_norm_before import fold_batch_norm_before
from cnncc.passes.manager import optimise, seeded_feeds
from cnncc.passes.typical import feeds
from cnncc.passes.weighted import LIMIT
from cnncc.types import Array

from .support import Net, apply, layers, why

GROWN = (2 * LIMIT + 1) / 0.8  # products and bias, for inputs whose mean size is 0.8 deviations
UNIT = 2.0**-24

LAYERS: dict[str, tuple[Op, tuple[int, ...], tuple[int, ...]]] = {  # op, input, weights
    "dense": (Dense(), (2, 24), (6, 24)),
    "1-D": (Conv((5,)), (1, 3, 12), (4, 3, 5)),
    "2-D": (Conv((3, 3)), (1, 3, 7, 6), (4, 3, 3, 3)),
    "3-D": (Conv((2, 3, 2)), (1, 2, 4, 5, 3), (3, 2, 2, 3, 2)),
    "depthwise": (Conv((3, 3), groups=4), (1, 4, 7, 6), (4, 1, 3, 3)),
    "grouped": (Conv((2, 2), stride=2, groups=2), (1, 4, 6, 6), (6, 2, 2, 2)),
    "padded": (Conv((3, 3), padding="same"), (1, 3, 6, 6), (4, 3, 3, 3)),
    "transposed": (ConvTranspose((3, 3), 2), (1, 4, 4, 3), (4, 3, 3, 3)),
}
RATIOS = (0.5, 3.0, 30.0, 2026.5, 1e6)
Form = Callable[[Net, Value, Array, Array], Value]


def step(op: type[Op], net: Net, x: Value, data: Array, first: bool = False) -> Value:
    known = net.known(data)
    return net.apply(op(), *((known, x) if first else (x, known)))


def multiply_add(net: Net, x: Value, mean: Array, deviation: Array) -> Value:
    factor = (1 / deviation).astype(np.float32)
    return step(Add, net, step(Mul, net, x, factor), -mean * factor)


def add_divide(net: Net, x: Value, mean: Array, deviation: Array) -> Value:
    return step(Div, net, step(Add, net, x, -mean, True), deviation)


def turned(net: Net, x: Value, mean: Array, deviation: Array) -> Value:
    return step(Mul, net, step(Sub, net, x, mean, True), -1 / deviation, True)


def batch_norm(net: Net, x: Value, mean: Array, deviation: Array, scale: float = 1.0, bias: float = 0.0) -> Value:
    vectors = [np.full(mean.size, scale), np.full(mean.size, bias), mean.reshape(-1), deviation.reshape(-1) ** 2]
    return net.apply(BatchNormalization(0.0), x, *(net.known(vector) for vector in vectors))


FORMS: dict[str, Form] = {
    "(x - m) / s": lambda net, x, m, s: step(Div, net, step(Sub, net, x, m), s),
    "(-m + x) / s": add_divide,
    "(m - x) * (-1 / s)": turned,
    "x * (1 / s) - m / s": multiply_add,
    "x - m": lambda net, x, m, s: step(Sub, net, x, m),
    "batch norm": batch_norm,
    "small batch norm": lambda net, x, m, s: batch_norm(net, x, m, s, 0.01, 0.02),
}


def network(form: str, layer: str, ratio: float) -> Graph:
    """A layer behind a normalisation of `ratio` = mean / deviation (and less in other channels)."""
    op, shape, weights = LAYERS[layer]
    net = Net()
    fractions = np.linspace(1, 0.5, shape[1]).reshape(-1, *(1,) * (len(shape) - 2))
    deviation = np.full_like(fractions, 1.0 if form == "x - m" else 4.0)
    y = FORMS[form](net, net.input(*shape), (ratio * deviation * fractions).astype(np.float32), deviation)
    return net.graph(net.apply(op, y, net.weights(*weights), name="layer"))


def growth(before: Graph, after: Graph, given: dict[str, Array]) -> float:
    """How many times larger the largest rounding error bound became."""
    old, new = bounds(before, given), bounds(after, given, exact_constants=False)
    return max(
        float(new[after.outputs[name]].error.max() / old[value].error.max()) for name, value in before.outputs.items()
    )


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("form", FORMS)
def test_no_bound_grows(form: str, layer: str) -> None:
    for ratio in RATIOS:
        before = network(form, layer, ratio)
        after = optimise(before).graph
        assert growth(before, after, seeded_feeds(before)) < GROWN, ratio


def exact(graph: Graph, x: Array) -> Array:
    """The graphs of this file in float64, in NumPy alone."""
    values = {Value("x"): x.astype(np.float64)}
    for node in graph:
        if node.op.source is None:
            known = (graph.constant(value) for value in node.inputs)
            arrays = [values[v] if data is None else data for v, data in zip(node.inputs, known, strict=True)]
            values[node.values[0]] = meaning(node.op, *(np.asarray(array, np.float64) for array in arrays))
    return values[next(iter(graph.outputs.values()))]


def meaning(op: Op, *arrays: Array) -> Array:
    if isinstance(op, BatchNormalization):
        x, *vectors = arrays
        scale, bias, mean, variance = (vector.reshape(-1, *(1,) * (x.ndim - 2)) for vector in vectors)
        return np.asarray((x - mean) / np.sqrt(variance + op.epsilon) * scale + bias)
    if isinstance(op, Dense):
        return np.asarray(arrays[0] @ arrays[1].T)
    if isinstance(op, Conv):
        x, w = arrays
        rank = x.ndim - 2
        seen = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], tuple(range(2, x.ndim)))
        stride = (op.stride,) * rank if isinstance(op.stride, int) else op.stride
        seen = seen[(..., *(slice(None, None, n) for n in stride), *(slice(None),) * rank)]
        parts = zip(np.split(seen, op.groups, 1), np.split(w, op.groups), strict=True)
        taps = "abc"[:rank]
        return np.concatenate([np.einsum(f"nc...{taps},oc{taps}->no...", *part) for part in parts], 1)
    named = {Sub: np.subtract, Div: np.divide, Mul: np.multiply, Add: np.add}
    return np.asarray(named[type(op)](*arrays))


def worst(graph: Graph, precision: str, given: Array) -> float:
    """The largest error of compiled code."""
    found = cnncc.compile(graph, precision=precision, cache=False)(given)
    assert isinstance(found, np.ndarray)
    return float(np.abs(found - exact(graph, given)).max())


@pytest.mark.parametrize("layer", ["dense", "1-D", "2-D", "depthwise", "grouped"])
@pytest.mark.parametrize("form", ["(x - m) / s", "x * (1 / s) - m / s", "batch norm"])
@pytest.mark.parametrize("ratio", [3.0, 2026.5])
def test_fast_code_is_as_right_as_strict_code(form: str, layer: str, ratio: float) -> None:
    graph = network(form, layer, ratio)
    given = seeded_feeds(graph)["x"]
    largest = float(np.abs(exact(graph, given)).max())
    assert worst(graph, "fast", given) <= GROWN * (worst(graph, "strict", given) + UNIT * largest)


@pytest.mark.parametrize("ratio", [300.0, 2026.5, 1e6])
def test_a_batch_norm_takes_its_mean_away_first(ratio: float) -> None:
    graph = network("batch norm", "dense", ratio)
    given = seeded_feeds(graph)["x"]
    for precision in ("fast", "strict"):
        assert worst(graph, precision, given) < 1e-5


@pytest.mark.parametrize("form", ["(x - m) / s", "(-m + x) / s"])
def test_the_scale_is_folded_and_the_difference_stays(form: str) -> None:
    result = apply(fold_batch_norm_before, network(form, "2-D", 300.0))
    kept, layer = layers(result.graph)
    assert layer == "layer" and kept in ("sub", "add")
    assert "would sum products " in why(result, kept) and " times as large as now" in why(result, kept)


ORDINARY = [
    ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
    ([127.5] * 3, [127.5] * 3),
    ([127.5] * 3, [58.0] * 3),
    ([0.1307] * 3, [0.3081] * 3),
    ([0.5] * 3, [0.25] * 3),
]


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("x - m", "small batch norm")])
@pytest.mark.parametrize(("mean", "deviation"), ORDINARY)
def test_pictures_are_normalised_for_nothing(form: str, mean: list[float], deviation: list[float]) -> None:
    net = Net()
    per_channel = [np.reshape(vector, (3, 1, 1)) for vector in (mean, deviation)]
    result = apply(
        fold_batch_norm_before, net.graph(net.conv(FORMS[form](net, net.input(1, 3, 8, 8), *per_channel), 4, 3, 3))
    )
    assert layers(result.graph) == ["conv"]
    assert " at typical x, whose products are " in result.fired[0].bound


@pytest.mark.parametrize("how", [{"groups": 1}, {"groups": 64}])
def test_one_channel_far_from_zero_counts_where_it_is_read(how: dict[str, Any]) -> None:
    net = Net()
    mean, deviation = np.ones((64, 1, 1)), np.ones((64, 1, 1))
    mean[5] = 30.0
    y = FORMS["(x - m) / s"](net, net.input(1, 64, 4, 4), mean, deviation)
    result = apply(fold_batch_norm_before, net.graph(net.conv(y, 64, 3, 3, **how)))
    if how["groups"] == 1:
        assert layers(result.graph) == ["conv"]
    else:
        assert layers(result.graph) == ["sub", "conv"]
        assert why(result, "sub").startswith("'conv' would sum products 31 times as large as now")


def test_results_made_large_are_added_at_the_end() -> None:
    """x · 50 + 101325: the sum must not start at 101325."""
    for scale, shift, kept in ((50.0, 101325.0, ["dense", "add"]), (1.0, 2.0, ["dense"])):
        net = Net()
        y = step(Mul, net, net.dense(net.input(2, 400), 3), np.full(3, scale))
        before = net.graph(step(Add, net, y, np.full(3, shift)))
        result = apply(fold_batch_norm, before)
        assert layers(result.graph) == kept
        given = seeded_feeds(before)
        assert growth(before, optimise(before).graph, given) < GROWN
        assert worst(before, "fast", given["x"]) <= 4 * worst(before, "strict", given["x"])
    net = Net()
    result = apply(fold_batch_norm, net.graph(step(Add, net, net.dense(net.input(1, 4), 3), np.full(3, 1e6))))
    assert "the bias of 'dense' would be " in why(result, "add")


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_the_mean_of_a_large_sum_is_taken_away_for_nothing(offset: float) -> None:
    """A convolution whose results lie around 1e5, by its inputs or by its bias, and a batch norm that knows it."""
    net = Net()
    x = net.input(1, 8, 6, 6)
    weights, bias = net.weights(4, 8, 3, 3), net.known(np.full(4, offset))
    y = net.apply(Conv((3, 3)), x, weights, bias, name="conv")
    given = np.random.default_rng(0).standard_normal((1, 8, 6, 6)).astype(np.float32) + np.float32(
        1e4 if not offset else 0
    )
    data = net.builder.nodes[weights.node].op.data  # type: ignore[attr-defined]
    mean = data.sum((1, 2, 3)) * 1e4 if not offset else np.full(4, offset)
    before = net.graph(batch_norm(net, y, mean, np.full(4, 5.0)))
    result = apply(fold_batch_norm, before)
    assert layers(result.graph) == ["conv"]
    assert growth(before, result.graph, {"x": given}) < GROWN


def test_channels_that_are_switched_off_forbid_nothing() -> None:
    net = Net()
    scale = np.array([1.0, 1e-30, 0.0, 2.0])
    vectors = (net.known(np.asarray(v)) for v in (scale, np.full(4, 2.0), np.zeros(4), np.ones(4)))
    y = net.apply(BatchNormalization(), net.conv(net.input(1, 3, 6, 6), 4, 3, 3), *vectors)
    assert layers(apply(fold_batch_norm, net.graph(y)).graph) == ["conv"]


@pytest.mark.parametrize("mean", [0.5, 300.0])
def test_channels_behind_a_mask_of_zeros_forbid_nothing(mean: float) -> None:
    net = Net()
    masked = step(Mul, net, net.conv(net.input(1, 3, 6, 6), 4, 3, 3), np.array([1.0, 0.0, 1.0, 0.0]).reshape(4, 1, 1))
    before = net.graph(batch_norm(net, masked, np.array([mean, 0.0, mean, 0.0]), np.ones(4)))
    assert layers(apply(fold_batch_norm, before).graph) == ["conv"]
    net = Net()
    masked = step(Mul, net, net.input(1, 4, 6, 6), np.array([1.0, 0.0, 1.0, 0.0]).reshape(4, 1, 1))
    norm = batch_norm(net, masked, np.array([mean, 0.0, mean, 0.0]), np.ones(4))
    result = apply(fold_batch_norm_before, net.graph(net.conv(norm, 4, 3, 3)))
    assert layers(result.graph) == (["conv"] if mean < 3 else ["mul", "batchnormalization", "conv"])


def test_parts_of_a_concatenation_answer_for_themselves() -> None:
    net = Net()
    x = net.input(1, 3, 6, 6)
    parts = [net.conv(x, 2, 1, 1, name=name) for name in "ab"]
    shift = np.array([0.5, 0.5, 1e6, 1e6]).reshape(4, 1, 1)
    result = apply(fold_batch_norm, net.graph(step(Add, net, net.apply(Concat(), *parts), shift)))
    assert "the bias of 'b' would be " in why(result, "add") and not result.fired


def test_sums_that_cancel_by_themselves_cost_no_more() -> None:
    for first, second in ((1e8, -1e8), (3.0, -2.5), (1e-8, 1e8)):
        net = Net()
        y = step(
            Add, net, step(Add, net, net.conv(net.input(1, 3, 6, 6), 4, 3, 3), np.full(1, first)), np.full(1, second)
        )
        before = net.graph(y)
        assert growth(before, optimise(before).graph, seeded_feeds(before)) < GROWN


@pytest.mark.parametrize("factors", [(1e-25, 1e-15), (1e-30, 1e30), (1e30, 1e30), (1e-43, 1.0)])
@pytest.mark.parametrize("behind", [False, True])
def test_products_that_leave_the_range_are_not_taken_together(factors: tuple[float, float], behind: bool) -> None:
    """1e30 · x · 1e-25 · 1e-15 is ordinary; weights of 1e-40 have three digits."""
    net = Net()
    y = net.input(1, 8)
    chain = [step, step] if not behind else []
    for factor in factors if chain else ():
        y = step(Mul, net, y, np.full(1, factor))
    y = net.dense(y, 3)
    for factor in factors if not chain else ():
        y = step(Mul, net, y, np.full(1, factor))
    before = net.graph(y)
    after = optimise(before).graph
    x = {"x": seeded_feeds(before)["x"] * np.float32(1e30 if factors[0] < 1e-20 else 1)}
    old, new = bounds(before, x), bounds(after, x, exact_constants=False)
    for name, value in before.outputs.items():
        was, becomes = old[value], new[after.outputs[name]]
        assert np.all((becomes.error <= GROWN * was.error.max() + 2.0**-126) | np.isinf(was.error))


OPERATIONS = [Add, Sub, Mul, Div]


def random_chain(net: Net, rng: np.random.Generator, x: Value, norms: bool = True) -> Value:
    """Sums, products and perhaps batch norms with constants of any size."""
    channels, rank = net.shape(x)[1], len(net.shape(x))
    for _ in range(int(rng.integers(1, 5))):
        size = 10.0 ** rng.uniform(-3, 5, 2)
        data = size[:, None] * rng.uniform(0.5, 1, (2, channels)) * rng.choice([-1, 1], (2, 1))
        shaped = data[0].reshape(-1, *(1,) * (rank - 2))
        if norms and rng.random() < 0.25:
            x = batch_norm(net, x, shaped, np.abs(data[1]), *rng.normal(0, 1, 2))
        else:
            op = OPERATIONS[int(rng.integers(4))]
            x = step(op, net, x, shaped, op is not Div and rng.random() < 0.3)
    return x


def random_graph(seed: int) -> Graph:
    """A chain, a layer, perhaps ReLU, and another chain, without norms, whose statistics would be untrue there."""
    net, rng = Net(seed), np.random.default_rng(seed)
    op, shape, weights = LAYERS[str(rng.choice(list(LAYERS)))]
    y = random_chain(net, rng, net.input(*shape))
    taps = math.prod(weights[1:])
    y = net.apply(op, y, net.known(rng.standard_normal(weights) / np.sqrt(taps)))
    if rng.random() < 0.3:
        y = net.apply(Relu(), y)
    return net.graph(random_chain(net, rng, y, False) if rng.random() < 0.7 else y)


def test_random_chains() -> None:
    folded = 0
    for seed in range(60):
        before = random_graph(seed)
        result = optimise(before)
        folded += any(entry.pass_name.startswith("fold") for entry in result.fired)
        tries = (feeds(before, np.random.default_rng(number)) for number in range(4))  # small ones meet x = m by chance
        assert any(growth(before, result.graph, given) < GROWN for given in tries), seed
    assert folded > 20


def typical(graph: Graph) -> tuple[Array, Array]:
    """Mean and deviation of the seeded input, per channel."""
    x = seeded_feeds(graph)["x"]
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    return x.mean(axes), x.std(axes)


@pytest.mark.parametrize("form", FORMS)
def test_inputs_look_like_what_is_normalised(form: str) -> None:
    net, large = Net(), np.array([-3.0, 100.0, 4000.0]).reshape(3, 1, 1)
    deviation = np.ones((3, 1, 1)) if form == "x - m" else np.array([1.0, 4.0, 64.0]).reshape(3, 1, 1)
    mean, spread = typical(net.graph(net.relu(FORMS[form](net, net.input(2, 3, 40, 40), large, deviation))))
    np.testing.assert_allclose(mean, large.reshape(-1), atol=0.1 * deviation.max())
    np.testing.assert_allclose(spread, deviation.reshape(-1), rtol=0.1)


def test_they_do_through_arrangements_and_for_each_pixel() -> None:
    net = Net()
    x = net.input(2, 40, 30, 2)
    y = net.apply(Transpose((0, 3, 1, 2)), step(Sub, net, x, np.linspace(0, 1e4, 30).reshape(30, 1)))
    given = seeded_feeds(net.graph(step(Div, net, y, np.array([2.0, 50.0]).reshape(2, 1, 1))))["x"]
    np.testing.assert_allclose(given.mean((0, 1, 3)), np.linspace(0, 1e4, 30), atol=20)
    np.testing.assert_allclose((given - np.linspace(0, 1e4, 30).reshape(30, 1)).std((0, 1, 2)), [2, 50], rtol=0.1)


@pytest.mark.parametrize(
    "grow",
    [
        lambda net, x: net.relu(x),
        lambda net, x: step(Mul, net, x, np.zeros(1)),
        lambda net, x: step(Div, net, x, np.full(1, 1e38)),
        lambda net, x: step(Add, net, x, np.full(1, np.inf)),
        lambda net, x: net.apply(Mul(), x, step(Add, net, x, np.full(1, 3.0))),
    ],
)
def test_other_inputs_are_noise(grow: Callable[[Net, Value], Value]) -> None:
    net: Any = Net()
    mean, spread = typical(net.graph(grow(net, net.input(2, 3, 40, 40))))
    assert np.abs(mean).max() < 0.1 and np.abs(spread - 1).max() < 0.1
