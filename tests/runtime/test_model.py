"""Calling a model: every way to hand in arrays, and the sentence for every array that is refused."""

from __future__ import annotations

import ctypes
import gc
import pickle
from typing import Any

import numpy as np
import pytest

from cnncc import abi, alignment
from cnncc.errors import InputError, NativeError, TargetError
from cnncc.machine.target import TARGETS
from cnncc.runtime import layout
from cnncc.runtime.executable import Executable
from cnncc.runtime.model import Model
from cnncc.types import Array

from . import toy


def test_a_call_gives_a_fresh_array(model: Model) -> None:
    x = toy.images()
    first, second = model(x), model(x)
    assert first is not second and first.shape == (1, 6) and first.dtype == np.float32
    np.testing.assert_array_equal(first, toy.expected(x))
    np.testing.assert_array_equal(second, first)


def test_inputs_by_name_and_by_place() -> None:
    model = Model(toy.executable(n_in=2, n_out=3))
    a, b = toy.images(seed=1), toy.images(seed=2)
    for answer in (model(a, b), model({"x1": b, "x0": a})):
        assert isinstance(answer, tuple) and len(answer) == 3
        for k, y in enumerate(answer):
            np.testing.assert_array_equal(y, toy.expected(a, b) + k)


def test_out_receives_the_result(model: Model) -> None:
    x, y = toy.images(), np.zeros((1, 6), np.float32)
    assert model(x, out=y) is y
    np.testing.assert_array_equal(y, toy.expected(x))
    again = [np.zeros((1, 6), np.float32)]
    assert model(x, out=again) is again
    np.testing.assert_array_equal(again[0], y)


def test_out_of_several_outputs() -> None:
    model, x = Model(toy.executable(n_out=2)), toy.images()
    ys = (np.zeros((1, 6), np.float32), np.zeros((1, 6), np.float32))
    assert model(x, out=ys) is ys
    np.testing.assert_array_equal(ys[1], toy.expected(x) + 1)
    named = {"y1": np.zeros((1, 6), np.float32), "y0": np.zeros((1, 6), np.float32)}
    assert model(x, out=named) is named
    np.testing.assert_array_equal(named["y1"], ys[1])


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("graph", [1, 2])
def test_any_number_of_images(count: int, graph: int) -> None:
    model, x = Model(toy.executable(images=graph)), toy.images(count)
    np.testing.assert_array_equal(model(x), toy.expected(x))
    out = np.zeros_like(x)
    assert model(x, out=out) is out
    np.testing.assert_array_equal(out, model(x))
    np.testing.assert_array_equal(model.bind(x)(), out)


def test_strided_inputs_are_copied(model: Model) -> None:
    x = np.asfortranarray(toy.images(4))
    np.testing.assert_array_equal(model(x), toy.expected(x))
    wide = toy.images(1, 12)[:, ::2]
    np.testing.assert_array_equal(model(wide), toy.expected(wide))


def test_unaligned_and_foreign_arrays(model: Model) -> None:
    x = toy.images()
    shifted = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(1, 6)
    np.testing.assert_array_equal(model(shifted), toy.expected(x))

    class Foreign:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return x

    np.testing.assert_array_equal(model(Foreign()), toy.expected(x))


def test_read_only_inputs_are_fine(model: Model) -> None:
    x = toy.images()
    x.flags.writeable = False
    np.testing.assert_array_equal(model(x), toy.expected(x))


REFUSED_INPUTS: list[tuple[Any, str]] = [
    (np.zeros((1, 6)), "input 'x': expected float32, got float64; convert it with .astype(np.float32) or convert=True"),
    (
        np.zeros((1, 6), np.uint8),
        "input 'x': expected float32, got uint8; convert it with .astype(np.float32), and divide it by 255 if the "
        "model takes pixels from 0 to 1",
    ),
    (
        np.zeros((1, 6), np.int64),
        "input 'x': expected float32, got int64; convert it with .astype(np.float32) or convert=True",
    ),
    (np.zeros((1, 6), complex), "input 'x': expected float32, got complex128; convert it with .astype(np.float32)"),
    (np.zeros((6, 1), np.float32), "input 'x': expected shape (6, 6), got (6, 1)"),
    (
        np.zeros(6, np.float32),
        "input 'x': expected shape (1, 6), got (6,); the first axis, of images, is missing (x[None] adds it)",
    ),
    (np.zeros((1, 2, 3), np.float32), "input 'x': expected shape (1, 6), got (1, 2, 3)"),
    ([[1.0] * 6], "input 'x': expected a float32 array, got list"),
    (None, "input 'x': expected a float32 array, got NoneType"),
    (b"123456" * 4, "input 'x': expected a float32 array, got bytes"),
    ({"y": 1}, "model 'toy' takes the inputs 'x': missing 'x'; unknown 'y'"),
]


@pytest.mark.parametrize(("x", "message"), REFUSED_INPUTS, ids=lambda value: value if isinstance(value, str) else "")
def test_refused_inputs(model: Model, x: Any, message: str) -> None:
    for call in (model, lambda x: model(x, out=np.zeros((1, 6), np.float32)), model.bind):
        with pytest.raises(InputError) as caught:
            call(x)
        assert str(caught.value) == message


def test_wrong_number_of_inputs(model: Model) -> None:
    with pytest.raises(InputError, match=r"^model 'toy' takes 1 input\(s\) \('x'\), 0 given$"):
        model()
    x = toy.images()
    with pytest.raises(InputError, match="2 given"):
        model(x, x)


def test_inputs_and_outputs_are_not_confused() -> None:
    arrays = [np.zeros((1, 6), np.float32) for _ in range(4)]
    with pytest.raises(InputError, match=r"takes 1 input.* 2 given"):
        Model(toy.executable(n_out=2))(*arrays[:2], out=arrays[2])
    with pytest.raises(InputError, match=r"takes 2 input.* 1 given"):
        Model(toy.executable(n_in=2, n_out=2))(arrays[0], out=tuple(arrays[1:]))


def test_a_model_that_mixes_images_says_so() -> None:
    model = Model(toy.executable(images=2, batchable=False))
    with pytest.raises(InputError) as caught:
        model(toy.images(3))
    assert str(caught.value) == (
        "input 'x': expected shape (2, 6), got (3, 6); "
        "this model mixes images, so that the number of images is fixed at 2"
    )


def test_inputs_must_agree_on_images() -> None:
    model = Model(toy.executable(n_in=2))
    with pytest.raises(InputError, match=r"input 'x1': expected shape \(2, 6\), got \(3, 6\)"):
        model(toy.images(2), toy.images(3))


def _locked() -> Array:
    y = np.zeros((1, 6), np.float32)
    y.flags.writeable = False
    return y


REFUSED_OUTPUTS: list[tuple[Any, str]] = [
    (np.zeros((1, 6)), "output 'y': expected float32, got float64"),
    (np.zeros((2, 6), np.float32), "output 'y': expected shape (1, 6), got (2, 6)"),
    (np.zeros((1, 12), np.float32)[:, ::2], "output 'y' must be a writable, C-contiguous array"),
    (_locked(), "output 'y' must be a writable, C-contiguous array"),
    ([], "out= of model 'toy' takes 1 array(s) ('y')"),
    (3, "out= of model 'toy' takes 1 array(s) ('y')"),
    ([None], "output 'y': expected a float32 array, got NoneType"),
    ({"z": _locked()}, "out= of model 'toy' takes the outputs 'y'"),
]


@pytest.mark.parametrize(("out", "message"), REFUSED_OUTPUTS, ids=lambda value: value if isinstance(value, str) else "")
def test_refused_outputs(model: Model, out: Any, message: str) -> None:
    for call in (model, model.bind):
        with pytest.raises(InputError) as caught:
            call(toy.images(), out=out)
        assert str(caught.value) == message


def test_outputs_must_not_overlap(model: Model) -> None:
    x = toy.images()
    with pytest.raises(InputError, match="output 'y' shares memory with an input or another output"):
        model(x, out=x)
    memory = np.zeros(11, np.float32)
    with pytest.raises(InputError, match="shares memory"):
        model(memory[:6].reshape(1, 6), out=memory[5:].reshape(1, 6))
    both = Model(toy.executable(n_out=2))
    y = np.zeros((1, 6), np.float32)
    with pytest.raises(InputError, match="output 'y1' shares memory"):
        both(x, out=(y, y))


def test_neighbours_do_not_overlap(model: Model) -> None:
    memory = np.zeros(12, np.float32)
    x, y = memory[:6].reshape(1, 6), memory[6:].reshape(1, 6)
    x[:] = toy.images()
    np.testing.assert_array_equal(model(x, out=y), toy.expected(x))


def test_a_bound_call_follows_its_arrays(model: Model) -> None:
    x, y = toy.images(), np.zeros((1, 6), np.float32)
    for bound in (model.bind(x, y), model.bind(x, out=y), model.bind({"x": x}, y)):
        x += 1
        assert bound() is y
        np.testing.assert_array_equal(y, toy.expected(x))


def test_a_bound_call_keeps_everything_alive() -> None:
    x = toy.images()
    wanted = toy.expected(x)
    bound = Model(toy.executable()).bind(x)
    del x
    gc.collect()
    trash = [np.full(6, -1, np.float32) for _ in range(1000)]
    np.testing.assert_array_equal(bound(), wanted)
    assert bound() is bound() and len(trash) == 1000
    with pytest.raises(TypeError):
        bound(1)  # type: ignore[call-arg]


def test_only_contiguous_inputs_are_bound(model: Model) -> None:
    with pytest.raises(InputError, match=r"^input 'x': only a C-contiguous array can be bound$"):
        model.bind(toy.images(1, 12)[:, ::2])


def test_calls_do_not_leak_references(model: Model) -> None:
    import sys

    x, y = toy.images(), np.zeros((1, 6), np.float32)
    bound = model.bind(x, y)
    before = sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(None)
    for _ in range(1000):
        model(x)
        model(x, out=y)
        bound()
        with pytest.raises(InputError):
            model(x, x)
    after = sys.getrefcount(x), sys.getrefcount(y), sys.getrefcount(None)
    assert after[:2] == before[:2] and abs(after[2] - before[2]) < 500


def test_what_a_model_tells_of_itself(model: Model) -> None:
    assert (model.name, model.threads, model.labels) == ("toy", 1, ("cat", "dog"))
    (x,), (y,) = model.inputs, model.outputs
    assert (x.name, x.shape, x.dtype, y.name) == ("x", (1, 6), "float32", "y")
    assert repr(model) == "<cnncc.Model 'toy' (x: float32[n, 6], y: float32[n, 6]), threads=1>"


@pytest.mark.parametrize("threads", [1, 2])
def test_a_closed_model_says_so(threads: int) -> None:
    x = toy.images()
    with Model(toy.executable(), threads=threads) as model:
        bound = model.bind(x)
        bound()
    model.close()
    for call in (bound, lambda: model(x), lambda: model(x, out=np.zeros_like(x))):
        with pytest.raises(NativeError, match=r"^model 'toy' has been closed$"):
            call()


def test_a_fault_names_the_step() -> None:
    model = Model(toy.executable(fault=2))
    for call in (model, model.bind(toy.images())):
        with pytest.raises(NativeError) as caught:
            call(*[toy.images()] * (call is model))
        assert str(caught.value) == (
            "model 'toy': native code returned error 6: an access left its bounds in step 1 (pool1)"
        )


def test_a_processor_that_cannot_run_it_is_an_error() -> None:
    with pytest.raises(TargetError, match=r"^this processor cannot run model 'toy', compiled for 'host'$"):
        Model(toy.executable(check=1))
    with pytest.raises(TargetError, match=r"^this machine cannot run model 'toy', compiled for 'cortex-m4'$"):
        Model(toy.executable(target=TARGETS["cortex-m4"]))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"abi": 1}, 1),
        ({"inputs": None}, 2),
        ({"workspace": 8}, 3),
        ({"images": 0}, 4),
        ({"shard": 1}, 5),
        ({}, 0),
    ],
)
def test_the_abi_reports_codes(model: Model, change: dict[str, Any], code: int) -> None:
    call, keep = _call(model.executable)
    for name, value in change.items():
        setattr(call, name, value)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(layout.CallStruct))(model._code.address("toy_run"))
    assert run(ctypes.byref(call)) == code and keep


def test_pickling(model: Model) -> None:
    with pytest.raises(TypeError, match="made from object code alone"):
        pickle.dumps(model)
    again = pickle.loads(pickle.dumps(rebuilt(5)))
    x = toy.images(1, 5)
    np.testing.assert_array_equal(again(x), toy.expected(x))


def rebuilt(size: int) -> Model:
    """A model that knows how it was made, as `cnncc.compile` makes them."""
    return Model(toy.executable(size), rebuild=(rebuilt, (size,)))


def _call(executable: Executable) -> tuple[layout.CallStruct, list[Any]]:
    x, y = toy.images(), np.zeros((1, 6), np.float32)
    inputs, outputs = layout.pointers([x.ctypes.data]), layout.pointers([y.ctypes.data])
    workspace, weights = alignment.aligned(executable.workspace_bytes(1)), alignment.aligned_bytes(executable.weights)
    call = layout.CallStruct(
        abi=abi.VERSION,
        images=1,
        shards=1,
        inputs=ctypes.addressof(inputs),
        outputs=ctypes.addressof(outputs),
        workspace=workspace.ctypes.data,
        weights=weights.ctypes.data,
    )
    return call, [x, y, inputs, outputs, workspace, weights]
