"""Arrays of other libraries, other orders of bytes and, where asked for, other elements."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnncc.elements import BOOL, ELEMENTS, FLOAT32, INT32, INT64, UINT8, Element
from cnncc.errors import InputError
from cnncc.runtime import foreign
from cnncc.runtime.arrays import checked_inputs, ordered_inputs
from cnncc.runtime.conversion import widened
from cnncc.runtime.executable import Port
from cnncc.runtime.model import Model
from cnncc.types import Array, TensorType

from . import toy


class Exchanged:
    """An array that is known by DLPack only, as another library's; `fault` is why it is not handed out."""

    def __init__(self, x: Array, device: tuple[int, int] = (1, 0), fault: Exception | None = None):
        self.x, self.device, self.fault = x, device, fault

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **options: Any) -> Any:
        if self.fault:
            raise self.fault
        return self.x.__dlpack__(**options)


class Described:
    """An array that is known by `__array_interface__` only."""

    def __init__(self, x: Array):
        self.x, self.__array_interface__ = x, x.__array_interface__


KINDS: dict[str, Callable[[Array], Any]] = {
    "DLPack": Exchanged,
    "interface": Described,
    "strided DLPack": lambda x: Exchanged(np.repeat(x, 2, axis=1)[:, ::2]),
    "read-only interface": lambda x: Described(np.frombuffer(x.tobytes(), np.float32).reshape(x.shape)),
    "big endian": lambda x: x.astype(">f4"),
    "little endian": lambda x: x.astype("<f4"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_other_arrays_are_taken(model: Model, kind: str, count: int) -> None:
    x = toy.images(count)
    np.testing.assert_array_equal(model(KINDS[kind](x)), toy.expected(x))
    np.testing.assert_array_equal(model({"x": KINDS[kind](x)}), toy.expected(x))


@pytest.mark.parametrize("kind", [Exchanged, Described])
def test_results_lie_in_the_memory_of_others(model: Model, kind: Callable[[Array], Any]) -> None:
    if kind is Exchanged and not np.from_dlpack(np.zeros(1)).flags.writeable:
        pytest.skip(f"NumPy {np.__version__} takes what is exchanged as read-only")
    x, y = toy.images(3), np.zeros((3, 6), np.float32)
    given = kind(y)
    assert model(x, out=given) is given
    np.testing.assert_array_equal(y, toy.expected(x))
    given = kind(x)
    bound = model.bind(given, out=(kind(y),))
    x[:] = toy.images(3)[::-1]
    bound()
    np.testing.assert_array_equal(y, toy.expected(x))


def test_results_never_go_to_a_copy(model: Model) -> None:
    class Copied:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return np.zeros((1, 6), np.float32)

    with pytest.raises(InputError, match=r"^out= of model 'toy' takes 1 array"):
        model(toy.images(), out=Copied())


def test_memory_of_other_devices(model: Model) -> None:
    far = Exchanged(toy.images(), device=(2, 1))
    with pytest.raises(
        InputError, match=r"^input 'x': the Exchanged lies on device \(2, 1\): copy it to the CPU first$"
    ):
        model(far)
    with pytest.raises(InputError, match=r"^output 'y': the Exchanged lies on device"):
        model(toy.images(), out=far)
    kept = Exchanged(toy.images(), fault=BufferError("it is needed here.\n"))
    with pytest.raises(InputError, match=r"^input 'x': NumPy cannot read the Exchanged: it is needed here$"):
        model(kept)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int64, np.uint8, np.bool_, ">f8", ">i4"])
def test_conversion_that_is_asked_for(model: Model, kind: Any) -> None:
    x = np.arange(18).reshape(3, 6).astype(kind)
    expected = toy.expected(x.astype(np.float32))
    np.testing.assert_array_equal(model(x, convert=True), expected)
    y = np.zeros((3, 6), np.float32)
    assert model({"x": x}, out=y, convert=True) is y
    np.testing.assert_array_equal(y, expected)
    with pytest.raises(InputError, match="expected float32, got"):
        model(x)
    with pytest.raises(InputError, match=r"expected shape \(3, 6\), got \(3, 5\)"):
        model(x[:, :5], convert=True)


def _converted(element: Element, x: Array) -> Array:
    port = Port("x", TensorType((1,), element), True)
    executable = dataclasses.replace(toy.executable(), inputs=(port,))
    (array,), _ = checked_inputs(executable, ordered_inputs(executable, (x,)), convert=True)
    assert array.dtype == element.numpy
    return array


@pytest.mark.parametrize("element", [INT32, INT64, UINT8, BOOL, FLOAT32])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64, np.bool_])
def test_whole_numbers_stay_what_they_are(element: Element, kind: Any) -> None:
    """Each number of the kind at an end of a range is converted unchanged, or named in a refusal."""
    ends = {int(row.least) for row in ELEMENTS.values() if not row.is_float}
    ends |= {int(row.most) for row in ELEMENTS.values() if not row.is_float} | {2**32 - 1, 2**63, 2}
    info = np.iinfo(kind) if kind is not np.bool_ else None
    for number in sorted(n for n in ends if (info.min <= n <= info.max if info else n in (0, 1))):
        x = np.array([0, number, 1], kind)
        if element.is_float:
            np.testing.assert_array_equal(_converted(element, x), x.astype(np.float32))
        elif element.holds(number):
            assert [int(n) for n in _converted(element, x)] == [0, number, 1]
        else:
            with pytest.raises(InputError, match=rf"^input 'x': {element} does not hold {number}, of an array of "):
                _converted(element, x)


def test_floats_are_rounded_and_never_cut() -> None:
    x = np.array([1e-300, 1 + 2.0**-25, np.nan, np.inf, -0.0])
    np.testing.assert_array_equal(_converted(FLOAT32, x), x.astype(np.float32))
    with pytest.raises(InputError, match=r"float32 does not hold 1e\+39, of an array of float64$"):
        _converted(FLOAT32, np.array([0, 1e39]))
    for element in (INT32, INT64, BOOL, UINT8):
        with pytest.raises(InputError, match=f"expected {element}, got float64"):
            _converted(element, np.zeros(3))
    for other in (np.array(["1"]), np.zeros(2, complex), np.zeros(2, object), np.zeros(2, "M8[s]")):
        with pytest.raises(InputError, match="expected float32, got"):
            _converted(FLOAT32, other)


class Shortened(Exchanged):
    """A tensor of bfloat16, as its DLPack tells: the upper halves of floats, with the strides of `x`, as bits."""

    def __init__(self, x: Array):
        super().__init__((x.view(np.uint32) >> 16).astype(np.uint16).view(np.float16))

    def __dlpack__(self, **options: Any) -> Any:
        if options:
            raise BufferError("NumPy has no bfloat16")
        capsule = self.x.__dlpack__()
        tensor = foreign._Tensor.from_address(foreign._pointer_of(capsule, b"dltensor"))
        assert (tensor.code, tensor.bits) == (2, 16)
        tensor.code = 4
        return capsule


class Strided(Shortened):
    """One whose elements lie apart, in the other order of axes."""

    def __init__(self, x: Array):
        super().__init__(x)
        wide = np.zeros((x.shape[1], 2 * x.shape[0]), np.float16)
        wide[:, 1::2] = self.x.T
        self.x = wide[:, 1::2].T


def upper(x: Array) -> Array:
    """Floats with the bits of bfloat16 only."""
    return (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@pytest.mark.parametrize("kind", [Shortened, Strided])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_bfloat16_arrives_as_float32(model: Model, kind: type[Shortened], count: int) -> None:
    x = toy.images(count)
    np.testing.assert_array_equal(model(kind(x)), toy.expected(upper(x)))
    np.testing.assert_array_equal(model({"x": kind(x)}), toy.expected(upper(x)))


def test_bfloat16_of_the_package(model: Model) -> None:
    short = pytest.importorskip("ml_dtypes").bfloat16
    x = toy.images(4).astype(short)
    for given in (x, x[::2], np.asfortranarray(x)):
        np.testing.assert_array_equal(model(given), toy.expected(given.astype(np.float32)))
    special = np.array([-0.0, np.inf, -np.inf, np.nan, 3e38, 1e-40], short)
    np.testing.assert_array_equal(widened(special), special.astype(np.float32))


def test_where_bfloat16_is_refused(model: Model) -> None:
    """A copy would not see later changes, results would not be seen, and other elements would not hold it."""
    x = Shortened(toy.images(2))
    with pytest.raises(InputError, match=r"^input 'x': only a C-contiguous array can be bound$"):
        model.bind(x)
    with pytest.raises(InputError, match=r"^output 'y': expected float32, got bfloat16$"):
        model(toy.images(1), out=Shortened(np.zeros((1, 6), np.float32)))
    for element in (INT32, ELEMENTS["float16"]):
        with pytest.raises(InputError, match=f"expected {element}, got bfloat16"):
            _converted(element, x)  # type: ignore[arg-type]
