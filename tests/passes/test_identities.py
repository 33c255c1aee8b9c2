from __future__ import annotations

import pytest

from cnncc.op import Op
from cnncc.ops import Concat, Flatten, Split
from cnncc.passes.identities import remove_identities

from .support import Net, apply, assert_same_bits, layers, why


@pytest.mark.parametrize("op", [Concat(), Concat(-1), Split((6,)), Flatten()])
def test_an_arrangement_that_arranges_nothing_goes(op: Op) -> None:
    net = Net()
    x = net.relu(net.input(2, 6), name="before")
    before = net.graph(net.relu(net.apply(op, x, name="idle"), name="after"))
    result = apply(remove_identities, before)
    assert layers(result.graph) == ["before", "after"]
    (fired,) = result.fired
    assert fired.layer == "idle" and fired.tag == "exact"
    assert_same_bits(before, result.graph)


def test_real_arrangements_stay() -> None:
    net = Net()
    x = net.input(2, 3, 4)
    parts = net.builder.add(Split((1, 2)), (x,), "split")
    joined = net.apply(Concat(), *reversed(parts), name="concat")
    before = net.graph(net.apply(Flatten(), joined, name="flatten"))
    result = apply(remove_identities, before)
    assert layers(result.graph) == ["split", "concat", "flatten"] and result.log == ()


def test_an_output_does_not_become_an_input() -> None:
    net = Net()
    result = apply(remove_identities, net.graph(net.apply(Concat(), net.input(1, 3), name="copy")))
    assert layers(result.graph) == ["copy"]
    assert "would be the input 'x' itself" in why(result, "copy")


def test_two_outputs_do_not_become_one() -> None:
    net = Net()
    y = net.relu(net.input(1, 3))
    copies = [net.apply(Concat(), y, name=name) for name in ("first", "second")]
    result = apply(remove_identities, net.graph(*copies))
    assert layers(result.graph) == ["relu", "second"]
    assert "already is another output" in why(result, "second")
