"""Files that users name: opened only if they are regular, read only within a limit, written whole or not at all.

A pipe would wait for its writer and a device may never end, so neither is opened to read.
"""

from __future__ import annotations

import errno
import functools
import operator
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import CnnccError, OutputError

MOST_BYTES = (1 << 31) - 1
"""Of the file of an ONNX model: a protobuf message has no more."""


def flags(*names: str) -> int:
    """The flags of `os.open` by these names, as far as the system has them."""
    return functools.reduce(operator.or_, (getattr(os, name, 0) for name in names), os.O_RDONLY)


_FLAGS = flags("O_NONBLOCK", "O_CLOEXEC", "O_BINARY")  # the last one for Windows, which would translate ends of lines
_RELATIVE = os.open in os.supports_dir_fd


@contextmanager
def opened(
    path: str | os.PathLike[str], what: str, error: type[CnnccError], most: int | None = None
) -> Iterator[BinaryIO]:
    """The regular file at `path` as a stream of bytes.

    Raises `error`, in a sentence that begins with `what` (such as "weights file"), if there is none, reading fails or
    it has more than `most` bytes.
    """
    try:
        with regular(path, most) as stream:
            yield stream
    except IsADirectoryError:
        raise error(f"{what} '{os.fspath(path)}' is not a file") from None
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{what} '{os.fspath(path)}' does not exist") from None
    except OSError as failed:
        told = "does not exist" if not os.path.exists(path) else f"cannot be read: {failed.strerror or failed}"
        raise error(f"{what} '{os.fspath(path)}' {told}") from None


def regular(path: str | os.PathLike[str], most: int | None = None) -> BinaryIO:
    """The file at `path`, opened. Raises OSError if it is missing, no regular file, or has more than `most` bytes."""
    try:
        _refuse(os.stat(path), most)
    except ValueError:  # a zero byte
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    descriptor = os.open(path, _FLAGS)
    try:
        _refuse(os.fstat(descriptor), most)  # again: something else may stand there by now
        return open(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def _refuse(status: os.stat_result, most: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is not a file")
    if most is not None and status.st_size > most:
        raise OSError(errno.EFBIG, f"it has {status.st_size} bytes, at most {most} are read")


def read(path: str | os.PathLike[str], most: int) -> bytes:
    """All bytes of the file at `path`. Raises OSError like `regular`."""
    with regular(path, most) as stream:
        return stream.read(most)  # no more, should it grow or not know its size


@contextmanager
def opened_below(folder: str | os.PathLike[str], location: str) -> Iterator[BinaryIO]:
    """The regular file at `location`, a path that some file from anywhere names, in or below `folder`.

    No way leads out of the folder: neither an absolute path, nor '..', nor a symbolic link, also not one that is made
    meanwhile. Raises ValueError for a location that tries, OSError if there is no such file or it is not a regular one.
    """
    if os.path.isabs(location) or ".." in location.split("/") or "\0" in location or not location.strip("./"):
        raise ValueError(f"'{location}' is not the path of a file below the folder of the model")
    folder = os.path.realpath(folder)
    place = os.path.relpath(os.path.realpath(os.path.join(folder, location)), folder)
    *folders, name = place.split(os.sep)  # without symbolic links by now, so that none has to be followed
    if ".." in (*folders[:1], name):
        raise ValueError(f"'{location}' leads out of the folder of the model")
    with open(_opened_in(folder, folders, name), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(f"'{location}' is not a regular file")
        yield stream


def _opened_in(folder: str, folders: list[str], name: str) -> int:
    """A descriptor of the file in these folders, none of which is a symbolic link.

    Where the system opens nothing relative to a folder (Windows), one that is made meanwhile would be followed.
    """
    if not _RELATIVE:
        return os.open(os.path.join(folder, *folders, name), _FLAGS)
    with _folder(folder, folders) as directory:
        return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=directory)


@contextmanager
def _folder(begin: str, below: list[str]) -> Iterator[int]:
    """A descriptor of a folder, reached from `begin` without following a symbolic link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    directory = os.open(begin, flags)
    try:
        for name in below:
            inner = os.open(name, flags, dir_fd=directory)
            os.close(directory)
            directory = inner
        yield directory
    finally:
        os.close(directory)


def write_whole(path: str | os.PathLike[str], what: str, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file so that under its name stands the old one or the whole new one; `fill` writes to a stream.

    Raises OutputError, in a sentence that names `what` it is (such as "weights file"), if it cannot be written.
    """
    _write(path, what, fill, keep=True)


def expect_writable(path: str | os.PathLike[str], what: str) -> None:
    """Raise what `write_whole` would, before there is anything to write."""
    _write(path, what, lambda stream: None, keep=False)


def _write(path: str | os.PathLike[str], what: str, fill: Callable[[BinaryIO], object], *, keep: bool) -> None:
    file = Path(path)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        try:
            with temporary.open("xb") as stream:
                fill(stream)
            if keep:
                temporary.replace(file)
        finally:
            with suppress(OSError):
                temporary.unlink()
    except OSError as error:
        named = f"{what} " if what else ""
        raise OutputError(f"cannot write {named}'{os.fspath(path)}': {error.strerror or error}") from None
