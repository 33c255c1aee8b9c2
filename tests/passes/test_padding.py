from __future__ import annotations

from typing import Any

import pytest

from cnncc.ops import Conv, Pad
from cnncc.passes.padding import fold_padding

from .support import Net, apply, assert_same_bits, why


@pytest.mark.parametrize(
    ("pads", "how", "padding"),
    [
        (((1, 1), (2, 0)), {}, ((1, 1), (2, 0))),
        (((1, 2), (0, 3)), {"padding": 1, "stride": 2}, ((2, 3), (1, 4))),
        (((0, 1), (0, 1)), {"padding": "same", "dilation": 2}, ((2, 3), (2, 3))),
    ],
)
def test_a_convolution_takes_the_zeros_up(pads: Any, how: dict[str, Any], padding: Any) -> None:
    net = Net()
    x = net.apply(Pad(((0, 0), (0, 0), *pads)), net.input(2, 3, 8, 7), name="pad")
    before = net.graph(net.conv(x, 4, 3, 3, **how))
    result = apply(fold_padding, before)
    op = result.graph["conv"].op
    assert isinstance(op, Conv) and op.padding == padding and result.graph["conv"].inputs[0].node == "x"
    assert result.fired[0].tag == "exact"
    assert_same_bits(before, result.graph)


@pytest.mark.parametrize(
    ("pad", "told"),
    [
        (Pad(((0, 0), (0, 0), (1, 1), (1, 1)), value=1.0), "'pad' pads with 1, not with 0"),
        (Pad(((0, 0), (0, 0), (1, 1), (1, 1)), value=-0.0), "'pad' pads with -0, not with 0"),
        (Pad(((0, 0), (1, 0), (1, 1), (1, 1))), "'pad' adds images or channels"),
        (Pad(((1, 0), (0, 0), (1, 1), (1, 1))), "'pad' adds images or channels"),
    ],
)
def test_other_padding_stays(pad: Pad, told: str) -> None:
    net = Net()
    before = net.graph(net.conv(net.apply(pad, net.input(2, 3, 8, 7), name="pad"), 4, 3, 3))
    result = apply(fold_padding, before)
    assert result.graph.canonical() == before.canonical() and why(result, "conv") == told


@pytest.mark.parametrize("pad", [Pad(((0, 0), (0, 0), (1, 1), (-1, 1))), Pad(((0, 0),) * 2 + ((1, 1),) * 2, "edge")])
def test_what_is_no_mere_border_stays(pad: Pad) -> None:
    net = Net()
    assert not apply(fold_padding, net.graph(net.conv(net.apply(pad, net.input(2, 3, 8, 7)), 4, 3, 3))).log


def test_a_border_around_a_border_goes_too() -> None:
    net = Net()
    x = net.input(2, 3, 8, 7)
    for name in ("inner", "outer"):
        x = net.apply(Pad(((0, 0), (0, 0), (1, 0), (0, 2))), x, name=name)
    before = net.graph(net.conv(x, 4, 3, 3))
    result = apply(fold_padding, before)
    assert [entry.detail for entry in result.fired] == ["takes 'outer' up", "takes 'inner' up"]
    assert result.graph["conv"].inputs[0].node == "x"
    assert_same_bits(before, result.graph)
