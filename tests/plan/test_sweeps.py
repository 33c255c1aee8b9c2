"""Which jobs become sweeps over fibres, and what each sweep does."""

from __future__ import annotations

import pytest

from cnncc.ir import Value
from cnncc.machine.target import TARGETS
from cnncc.ops import (
    Add,
    Conv,
    Div,
    Exp,
    InstanceNormalization,
    LogSoftmax,
    Mul,
    ReduceMax,
    ReduceMean,
    ReduceSum,
    Relu,
    Softmax,
    Sub,
)
from cnncc.plan.kernels import Elementwise, Fill, Reduce, Sweep, Sweeps
from cnncc.plan.plan import Plan
from cnncc.plan.views import elements
from tests.graphs import Net, compilation

TARGET = TARGETS["x86-64-v3"]


def planned(net: Net, *outputs: Value) -> Plan:
    return compilation(net.graph(*outputs), TARGET).plan


def only_sweeps(net: Net, output: Value) -> Sweeps:
    """The kernel of a plan of one step."""
    (step,) = planned(net, output).steps
    assert isinstance(step.kernel, Sweeps)
    return step.kernel


def words(sweep: Sweep) -> tuple[list[str], str, str]:
    """What a sweep combines, holds and stores."""
    return [f"{kind} {expr}" for _, kind, expr in sweep.combined], str(sweep.held or ""), str(sweep.result or "")


def test_softmax_holds_the_powers_and_divides_once_for_each_fibre() -> None:
    net = Net()
    kernel = only_sweeps(net, net.apply(Softmax(-1), net.input(1, 12, 49, 49)))
    assert [words(sweep) for sweep in kernel.sweeps] == [
        (["fmax $0"], "", ""),
        (["add $1"], "exp(subtract($0, $2))", ""),
        ([], "", "multiply($1, $4)"),
    ]
    assert [str(expr) for _, expr in kernel.sweeps[2].prepared] == ["divide(1, $3)"]
    assert (kernel.shape, kernel.reduced) == ((588, 49), (1,))  # the kept axes are one in memory


def test_what_is_cheap_is_computed_twice() -> None:
    net = Net()
    x = net.input(1, 24, 14, 14)
    kernel = only_sweeps(net, net.apply(InstanceNormalization(), x, net.weights(24), net.weights(24)))
    assert [sweep.held for sweep in kernel.sweeps] == [None, None, None]
    assert kernel.shape == (24, 196)
    assert len(kernel.sweeps[1].prepared) == 1  # the mean


def test_a_logarithm_of_a_sum_is_taken_once() -> None:
    net = Net()
    kernel = only_sweeps(net, net.apply(LogSoftmax(-1), net.input(1, 5, 100)))
    assert [str(expr) for _, expr in kernel.sweeps[-1].prepared] == ["log($3)"]


def test_channels_last_has_fibres_in_lanes() -> None:
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(1, 16, 7, 7), net.weights(32, 16, 1, 1))
    unit = net.apply(Sub(), x, net.apply(ReduceMax((1, 2, 3)), x))
    softmax = net.apply(Conv((1, 1)), net.apply(Softmax(2), x), net.weights(16, 32, 1, 1))
    kernels = [step.kernel for step in planned(net, unit, softmax).steps if isinstance(step.kernel, Sweeps)]
    along, beside = sorted(kernels, key=lambda kernel: not kernel.lanes_in_fibre)
    assert (along.shape, along.lanes_in_fibre) == ((1568,), True)  # all of an image
    assert (beside.lanes_in_fibre, beside.fibres) == (False, beside.lanes)


def test_a_result_that_others_read_ends_a_group() -> None:
    net = Net()
    x = net.input(1, 8, 40)
    shifted = net.apply(Sub(), x, net.apply(ReduceMax((2,)), x))
    total = net.apply(ReduceSum((2,)), net.apply(Exp(), shifted))
    outputs = shifted, net.apply(Div(), net.apply(Exp(), shifted), total)
    kinds = [type(step.kernel) for step in planned(net, *outputs).steps]
    assert kinds.count(Sweeps) == 2, kinds


def test_reductions_of_other_axes_are_no_group() -> None:
    net = Net()
    x = net.input(1, 8, 9, 10)
    rows, columns = net.apply(ReduceMax((2,)), x), net.apply(ReduceMax((3,)), x)
    plan = planned(net, net.apply(Add(), net.apply(Sub(), x, rows), columns))
    assert [type(step.kernel) for step in plan.steps] == [Reduce, Sweeps]


def test_a_reduction_alone_stays_a_reduction() -> None:
    net = Net()
    x = net.input(1, 8, 9, 10)
    plan = planned(net, net.apply(ReduceMean((2, 3)), x), net.apply(Relu(), x))
    assert {type(step.kernel) for step in plan.steps} == {Reduce, Elementwise}


def test_the_intermediate_tensors_take_no_memory() -> None:
    net = Net()
    x = net.input(1, 64, 28, 28)
    plan = planned(net, net.apply(InstanceNormalization(), x, net.weights(64), net.weights(64)))
    assert plan.arena_bytes == 0


@pytest.mark.parametrize("shape", [(1, 4, 50), (1, 64, 56, 56)])
def test_shards_divide_the_fibres(shape: tuple[int, ...]) -> None:
    net = Net()
    x = net.input(*shape)
    (step,) = planned(net, net.apply(Mul(), x, net.apply(ReduceMax((len(shape) - 1,)), x))).steps
    assert isinstance(step.kernel, Sweeps)
    assert step.units * step.kernel.fibres == elements(shape[:-1])


def turns(rows: int, size: int, target: str = "x86-64-v4") -> tuple[int, bool]:
    """The rows of a unit over which sweeps of a softmax take turns, 0 for no turns, and whether one loop has them."""
    net = Net()
    (step,) = compilation(net.graph(net.apply(Softmax(-1), net.input(1, rows, size))), target).plan.steps
    assert isinstance(step.kernel, Sweeps)
    return step.kernel.fibres * step.kernel.staggered, step.kernel.merged


def test_sweeps_over_short_rows_take_turns() -> None:
    """A few rows at a time, as many as divide the number of rows: those left over would need code of their own."""
    assert turns(100, 197) == (1, False)
    assert turns(100, 49) == (4, False)
    assert turns(104, 20) == (8, False)
    assert turns(99, 20) == (0, False)  # 4 vectors in a turn do not pay for its tests
    assert turns(1, 197) == turns(1, 1000) == (0, False)


def test_sweeps_over_long_rows_share_a_loop() -> None:
    assert turns(20, 6906) == (1, True)
    assert turns(4, 200_000) == (0, False)  # six of them do not fit into half of the second cache
    assert turns(20, 6906, "cortex-m4") == (0, False)


def test_a_sweep_leaves_to_the_next_ones_what_they_use() -> None:
    net = Net()
    kernel = only_sweeps(
        net, net.apply(InstanceNormalization(), net.input(1, 24, 14, 14), net.weights(24), net.weights(24))
    )
    mean = kernel.sweeps[1].prepared[0][0]
    assert kernel.arriving(0) == kernel.arriving(3) == []
    assert kernel.arriving(1) == [kernel.sweeps[0].combined[0][0]]
    assert mean in kernel.arriving(2)


def test_a_border_of_the_result_parts_no_sum() -> None:
    """Sums run over all positions as over one axis; what is stored, row by row."""
    net = Net()
    x = net.apply(Relu(), net.input(1, 4, 9, 11))
    norm = net.apply(InstanceNormalization(), x, net.weights(4), net.weights(4))
    plan = planned(net, net.apply(Conv((3, 3), padding="same", groups=4), norm, net.weights(4, 1, 3, 3)))
    (step,) = (step for step in plan.steps if isinstance(step.kernel, Sweeps))
    assert step.kernel.shape == (4, 99)
    assert (step.target.shape, step.target.strides[1]) == ((4, 9, 11), 13)


@pytest.mark.parametrize("channels, borders", [(4, 0), (32, 1)])
def test_what_lanes_of_a_sum_lie_along_brings_no_border(channels: int, borders: int) -> None:
    """Planar images are summed along merged axes, the pixels of channels last one after the other."""
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(1, channels, 14, 15), net.weights(channels, channels, 1, 1))
    conv = net.apply(Conv((3, 3), padding="same", groups=4), x, net.weights(channels, channels // 4, 3, 3))
    plan = planned(net, conv, net.apply(ReduceMean((2, 3)), x))
    assert sum(isinstance(step.kernel, Fill) for step in plan.steps) == borders
