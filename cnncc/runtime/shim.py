"""Native functions that Python calls without ctypes: one small module for each process, independent of any model.

A shim function is a `METH_FASTCALL` or `METH_NOARGS` function whose `self` is an `KeepAlive` structure. So calling
a model costs a function call, two buffer look-ups and a release of the GIL. Only this module uses Python's symbols;
code objects use none.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cache import store
from ..errors import NativeError, TargetError
from ..machine.target import Target
from ..native import backend_version, emit_object, host_target, load_object
from .layout import KeepAlive
from .shim_text import shim_text

_METH_NOARGS, _METH_FASTCALL = 0x04, 0x80
_PYTHON_SYMBOLS = (
    "PyByteArray_AsString",
    "PyObject_GetBuffer",
    "PyBuffer_Release",
    "PyErr_Clear",
    "PyObject_CallNoArgs",
    "PyTuple_Size",
    "PyTuple_GetItem",
    "PyLong_FromLong",
    "Py_IncRef",
    "Py_DecRef",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyThread_acquire_lock",
    "PyThread_release_lock",
)
_FUNCTIONS = {
    "call": _METH_FASTCALL,
    "execute": _METH_NOARGS,
    "bound": _METH_NOARGS,
    "work": _METH_NOARGS,
    "stop": _METH_NOARGS,
}


_new_function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


class _Method(ctypes.Structure):
    """PyMethodDef; Python keeps its address, so it must outlive every function made from it."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class Shim:
    """The loaded module. A process has one (`shim()`), which is never unloaded, since threads may be inside it."""

    def __init__(self) -> None:
        target = host_target()
        if ctypes.sizeof(ctypes.c_void_p) != 8:
            raise TargetError("models run in Python on machines of 64 bits only")
        code = load_object(_object(shim_text(target.isa, _array_data()), target), _imports())
        self.wait = code.address("cnncc_wait")
        self._methods = {
            name: _Method(name.encode(), code.address(f"cnncc_{name}"), flags, None)
            for name, flags in _FUNCTIONS.items()
        }
        code.keep_loaded()

    def function(self, name: str, record: KeepAlive) -> Callable[..., Any]:
        """The shim's function `name` (a key of `_FUNCTIONS`) over `record`, which it keeps alive."""
        made: Callable[..., Any] = _new_function(ctypes.addressof(self._methods[name]), record, None)
        return made


@functools.cache
def shim() -> Shim:
    """This process's shim, made on first use."""
    return Shim()


def _object(text: str, target: Target) -> bytes:
    """The module's object, from the cache if it is there: compiling it takes longer than loading a cached model."""
    key = f"shim {backend_version()} {target} {text}"
    found = store.read(key)
    if found is not None:
        return bytes(found)
    code = emit_object(text, target)
    store.write(key, code)
    return code


def _array_data() -> int:
    """The offset of the data pointer in a NumPy array: directly after the object's header. It is tested before use."""
    offset, sample = object.__basicsize__, np.empty(3, np.float32)
    if ctypes.c_void_p.from_address(id(sample) + offset).value != sample.ctypes.data:
        raise NativeError("this version of NumPy keeps its arrays in another way than cnncc knows")
    return offset


def _imports() -> dict[str, int]:
    addresses = {name: _address(getattr(ctypes.pythonapi, name)) for name in _PYTHON_SYMBOLS}
    addresses["sched_yield"] = _address(ctypes.CDLL(None).sched_yield)
    addresses["python_none"] = id(None)
    return addresses


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address
