"""Element-wise ops in native code against the interpreter: every op, odd sizes, special values, broadcasting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnncc.machine.routines import allowed
from cnncc.machine.target import TARGETS
from cnncc.ops import (
    Add,
    Clip,
    Conv,
    Div,
    Elu,
    Gelu,
    HardSwish,
    LeakyRelu,
    Max,
    Mean,
    Min,
    Mish,
    Mul,
    Pow,
    PRelu,
    Sigmoid,
    Silu,
    Softplus,
    Sub,
    Sum,
    Tanh,
)
from cnncc.ops.elementwise import Unary
from tests.graphs import (
    Net,
    assert_same_bits,
    check,
    check_all,
    compilation,
    expected,
    native,
    runnable_targets,
    sprinkled,
    worst_ratio,
)
from tests.ops.cases import FLOAT_OPS

UNARY = [op for op in FLOAT_OPS.values() if issubclass(op, Unary)]
BINARY = [Add(), Sub(), Mul(), Div(), Pow(), Min(), Max()]
SHAPES = [(1, 1), (7,), (3, 33), (2, 5, 3, 7), (1, 17, 2, 3)]
TARGETS_HERE = [target for target in ("host", "x86-64-v2", "x86-64-v3") if target in runnable_targets()]
each_target = pytest.mark.parametrize("target", TARGETS_HERE)


@each_target
@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.__name__)
def test_functions_of_one_tensor(op: type[Unary], target: str) -> None:
    """All variants and shapes in one graph; ordinary numbers, special ones, and all magnitudes."""
    net = Net()
    outputs = [net.apply(variant, net.input(*shape)) for variant in op.variants() for shape in SHAPES]
    graph = net.graph(*outputs)
    rng = np.random.default_rng(2)
    wild = {
        name: (data * np.exp(rng.uniform(-80, 80, data.shape))).astype(np.float32) for name, data in net.feeds.items()
    }
    check_all(graph, target, net.feeds, sprinkled(net.feeds, 1, 0.3), wild)


@each_target
@pytest.mark.parametrize("op", BINARY, ids=str)
def test_functions_of_two_tensors(op, target: str) -> None:
    """Each axis of either side there, of size 1, or missing."""
    net = Net()
    shapes = [(2, 5, 3, 17), (5, 1, 17), (1, 1, 3, 1), (17,), ()]
    outputs = []
    for left, right in itertools.product(shapes, repeat=2):
        outputs.append(net.apply(op, net.input(*left), net.input(*right)))
    graph = net.graph(*outputs)
    check_all(graph, target, net.feeds, sprinkled(net.feeds, 3, 0.2))


@each_target
@pytest.mark.parametrize("op", [Min(), Max(), Sum(), Mean()], ids=str)
def test_functions_of_any_number_of_tensors(op, target: str) -> None:
    net = Net()
    shapes = [(2, 5, 3, 7), (5, 1, 1), (7,), (2, 1, 3, 1), (1,), (2, 5, 3, 7)]
    outputs = [net.apply(op, *(net.input(*shape) for shape in shapes[:count])) for count in range(1, 7)]
    graph = net.graph(*outputs)
    check_all(graph, target, net.feeds, sprinkled(net.feeds, 4))


@each_target
@pytest.mark.parametrize("arrive", [False, True], ids=["constant", "at run time"])
def test_slopes_of_every_shape(target: str, arrive: bool) -> None:
    net = Net()
    x = net.input(2, 20, 3, 7)
    slopes = [(20, 1, 1), (1,), (), (1, 20, 1, 7), (3, 1), (20, 3, 7)]
    outputs = [net.apply(PRelu(), x, net.weights(*shape, arrive=arrive)) for shape in slopes]
    check(net.graph(*outputs), sprinkled(net.feeds, 5), target)


RUNS = [(1, 3, 7, 7), (1, 2, 5, 3), (2, 5, 3, 17), (1, 1, 1, 5), (1, 19, 3, 2), (1, 2, 40), (3, 50)]


@pytest.mark.parametrize("op", [Tanh(), LeakyRelu(0.1)], ids=str)
def test_runs_of_adjacent_elements(op: Unary) -> None:
    """Rows shorter than a vector, ends inside a vector, operands that do not follow: the same bits for any shards."""
    net, outputs = Net(), []
    for shape in RUNS:
        x = net.apply(op, net.input(*shape))
        operands = [net.input(*shape), net.input(*(1 if axis % 2 else size for axis, size in enumerate(shape)))]
        operands.append(net.input(*(1 if axis >= 2 else size for axis, size in enumerate(shape))))
        outputs += [net.apply(op, net.apply(Add(), x, operand)) for operand in operands]
    graph = net.graph(*outputs)
    compiled = compilation(graph)
    feeds = sprinkled(net.feeds, 6, 0.2)
    wanted = native(compiled, feeds)
    worst_ratio(wanted, expected(compiled, feeds))
    for threads in (2, 3, 7):
        assert_same_bits(native(compiled, feeds, threads), wanted, f"{threads} threads")


def test_runs_behind_convolutions() -> None:
    """Channels last and planar, whole and in rings of a chain, with the bits of every schedule."""
    net, outputs = Net(), []
    for channels, size in ((3, (9, 7)), (17, (6, 16))):
        x = net.apply(Conv((1, 1)), net.input(1, 3, *size), net.weights(channels, 3, 1, 1))
        y = net.apply(Mul(), net.apply(Softplus(), x), net.apply(Tanh(), net.input(1, channels, *size)))
        outputs.append(net.apply(Conv((3, 3), padding=1), y, net.weights(4, channels, 3, 3)))
    graph = net.graph(*outputs)
    wanted = check(graph, net.feeds, streaming="none")
    compiled = compilation(graph)
    for threads in (1, 2, 3):
        assert_same_bits(native(compiled, net.feeds, threads), wanted, f"{threads} threads")


ACTIVATIONS = [LeakyRelu(0.1), Clip(0, 6), HardSwish(), Elu(), Sigmoid(), Tanh(), Silu(), Gelu(), Gelu("tanh"), Mish()]


@each_target
@pytest.mark.parametrize("op", ACTIVATIONS, ids=str)
def test_in_the_registers_of_a_convolution(op, target: str) -> None:
    """Fused behind contractions of few and many channels, with a residual and its own activation."""
    net = Net()
    outputs = []
    for channels in (3, 20):
        x = net.apply(op, net.apply(Conv((3, 3), padding=1), net.input(1, 5, 6, 9), net.weights(channels, 5, 3, 3)))
        y = net.apply(Conv((1, 1)), x, net.weights(channels, channels, 1, 1))
        outputs.append(net.apply(op, net.apply(Mul(), net.apply(Add(), y, x), net.weights(channels, 1, 1))))
    check(net.graph(*outputs), net.feeds, target)


SLOW = ("armv7", "cortex-m0plus", "riscv32imc")  # ten to twenty seconds each: nearly all is calls of routines


@pytest.mark.parametrize(
    "target", [pytest.param(name, marks=pytest.mark.tools) if name in SLOW else name for name in TARGETS]
)
def test_no_op_needs_libm(target: str) -> None:
    """Every element-wise op, compiled for every target: the object needs only routines for floats."""
    net = Net()
    x = net.input(1, 5, 3)
    outputs = [net.apply(variant, x) for op in UNARY for variant in op.variants()]
    outputs += [net.apply(op, x, net.input(1, 5, 3)) for op in BINARY]
    assert set(compilation(net.graph(*outputs), target).build().undefined) <= allowed(TARGETS[target])
