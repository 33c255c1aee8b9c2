"""Attributes at their edges in native code, beside values that are not finite: what the definition gives."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from cnncc.op import REGISTRY, Op, Sample
from cnncc.ops import BatchNormalization, Reciprocal, Relu
from tests.graphs import Net, compilation, expected, native, one_op, runnable_targets, sprinkled, worst_ratio
from tests.ops.cases import FLOAT_OPS, data
from tests.ops.edges import SPECIAL, accepted, rows
from tests.ops.test_edges import FORMULAS

PRECISIONS = [*((target, "fast") for target in runnable_targets()), ("host", "strict")]
each_target = pytest.mark.parametrize(("target", "precision"), PRECISIONS)


def unbounded(wanted) -> int:
    return sum(int(np.isinf(bound.error).sum()) for bound in wanted.values())


def variants(op: type[Op]) -> list[Sample]:
    """Every value that is taken, of each attribute of `op`."""
    return [sample for of, attribute in rows() if of is op for _, sample in accepted(op, attribute)]


@each_target
@pytest.mark.parametrize("name", FORMULAS)
def test_numbers_at_their_edges(name: str, target: str, precision: str) -> None:
    """All of them in one graph; the analysis leaves nothing open but what an infinite factor makes of almost 0."""
    net = Net()
    x = net.arrives(SPECIAL[None])
    graph = net.graph(*(net.apply(sample.op, x) for sample in variants(REGISTRY[name])))
    compiled = compilation(graph, target, precision=precision)
    with np.errstate(all="ignore"):
        wanted = expected(compiled, net.feeds)
        worst_ratio(native(compiled, net.feeds), wanted)
    assert unbounded(wanted) == 0


OTHERS = [
    op for op in dict.fromkeys(op for op, _ in rows()) if op.__name__ not in FORMULAS and op.__name__ in FLOAT_OPS
]


@pytest.mark.parametrize("op", OTHERS, ids=lambda op: op.__name__)
def test_other_edges(op: type[Op]) -> None:
    """On ordinary data all elements have a bound, on special values those that float32 reaches."""
    groups: dict[tuple[tuple[int, ...], ...], list[Sample]] = defaultdict(list)
    for sample in variants(op):
        groups[sample.shapes].append(sample)
    for samples in groups.values():
        net = Net()
        arrays = zip(data(samples[0]), samples[0].types, strict=True)
        inputs = [net.arrives(array, element=type.dtype) for array, type in arrays]
        graph = net.graph(*(value for sample in samples for value in net.builder.add(sample.op, inputs)))
        compiled = compilation(graph)
        for feeds in (net.feeds, sprinkled(net.feeds, 1)):
            with np.errstate(all="ignore"):
                worst_ratio(native(compiled, feeds), expected(compiled, feeds))


@each_target
@pytest.mark.parametrize("known", [False, True], ids=["statistics arrive", "statistics known"])
def test_batch_norm_whose_root_is_0_or_none(known: bool, target: str, precision: str) -> None:
    """The infinities of (x − mean) / 0, and NaN where that is 0 / 0 or the root of a negative number."""
    x = np.float32([-1, 2, 0.5, 3, np.inf, np.nan]).reshape(1, 1, 6).repeat(4, axis=1)
    vectors = [np.float32(v) for v in ([1, -2, 0, 1], [0, 1, 0, np.inf], [0.5] * 4, [1, 1, 1, 3])]
    for epsilon in (-1.0, -2.0):
        graph, feeds = one_op(BatchNormalization(epsilon), x, *vectors, known=range(1, 5) if known else ())
        compiled = compilation(graph, target, precision=precision)
        found, wanted = native(compiled, feeds), expected(compiled, feeds)
        assert worst_ratio(found, wanted) <= 1 and unbounded(wanted) == 0
        scale, bias, mean, variance = (vector.astype(float)[None, :, None] for vector in vectors)
        with np.errstate(all="ignore"):
            formula = (x - mean) / np.sqrt(variance + epsilon) * scale + bias
        np.testing.assert_allclose(found["y0"], formula, rtol=1e-6)


@each_target
def test_relu_keeps_the_sign_of_zero(target: str, precision: str) -> None:
    """As the definition does, so that what is divided by it has the same sign."""
    net = Net()
    y = net.apply(Reciprocal(), net.apply(Relu(), net.arrives(np.float32([[-0.0, 0.0, -1.0, 2.0]]))))
    compiled = compilation(net.graph(y), target, precision=precision)
    with np.errstate(all="ignore"):
        worst_ratio(native(compiled, net.feeds), expected(compiled, net.feeds))
