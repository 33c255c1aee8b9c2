"""Models from shared libraries that `shared` linked: `cnncc.load("x.so")`."""

from __future__ import annotations

import ctypes
import json
import weakref
from pathlib import Path
from typing import Any

from ..errors import InputError, NativeError, TargetError, UsageError
from ..native import host_target
from .executable import Executable
from .image import Image, SharedLibrary, opened
from .manifest import restore_library
from .model import Model
from .open_model import OpenModel, of_sizes
from .seal import is_whole, stated
from .shared import MANIFEST_SYMBOL

_LIBRARIES: weakref.WeakValueDictionary[bytes, SharedLibrary] = weakref.WeakValueDictionary()  # by their digests


def load(path: str | Path, threads: int = 1, *, verify: bool = True) -> Model | OpenModel:
    """The model in a shared library; if that has programs for several sizes, an `OpenModel` that takes these only.

    As with importing a Python module, its code runs: load only files that you trust.

    The content is read once: later changes of the file do not affect the model, and loading a file that was compiled
    again gives the new model. Files with the same content use the same code and weights in memory.

    All code and weights are compared with the digest in the library, so that damage is found before any of its code
    runs; `verify=False` saves that time (3 ms for 10 MB).

    Raises InputError for a file that is missing, damaged or no library of cnncc, TargetError if this machine cannot
    run it, UsageError for an argument of another type.
    """
    if not isinstance(path, str | Path):
        raise UsageError(f"expected the path of a shared library, got {type(path).__name__}")
    if host_target().object_format != "ELF":
        raise TargetError(f"cnncc.load reads libraries of Linux, and this machine is another one: '{path}'")
    path = Path(path)
    library = _library(path, verify)
    executables, again = _executables(library, path), (str(path.resolve()), threads, verify)
    if len(executables) == 1:
        return Model(executables[0], threads=threads, code=library, rebuild=(_again, again))
    models = [
        Model(each, threads=threads, code=library, rebuild=(_again_at, (again, [port.shape for port in each.inputs])))
        for each in executables
    ]
    return of_sizes(models, threads, (_again, again))


def _again(path: str, threads: int, verify: bool) -> Any:
    """Load a pickled model; `rebuild` of its pickle."""
    return load(path, threads, verify=verify)


def _again_at(again: tuple[str, int, bool], shapes: list[tuple[int, ...]]) -> Model:
    """One size of a library, as `_again` loads all."""
    loaded: OpenModel = _again(*again)
    return loaded.at(*shapes)


def _library(path: Path, verify: bool) -> SharedLibrary:
    """The library of a file, compared with its digest if `verify`."""
    try:
        with opened(path) as image:
            digest = _checked(image, path, verify)
            return _loaded(image, digest, path)
    except (NativeError, ValueError) as error:
        raise InputError(f"'{path}' is not a shared library written by cnncc: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or error}") from error


def _checked(image: Image, path: Path, verify: bool) -> bytes | None:
    """The digest that is stored in a library, if it has one; raises InputError if the content differs from it."""
    code = memoryview(image.content)
    digest = stated(code, image.parts)
    if digest is None and image.content.find(f"\0{MANIFEST_SYMBOL}\0".encode()) < 0:
        raise NativeError(f"it has no symbol '{MANIFEST_SYMBOL}'")
    if digest is None and verify:
        raise InputError(
            f"'{path}' is not a shared library that this cnncc can use: it has no digest, as older versions wrote it "
            "(compile it again, or load it with verify=False)"
        )
    if verify and not is_whole(code, image.parts):
        raise InputError(f"'{path}' is damaged: what it holds is not what its digest was made of")
    return digest


def _loaded(image: Image, digest: bytes | None, path: Path) -> SharedLibrary:
    """A loaded library with the same content, if there is one, else this one, loaded now."""
    if image.parts.machine != host_target().isa.elf_machine:
        raise TargetError(f"this machine cannot run '{path}', compiled for another processor")
    known = _LIBRARIES.get(digest) if digest is not None else None
    if known is not None and known.image.same(image):
        return known
    try:
        library = SharedLibrary(image)
    except OSError as error:
        raise InputError(f"cannot load '{path}': {error}") from error
    if digest is not None:
        _LIBRARIES[digest] = library
    return library


def _executables(library: SharedLibrary, path: Path) -> tuple[Executable, ...]:
    try:
        return restore_library(json.loads(ctypes.string_at(library.address(MANIFEST_SYMBOL))))
    except ValueError as error:
        raise InputError(f"'{path}' is not a shared library that this cnncc can use: {error}") from error
