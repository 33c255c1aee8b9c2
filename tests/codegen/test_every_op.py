"""Every op of the registry in native code: its samples, given in all ways, under all sorts of plans."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from cnncc.elements import element_of
from cnncc.ir import Value
from cnncc.op import Op, Sample
from cnncc.ops import Conv
from cnncc.types import Array
from tests.graphs import Net, compilation, expected, native, runnable_targets, sprinkled, worst_ratio
from tests.ops.cases import data, each_op, typed

pytestmark = pytest.mark.combinations

HOW: dict[str, dict[str, Any]] = {
    "planar, all arrive": {},
    "planar, parameters known, checked": {"known": True, "checked": True, "streaming": "chains"},
    "channels last, all arrive, clipped": {"last": True, "borders": "none"},
    "channels last, parameters known, borders": {"last": True, "known": True, "borders": "all"},
    "narrow lanes": {"known": True, "target": "x86-64-v2", "streaming": "none", "off": ("fuse",)},
}


def by_channels(net: Net, array: Array) -> Value:
    """A tensor of this shape that a convolution of many channels makes, channels last."""
    taps = (1,) * (array.ndim - 2)
    x = net.arrives(net.random(array.shape[0], 16, *array.shape[2:]))
    return net.apply(Conv(taps), x, net.weights(array.shape[1], 16, *taps))


def outputs(net: Net, sample: Sample, last: bool, known: bool) -> tuple[Value, ...]:
    values = []
    for place, array in enumerate(data(sample)):
        if place and known:
            values.append(net.known(array, element_of(array)))
        elif last and place == 0 and 3 <= array.ndim <= 5 and array.dtype == np.float32:
            values.append(by_channels(net, array))
        else:
            values.append(net.arrives(array, element=element_of(array)))
    return net.builder.add(sample.op, values)


@pytest.mark.parametrize("how", list(HOW))
@each_op
def test_every_op_in_native_code(op: type[Op], how: str) -> None:
    """All samples with one number of images in one graph, so that N stays free where the op leaves it."""
    options = {"last": False, "known": False, "target": "host", **HOW[how]}
    last, known, target = options.pop("last"), options.pop("known"), options.pop("target")
    if target not in runnable_targets():
        pytest.skip("not on this machine")
    groups: dict[int, list[Sample]] = defaultdict(list)
    for sample in [*op.samples(), *typed(op)]:
        groups[sample.shapes[0][0]].append(sample)
    for samples in groups.values():
        net = Net()
        graph = net.graph(*(value for sample in samples for value in outputs(net, sample, last, known)))
        compiled = compilation(graph, target, **options)
        for feeds in (net.feeds, sprinkled(net.feeds, 1)):
            with np.errstate(all="ignore"):
                worst_ratio(native(compiled, feeds), expected(compiled, feeds))
