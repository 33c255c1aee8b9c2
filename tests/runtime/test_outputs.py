"""Results by their names, and inputs given by theirs."""

from __future__ import annotations

import copy
import gc
import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.errors import InputError, UsageError
from cnncc.runtime.model import Model
from cnncc.runtime.open_model import of_sizes
from cnncc.runtime.outputs import Outputs, outputs_type

from . import toy


@pytest.fixture
def several() -> Model:
    """A toy of two inputs x0, x1 and two outputs y0, y1."""
    return Model(toy.executable(n_in=2, n_out=2))


def test_results_are_a_tuple_with_names(several: Model) -> None:
    x = toy.images(3)
    result = several(x, x)
    first, second = result
    assert isinstance(result, tuple) and isinstance(result, Outputs) and len(result) == 2
    assert result["y0"] is first and result["y1"] is second is result[1] is result[-1]
    assert type(result[:1]) is tuple and result.keys() == several(x, x).names == ("y0", "y1")
    assert {**result} == dict(result) == {"y0": first, "y1": second}
    np.testing.assert_array_equal(second, toy.expected(x, x) + 1)
    with pytest.raises(UsageError, match=r"^there is no output 'y2'; the outputs are 'y0', 'y1'$"):
        result["y2"]
    with pytest.raises(TypeError):
        result[1.0]  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unhashable"):
        hash(result)


def test_native_code_and_python_make_the_same_type(several: Model) -> None:
    x = toy.images(2)
    bound, converted = several.bind(x, x)(), several(np.asfortranarray(x), x)
    assert type(several(x, x)) is type(bound) is type(converted) is outputs_type(("y0", "y1"))
    assert repr(bound).startswith("Outputs(y0=array(") and ", y1=array(" in repr(bound)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_keep_the_names(several: Model, copied: Callable[[Any], Any]) -> None:
    x = toy.images(2)
    result = several(x, x)
    again = copied(result)
    assert type(again) is type(result)
    np.testing.assert_array_equal(again["y1"], result["y1"])


def test_one_output_is_an_array_unless_names_are_asked_for(model: Model) -> None:
    x = toy.images(2)
    assert type(model(x)) is np.ndarray
    result = model.named(x)
    assert isinstance(result, Outputs) and result.names == ("y",)
    np.testing.assert_array_equal(result["y"], model(x))
    y = np.zeros_like(x)
    assert all(model.named(x, out=out)["y"] is y for out in (y, [y], (y,), {"y": y}))


def test_names_of_several_with_out(several: Model) -> None:
    x = toy.images(2)
    y, z = np.zeros_like(x), np.zeros_like(x)
    for out in ((y, z), [y, z], {"y1": z, "y0": y}):
        result = several.named(x0=x, x1=x, out=out)
        assert result["y0"] is y and result["y1"] is z


def test_inputs_by_name(several: Model) -> None:
    a, b = toy.images(2, seed=1), toy.images(2, seed=2)
    expected = several(a, b)[0]
    out = (np.zeros_like(a), np.zeros_like(a))
    ways = several(x0=a, x1=b), several(x1=b, x0=a), several(a, x1=b), several({"x1": b, "x0": a})
    for result in (
        *ways,
        several(a.astype(float), x1=b, convert=True),
        several.bind(x1=b, x0=a)(),
        several.bind(a, x1=b)(),
    ):
        np.testing.assert_array_equal(result["y0"], expected)
    assert several(x1=b, x0=a, out=out) is several.bind(a, out, x1=b)() is out
    np.testing.assert_array_equal(out[0], expected)


REFUSED: dict[str, tuple[Callable[[Model, Any], Any], str]] = {
    "missing": (lambda m, x: m(x0=x), "model 'toy' takes the inputs 'x0', 'x1': missing 'x1'"),
    "unknown": (lambda m, x: m(x, size=x), "model 'toy' takes the inputs 'x0', 'x1': missing 'x1'; unknown 'size'"),
    "twice": (lambda m, x: m(x, x0=x), "model 'toy': input 'x0' is given twice, by its place and by its name"),
    "too many": (lambda m, x: m(x, x, x, x3=x), "model 'toy' takes 2 input(s) ('x0', 'x1'), 4 given"),
    "no array": (lambda m, x: m(x, x1={"x1": x}), "input 'x1': expected a float32 array, got dict"),
    "a dict and more": (lambda m, x: m({"x0": x}, x1=x), "input 'x0': expected a float32 array, got dict"),
    "to be bound": (lambda m, x: m.bind(x0=x), "model 'toy' takes the inputs 'x0', 'x1': missing 'x1'"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_wrong_names_are_told(several: Model, fault: str) -> None:
    call, sentence = REFUSED[fault]
    with pytest.raises(InputError) as error:
        call(several, toy.images(2))
    assert str(error.value) == sentence


def test_nothing_of_a_call_by_name_is_kept(several: Model) -> None:
    x = toy.images(2)

    def calls() -> int:
        for _ in range(500):
            several(x0=x, x1=x)["y1"]
            several.named(x, x)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    calls()
    tracemalloc.start()
    grown = calls() - calls()
    tracemalloc.stop()
    assert abs(grown) < 16 * 500


def test_open_models_name_as_models_do(several: Model) -> None:
    opened, x = of_sizes([several], 1, (lambda: opened, ())), toy.images(2)
    assert opened(x, x1=x)["y1"].shape == x.shape
    assert opened.named(x0=x, x1=x).names == ("y0", "y1") and opened.bind(x, x1=x)()["y0"].shape == x.shape
    y = (np.zeros_like(x), np.zeros_like(x))
    assert opened.named(x, x, out=y)["y1"] is y[1]


def test_the_definition_names_as_models_do() -> None:
    image, size = nn.Input((1, 4, 4), name="image"), nn.Input((3,), name="size")
    scores = nn.Dense(3)(nn.Flatten()(image))
    network = nn.Model([image, size], {"scores": scores, "scaled": scores * size})
    x, s = np.ones((2, 1, 4, 4), np.float32), np.full((2, 3), 2, np.float32)
    expected = cnncc.interpret(network, image=x, size=s)
    assert type(expected) is outputs_type(("scores", "scaled"))
    np.testing.assert_array_equal(cnncc.interpret(network, x, size=s)["scaled"], expected[1])
    np.testing.assert_allclose(cnncc.compile(network)(image=x, size=s)["scaled"], expected["scaled"], rtol=1e-5)
    with pytest.raises(InputError, match="has 2 inputs, got 1"):
        cnncc.interpret(network, image=x)
