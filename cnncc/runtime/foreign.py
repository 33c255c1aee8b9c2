"""Arrays of other libraries, taken where they lie: DLPack, `__array_interface__`, the buffer protocol, `__array__`."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ..errors import InputError

_CPU, _PINNED = 1, 3
"""DLPack's numbers of devices whose memory is this process's own: kDLCPU and kDLCUDAHost."""

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
"""Bits of bfloat16, which NumPy does not have: those of the upper half of a float32."""


class _Tensor(ctypes.Structure):
    """DLTensor, with which a capsule of DLPack begins; strides count elements."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("rank", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )


_IS_BFLOAT16 = (4, 16, 1)  # kDLBfloat of 16 bits, one in each element
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def array_of(value: Any, *, what: str, bytes_too: bool = False, copied: bool = False) -> Any:
    """`value` as an array over its memory; as it is where it has none that NumPy can read.

    Plain bytes become an array only if `bytes_too`: as floats their meaning would be unknown. An object that can only
    make an array of itself, perhaps a copy (`__array__`), becomes one if `copied`. Raises InputError, which begins with
    `what`, for memory of another device and for an array that its library does not hand out.
    """
    if isinstance(value, np.ndarray) or (isinstance(value, bytes | bytearray) and not bytes_too):
        return value
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array_interface__"):
        return _from_dlpack(value, what)
    if hasattr(value, "__array_interface__") or (copied and hasattr(value, "__array__")):
        return np.asarray(value)
    try:
        return np.asarray(memoryview(value))
    except (TypeError, ValueError, BufferError):  # no buffer, a released one, or a format that NumPy does not have
        return value


def _from_dlpack(value: Any, what: str) -> Any:
    kind = type(value).__name__
    device, number = value.__dlpack_device__()
    if int(device) not in (_CPU, _PINNED):
        raise InputError(f"{what}: the {kind} lies on device ({int(device)}, {number}): copy it to the CPU first")
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        if (found := _bfloat16(value)) is not None:
            return found
        told = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{what}: NumPy cannot read the {kind}: {told}") from None


def _bfloat16(value: Any) -> Any:
    """An array of `BFLOAT16` over the memory of a tensor of bfloat16; None for any other.

    The capsule is not taken over: it owns the memory, and the array owns it.
    """
    try:
        capsule = value.__dlpack__()
        tensor = _Tensor.from_address(_pointer_of(capsule, b"dltensor"))
    except (BufferError, RuntimeError, TypeError, ValueError):
        return None
    shape, size = tensor.shape[: tensor.rank], BFLOAT16.itemsize
    if (tensor.code, tensor.bits, tensor.lanes) != _IS_BFLOAT16:
        return None
    if 0 in shape:
        return np.empty(shape, BFLOAT16)
    steps = tensor.strides[: tensor.rank] if tensor.strides else np.empty(shape, np.int8).strides
    if min(steps, default=0) < 0:
        return None
    last = sum((length - 1) * step for length, step in zip(shape, steps, strict=True))
    memory = (ctypes.c_uint8 * (size * (last + 1))).from_address(tensor.data + tensor.offset)
    memory.owner = capsule
    return np.ndarray(shape, BFLOAT16, memory, strides=[size * step for step in steps])
