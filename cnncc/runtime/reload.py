"""Models out of shared libraries that `artefacts` wrote: `cnncc.load("x.so")`."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

from ..errors import InputError, NativeError, UsageError
from ..files import read
from .artefacts import MANIFEST_SYMBOL
from .elf import check_loadable
from .executable import Executable
from .manifest import restore
from .model import Model

MOST_BYTES = (1 << 32) - 1  # of a library: weights of 2 GiB fit


class SharedLibrary:
    """Code that the system's loader brought in; it stays until the process ends."""

    def __init__(self, path: Path):
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise InputError(f"cannot load '{path}': {error}") from error

    def address(self, symbol: str) -> int:
        """Where an exported symbol lies. Raises NativeError if there is none."""
        try:
            address = ctypes.cast(getattr(self._library, symbol), ctypes.c_void_p).value
        except AttributeError as error:
            raise NativeError(f"the library has no symbol '{symbol}'") from error
        assert address is not None
        return address


def load(path: str | Path, threads: int = 1) -> Model:
    """The model in a shared library. As with importing a Python module, its code runs: load what you trust.

    Raises InputError for a file that is missing, damaged or no library of cnncc (found out before any of its code
    runs), TargetError if this processor cannot run it.
    """
    if not isinstance(path, str | Path):
        raise UsageError(f"expected the path of a shared library, got {type(path).__name__}")
    path = Path(path)
    _check(path)
    library = SharedLibrary(path.resolve())
    return Model(
        _executable(library, path), threads=threads, code=library, rebuild=(load, (str(path.resolve()), threads))
    )


def _check(path: Path) -> None:
    try:
        data = read(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    try:
        check_loadable(data, MANIFEST_SYMBOL)
    except NativeError as error:
        raise InputError(f"'{path}' is not a shared library written by cnncc: {error}") from error


def _executable(library: SharedLibrary, path: Path) -> Executable:
    try:
        return restore(json.loads(ctypes.string_at(library.address(MANIFEST_SYMBOL))))
    except ValueError as error:
        raise InputError(f"'{path}' is not a shared library that this cnncc can use: {error}") from error
