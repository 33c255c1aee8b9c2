"""The structures that Python, the shim and the code object use in common. `shim_text.py` derives LLVM's types."""

from __future__ import annotations

import ctypes
from typing import Any

from .. import abi

_U32, _PTR = ctypes.c_uint32, ctypes.c_void_p


class PyBuffer(ctypes.Structure):
    """`Py_buffer` of Python's C interface."""

    _fields_ = (
        ("buf", _PTR),
        ("obj", _PTR),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", _PTR),
        ("shape", _PTR),
        ("strides", _PTR),
        ("suboffsets", _PTR),
        ("internal", _PTR),
    )


_HEAD = ctypes.c_char * (object.__basicsize__ - ctypes.sizeof(_PTR))  # what every object has before its type


class ArrayObject(ctypes.Structure):
    """`PyArrayObject_fields` of NumPy's C interface, the same in NumPy 1 and 2; the type is that of any object."""

    _fields_ = (
        ("_head", _HEAD),
        ("type", _PTR),
        ("data", _PTR),
        ("nd", ctypes.c_int),
        ("dimensions", _PTR),
        ("strides", _PTR),
        ("base", _PTR),
        ("descr", _PTR),
        ("flags", ctypes.c_uint32),
    )


class CallableObject(ctypes.Structure):
    """An object that Python calls through a pointer of its own, with the record that the function reads."""

    _fields_ = (("_head", _HEAD), ("type", _PTR), ("entry", _PTR), ("record", _PTR))


class CallStruct(ctypes.Structure):
    """`cnncc_call` of the ABI."""

    _fields_ = tuple((field.name, _PTR if field.is_pointer else _U32) for field in abi.CALL)


class PortStruct(ctypes.Structure):
    """What a call without conversions accepts as one input or output.

    `each` is the length of the first axis for one image, or 0 if `dimensions` hold as they are; `bytes` is the size of
    one image, or of all. An object whose type is `array_type` is an array: it has this `descr` (NumPy's one object for
    the element type) and, of the flags in `mask`, exactly `flags`. Any other object is asked for a buffer with
    `buffer_flags`, whose format character is `format_char` and whose address has no bit of `align_mask`.
    """

    _fields_ = (
        ("dimensions", _PTR),
        ("each", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
        ("array_type", _PTR),
        ("descr", _PTR),
        ("mask", _U32),
        ("flags", _U32),
        ("rank", ctypes.c_int),
        ("buffer_flags", ctypes.c_int),
        ("format_char", ctypes.c_uint16),
        ("align_mask", ctypes.c_uint16),
    )


class Worker(ctypes.Structure):
    """One thread besides the caller's; the structure fills a cache line."""

    _fields_ = (("asleep", _U32), ("shard", _U32), ("lock", _PTR), ("_pad", ctypes.c_char * 48))


class SessionStruct(ctypes.Structure):
    """The state that one call at a time may use: its workspace, its workers, the call itself.

    A call that finds it busy goes to the `next` one of the model, if there is one. `processor` is where the caller
    runs, while it has workers. Each field that several threads write (`busy`, `generation`, `done`) has a cache line of
    its own.
    """

    _fields_ = (
        ("run", _PTR),
        ("workers", _PTR),
        ("next", _PTR),
        ("started", _U32),
        ("stop", _U32),
        ("fault", _U32),
        ("trials", _U32),
        ("ticks_of_one", ctypes.c_uint64),
        ("ticks_of_all", ctypes.c_uint64),
        ("ticks_of_trials", ctypes.c_uint64),
        ("rest", _U32),
        ("processor", _U32),
        ("_pad_processor", ctypes.c_char * 56),
        ("busy", _U32),
        ("_pad_busy", ctypes.c_char * 60),
        ("generation", _U32),
        ("_pad_generation", ctypes.c_char * 60),
        ("done", _U32),
        ("_pad_done", ctypes.c_char * 60),
        ("call", CallStruct),
    )


class CallRecord(ctypes.Structure):
    """A session, and the arguments of the call: either resolved, or `ports` that tell which ones are accepted.

    `empty` makes fresh outputs, for at most `most_fresh` images; `fewest` (0 or 1) to `most` images are taken. `result`
    is what a bound call returns; `fallback` is what it calls where a run does not succeed. `state` is the block of
    states, or null. `several` is the type of several fresh outputs, a tuple's.
    """

    _fields_ = (
        ("session", _PTR),
        ("inputs", _PTR),
        ("outputs", _PTR),
        ("ports", _PTR),
        ("empty", _PTR),
        ("result", _PTR),
        ("fallback", _PTR),
        ("state", _PTR),
        ("several", _PTR),
        ("most_fresh", ctypes.c_int64),
        ("most", ctypes.c_int64),
        ("images", _U32),
        ("n_in", _U32),
        ("n_out", _U32),
        ("fewest", _U32),
    )


class WorkerHandle(ctypes.Structure):
    """The `self` of the function that a worker runs."""

    _fields_ = (("session", _PTR), ("worker", _PTR))


class KeepAlive(bytearray):
    """A structure's bytes together with the objects whose addresses they hold."""

    __slots__ = ("owners",)
    owners: tuple[Any, ...]

    @classmethod
    def of(cls, structure: ctypes.Structure, *owners: Any) -> KeepAlive:
        owned = cls(bytes(structure))
        owned.owners = owners
        return owned


def pointers(addresses: list[int]) -> ctypes.Array[ctypes.c_void_p]:
    """A C array of pointers."""
    return (ctypes.c_void_p * len(addresses))(*addresses)
