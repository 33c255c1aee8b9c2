"""Native functions that Python calls without ctypes: one small module for each process, independent of any model.

A shim function is the entry of a `callable.NativeCallable`, or a `METH_NOARGS` function whose `self` is a `KeepAlive`
structure. So calling a model costs a function call, some comparisons for each array and a release of the GIL. Only
this module uses Python's symbols; code objects use none.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from typing import Any

from ..cache import store
from ..errors import TargetError
from ..machine.target import Target
from ..native import backend_version, emit_object, host_target, load_object
from . import shim_processors
from .layout import KeepAlive
from .shim_text import shim_text

_METH_NOARGS = 0x04
_PYTHON_SYMBOLS = (
    "PyByteArray_AsString",
    "PyObject_GetBuffer",
    "PyBuffer_Release",
    "PyErr_Clear",
    "PyObject_CallNoArgs",
    "PyObject_GetAttr",
    "PyObject_Vectorcall",
    "PyType_GenericAlloc",
    "PyTuple_Size",
    "PyTuple_GetItem",
    "PyTuple_SetItem",
    "PyLong_FromLong",
    "Py_IncRef",
    "Py_DecRef",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyThread_acquire_lock",
    "PyThread_release_lock",
)
_FUNCTIONS = ("execute", "bound", "work", "stop")
_NAMES = {
    "name_out": sys.intern("out"),
    "name_general": sys.intern("_call"),
}  # kept, since the shim has their addresses


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
        processors = _of_processors()
        text = shim_text(target.isa, knows_processors=bool(processors))
        code = load_object(_object(text, target), _imports() | processors)
        self.wait, self.call = code.address("cnncc_wait"), code.address("cnncc_call")
        self._methods = {
            name: _Method(name.encode(), code.address(f"cnncc_{name}"), _METH_NOARGS, None) for name in _FUNCTIONS
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
    store.write(key, code, "call from Python")
    return code


def _imports() -> dict[str, int]:
    addresses = {name: _address(getattr(ctypes.pythonapi, name)) for name in _PYTHON_SYMBOLS}
    addresses["sched_yield"] = _address(_system().sched_yield)
    return addresses | {"python_none": id(None)} | {symbol: id(name) for symbol, name in _NAMES.items()}


def _of_processors() -> dict[str, int]:
    """The system's functions that tell and choose where a thread runs; none if one of them is missing."""
    names = shim_processors.IMPORTS
    found = [getattr(_system(), name, None) for name in names]
    return {name: _address(function) for name, function in zip(names, found, strict=True)} if all(found) else {}


def _system() -> ctypes.CDLL:
    """The functions of the C library, which Windows has not, where no code is loaded either."""
    return ctypes.CDLL(None)


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address
