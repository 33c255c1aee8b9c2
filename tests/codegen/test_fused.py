"""Epilogues: what follows a contraction in registers."""

from __future__ import annotations

import itertools

import pytest

from cnncc.ir import Value
from cnncc.ops import Add, AveragePool, BatchNormalization, Conv, Dense, MaxPool, Relu
from cnncc.plan.kernels import Direct
from cnncc.runtime.model import Model
from tests.graphs import (
    Net,
    assert_same_bits,
    call,
    check,
    compilation,
    expected,
    native,
    runnable_targets,
    sprinkled,
    worst_ratio,
)

from .conftest import Force

pytestmark = pytest.mark.combinations

TARGETS = list(runnable_targets())


def norm(net: Net, x: Value, arrive: bool = False) -> Value:
    channels = net.shape(x)[1]
    variance = net.random(channels) ** 2 + 0.5
    vectors = [net.weights(channels, arrive=arrive) for _ in range(3)]
    spread = net.arrives(variance, "variance") if arrive else net.known(variance)
    return net.apply(BatchNormalization(), x, *vectors, spread)


def residual(net: Net, x: Value) -> Value:
    return net.apply(Add(), x, net.input(*net.shape(x), name="residual"))


def pooled(net: Net, x: Value, size: int, average: bool = False) -> Value:
    rank = len(net.shape(x)) - 2
    return net.apply((AveragePool if average else MaxPool)((size,) * rank), x)


def relu(net: Net, x: Value) -> Value:
    return net.apply(Relu(), x)


EPILOGUES = {
    "relu": (relu,),
    "residual": (residual,),
    "residual, relu": (residual, relu),
    "batch norm": (norm,),
    "batch norm, relu, residual": (norm, relu, residual),
    "max 2": (lambda net, x: pooled(net, x, 2),),
    "average 2": (lambda net, x: pooled(net, x, 2, True),),
    "max 3": (lambda net, x: pooled(net, x, 3),),
    "average 3": (lambda net, x: pooled(net, x, 3, True),),
    "pool, relu": (lambda net, x: pooled(net, x, 2), relu),
    "relu, pool": (relu, lambda net, x: pooled(net, x, 2)),
    "residual, pool": (residual, lambda net, x: pooled(net, x, 2)),
    "pool, residual": (lambda net, x: pooled(net, x, 2), residual),
    "residual, pool, batch norm, residual": (residual, lambda net, x: pooled(net, x, 3, True), norm, residual),
    "run-time batch norm": (lambda net, x: norm(net, x, arrive=True),),
}


def follow(net: Net, x: Value, name: str) -> Value:
    for stage in EPILOGUES[name]:
        x = stage(net, x)
    return x


@pytest.mark.parametrize("along", ["channels", "columns"])
@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues(force: Force, name: str, along: str) -> None:
    """One step each, whether the lanes lie along channels or columns; sizes that the pool does not divide."""
    force(along, 7)
    net = Net()
    outputs = []
    for outs, groups in ((1, 1), (6, 1), (6, 3), (6, 6), (20, 1)):
        x = net.input(2, 6, 7, 11)
        w = net.weights(outs, 6 // groups, 3, 3)
        op = Conv((3, 3), padding=1, groups=groups)
        outputs.append(follow(net, net.apply(op, x, w, net.weights(outs)), name))
    graph = net.graph(*outputs)
    for border in ("none", "all"):
        compiled = compilation(graph, precision="strict", borders=border)
        with Model(compiled.build()) as model:
            for feeds in (net.feeds, sprinkled(net.feeds, 1)):
                worst_ratio(call(model, feeds), expected(compiled, feeds))


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_of_other_ranks(name: str) -> None:
    """In one dimension everything is done in registers; after three and after dense layers it may be steps."""
    net = Net()
    outputs = []
    for rank, outs in ((1, 5), (1, 18), (3, 4)):
        x = net.input(2, 3, *(13, 7, 6)[:rank])
        outputs.append(
            follow(net, net.apply(Conv((3,) * rank, padding=1), x, net.weights(outs, 3, *(3,) * rank)), name)
        )
    if "pool" not in name and "max" not in name and "average" not in name:
        x = net.input(3, 12)
        outputs.append(follow(net, net.apply(Dense(), x, net.weights(21, 12)), name))
    check(net.graph(*outputs), net.feeds, precision="strict")


@pytest.mark.parametrize("target", TARGETS)
def test_epilogues_on_every_target(target: str) -> None:
    net = Net()
    outputs = []
    for name in EPILOGUES:
        x = net.input(1, 4, 9, 10)
        outputs.append(follow(net, net.apply(Conv((2, 2)), x, net.weights(9, 4, 2, 2)), name))
    check(net.graph(*outputs), net.feeds, target, precision="strict")


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_fused_is_one_step(target: str) -> None:
    """Strict, since transforms are chosen for each of the two by itself."""
    net = Net()
    x = net.apply(Conv((3, 3)), net.input(1, 3, 10, 34), net.weights(16, 3, 3, 3))
    graph = net.graph(pooled(net, relu(net, x), 2))
    fused = compilation(graph, target, precision="strict")
    apart = compilation(graph, target, precision="strict", off=("fuse",))
    contractions = [step for step in fused.plan.steps if isinstance(step.kernel, Direct)]
    assert len(contractions) == 1 and contractions[0].kernel.epilogue.pool is not None
    assert fused.plan.arena_bytes < apart.plan.arena_bytes
    assert_same_bits(native(fused, net.feeds), native(apart, net.feeds))
    worst_ratio(native(fused, net.feeds), expected(fused, net.feeds))


def test_fusing_changes_no_bits() -> None:
    """Fusion is tagged exact: so it is in native code, but for means, whose sums a pool by itself may add by rows."""
    net = Net()
    outputs = []
    names = [name for name in EPILOGUES if "average" not in name and "pool, batch norm" not in name]
    for name, groups in itertools.product(names, (1, 4)):
        x = net.input(2, 4, 8, 9)
        conv = net.apply(Conv((3, 3), padding=1, groups=groups), x, net.weights(8, 4 // groups, 3, 3))
        outputs.append(follow(net, conv, name))
    graph = net.graph(*outputs)
    together = check(graph, net.feeds, precision="strict")
    assert_same_bits(check(graph, net.feeds, precision="strict", off=("fuse",)), together)


@pytest.mark.parametrize("arrive", [False, True])
@pytest.mark.parametrize("shape", [(2, 5), (1, 20, 7), (2, 33, 3, 4), (1, 2, 3, 4, 5)])
def test_batch_norm_alone(shape: tuple[int, ...], arrive: bool) -> None:
    for target in TARGETS:
        net = Net()
        graph = net.graph(norm(net, net.input(*shape), arrive))
        check(graph, net.feeds, target, precision="strict")


def test_impossible_statistics() -> None:
    """A negative or zero variance makes NaN or an infinity, as in the interpreter."""
    net = Net()
    x = net.input(1, 4, 3, 3)
    vectors = [net.known(net.random(4)) for _ in range(3)]
    for data in ([-1, 0, 1, 4], [0, 0, 0, 0]):
        variance = net.random(4) * 0 + data
        y = net.apply(BatchNormalization(0.0), x, *vectors, net.known(variance))
        z = net.apply(BatchNormalization(0.0), x, *vectors, net.arrives(variance, "variance"))
        check(net.graph(y, z), net.feeds, precision="strict")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("pool", "columns"), [((2, 2), 8), ((2, 1), 5), ((4, 2), 4), ((3, 1), 2)])
def test_short_rows_lie_side_by_side_in_a_vector(
    force: Force, pool: tuple[int, int], columns: int, target: str
) -> None:
    """All rows of a pool's window in one vector, several windows a tile, and an odd one at the end."""
    net = Net()
    x = net.input(2, 3, pool[0] * 5, columns)
    results = []
    for stride, average in ((1, False), (1, True), (2, False)):
        source = x if stride == 1 else net.input(2, 3, 2 * pool[0] * 5, 2 * columns)
        y = net.apply(Conv((3, 3), stride, padding=1), source, net.weights(9, 3, 3, 3), net.weights(9))
        results.append(net.apply((AveragePool if average else MaxPool)(pool), relu(net, y)))
    graph = net.graph(*results)
    force("channels", 0)
    wanted = check(graph, net.feeds, target)
    force("columns", 3)
    compiled = compilation(graph, target)
    for threads in (1, 3):
        assert_same_bits(native(compiled, net.feeds, threads), wanted)
    folded = {step.kernel.tile.rows_per_vector for step in compiled.plan.steps if isinstance(step.kernel, Direct)}
    fits = pool[0] * columns <= compiled.plan.target.lanes
    assert (max(folded) > 1) <= fits
    check(graph, net.feeds, target, checked=True)
