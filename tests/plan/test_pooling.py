"""Which pools go axis by axis, and what the model says that they cost."""

from __future__ import annotations

import pytest

from cnncc.machine.target import named
from cnncc.ops import AveragePool, MaxPool, Relu, Transpose
from cnncc.ops.pool import Pool
from cnncc.plan.kernels import Separable, Window
from cnncc.plan.kernels.overlaps import doublings, longer_part, overlapping
from cnncc.plan.plan import Step
from tests.graphs import Net, compilation

TARGETS = ["x86-64-v3", "x86-64-v4", "cortex-m4"]


def pool(op: Pool, shape: tuple[int, ...], order: str, target: str = "x86-64-v4", **options: str) -> Step:
    """The step that pools a tensor of this shape, in such an order."""
    net, last = Net(), len(shape) - 1
    there, back = (0, last, *range(1, last)), (0, *range(2, last + 1), 1)
    if order == "planar":
        graph = net.graph(net.apply(op, net.input(*shape)))
    else:
        x = net.apply(Transpose(there), net.input(shape[0], *shape[2:], shape[1]))
        graph = net.graph(net.apply(Transpose(back), net.apply(op, x)))
    steps = compilation(graph, target, **options).plan.steps
    (found,) = [step for step in steps if isinstance(step.kernel, Separable | Window)]
    return found


@pytest.mark.parametrize(
    ("op", "planar", "last"),
    [
        (MaxPool((2, 2)), Window, Window),
        (MaxPool((3, 3), 1, 1), Separable, Window),
        (MaxPool((3, 3), 2, 1), Separable, Window),
        (MaxPool((13, 13), 1, 6), Separable, Separable),
        (AveragePool((3, 3), 1, 1), Separable, None),
        (AveragePool((9, 9), 1, 4), Separable, Separable),
        (AveragePool((7, 7)), Separable, Window),
        (MaxPool((66, 1), 1, (33, 0)), Window, Window),
    ],
)
def test_which_pools_go_axis_by_axis(op: Pool, planar: type, last: type | None) -> None:
    """With lanes along the channels, few taps are cheaper in tiles; a very long window is not shared."""
    assert isinstance(pool(op, (1, 64, 56, 56), "planar").kernel, planar)
    if last:
        assert isinstance(pool(op, (1, 64, 56, 56), "channels last").kernel, last)


@pytest.mark.parametrize("order", ["planar", "channels last"])
@pytest.mark.parametrize("target", TARGETS[:2])
@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
def test_cost_grows_slower_than_the_window(kind: type[Pool], target: str, order: str) -> None:
    """A window of 13 × 13 has 19 times the taps of 3 × 3, one of 25 × 25 four times those of 13 × 13."""
    cycles = [
        pool(kind((taps, taps), 1, taps // 2), (1, 64, 56, 56), order, target).cycles(named(target))
        for taps in (3, 13, 25)
    ]
    assert cycles[0] <= cycles[1] <= (2 if order == "planar" else 3.5) * cycles[0]
    assert cycles[2] <= 1.9 * cycles[1]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(1, 64, 56, 56), (1, 8, 500, 500), (1, 4, 16, 28, 28), (1, 16, 2000)])
def test_scratch_memory_fits_into_the_first_cache(target: str, shape: tuple[int, ...]) -> None:
    """Blocks are as high as half of it holds, and two rows at least."""
    machine, rank = named(target), len(shape) - 2
    kernel = pool(MaxPool((13,) * rank, 1, 6), shape, "planar", target).kernel
    assert isinstance(kernel, Separable)
    assert min(kernel.block) >= 2
    assert 4 * kernel.area(0) <= max(machine.l1 // 2, 4 * 2 * kernel.pitch(0))


def test_channels_are_the_rows_of_a_tensor_with_one_spatial_axis() -> None:
    step = pool(MaxPool((13,), 1, 6), (3, 16, 2000), "planar")
    assert step.target.shape == (1, 1, 16, 2000)
    assert step.units == 16


def test_in_a_chain_blocks_are_no_higher_than_rounds() -> None:
    net = Net()
    y = net.apply(MaxPool((7, 7), 1, 3), net.apply(Relu(), net.apply(MaxPool((5, 5), 1, 2), net.input(1, 8, 90, 90))))
    plan = compilation(net.graph(y), "x86-64-v4", streaming="chains").plan
    blocks = [step.kernel.block[0] for step in plan.steps if isinstance(step.kernel, Separable)]
    assert len(blocks) == 2 and max(blocks) <= plan.stages[0].block


def test_windows_share_while_they_overlap() -> None:
    assert [*overlapping([0, 1, 2, 3, 4], 3)] == [[0, 1], [2, 3], [4]]
    assert [*overlapping([0, 1, 2, 3, 4], 4)] == [[0, 1, 2, 3], [4]]
    assert [*overlapping([0, 2, 4, 6], 5)] == [[0, 2, 4], [6]]
    assert [longer_part(taps) for taps in (2, 3, 4, 5, 8, 13)] == [1, 2, 2, 4, 4, 8]
    assert [doublings(taps, True) for taps in (1, 2, 3, 5, 8, 13)] == [0, 1, 2, 3, 3, 4]
    assert [doublings(taps, False) for taps in (1, 2, 3, 5, 8, 13)] == [0, 1, 2, 3, 3, 5]
