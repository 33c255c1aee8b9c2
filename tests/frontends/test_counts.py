"""A script that computes with the number of images makes a model for that number; one that does not, for any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.batching import batched_inputs, images_of
from cnncc.errors import InputError
from cnncc.types import TensorType

LINE = r"line \d+ of 'test_counts\.py' computes with the number of images of 'input'"


def both(images: int, build: Callable[[nn.Tensor], Any]) -> tuple[Any, Any]:
    x = nn.Input((3, 4), batch=images)
    model = nn.Model(x, build(x))
    return model, model.graph


def assert_shape_is(x: nn.Tensor) -> nn.Tensor:
    assert x.shape == (x.shape[0], 3, 4)
    return nn.ReLU()(x)


def like_another(x: nn.Tensor) -> nn.Tensor:
    y = nn.Conv(3, 1)(x)
    return y + x if y.shape == x.shape else y


def unpacked(x: nn.Tensor) -> nn.Tensor:
    images, channels, width = x.shape
    return nn.Reshape((0, channels * width))(x) if images > 0 else x


class Doubled(nn.Block):
    """A block that looks at its tensor's channels."""

    def make(self, x: TensorType) -> Sequence[nn.Layer]:
        return (nn.Conv(2 * x.shape[1], 1),)


FREE: dict[str, Callable[[nn.Tensor], Any]] = {
    "nothing": lambda x: x + 1.0,
    "another size": lambda x: x * x.shape[1],
    "compared with itself": assert_shape_is,
    "compared with another": like_another,
    "unpacked": unpacked,
    "told": lambda x: nn.ReLU(name=f"of{x.shape[1]}")(x) if f"{x.shape} {x}" else x,
    "rank": lambda x: x * len(x.shape),
    "a block's channels": lambda x: Doubled()(x),
    "another's block": lambda x: nn.SqueezeExcite()(nn.Residual(nn.Conv(3, 1))(x)),
    "last sizes": lambda x: nn.Dense(5)(nn.Flatten()(x)) * x.shape[-1],
}


class PerImage(nn.Block):
    def make(self, x: TensorType) -> Sequence[nn.Layer]:
        return (nn.Conv(int(x.shape[0]), 1),)


class Scaled(nn.Layer):
    """A layer of the user's own, whose op depends on N."""

    kind = "scaled"

    def operation(self, *types: TensorType) -> Any:
        return nn.LeakyReLU(0.5 / types[0].shape[0]).operation()

    def __call__(self, x: nn.Tensor) -> nn.Tensor:
        return self.apply((x,), {}, None)[0]


def transposed(x: nn.Tensor) -> nn.Tensor:
    return x * nn.Transpose((1, 0, 2))(x).shape[1]


def rows(x: nn.Tensor) -> nn.Tensor:
    return x * nn.Reshape((-1, 2))(x).shape[0]


ASKED: dict[str, Callable[[nn.Tensor], Any]] = {
    "times N": lambda x: x * x.shape[0],
    "N times": lambda x: x.shape[0] * x,
    "by its type": lambda x: x * x.type.shape[0],
    "all elements": lambda x: x / x.type.size,
    "product": lambda x: x / float(np.prod(x.shape)),
    "zeros": lambda x: x + nn.Constant(np.full(x.shape[1:], len(range(x.shape[0])), np.float32)),
    "a constant of its shape": lambda x: x + nn.Constant(np.ones(x.shape)),
    "array of it": lambda x: x + nn.Constant(np.array(x.shape[0])),
    "slice": lambda x: nn.Slice((0,), (x.shape[0],), (2,))(x),
    "filters": lambda x: nn.Conv(x.shape[0], 1)(x),
    "choice": lambda x: x + 1.0 if x.shape[0] == 1 else x + 2.0,
    "choice of more": lambda x: x + 1.0 if x.shape[0] < 2 else x + 2.0,
    "parity": lambda x: x * (x.shape[0] % 2),
    "later": lambda x: x * nn.ReLU()(x).shape[0],
    "transposed": transposed,
    "several rows an image": rows,
    "the user's block": lambda x: PerImage()(x),
    "the user's layer": lambda x: Scaled()(x),
}
MIXED: dict[str, Callable[[nn.Tensor], Any]] = {
    "reshape": lambda x: nn.Reshape((1, -1))(x),
    "softmax": lambda x: nn.Softmax(0)(x),
    "sum": lambda x: nn.ReduceSum((0,))(x),
    "part": lambda x: nn.Slice((0,), (1,), (0,))(x),
    "squeeze": lambda x: nn.Squeeze()(x),
    "concat": lambda x: nn.Concat(0)(x, x),
    "split": lambda x: nn.Concat(0)(*nn.Split((1,), 0)(nn.Slice((0,), (1,), (0,))(x))),
}


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("case", FREE)
def test_any_number(case: str, images: int) -> None:
    _, graph = both(images, FREE[case])
    assert batched_inputs(graph) == {"input": True}
    _, others = both(2, FREE[case])
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(cnncc.interpret(graph, x), cnncc.interpret(others, x), rtol=1e-6)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("case", ASKED)
def test_a_number_that_was_asked_for(case: str, images: int) -> None:
    model, graph = both(images, ASKED[case])
    x = np.ones((2, 3, 4), np.float32)
    with pytest.raises(InputError, match=rf"; {LINE}, so that the number of images is fixed at {images}$"):
        cnncc.interpret(model, x)
    assert cnncc.interpret(graph, x[:1].repeat(images, 0)).shape[0] == images


@pytest.mark.parametrize("case", MIXED)
def test_images_that_are_mixed(case: str) -> None:
    _, graph = both(1, MIXED[case])
    x = np.ones((2, 3, 4), np.float32)
    for run in (lambda x: cnncc.interpret(graph, x), cnncc.compile(graph, cache=False)):
        with pytest.raises(
            InputError, match=r"; layer '\w+' \(\w+\) mixes images, so that the number of images is fixed"
        ):
            run(x)
        run(x[:1])


def test_what_is_asked_after_the_model_was_made_is_no_part_of_it() -> None:
    x = nn.Input((4,))
    model = nn.Model(x, nn.ReLU()(x))
    assert model.outputs["output"].shape[0] == 1
    assert batched_inputs(model.graph) == {"input": True}


def test_an_input_without_images_keeps_its_shape() -> None:
    """Whatever it is used for: the shape of weights is no number of images."""
    x, w = nn.Input((4,), "x"), nn.Input((1, 4), "w", batch=None)
    model = nn.Model([x, w], x * w * w.shape[0])
    assert batched_inputs(model.graph) == {"x": True, "w": False}
    three, row = np.arange(12, dtype=np.float32).reshape(3, 4), np.arange(4, dtype=np.float32).reshape(1, 4)
    for run in (lambda *given: cnncc.interpret(model, *given), cnncc.compile(model, cache=False)):
        np.testing.assert_array_equal(run(three, row), three * row)


def test_the_reason_names_no_folder() -> None:
    _, graph = both(1, ASKED["times N"])
    assert "/" not in images_of(graph).fixed
