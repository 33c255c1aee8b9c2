from __future__ import annotations

import pytest

from cnncc.check.graph import verify
from cnncc.errors import UsageError
from cnncc.interpreter import evaluate
from cnncc.ir import Value
from cnncc.ops import MaxPool
from cnncc.passes.fuse import fuse
from cnncc.passes.manager import seeded_feeds
from cnncc.passes.unfuse import expand

from .support import Net, assert_same_bits, layers


def network() -> Net:
    net = Net()
    net.input(1, 3, 8, 8)
    return net


def test_members_stand_again_under_names_of_their_own() -> None:
    net = network()
    y = net.conv(Value("x"), 4, 3, 3, padding=1, bias=True)
    y = net.relu(net.add(net.input(1, 4, 8, 8, name="r"), net.norm(y)))
    before = net.graph(net.relu(net.apply(MaxPool((2, 2)), y), name="after"))
    fused = fuse(before).graph
    assert layers(fused) == ["conv"]
    after = expand(fused, "conv")
    verify(after)
    names = ["conv", "conv.1_batchnormalization", "conv.2_add", "conv.3_relu", "conv.4_maxpool", "conv.5_relu"]
    assert layers(after) == names
    assert after["conv.2_add"].inputs == (Value("r"), Value("conv.1_batchnormalization"))
    assert_same_bits(before, after)
    feeds = seeded_feeds(before)
    old, new = evaluate(before, feeds), evaluate(after, feeds)
    for was, now in zip(layers(before), names, strict=True):
        assert old[Value(was)].tobytes() == new[Value(now)].tobytes()


def test_readers_of_the_result_follow() -> None:
    net = network()
    y = net.relu(net.conv(Value("x"), 4, 3, 3, name="a"))
    before = net.graph(net.relu(net.conv(y, 2, 1, 1, name="b"), name="last"))
    fused = fuse(before).graph
    assert layers(expand(fused, "a")) == ["a", "a.1_relu", "b"]
    assert layers(expand(fused, "b")) == ["a", "b", "b.1_relu"]
    assert_same_bits(before, expand(expand(fused, "a"), "b"))


def test_fusing_again_gives_the_same_graph() -> None:
    net = network()
    fused = fuse(net.graph(net.relu(net.conv(Value("x"), 4, 3, 3)))).graph
    assert fuse(expand(fused, "conv")).graph.canonical() == fused.canonical()


@pytest.mark.parametrize("name", ["x", "nobody"])
def test_only_fused_layers_can_be_expanded(name: str) -> None:
    net = network()
    fused = fuse(net.graph(net.relu(net.conv(Value("x"), 4, 3, 3)))).graph
    with pytest.raises(UsageError, match=f"no fused layer '{name}': the fused layers are conv"):
        expand(fused, name)
