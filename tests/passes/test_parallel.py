from __future__ import annotations

import pytest

from cnncc.ir import Graph, Value
from cnncc.ops import Concat, Conv, MaxPool, Softmax
from cnncc.passes.fuse import fuse
from cnncc.passes.parallel import merge_parallel

from .support import Net, apply, assert_same_bits, layers, why


def heads(net: Net, x: Value, *outputs: int, bias: bool = False, relu: bool = False) -> list[Value]:
    found = [net.conv(x, count, 1, 1, name=f"c{count}", bias=bias) for count in outputs]
    return [net.relu(y) for y in found] if relu else found


def meeting(net: Net, values: list[Value]) -> Graph:
    """Further convolutions read the values and meet."""
    return net.graph(net.apply(Concat(), *(net.conv(value, 2, 3, 3, padding=1, name="next") for value in values)))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_branches_are_one_convolution(bias: bool, relu: bool) -> None:
    net = Net()
    before = fuse(meeting(net, heads(net, net.input(2, 3, 6, 5), 4, 1, 6, bias=bias, relu=relu))).graph
    result = apply(merge_parallel, before)
    assert layers(result.graph)[:2] == ["c4", "c4.parts"]
    assert result.graph["c4"].types[0].shape == (2, 11, 6, 5)
    (fired,) = result.fired
    assert fired.tag == "exact" and fired.detail == "takes c1, c6 along"
    assert_same_bits(before, result.graph)


def test_a_pool_may_stand_in_the_epilogue() -> None:
    net = Net()
    branches = [net.apply(MaxPool((2, 2)), y) for y in heads(net, net.input(1, 3, 6, 6), 2, 5)]
    before = fuse(meeting(net, branches)).graph
    result = apply(merge_parallel, before)
    assert result.fired and result.graph["c2"].types[0].shape == (1, 7, 3, 3)
    assert_same_bits(before, result.graph)


def test_other_attributes_epilogues_and_images_do_not_mix() -> None:
    net = Net()
    x = net.input(1, 3, 6, 6)
    values = [
        net.conv(x, 4, 1, 1, name="plain"),
        net.relu(net.conv(x, 4, 1, 1, name="active")),
        net.conv(x, 4, 1, 1, name="biased", bias=True),
        net.conv(net.relu(x, name="other"), 4, 1, 1, name="elsewhere"),
    ]
    before = fuse(meeting(net, values)).graph
    result = apply(merge_parallel, before)
    assert result.graph.canonical() == before.canonical()
    assert why(result, "plain") == "no other 1×1 convolution with the same epilogue reads the same value"


def test_what_is_joined_in_place_stays() -> None:
    net = Net()
    x = net.input(1, 3, 6, 6)
    result = apply(merge_parallel, net.graph(net.apply(Concat(), *heads(net, x, 4, 5))))
    assert (
        why(result, "c4") == "its result is a part of 'concat', to which a part of a merged one would have to be copied"
    )


def test_what_leaves_the_graph_stays() -> None:
    net = Net()
    result = apply(merge_parallel, net.graph(*heads(net, net.input(1, 3, 6, 6), 4, 5)))
    assert why(result, "c4").startswith("its result leaves the graph")


def test_what_reads_another_tensor_stays() -> None:
    net = Net()
    x = net.input(1, 4, 6, 6)
    values = [net.add(net.conv(x, 4, 1, 1, name=name), net.apply(Softmax(), x)) for name in "ab"]
    assert why(apply(merge_parallel, fuse(meeting(net, values)).graph), "a") == "its epilogue reads another tensor"


def test_run_time_weights_and_wider_kernels_stay() -> None:
    net = Net()
    x, w = net.input(1, 3, 6, 6), net.input(2, 3, 1, 1, name="w")
    values = [net.apply(Conv((1, 1)), x, w, name=name) for name in "ab"]
    wide = [net.conv(x, 2, 3, 3, padding=1, name=name) for name in "cd"]
    result = apply(merge_parallel, meeting(net, [*values, *wide]))
    assert not result.fired and why(result, "a") == "its weights are known only at run time"
    assert [entry.layer for entry in result.log] == ["a", "b"]


def test_wide_branches_stay() -> None:
    net = Net()
    result = apply(merge_parallel, meeting(net, heads(net, net.input(1, 3, 6, 6), 63, 64)))
    assert (
        why(result, "c64")
        == "its 64 outputs make enough of each element of the image, which may be read again for others"
    )
    assert not result.fired
