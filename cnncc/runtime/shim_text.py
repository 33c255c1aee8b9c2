"""The LLVM text of the shim, the only native code that uses Python's symbols; `shim.py` tells its purpose.

It is written by hand, in five parts: one call of the code object (`shim_session.py`), the threads that run it together
(`shim_workers.py`), on processors of their own (`shim_processors.py`), the arguments of a call (`shim_arguments.py`),
and the functions that Python calls (`shim_calls.py`). Structures are those of `layout.py`. The text names their fields
by two macros, for their addresses and values:

    %x = field SessionStruct.call.shards of %session      the address of a field
    %x = load SessionStruct.call.shards of %session       its value

Status codes are those of the ABI, or negative: `-2` the session is busy, `-3` its workers have not been started.
"""

from __future__ import annotations

import ctypes
from string import Template

from .. import abi
from ..machine.architecture import Architecture, Hint
from . import shim_arguments, shim_calls, shim_processors, shim_session, shim_workers
from .layout import (
    ArrayObject,
    CallableObject,
    CallRecord,
    CallStruct,
    PortStruct,
    PyBuffer,
    SessionStruct,
    Worker,
    WorkerHandle,
)

_STRUCTURES: tuple[type[ctypes.Structure], ...] = (
    PyBuffer,
    ArrayObject,
    CallableObject,
    CallStruct,
    PortStruct,
    Worker,
    SessionStruct,
    CallRecord,
    WorkerHandle,
)
_WORDS = {ctypes.c_void_p: "ptr", ctypes.c_uint16: "i16", ctypes.c_uint32: "i32"}

_DECLARATIONS = """
declare ptr  @PyByteArray_AsString(ptr)
declare i32  @PyObject_GetBuffer(ptr, ptr, i32)
declare void @PyBuffer_Release(ptr)
declare void @PyErr_Clear()
declare ptr  @PyObject_CallNoArgs(ptr)
declare ptr  @PyObject_GetAttr(ptr, ptr)
declare ptr  @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr  @PyType_GenericAlloc(ptr, i64)
declare i64  @PyTuple_Size(ptr)
declare ptr  @PyTuple_GetItem(ptr, i64)
declare i32  @PyTuple_SetItem(ptr, i64, ptr)
declare ptr  @PyLong_FromLong(i64)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr  @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32  @PyThread_acquire_lock(ptr, i32)
declare void @PyThread_release_lock(ptr)
declare i32  @sched_yield()
declare i64  @$counter()
$pause_declaration
@python_none = external global i8
@name_out = external global i8
@name_general = external global i8
"""

_WORKER_SPINS = 1000  # some tens of microseconds
_SET_BYTES = 128  # of a set of processors: the C library's cpu_set_t
_TRIALS = 12  # successive calls that are measured, half of them with all shards and half with one
_SETTLED = 2000  # most calls after them that use the faster way without another measurement
_FEWEST_RESTS = 8  # fewest such calls
_SHARE = 128  # what trials may cost: one of so many calls


def _argument(hint: Hint) -> str:
    return "" if hint.argument is None else f"i32 {hint.argument}"


def shim_text(architecture: Architecture, *, knows_processors: bool = True) -> str:
    """The module for a host of this architecture, whose system may know processors (`shim_processors.IMPORTS`)."""
    pause = architecture.pause
    types = "".join(_definition(structure) for structure in _STRUCTURES)
    processors = shim_processors.DECLARATIONS if knows_processors else shim_processors.UNKNOWN
    parts = (shim_processors, shim_session, shim_workers, shim_arguments, shim_calls)
    text = _DECLARATIONS + processors + "".join(part.TEXT for part in parts)
    return types + Template("\n".join(map(_spelled_out, text.split("\n")))).substitute(
        pause=f"call void @{pause.intrinsic}({_argument(pause)})" if pause else "",
        pause_declaration=f"declare void @{pause.intrinsic}({_argument(pause).partition(' ')[0]})" if pause else "",
        counter=architecture.counter,
        most_images=abi.MOST_IMAGES,
        shard_field=_number(CallStruct, "shard"),
        shards_field=_number(CallStruct, "shards"),
        argument_field=_number(CallStruct, "wait_argument"),
        worker_spins=_WORKER_SPINS,
        period=_SETTLED + _TRIALS,
        settled=_SETTLED,
        half=_SETTLED + _TRIALS // 2,
        first=_SETTLED + 1,
        trials=_TRIALS,
        fewest_rests=_FEWEST_RESTS,
        share=_SHARE,
        most_processors=8 * _SET_BYTES,
        set_bytes=_SET_BYTES,
    )


def _definition(structure: type[ctypes.Structure]) -> str:
    """A structure's LLVM type."""
    return f"%{structure.__name__} = type {{ {', '.join(_word(field[1]) for field in structure._fields_)} }}\n"


def _number(structure: type, field: str) -> int:
    """The index of a field in its structure."""
    return [name for name, *_ in structure._fields_].index(field)  # type: ignore[attr-defined]


def _word(kind: type) -> str:
    """The LLVM type of a field: a number, a pointer, a structure, or padding bytes."""
    if kind in _WORDS:
        return _WORDS[kind]
    if issubclass(kind, ctypes.Structure):
        return f"%{kind.__name__}"
    size = ctypes.sizeof(kind)  # type: ignore[arg-type]
    return f"[{size} x i8]" if issubclass(kind, ctypes.Array) else f"i{8 * size}"


def _spelled_out(line: str) -> str:
    """A line; for one with a macro, the instructions in its place."""
    if " of %" not in line or line.startswith(";"):
        return line
    result, _, verb, path, _, owner = line.split()
    name, *parts = path.split(".")
    kind: type = next(structure for structure in _STRUCTURES if structure.__name__ == name)
    places = []
    for part in parts:
        number = _number(kind, part)
        places.append(f"i32 {number}")
        kind = kind._fields_[number][1]  # type: ignore[attr-defined]
    address = result if verb == "field" else f"{result}.p"
    lines = [f"  {address} = getelementptr %{name}, ptr {owner}, i32 0, {', '.join(places)}"]
    if verb == "load":
        lines.append(f"  {result} = load {_word(kind)}, ptr {address}")
    return "\n".join(lines)
