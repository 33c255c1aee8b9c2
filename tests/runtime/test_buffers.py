"""Buffers that are no arrays: taken like the array over their memory, whatever the number of images."""

from __future__ import annotations

import array
import ctypes
import dataclasses
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnncc.elements import UINT8
from cnncc.errors import InputError
from cnncc.runtime.arrays import checked_inputs, ordered_inputs
from cnncc.runtime.executable import Port
from cnncc.runtime.model import Model
from cnncc.types import Array, TensorType

from . import toy


def _in_ctypes(x: Array) -> Any:
    return ((ctypes.c_float * x.shape[1]) * x.shape[0]).from_buffer_copy(x)


def _in_anonymous_memory(x: Array) -> Any:
    memory = mmap.mmap(-1, max(x.nbytes, 1))
    memory.write(x.tobytes())
    return memoryview(memory)[: x.nbytes].cast("f", x.shape)


BUFFERS: dict[str, Callable[[Array], Any]] = {
    "of an array": memoryview,
    "read-only": lambda x: memoryview(x).toreadonly(),
    "of bytes": lambda x: memoryview(x.tobytes()).cast("f", x.shape),
    "of a bytearray": lambda x: memoryview(bytearray(x.tobytes())).cast("f", x.shape),
    "of array.array": lambda x: memoryview(array.array("f", x.ravel().tolist())).cast("B").cast("f", x.shape),
    "of ctypes": _in_ctypes,
    "of other memory": _in_anonymous_memory,
    "with steps": lambda x: memoryview(np.repeat(x, 2, axis=0))[::2],
    "in columns": lambda x: memoryview(np.asfortranarray(x)),
    "from behind": lambda x: memoryview(np.ascontiguousarray(x[::-1]))[::-1],
}


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_buffers_are_taken_like_arrays(model: Model, kind: str, count: int) -> None:
    x = toy.images(count)
    for call in (
        lambda x: model(x),
        lambda x: model({"x": x}),
        lambda x: model(x, out=np.empty((count, 6), np.float32)),
    ):
        np.testing.assert_array_equal(call(BUFFERS[kind](x)), toy.expected(x))


@pytest.mark.parametrize("count", [1, 3])
def test_buffers_as_outputs(model: Model, count: int) -> None:
    x = toy.images(count)
    y = memoryview(bytearray(x.nbytes)).cast("f", x.shape)
    assert model(memoryview(x), out=y) is y
    np.testing.assert_array_equal(np.asarray(y), toy.expected(x))
    both = (memoryview(np.zeros_like(x)), np.zeros_like(x))
    Model(toy.executable(n_out=2))(x, out=both)
    np.testing.assert_array_equal(np.asarray(both[0]) + 1, both[1])
    with pytest.raises(InputError, match="output 'y' must be a writable, C-contiguous array"):
        model(x, out=memoryview(x.tobytes()).cast("f", x.shape))
    with pytest.raises(InputError, match="shares memory with an input"):
        model(x, out=memoryview(x))


@pytest.mark.parametrize("count", [1, 3])
def test_a_bound_buffer_is_followed(model: Model, count: int) -> None:
    x, memory = toy.images(count), bytearray(4 * 6 * count)
    bound = model.bind(memoryview(memory).cast("f", (count, 6)))
    memory[:] = x.tobytes()
    np.testing.assert_array_equal(bound(), toy.expected(x))
    with pytest.raises(InputError, match="only a C-contiguous array can be bound"):
        model.bind(memoryview(np.repeat(x, 2, axis=1)[:, ::2]))


def _released() -> memoryview:
    view = memoryview(toy.images(3))
    view.release()
    return view


REFUSED: list[tuple[Any, str]] = [
    (memoryview(np.zeros((3, 6))), "expected float32, got float64"),
    (memoryview(np.zeros((3, 6), np.int32)), "expected float32, got int32"),
    (memoryview(np.zeros((3, 6), np.float16)), "expected float32, got float16"),
    (memoryview(np.zeros((3, 6), [("a", "f4")])), "expected float32, got "),
    (((ctypes.c_int * 6) * 3)(), "expected float32, got int32"),
    (array.array("f", [0] * 18), "expected shape (1, 6), got (18,)"),
    (memoryview(np.zeros((3, 7), np.float32)), "expected shape (3, 6), got (3, 7)"),
    (memoryview(bytes(72)), "expected float32, got uint8"),
    (bytes(72), "expected a float32 array, got bytes"),
    (bytearray(72), "expected a float32 array, got bytearray"),
    (_released(), "expected a float32 array, got memoryview"),
    ("0" * 72, "expected a float32 array, got str"),
    ([[0.0] * 6] * 3, "expected a float32 array, got list"),
]


@pytest.mark.parametrize(("x", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_buffers_of_other_types_and_shapes(model: Model, x: Any, message: str) -> None:
    for call in (model, model.bind):
        with pytest.raises(InputError) as caught:
            call(x)
        assert str(caught.value).startswith(f"input 'x': {message}")


def test_bytes_are_bytes() -> None:
    """Bytes have one axis: what a model of one axis takes, and nothing for one of pictures."""
    port = Port("x", TensorType((1,), UINT8), True)
    executable = dataclasses.replace(toy.executable(), inputs=(port,))
    for data in (b"12345", bytearray(b"12345"), memoryview(b"12345"), array.array("B", b"12345")):
        (x,), images = checked_inputs(executable, ordered_inputs(executable, (data,)))
        assert (x.tobytes(), x.dtype, images) == (b"12345", np.uint8, 5)
