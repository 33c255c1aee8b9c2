from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cnncc import passes
from cnncc.errors import DifferenceError, PassError, UsageError, VerifyError
from cnncc.ir import Graph, Node, Rewriter, Value
from cnncc.op import Constant
from cnncc.ops import Concat, Conv, MaxPool, Mul, Pad, Pow, ReduceSum, Slice, Softmax, Transpose
from cnncc.passes import PIPELINE, Applied, Missed, Optimised, Pass, manager
from cnncc.passes.manager import check_pass, optimise, seeded_feeds

from .support import Net, assert_same_bits, assert_within_bounds, layers

Rewrite = Callable[[Graph], Optimised]


def network() -> Graph:
    """Something for every pass."""
    net = Net()
    x = net.input(1, 4, 12, 12)
    for exponent in (2.0, 3.0):
        x = net.apply(Pow(), net.relu(x), net.known(np.full(1, exponent)), name=f"power{exponent:g}")
    return net.graph(after_the_road(net, on_the_road(net, x)))


def on_the_road(net: Net, x: Value) -> Value:
    """Layers that keep their shape, for the passes that look at layers before folding and fusing."""
    ringed = np.zeros((4, 4, 3, 3))
    ringed[:, :, 1, 1] = np.kron(np.eye(2), np.ones((2, 2)))
    x = net.apply(Pad(((0, 0), (0, 0), (1, 1), (1, 1))), x, name="pad")
    x = net.apply(Conv((3, 3)), x, net.known(ringed), name="ringed")
    x = net.apply(Transpose((0, 1, 3, 2)), net.apply(Transpose((0, 3, 2, 1)), x, name="t0"), name="t1")
    x = net.conv(net.norm(net.relu(x), name="norm_before"), 4, 1, 1, name="one")
    x = net.apply(Transpose((0, 2, 3, 1)), net.relu(x), name="t2")
    left, right = (net.conv(x, 5, 1, 1, name=name) for name in ("left", "right"))
    y = net.add(*(net.apply(Softmax(), net.relu(branch)) for branch in (left, right)))
    y = net.add(
        y, net.apply(ReduceSum((2, 3)), net.apply(Mul(), y, net.known(np.full((1, 1, 1, 1), 0.01)))), name="sum"
    )
    twin = net.apply(Softmax(), y, name="twin0"), net.apply(Softmax(), y, name="twin1")
    back = net.conv(net.add(*twin), 4, 1, 1, name="back")
    return net.add(back, net.relu(back))


def after_the_road(net: Net, x: Value) -> Value:
    box = net.known(np.full((4, 1, 3, 3), 0.25))
    y = net.norm(net.apply(Conv((3, 3), groups=4, padding="same"), x, box, name="blur"), name="blur_norm")
    z = net.norm(net.conv(y, 4, 3, 3, padding=1, name="conv"), name="conv_norm")
    z = net.apply(Concat(), net.apply(MaxPool((2, 2)), net.relu(net.add(z, y))), name="idle")
    net.conv(z, 3, 1, 1, name="unused")
    shift = net.relu(net.weights(4, 1, 1), name="known")
    return net.add(net.relu(z, name="last"), shift)


def test_every_pass_fires() -> None:
    before = network()
    result = optimise(before, check=True)
    assert {entry.pass_name for entry in result.fired} == {step.name for step in PIPELINE}
    assert layers(result.graph)[-3:] == ["blur.column", "blur", "conv"]
    assert_within_bounds(before, result.graph)


def test_strict_leaves_the_bits_alone() -> None:
    before = network()
    result = optimise(before, "strict", check=True)
    assert all(entry.tag != "rounding" for entry in result.fired)
    assert layers(result.graph)[-2:] == ["blur", "conv"]
    assert_same_bits(before, result.graph)
    whole = [entry for entry in result.not_fired if entry.layer is None]
    assert [entry.pass_name for entry in whole] == [
        "rounded_powers",
        "sums",
        "separable",
        "fold_batch_norm",
        "fold_batch_norm_before",
    ]
    assert "precision 'strict' allows no rewrites that are rounding" in str(whole[0])


@pytest.mark.parametrize("precision", ["fast", "strict"])
def test_twice_is_once(precision: str) -> None:
    once = optimise(network(), precision).graph
    twice = optimise(once, precision)
    assert twice.graph.canonical() == once.canonical() and not twice.fired


def test_the_same_graph_gives_the_same_graph_and_log() -> None:
    first, second = optimise(network()), optimise(network())
    assert first.graph.hash == second.graph.hash and first.log == second.log


@pytest.mark.parametrize("name", sorted({step.name for step in PIPELINE}))
def test_each_pass_can_be_left_out(name: str) -> None:
    before = network()
    result = optimise(before, off=(name,), check=True)
    assert all(entry.pass_name != name for entry in result.fired)
    assert Missed(name, None, "it is switched off") in result.log
    assert_within_bounds(before, result.graph)


def test_unknown_options_are_told_what_exists() -> None:
    with pytest.raises(UsageError, match="unknown precision 'sloppy': expected one of fast, strict"):
        optimise(network(), "sloppy")
    with pytest.raises(UsageError, match=r"unknown pass 'magic': expected some of dead_code, .*fuse"):
        optimise(network(), off=("fuse", "magic"))


def test_the_pipeline_gives_reasons() -> None:
    assert all(len(step.reason) > 40 and step.tag in ("exact", "finite", "rounding") for step in PIPELINE)
    assert isinstance(PIPELINE, tuple)


def test_every_rule_is_as_strong_as_its_pass_says() -> None:
    strength = ["exact", "finite", "rounding"]
    tags = {step.name: step.tag for step in PIPELINE}
    for entry in optimise(network()).fired:
        assert strength.index(entry.tag) <= strength.index(tags[entry.pass_name])
        assert ("=>" in entry.rule) and bool(entry.bound) == (entry.tag == "rounding")


def test_entries_read_as_sentences() -> None:
    log = [str(entry) for entry in optimise(network()).log]
    assert any(line.startswith("fold_batch_norm at 'conv' (rounding) batchnorm(conv(x, w)) => ") for line in log)
    assert "zero_rings not at 'conv': no outer row of taps is zero in all its kernels" in log


def test_a_broken_graph_is_refused_before_the_first_pass() -> None:
    graph = network()
    with pytest.raises(VerifyError):
        optimise(replace(graph, outputs={"y": Value("nobody")}))


def test_a_pass_that_breaks_the_graph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_a_layer(graph: Graph) -> Optimised:
        return Optimised(replace(graph, nodes={n.name: n for n in graph if n.name != "conv"}))

    broken = Pass("vandal", lose_a_layer, "exact", "")
    monkeypatch.setattr(manager, "PIPELINE", (broken,))
    with pytest.raises(VerifyError, match="vandal"):
        optimise(network())


def through(visit: Callable[[Rewriter, Node, tuple[Value, ...]], tuple[Value, ...] | None]) -> Rewrite:
    """A pass that puts what `visit` makes in the place of nodes."""

    def run(graph: Graph) -> Optimised:
        rewriter = Rewriter(graph)
        return Optimised(rewriter.rewrite(lambda node, inputs: visit(rewriter, node, inputs)))

    return run


def wider(rewriter: Rewriter, node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
    """A convolution that makes more of an axis than before."""
    if node.name != "one":
        return None
    return rewriter.add(replace(node.op, padding=1), inputs, node.name)


def outside(rewriter: Rewriter, node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
    return rewriter.add(Slice((99,), (100,)), inputs[:1]) if node.name == "relu" else None


def with_outputs(change: Callable[[dict[str, Value]], dict[str, Value]]) -> Rewrite:
    return lambda graph: Optimised(replace(graph, outputs=change(dict(graph.outputs))))


def without_inputs(graph: Graph) -> Optimised:
    zeros = Node("x", Constant.of(np.zeros((1, 4, 12, 12))), (), graph["x"].types)
    return Optimised(replace(graph, nodes={**graph.nodes, "x": zeros}))


def other_names(graph: Graph) -> Optimised:
    """The same values, but two layers have changed names."""
    names = {"ringed": "t0", "t0": "ringed"}
    nodes = {}
    for node in graph:
        inputs = tuple(replace(value, node=names.get(value.node, value.node)) for value in node.inputs)
        name = names.get(node.name, node.name)
        nodes[name] = replace(node, name=name, inputs=inputs)
    return Optimised(replace(graph, nodes=nodes))


LIARS: dict[str, tuple[Rewrite, str]] = {
    "a value of another type": (
        through(wider),
        r"^layer 'one': internal error in pass 'liar': value %one would change from "
        r"float32\[1, 4, 4, 12\] to float32\[1, 4, 6, 14\]$",
    ),
    "a layer that its type rule refuses": (
        through(outside),
        r"internal error in pass 'liar': slice 99:100:1 takes none",
    ),
    "another output": (
        with_outputs(lambda outputs: {**outputs, "y1": Value("norm_before")}),
        r"^internal error in pass 'liar': output 'y1' is float32\[1, 12, 4, 12\], was float32\[1, 4, 6, 2\] before$",
    ),
    "the order of outputs": (
        with_outputs(lambda outputs: dict(reversed(outputs.items()))),
        "^internal error in pass 'liar': has outputs 'y1', 'y0', had 'y0', 'y1' before$",
    ),
    "an output less": (with_outputs(lambda outputs: {"y0": outputs["y0"]}), "has outputs 'y0', had 'y0', 'y1' before$"),
    "an input less": (without_inputs, "^internal error in pass 'liar': has inputs none, had 'x' before$"),
    "kept names": (
        other_names,
        r"^layer '(t0|ringed)': internal error in pass 'liar': has float32\[.*\], had float32\[.*\] before",
    ),
}


@pytest.mark.parametrize("what", LIARS)
def test_a_pass_that_changes_types_inputs_or_outputs_is_named(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    liar, message = LIARS[what]
    net = Net()
    x = net.input(1, 4, 12, 12)
    y = after_the_road(net, on_the_road(net, x))
    graph = net.graph(y, net.relu(y))
    monkeypatch.setattr(manager, "PIPELINE", (Pass("liar", liar, "exact", ""),))
    with pytest.raises(PassError, match=message) as caught:
        optimise(graph)
    assert caught.value.exit_code == 1


def test_only_passes_that_say_so_rename_layers() -> None:
    """Such passes give a name to another value, and only where they fired."""
    renaming = {step.name for step in PIPELINE if step.renames}
    assert renaming == {"fuse", "parallel"}
    graph = network()
    for step in PIPELINE:
        result = step.run(graph)
        fired = {entry.layer for entry in result.fired}
        moved = {n.name for n in result.graph if n.name in graph.nodes and graph[n.name].types != n.types}
        assert moved <= (fired if step.renames else set())
        graph = result.graph


def doubled(graph: Graph, factor: float) -> Graph:
    """`graph` with a little of the first output added to it; what is certainly 0 stays so."""
    rewriter = Rewriter(graph)
    rewriter.rewrite(lambda node, inputs: None)
    name, value = next(iter(graph.outputs.items()))
    more = rewriter.constant(np.full(graph.type(value).shape, 1 + factor))
    return rewriter.graph({**graph.outputs, name: rewriter.add(Mul(), (value, more))[0]})


@pytest.mark.parametrize("tag", ["exact", "finite", "rounding"])
def test_a_pass_that_changes_results_is_caught(tag: passes.report.Tag) -> None:
    graph = network()
    with pytest.raises(DifferenceError, match=r"pass 'liar'.* output 'y0'"):
        check_pass(Pass("liar", Optimised, tag, ""), graph, doubled(graph, 1.0))


def test_small_differences_are_allowed_to_rounding_passes_only() -> None:
    graph = network()
    check_pass(Pass("rounds", Optimised, "rounding", ""), graph, doubled(graph, 1e-7))
    with pytest.raises(DifferenceError, match="changed output"):
        check_pass(Pass("liar", Optimised, "finite", ""), graph, doubled(graph, 1e-6))


def test_feeds_are_the_same_every_time() -> None:
    graph = network()
    for special in (False, True):
        first, second = seeded_feeds(graph, special), seeded_feeds(graph, special)
        assert first["x"].tobytes() == second["x"].tobytes() and first["x"].dtype == np.float32
        assert np.isfinite(first["x"]).all() != special


def test_a_fired_entry_names_pass_rule_tag_and_layer() -> None:
    *_, entry = (entry for entry in optimise(network()).fired if entry.pass_name == "fuse")
    assert entry == Applied("fuse", entry.rule, "exact", "conv", "absorbs add_3, relu_7, maxpool, last, add_4")
