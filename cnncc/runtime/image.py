"""Shared libraries in memory: the content of a file at the time of reading, loaded by content and not by path.

The system's loader identifies a library by path and inode, and maps the file itself. So a file that was compiled
again would give the old code, and a file that is overwritten in place would end the process. Here the file is
read once, into an anonymous file in memory, which is checked and then mapped.
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
    """The loaded part of a library: in a private file at `path`, and as `content`, a writable private copy.

    `path` can be opened until the context of `opened` ends.
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
    """The image of a library. Raises OSError if the file cannot be read, NativeError if it is no shared library."""
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
    """A private, writable mapping of a file; where Python allows it, the descriptor is not kept."""
    if sys.version_info >= (3, 13):
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY, trackfd=False)
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)


@contextlib.contextmanager
def _private_file(name: str) -> Iterator[tuple[int, str]]:
    """(descriptor, path) of a private file: in memory, or a temporary one where the system has no files in memory."""
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
    """A path of an open file that was never used before, since the loader identifies libraries by path.

    Descriptor numbers are reused, so the number of this load is encoded in the path too, as "/" and "./".
    """
    number = f"{next(_LOADS):b}".replace("0", "/").replace("1", "./")
    return f"/proc/self/fd/{number}{descriptor}"


class SharedLibrary:
    """A library that the system's loader mapped; it stays mapped as long as this object exists."""

    def __init__(self, image: Image):
        """Raises OSError if the loader refuses it."""
        self.image = image
        self._library = ctypes.CDLL(image.path)
        weakref.finalize(self, dlclose, self._library._handle).atexit = False

    def address(self, symbol: str) -> int:
        """The address of an exported symbol. Raises NativeError if there is none."""
        try:
            address = ctypes.cast(getattr(self._library, symbol), ctypes.c_void_p).value
        except AttributeError as error:
            raise NativeError(f"the library has no symbol '{symbol}'") from error
        assert address is not None
        return address
