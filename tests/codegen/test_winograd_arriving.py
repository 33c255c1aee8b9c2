"""Winograd convolutions whose weights arrive: transformed by compiled code, in each call."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.ir import Value
from cnncc.ops import Add, Conv, MaxPool, ReduceMean, Relu
from cnncc.plan.kernels import Winograd
from cnncc.plan.transformed_weights import transform_of
from cnncc.runtime.model import Model
from tests.codegen.test_winograd import agree, transformed
from tests.graphs import Net, assert_same_bits, call, compilation, expected, native, runnable_targets, worst_ratio

pytestmark = pytest.mark.combinations

TARGETS = list(runnable_targets())


def convolved(net: Net, x: Value, outputs: int, op: Conv, *, bias: bool = True) -> Value:
    w = net.weights(outputs, net.shape(x)[1], *op.kernel, arrive=True)
    return net.apply(op, x, w, *([net.weights(outputs, arrive=True)] if bias else []))


@pytest.mark.parametrize("label", ["winograd 2×2", "winograd 5×5"])
@pytest.mark.parametrize("target", TARGETS)
def test_sizes_and_tails(target: str, label: str) -> None:
    """Tails of channels and of outputs, with weights as they are and turned; special values, also in weights."""
    net = Net()
    outputs = []
    for flip, (channels, made, size) in enumerate([(1, 1, 4), (3, 5, 7), (5, 17, 9), (16, 16, 8), (19, 35, 11)]):
        op = Conv((3, 3), padding="same", flip=bool(flip % 2))
        outputs.append(convolved(net, net.input(1, channels, size, size), made, op, bias=size > 7))
    agree(net, *outputs, target=target, label=label)


@pytest.mark.parametrize("checked", [False, True])
def test_windows(checked: bool) -> None:
    """Uneven windows, strides, dilations, one axis and three."""
    net = Net()
    x, line, block = net.input(1, 6, 13, 12), net.input(1, 12, 33), net.input(1, 4, 6, 5, 7)
    two = [Conv((1, 3)), Conv((5, 5), padding=2), Conv((2, 4)), Conv((3, 3), 2, 1, 1), Conv((3, 3), 1, 2, 2)]
    outputs = [convolved(net, x, 20, op) for op in two]
    outputs += [convolved(net, line, 18, Conv((kernel,), padding="same")) for kernel in (3, 7)]
    outputs.append(convolved(net, block, 17, Conv((3, 3, 3), padding="same")))
    agree(net, *outputs, checked=checked)


def test_an_epilogue() -> None:
    net = Net()
    y = convolved(net, net.input(1, 10, 9, 14), 20, Conv((3, 3), padding=1))
    agree(net, net.apply(MaxPool((2, 2), 2), net.apply(Relu(), y)))


def test_images_of_a_batch() -> None:
    """Weights are transformed once a call; images have the bits that each has by itself."""
    net = Net()
    x = net.input(3, 8, 9, 9)
    compiled = transformed(net.graph(convolved(net, x, 16, Conv((3, 3), padding=1))))
    together = native(compiled, net.feeds)["y0"]
    with Model(compiled.build()) as model:
        for image in range(3):
            feeds = net.feeds | {"x": net.feeds["x"][image : image + 1]}
            np.testing.assert_array_equal(call(model, feeds)["y0"], together[image : image + 1])


@pytest.mark.parametrize(("images", "checked"), [(32, False), (32, True), (160, False), (160, True)])
def test_images_together(images: int, checked: bool) -> None:
    """A program of all images, as steps of training are: the same bits for any number of shards.

    Where they do not stay in the second cache, the next one and what the epilogue reads and writes are prefetched.
    """
    net = Net()
    x = net.input(images, 32, 8, 8)
    y = net.apply(Relu(), net.apply(Add(), convolved(net, x, 32, Conv((3, 3), padding=1), bias=False), x))
    compiled = compilation(net.graph(y, net.apply(ReduceMean((0,)), y)), "x86-64-v3", checked=checked)
    (kernel,) = (step.kernel for step in compiled.plan.steps if isinstance(step.kernel, Winograd))
    assert kernel.next_image == (images * 32 * 64 * 4 > compiled.plan.target.l2)
    wanted = native(compiled, net.feeds)
    worst_ratio(wanted, expected(compiled, net.feeds))
    for threads in (2, 3):
        assert_same_bits(native(compiled, net.feeds, threads), wanted)


def test_the_matrix_is_the_transform_of_known_weights() -> None:
    """Blocks times the matrix are what known weights are packed as, but for the last rounding; of all phases too."""
    net = Net()
    x = net.input(1, 5, 9, 9)
    graph = net.graph(*(convolved(net, x, 7, Conv((3, 3), stride, padding=1)) for stride in (1, 2)))
    kernels = [step.kernel for step in transformed(graph).plan.steps if isinstance(step.kernel, Winograd)]
    assert {len(kernel.phases.all) for kernel in kernels} == {1, 4}
    for kernel in kernels:
        weights, transform = net.random(7, 5, 3, 3), transform_of(kernel)
        assert transform is not None
        blocks = np.zeros((kernel.blocks * kernel.block, 5, 9))
        blocks[:7] = weights.reshape(7, 5, 9)
        blocks = blocks.reshape(kernel.blocks, kernel.block, 5, 9).transpose(0, 3, 2, 1)
        found = transform.matrix @ blocks.reshape(transform.blocks, 9, transform.positions)
        np.testing.assert_allclose(found.ravel(), kernel.packed(weights).ravel(), rtol=1e-6, atol=1e-9)
