"""Shared libraries in memory: what a file held when it was read, loaded by content and not by path.

The system's loader takes a library for one that it has by path and by inode, and maps the file itself. So a file that
was compiled anew would give the old code, and one that is overwritten in place would end the process. Here the file is
read once, into a file without a name in memory; what is checked is what is mapped.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import mmap
import os
import sys
import tempfile
import weakref
from _ctypes import dlclose
from collections.abc import Iterator
from pathlib import Path

from ..errors import NativeError
from ..files import regular
from ..objects.elf import Library, library
from .seal import HEAD_BYTES

_BLOCK, _COMPARED = 1 << 20, 1 << 16  # bytes at a time
MOST_BYTES = (1 << 32) - 1  # of a library: weights of 2 GiB fit
_LOADS = itertools.count(1)


class Image:
    """The part of a library that is loaded, in a private file at `path`, and as `content`, a copy of our own to change.

    `path` can be opened as long as `opened` lasts.
    """

    def __init__(self, path: str, parts: Library, content: mmap.mmap):
        self.path, self.parts, self.content = path, parts, content

    def same(self, other: Image) -> bool:
        """Whether the other holds the same bytes."""
        blocks = range(0, self.parts.size, _COMPARED)
        return self.parts == other.parts and all(
            self.content[start : start + _COMPARED] == other.content[start : start + _COMPARED] for start in blocks
        )


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Image]:
    """The image of a library. Raises OSError for a file that cannot be read, NativeError for one that is no library."""
    with regular(file) as stream:
        source = stream.fileno()
        parts = library(os.pread(source, HEAD_BYTES, 0), os.fstat(source).st_size)
        if parts.size > MOST_BYTES:
            raise NativeError(f"{parts.size:,} bytes would be loaded, at most {MOST_BYTES:,} are")
        with _private_file(file.name) as (target, path):
            _copy(source, target, parts.size)
            yield Image(path, parts, _mapped(target, parts.size))


def _copy(source: int, target: int, size: int) -> None:
    with open(target, "wb", closefd=False) as file:
        for start in range(0, size, _BLOCK):
            file.write(os.pread(source, min(_BLOCK, size - start), start))
    if os.fstat(target).st_size != size:
        raise NativeError("the file is cut short")


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    """A mapping of a file that may be changed without the file; where Python allows, the descriptor is not kept."""
    if sys.version_info >= (3, 13):
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY, trackfd=False)
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)


@contextlib.contextmanager
def _private_file(name: str) -> Iterator[tuple[int, str]]:
    """A file that nobody else knows, and its path: in memory, or a temporary one where the system has no such files."""
    try:
        descriptor = os.memfd_create(name[:60])  # at most 249 bytes
    except (AttributeError, OSError):
        with tempfile.NamedTemporaryFile(prefix="cnncc-", suffix=".so") as file:
            yield file.fileno(), file.name
        return
    try:
        yield descriptor, _fresh_path(descriptor)
    finally:
        os.close(descriptor)


def _fresh_path(descriptor: int) -> str:
    """A path of an open file that was never used before: the loader knows by its path what it has.

    The number of the descriptor will be used again, so the number of this load stands before it, as "/" and "./".
    """
    number = f"{next(_LOADS):b}".replace("0", "/").replace("1", "./")
    return f"/proc/self/fd/{number}{descriptor}"


class SharedLibrary:
    """Code that the system's loader brought in; it stays as long as this object lives."""

    def __init__(self, image: Image):
        """Raises OSError if the loader refuses it."""
        self.image = image
        self._library = ctypes.CDLL(image.path)
        weakref.finalize(self, dlclose, self._library._handle).atexit = False

    def address(self, symbol: str) -> int:
        """Where an exported symbol lies. Raises NativeError if there is none."""
        try:
            address = ctypes.cast(getattr(self._library, symbol), ctypes.c_void_p).value
        except AttributeError as error:
            raise NativeError(f"the library has no symbol '{symbol}'") from error
        assert address is not None
        return address
