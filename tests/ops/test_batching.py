"""Which inputs carry images, and which graphs only mean something for their own N."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncc import interpreter
from cnncc.batching import batched_inputs, each_image, images_of, with_images
from cnncc.ir import Builder, Rewriter
from cnncc.ops import Add, Concat, Conv, Dense, Expand, Flatten, Fused, FusedOp, MaxPool, Relu, Reshape, Softmax, Split
from cnncc.types import TensorType


def batched(build, *shapes):
    """`build(builder, inputs…)` returns the outputs' values."""
    b = Builder()
    inputs = [b.input(f"x{i}", TensorType(shape)) for i, shape in enumerate(shapes)]
    outputs = build(b, *inputs)
    found = batched_inputs(b.graph({f"y{i}": value for i, value in enumerate(outputs)}))
    return None if found is None else list(found.values())


def test_images_and_weights_are_told_apart():
    assert batched(lambda b, x, w: b.add(Dense(), (x, w)), (1, 3), (4, 3)) == [True, False]


def test_what_is_computed_from_weights_only_are_weights():
    def build(b, x, w):
        (w,) = b.add(Relu(), (w,))
        return b.add(Dense(), (x, w))

    assert batched(build, (1, 3), (4, 3)) == [True, False]


def test_weights_may_be_joined_along_their_first_axis():
    def build(b, x, v, w):
        (both,) = b.add(Concat(0), (v, w))
        return b.add(Dense(), (x, both))

    assert batched(build, (1, 3), (4, 3), (2, 3)) == [True, False, False]


def test_an_input_that_is_both_image_and_weights_fixes_n():
    assert batched(lambda b, x: b.add(Dense(), (x, x)), (2, 3)) is None


def test_ops_that_mix_images_fix_n():
    assert batched(lambda b, x: b.add(Softmax(0), (x,)), (2, 3)) is None
    assert batched(lambda b, x: b.add(Flatten(0), (x,)), (2, 3)) is None
    assert batched(lambda b, x: b.add(Split((1, 1), 0), (x,)), (2, 3)) is None
    assert batched(lambda b, x, y: b.add(Concat(0), (x, y)), (1, 3), (1, 3)) is None


def constant_added(shape):
    return lambda b, x: b.add(Add(), (x, b.constant(np.ones(shape))))


def test_a_constant_may_be_repeated_over_images_but_not_hold_them():
    assert batched(constant_added((1, 3)), (1, 3)) == [True]
    assert batched(constant_added((1, 3)), (2, 3)) == [True]
    assert batched(constant_added((3,)), (2, 3)) == [True]
    assert batched(constant_added((2, 3)), (2, 3)) is None
    assert batched(constant_added((2, 3)), (1, 3)) is None


def test_a_constant_cannot_be_joined_to_a_changing_number_of_images():
    assert batched(lambda b, x: b.add(Concat(), (x, b.constant(np.ones((1, 2))))), (1, 3)) is None


def test_all_inputs_have_the_same_number_of_images():
    assert batched(lambda b, x, y: b.add(Add(), (x, y)), (2, 3), (2, 3)) == [True, True]
    assert batched(lambda b, x, y: b.add(Add(), (x, y)), (2, 3), (1, 3)) is None


def test_outputs_that_carry_no_images():
    def constant_output(b, x):
        return [*b.add(Relu(), (x,)), b.constant(np.ones(3))]

    def weights_output(b, x, w):
        return [*b.add(Dense(), (x, w)), *b.add(Relu(), (w,))]

    assert batched(constant_output, (1, 3)) == [True]
    assert batched(weights_output, (1, 3), (4, 3)) is None  # two inputs that would be images, of different numbers
    b = Builder()
    graph = b.graph({f"y{i}": value for i, value in enumerate(constant_output(b, b.input("x", TensorType((1, 3)))))})
    assert images_of(graph).own == {"y1"}


def test_a_convolution_of_a_constant_image_carries_none():
    def build(b, w):
        return b.add(Conv((2, 2)), (b.constant(np.ones((1, 1, 3, 3))), w))

    assert batched(build, (1, 1, 2, 2)) is None


def test_an_unused_input_counts_as_images():
    assert batched(lambda b, x, y: b.add(Relu(), (x,)), (1, 3), (1, 5)) == [True, True]


def test_a_scalar_has_no_images():
    assert batched(lambda b, x: b.add(Relu(), (x,)), ()) is None


def test_fused_nodes_are_followed_stage_by_stage():
    op = Fused(Conv((3, 3), padding=1), 2, (FusedOp(Add(), 0, 1), FusedOp(Relu()), FusedOp(MaxPool((2, 2)))))

    def build(b, x, w, residual):
        return b.add(op, (x, w, residual), "fused")

    assert batched(build, (1, 2, 4, 4), (5, 2, 3, 3), (1, 5, 4, 4)) == [True, False, True]


def test_a_graph_that_cannot_hold_one_more_image_is_not_batchable() -> None:
    builder = Builder("huge")
    x = builder.input("x", TensorType((1, 1, 20000, 20000)))
    graph = builder.graph({"y": builder.add(Relu(), (x,))[0]})
    assert batched_inputs(graph) is None


def scaled(**declared):
    b = Builder("small")
    x, w = b.input("x", TensorType((1, 3))), b.input("w", TensorType((1, 3)))
    graph = b.graph({"y": b.add(Add(), (x, w), "sum")[0]})
    return replace(graph, **declared)


def test_inputs_that_are_declared_to_keep_their_shape() -> None:
    assert batched_inputs(scaled()) == {"x": True, "w": True}
    assert batched_inputs(scaled(kept=("w",))) == {"x": True, "w": False}
    assert images_of(scaled(kept=("x", "w"))).fixed == "output 'y' does not depend on images"


def test_a_number_that_somebody_computed_with_is_fixed() -> None:
    images = images_of(scaled(fixed="line 3 computes with it"))
    assert (images.batched, images.fixed, images.carrying) == (None, "line 3 computes with it", frozenset())


@pytest.mark.parametrize(
    ("build", "shapes", "reason"),
    [
        (lambda b, x: b.add(Softmax(0), (x,), "s"), [(1, 3)], "layer 's' (Softmax) mixes images"),
        (
            lambda b, x: b.add(Dense(), (x, x), "d"),
            [(2, 3)],
            "layer 'd' (Dense) takes images where it expects something",
        ),
        (constant_added((2, 3)), [(2, 3)], "layer 'add' (Add) takes no other number of images"),
        (
            lambda b, x: b.add(Reshape((-1, 3)), (x,), "r"),
            [(1, 6)],
            "layer 'r' (Reshape) makes something else of another",
        ),
        (
            lambda b, x, y: b.add(Add(), (x, y), "a"),
            [(2, 3), (1, 3)],
            "layer 'a' (Add) takes no other number of images",
        ),
        (lambda b, x: b.add(Relu(), (x,)), [()], "input 'x0' has no images"),
        (lambda b, x: b.add(Expand(()), (x,)), [()], "input 'x0' has no images"),
        (lambda b, x: b.add(Relu(), (x,)), [(1, 20000, 20000)], "input 'x0' can hold no more images (shape (2, 20000"),
    ],
)
def test_why_a_number_is_fixed(build, shapes, reason) -> None:
    b = Builder()
    inputs = [b.input(f"x{i}", TensorType(shape)) for i, shape in enumerate(shapes)]
    assert images_of(b.graph({"y": build(b, *inputs)[0]})).fixed.startswith(reason)


def test_a_rewriter_keeps_what_was_declared() -> None:
    graph = scaled(kept=("w",), fixed="somebody computed with it")
    again = Rewriter(graph).rewrite(lambda node, inputs: None)
    assert (again.kept, again.fixed) == (graph.kept, graph.fixed)
    assert len({g.hash for g in (graph, scaled(), scaled(kept=("w",)), scaled(kept=("x",)))}) == 4


def one_image(*ops, fixed="", shape=(1, 2, 3)):
    """A chain of ops on one image."""
    b = Builder()
    b.fixed = fixed
    value = b.input("x", TensorType(shape))
    for op in ops:
        (value,) = b.add(op, (value,))
    return b.graph({"y": value})


@pytest.mark.parametrize(
    "graph",
    [
        one_image(Reshape((1, 3, 2)), Softmax(2)),
        one_image(Reshape((1, -1)), Relu()),
        one_image(Flatten(0)),
        one_image(Flatten(1), fixed="a node computes with the number of images"),
    ],
    ids=["its size", "the rest", "flatten", "computed"],
)
def test_a_graph_of_one_image_is_applied_to_each(graph):
    x = np.random.default_rng(0).random((3, 2, 3)).astype(np.float32)
    assert images_of(graph).fixed
    found = interpreter.run(with_images(each_image(graph), 3), {"x": x})["y"]
    np.testing.assert_array_equal(
        found, np.concatenate([interpreter.run(graph, {"x": x[k : k + 1]})["y"] for k in range(3)])
    )


def test_images_that_are_mixed_stay_as_they_are():
    for graph in (one_image(Softmax(0)), one_image(Reshape((2, 3, 1))), one_image(Reshape((2, 6)), shape=(2, 2, 3))):
        assert each_image(graph) is graph
    free = one_image(Relu())
    assert each_image(free) is free
