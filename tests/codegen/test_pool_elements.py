"""Maxima over windows of whole numbers natively: every kernel of pools, the bits of the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.elements import INTEGERS, Element
from cnncc.ops import MaxPool
from tests.graphs import Net, check, runnable_targets

POOLS = [
    (MaxPool((2, 2)), (2, 3, 9, 11)),
    (MaxPool((3, 3), 2, 1), (1, 20, 17, 15)),
    (MaxPool((3, 3), (1, 2), 1, (2, 1)), (1, 8, 17, 15)),
    (MaxPool((3,), 1, 1), (2, 5, 19)),
    (MaxPool((13, 13), 1, 6), (1, 6, 30, 31)),
    (MaxPool((2, 2, 2), 2, ceil_mode=True), (1, 3, 5, 6, 7)),
]


@pytest.mark.parametrize("element", INTEGERS, ids=str)
@pytest.mark.parametrize("target", runnable_targets())
def test_maxima_of_whole_numbers(target: str, element: Element) -> None:
    net = Net(5)
    outputs = []
    for op, shape in POOLS:
        numbers = net.rng.integers(element.least, element.most, shape, element.numpy, endpoint=True)
        outputs.append(net.apply(op, net.arrives(np.minimum(numbers, numbers[::-1]), element=element)))
    check(net.graph(*outputs), net.feeds, target)
