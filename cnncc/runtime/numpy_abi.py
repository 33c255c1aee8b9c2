"""Arrays without NumPy's Python interface: their fields in memory, and NumPy's own function for fresh ones.

Both are what extension modules compiled for NumPy rely on: the fields are those of `PyArrayObject_fields`, the same
since NumPy 1.7, and functions stand in a table whose places never change within a version of the ABI. An ABI that is
not known here, or one sample with other fields than its attributes tell, and nobody reads fields: arrays are then taken
as buffers, and fresh outputs made in Python.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from ..types import Array
from .layout import ArrayObject

C_CONTIGUOUS, ALIGNED, WRITEABLE, WARNS = 0x0001, 0x0100, 0x0400, 1 << 31
"""Flags of an array; one that `WARNS` is writable, and NumPy deprecates that."""
_VERSIONS = (0x01000009, 0x02000000)  # NPY_VERSION of NumPy 1 and 2
_VERSION_OF, _TYPE, _EMPTY = 0, 2, 184  # PyArray_GetNDArrayCVersion, PyArray_Type, PyArray_Empty

_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


@functools.cache
def empty_function() -> int:
    """The address of `PyArray_Empty(rank, dimensions, descr, order)`, 0 if fields and functions may not be used."""
    table = _functions()
    if table is None or not all(map(_has_known_fields, _samples())):
        return 0
    return table[_EMPTY] or 0


def array_type() -> int:
    """The type of arrays whose fields may be read: NumPy's, or none (0)."""
    return id(np.ndarray) if empty_function() else 0


def _functions() -> ctypes.Array[ctypes.c_void_p] | None:
    """NumPy's table of functions, if it is of a known version."""
    core: Any = getattr(np, "_core", None) or np.core  # NumPy 2, NumPy 1
    try:
        address = _capsule_pointer(core._multiarray_umath._ARRAY_API, None)
    except (AttributeError, ValueError):
        return None
    table = (ctypes.c_void_p * (_EMPTY + 1)).from_address(address)
    version = ctypes.CFUNCTYPE(ctypes.c_uint)(table[_VERSION_OF] or 0)
    return table if version() in _VERSIONS and table[_TYPE] == id(np.ndarray) else None


def _samples() -> list[Array]:
    """Arrays of which any two fields differ somewhere."""
    grid = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    fixed = np.zeros(5, np.uint8)
    fixed.flags.writeable = False
    shifted = np.zeros(9, np.uint8)[1:].view(np.float32)
    return [grid, grid[1:, ::2], grid.T, grid.astype(">f4"), np.array(True), np.zeros((0, 7), np.int64), fixed, shifted]


def _has_known_fields(array: Array) -> bool:
    """Whether an array's fields are what its attributes tell."""
    fields, rank = ArrayObject.from_address(id(array)), array.ndim
    if (fields.type, fields.nd, fields.descr) != (id(np.ndarray), rank, id(array.dtype)):
        return False
    bits = array.flags
    flags = bits.c_contiguous * C_CONTIGUOUS | bits.aligned * ALIGNED | bits.writeable * WRITEABLE
    return (
        fields.data == array.__array_interface__["data"][0]
        and fields.flags & (C_CONTIGUOUS | ALIGNED | WRITEABLE | WARNS) == flags
        and _numbers(fields.dimensions, rank) == array.shape
        and _numbers(fields.strides, rank) == array.strides
    )


def _numbers(address: int | None, count: int) -> tuple[int, ...]:
    return tuple((ctypes.c_ssize_t * count).from_address(address)) if count and address else ()
