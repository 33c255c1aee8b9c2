"""Which calls native code finishes by itself, and that all others end as Python's own road ends them."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import inspect
import itertools
import pickle
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc.errors import CnnccError, InputError
from cnncc.ir import Builder
from cnncc.ops import Dense
from cnncc.runtime import model as model_room
from cnncc.runtime import numpy_abi, ports
from cnncc.runtime.callable import NativeCallable
from cnncc.runtime.model import Model
from cnncc.runtime.outputs import Outputs
from cnncc.types import Array, TensorType

from . import toy

COUNTS = [0, 1, 2, 7, 64]


class Special(np.ndarray):
    """A subclass, whose objects may hold anything beside what an array has."""


def read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


def shifted(x: Array) -> Array:
    """The same numbers at an address that is no multiple of their size."""
    return np.frombuffer(bytearray(b"\0" + x.tobytes()), np.uint8)[1:].view(x.dtype).reshape(x.shape)


NATIVE: dict[str, Callable[[Array], Any]] = {
    "an array": lambda x: x,
    "a part of one": lambda x: np.concatenate([x, x])[: len(x)],
    "read-only": read_only,
    "unpickled": lambda x: pickle.loads(pickle.dumps(x)),  # its dtype is equal to NumPy's, and another object
    "of a subclass": lambda x: x.view(Special),
    "a memoryview": memoryview,
    "a record array's field": lambda x: x.astype([("a", x.dtype)])["a"],
}
CONVERTED: dict[str, Callable[[Array], Any]] = {
    "in columns": np.asfortranarray,
    "with steps": lambda x: np.repeat(x, 2, axis=0)[::2],
    "from behind": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape),
    "not aligned": shifted,
    "by name": lambda x: {"x": x},
}
REFUSED: dict[str, Callable[[Array], Any]] = {
    "byte-swapped": lambda x: x.astype(">f4"),
    "of doubles": lambda x: x.astype(float),
    "of integers": lambda x: x.view(np.int32),
    "of a record": lambda x: x.view([("a", "f4")]),
    "of one axis": np.ravel,
    "of three axes": lambda x: x[None],
    "of no axes": lambda x: np.float32(1),
    "too wide": lambda x: np.concatenate([x, x], axis=1),
    "a list": lambda x: x.tolist(),
    "bytes": lambda x: x.tobytes(),
    "of another name": lambda x: {"y": x},
    "nothing": lambda x: None,
}


def outputs(x: Array) -> dict[str, Any]:
    """Everything that a program might hand in as `out=` of a model of one output."""
    y = np.zeros_like(x)
    given: dict[str, Any] = {kind: make(np.zeros_like(x)) for kind, make in (NATIVE | CONVERTED | REFUSED).items()}
    shared = np.zeros((len(x) + 1, x.shape[1]), x.dtype)
    return given | {
        "by its name": {"y": y},
        "in a list": [y],
        "in a tuple": (y,),
        "twice": (y, y),
        "none": (),
        "the input": x,
        "a part of the input": x.base if x.base is not None else x[1:],
        "of another N": shared,
        "that warns": np.broadcast_arrays(y, np.zeros_like(y))[0],
    }


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("graph", [1, 2])
@pytest.mark.usefixtures("only_native")
def test_any_number_of_images_is_native(count: int, graph: int) -> None:
    model, x = Model(toy.executable(images=graph)), toy.images(count)
    answer, y = model(x), np.zeros_like(x)
    assert (answer.shape, answer.dtype, answer.flags.owndata, type(answer)) == (x.shape, x.dtype, True, np.ndarray)
    np.testing.assert_array_equal(answer, toy.expected(x))
    assert model(x, out=y) is y
    np.testing.assert_array_equal(y, toy.expected(x))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.usefixtures("only_native")
def test_several_inputs_and_outputs_are_native(count: int) -> None:
    model = Model(toy.executable(n_in=3, n_out=3))
    xs = [toy.images(count, seed=k) for k in range(3)]
    ys = tuple(np.zeros_like(xs[0]) for _ in range(3))
    assert model(*xs, out=ys) is ys
    for answer in (model(*xs), ys):
        assert isinstance(answer, tuple) and isinstance(answer, Outputs) is (answer is not ys)
        for k, y in enumerate(answer):
            np.testing.assert_array_equal(y, toy.expected(*xs) + k)
    np.testing.assert_array_equal(model(xs[0], xs[0], xs[0])[0], toy.expected(*[xs[0]] * 3))


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.usefixtures("only_native")
def test_what_native_code_takes(model: Model, kind: str, count: int) -> None:
    x = toy.images(count)
    given = NATIVE[kind](x)
    np.testing.assert_array_equal(model(given), toy.expected(x))
    if kind != "read-only":
        y = NATIVE[kind](np.zeros_like(x))
        assert model(given, out=y) is y
        np.testing.assert_array_equal(np.asarray(y), toy.expected(x))


@pytest.mark.parametrize("kind", CONVERTED | REFUSED)
@pytest.mark.usefixtures("only_native")
def test_what_native_code_leaves_to_python(model: Model, kind: str) -> None:
    given = (CONVERTED | REFUSED)[kind](toy.images(3))
    with pytest.raises(AssertionError, match="went on to Python"):
        model(given)


@pytest.mark.filterwarnings("ignore:Numpy has detected that you:DeprecationWarning")
@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("batchable", [True, False])
@pytest.mark.parametrize("reads_fields", [True, False])
def test_every_call_ends_as_on_the_road_through_python(
    count: int, batchable: bool, reads_fields: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All inputs with all outputs: the same numbers in the same object, or the same sentence."""
    if not reads_fields:
        _forget_numpy(monkeypatch)
    model, n = Model(toy.executable(images=2, batchable=batchable)), 0
    for kind, place in itertools.product(NATIVE | CONVERTED | REFUSED, [None, *outputs(toy.images(1))]):
        ends = []
        for call in (model, model._call):
            memory = toy.images(count + 1)
            x = (NATIVE | CONVERTED | REFUSED)[kind](memory[:-1])
            y = None if place is None else outputs(memory[:-1])[place]
            ends.append(_end(call, x, y))
        assert ends[0] == ends[1], (kind, place)
        n += isinstance(ends[0], bytes)
    assert (n > 0) is (batchable or count == 2)


def _end(call: Callable[..., Any], x: Any, y: Any) -> bytes | tuple[type, str]:
    """The numbers that a call returns, or its error."""
    try:
        result = call(x, out=y)
    except CnnccError as error:
        return type(error), str(error)
    assert y is None or result is y
    return b"".join(np.asarray(part).tobytes() for part in _parts(result))


def _parts(result: Any) -> list[Any]:
    if isinstance(result, dict):
        return list(result.values())
    return list(result) if isinstance(result, list | tuple) else [result]


def _forget_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this NumPy were of a version of which nothing is known."""
    monkeypatch.setattr(ports, "array_type", lambda: 0)
    monkeypatch.setattr(model_room, "empty_function", lambda: 0)


@pytest.mark.usefixtures("only_native")
def test_without_fields_there_are_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget_numpy(monkeypatch)
    model, x = Model(toy.executable()), toy.images(5)
    y = np.zeros_like(x)
    assert model(x, out=y) is y
    np.testing.assert_array_equal(y, toy.expected(x))
    with pytest.raises(AssertionError, match="went on to Python"):
        model(x)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.usefixtures("only_native")
def test_weights_that_arrive_keep_their_shape(count: int) -> None:
    b, rng = Builder("arriving"), np.random.default_rng(5)
    x, w = b.input("x", TensorType((1, 3))), b.input("w", TensorType((4, 3)))
    model = cnncc.compile(b.graph({"y": b.add(Dense(), (x, w))[0]}), cache=False)
    memory = rng.random(12 + 4 * count, np.float32)
    values, weights = rng.random((count, 3), np.float32), memory[:12].reshape(4, 3)
    expected = values @ weights.T
    np.testing.assert_allclose(model(values, weights), expected, rtol=1e-6)
    np.testing.assert_allclose(model(values, weights, out=memory[12:].reshape(count, 4)), expected, rtol=1e-6)
    for wrong in (weights[:3], np.concatenate([weights, weights])):
        with pytest.raises(AssertionError, match="went on to Python"):
            model(values, wrong)
    with pytest.raises(AssertionError, match="went on to Python"):
        model(values, weights, out=memory[11:-1].reshape(count, 4))


def test_outputs_that_share_memory() -> None:
    model, x = Model(toy.executable(n_out=2)), toy.images(2)
    memory = np.zeros((4, 6), np.float32)
    first, second = memory[:2], memory[2:]
    assert model(x, out=(first, second))[1] is second
    np.testing.assert_array_equal(second, toy.expected(x) + 1)
    for out in ((first, first), (first, memory[1:3]), (x, first), (second, x)):
        with pytest.raises(InputError, match="shares memory with an input or another output"):
            model(x, out=out)


def test_no_reference_is_lost_or_kept() -> None:
    model, x, calls = Model(toy.executable(n_in=2, n_out=2)), toy.images(3), 200
    ys = (np.zeros_like(x), np.zeros_like(x))
    watched = (x, *ys, ys, np.dtype(np.float32), model, model._record)
    given = (x, x), (memoryview(x), x.view(Special)), (x, x.astype(float)), (x, x[:2]), (x,), (x, x, x)
    outs = None, ys, (memoryview(ys[0]), ys[1]), (ys[0], ys[0]), (memoryview(ys[0]), x), [*ys], ys[0]

    def every_way() -> int:
        for inputs, out in itertools.product(given, outs):
            for _ in range(calls):
                with contextlib.suppress(InputError):
                    model(*inputs, out=out)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    every_way()
    before = [sys.getrefcount(value) for value in watched]
    tracemalloc.start()
    sizes = [every_way() for _ in range(4)]
    tracemalloc.stop()
    assert [sys.getrefcount(value) for value in watched] == before
    grown = min(after - earlier for earlier, after in itertools.pairwise(sizes))  # other threads allocate at times
    assert grown < 16 * calls  # nothing of each call, however small


def test_a_model_takes_its_record_along() -> None:
    model = Model(toy.executable())
    model(toy.images())
    session = weakref.ref(model._session)
    del model
    assert session() is None


def test_calls_by_another_name(model: Model) -> None:
    x, y = toy.images(2), np.zeros((2, 6), np.float32)
    assert model(x, **{"".join(("o", "ut")): y}) is y  # equal to the name that native code looks for
    assert model.__call__(x, out=y) is y and Model.__call__(model, x, out=y) is y
    np.testing.assert_array_equal(next(map(model, [x])), y)
    assert str(inspect.signature(model)) == "(x, *, out: 'Any' = None, convert: 'bool | None' = None) -> 'Any'"
    port = dataclasses.replace(model.inputs[0], name="out")
    other = Model(dataclasses.replace(model.executable, inputs=(port,)))
    told = "(*inputs: 'Any', out: 'Any' = None, convert: 'bool | None' = None, **named: 'Any') -> 'Any'"
    assert str(inspect.signature(other)) == told
    assert "executable" in inspect.signature(Model).parameters
    with pytest.raises(InputError, match=r"^model 'toy' takes the inputs 'x': unknown 'output'$"):
        model(x, output=y)
    with pytest.raises(InputError, match=r"takes 1 input.* 2 given"):
        model(x, x, out=y)


def test_nothing_is_called_before_it_is_there() -> None:
    with pytest.raises(TypeError, match="does not support vectorcall"):
        NativeCallable()()
    unfinished = Model.__new__(Model)
    with pytest.raises(TypeError, match="does not support vectorcall"):
        unfinished()
    unfinished._entry = Model(toy.executable())._entry
    with pytest.raises(AttributeError, match="_executable"):
        unfinished(toy.images())


# What is known of NumPy


def test_this_numpy_is_known() -> None:
    assert numpy_abi.empty_function() and numpy_abi.array_type() == id(np.ndarray)


@pytest.mark.parametrize("field", ["type", "data", "nd", "dimensions", "strides", "descr", "flags"])
def test_a_field_at_another_place_is_noticed(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(numpy_abi.ArrayObject):
        """The fields of an array, but one of them is not where it is thought to be."""

    moved = getattr(numpy_abi.ArrayObject, field).offset + ctypes.sizeof(ctypes.c_void_p)
    kind = dict(numpy_abi.ArrayObject._fields_)[field]
    monkeypatch.setattr(Other, field, property(lambda self: kind.from_address(ctypes.addressof(self) + moved).value))
    monkeypatch.setattr(numpy_abi, "ArrayObject", Other)
    assert not all(map(numpy_abi._has_known_fields, numpy_abi._samples()))
    assert numpy_abi.empty_function.__wrapped__() == 0


def test_another_version_of_numpy_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_abi, "_VERSIONS", (0x03000000,))
    assert numpy_abi.empty_function.__wrapped__() == 0
    monkeypatch.setattr(numpy_abi, "_capsule_pointer", lambda *_: ctypes.pythonapi.PyCapsule_GetPointer(None, None))
    assert numpy_abi._functions() is None


def test_a_port_of_the_same_shape_for_any_images_is_fixed() -> None:
    executable = toy.executable(images=2)
    fixed = dataclasses.replace(executable, batchable=False)
    assert [ports.port_table(e)[0][0].each for e in (executable, fixed)] == [1, 0]
    assert [ports.port_table(e)[0][0].bytes for e in (executable, fixed)] == [24, 48]
