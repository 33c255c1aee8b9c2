"""The ports of a model as the shim reads them: which arrays and buffers a call takes as they are."""

from __future__ import annotations

import ctypes

from .executable import Executable, Port
from .layout import PortStruct
from .numpy_abi import ALIGNED, C_CONTIGUOUS, WARNS, WRITEABLE, array_type

_BUFFER = 0x38 | 0x04  # PyBUF_C_CONTIGUOUS | PyBUF_FORMAT
_WRITABLE = 0x01  # PyBUF_WRITABLE


def port_table(executable: Executable) -> tuple[ctypes.Array[PortStruct], tuple[object, ...]]:
    """A structure for each input and output, in order, and the objects whose addresses they hold."""
    ports = [(port, False) for port in executable.inputs] + [(port, True) for port in executable.outputs]
    dimensions = [(ctypes.c_int64 * len(port.shape))(*port.shape) for port, _ in ports]
    rows = [_row(executable, port, axes, written) for (port, written), axes in zip(ports, dimensions, strict=True)]
    return (PortStruct * len(rows))(*rows), (dimensions, [port.type.dtype.numpy for port, _ in ports])


def _row(executable: Executable, port: Port, axes: ctypes.Array[ctypes.c_int64], written: bool) -> PortStruct:
    many = executable.batchable and port.batched
    kind, flags = port.type.dtype.numpy, C_CONTIGUOUS | ALIGNED
    return PortStruct(
        dimensions=ctypes.addressof(axes),
        each=port.shape[0] // executable.images if many else 0,
        bytes=port.type.nbytes // (executable.images if many else 1),
        array_type=array_type(),
        descr=id(kind),
        mask=flags | WRITEABLE | WARNS if written else flags,
        flags=flags | WRITEABLE if written else flags,
        rank=len(port.shape),
        buffer_flags=_BUFFER | _WRITABLE if written else _BUFFER,
        format_char=ord(kind.char),
        align_mask=kind.alignment - 1,
    )
