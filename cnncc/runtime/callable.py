"""A type whose objects native code is called for, without a frame of Python in between.

A method `__call__` costs a frame, a tuple of its `*inputs` and a search for its name, which is more than all of the
rest of a small model's call. C types have vectorcall: an object holds the address of a function that takes the
arguments where the interpreter has them.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Sequence
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from .executable import NamedPort
from .layout import CallableObject, KeepAlive

_TP_CALL, _TP_MEMBERS = 50, 72  # slots of a type, by their numbers in the stable interface
_BASETYPE, _HAVE_VECTORCALL = 1 << 10, 1 << 11
_OBJECT, _SIZE, _READ_ONLY = 16, 19, 1  # T_OBJECT_EX, T_PYSSIZET


class _Member(ctypes.Structure):
    """PyMemberDef: an attribute that is a field of the object's structure."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Slot(ctypes.Structure):
    """PyType_Slot."""

    _fields_ = (("slot", ctypes.c_int), ("value", ctypes.c_void_p))


class _Spec(ctypes.Structure):
    """PyType_Spec."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    )


_NAME = f"{__name__}.NativeCallable".encode()
_MEMBERS = (_Member * 4)(
    _Member(b"__vectorcalloffset__", _SIZE, CallableObject.entry.offset, _READ_ONLY),
    _Member(b"_entry", _SIZE, CallableObject.entry.offset),
    _Member(b"_record", _OBJECT, CallableObject.record.offset),
)  # the last one ends them; name and members are kept, since types may use them where they are


def _made() -> Any:
    """The type. Until `_entry` is set, a call of its objects is a TypeError."""
    call = ctypes.cast(ctypes.pythonapi.PyVectorcall_Call, ctypes.c_void_p)
    slots = (_Slot * 3)(_Slot(_TP_CALL, call), _Slot(_TP_MEMBERS, ctypes.addressof(_MEMBERS)))
    flags = _BASETYPE | _HAVE_VECTORCALL
    spec = _Spec(_NAME, ctypes.sizeof(CallableObject), 0, flags, slots)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.POINTER(_Spec))(("PyType_FromSpec", ctypes.pythonapi))
    return make(spec)


class CallSignature:
    """What `inspect.signature` finds at an object, as native code tells nothing: the names of its inputs, which editors
    then complete, and the keywords of its method `_call`; all of that method's parameters where a name is no name in
    Python.
    """

    def __get__(self, instance: NativeCallable | None, owner: type) -> inspect.Signature:
        if instance is None:
            raise AttributeError("__signature__")  # so that the class has that of its `__init__`
        told = inspect.signature(instance._call)
        names = [port.name for port in instance.inputs]
        if not all(name.isidentifier() and not iskeyword(name) and name not in told.parameters for name in names):
            return told
        inputs = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        keywords = [each for each in told.parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
        return told.replace(parameters=[*inputs, *keywords])


if TYPE_CHECKING:

    class NativeCallable:
        """An object whose call is one of the function at `_entry`, which reads `_record` or goes on to `_call`."""

        _entry: int
        _record: KeepAlive

        @property
        def inputs(self) -> Sequence[NamedPort]: ...

        def __call__(self, /, *inputs: Any, out: Any = None, convert: bool | None = None, **named: Any) -> Any: ...

        def _call(self, /, *inputs: Any, out: Any = None, convert: bool | None = None, **named: Any) -> Any: ...

else:
    NativeCallable = _made()
