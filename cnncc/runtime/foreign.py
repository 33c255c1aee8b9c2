"""Arrays of other libraries, taken where they lie: DLPack, `__array_interface__`, the buffer protocol, `__array__`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError

_CPU, _PINNED = 1, 3
"""DLPack's numbers of devices whose memory is this process's own: kDLCPU and kDLCUDAHost."""


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
        told = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{what}: NumPy cannot read the {kind}: {told}") from None
