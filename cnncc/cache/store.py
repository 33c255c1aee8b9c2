"""Bytes on disk that will be executed: a store private to the user, which verifies everything that it reads.

The folder is `v1` (mode 0700, owned by the user, no symlink) in `$CNNCC_CACHE`, else `$XDG_CACHE_HOME/cnncc`, else
`~/.cache/cnncc`; `CNNCC_CACHE=off` switches the store off, and on Windows there is none. An entry is one file (mode
0600) with the digests of its key and of its content, and a label for those who list the store; it is created by a
rename. If anything is wrong with the folder or a file, the store behaves as if it were empty: a compilation never fails
because of its cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..alignment import read_aligned
from .digest import digest

LIMIT = 256 << 20  # bytes of all entries, if no other limit is set; the least recently used are removed first
_MAGIC = b"cnncc store 3\n"
_HEAD_BYTES = 128  # magic, digests of key and content, label, zeros; the content after it is aligned as the file is
_LABEL = len(_MAGIC) + 2 * 32  # where the label begins
_LIMIT_KEY = "limit"
_CAN_BE_PRIVATE = hasattr(os, "geteuid") and os.open in os.supports_dir_fd
"""Whether the system tells whose a file is, and opens one relative to a folder. Windows does not."""


@dataclass(frozen=True)
class Entry:
    """What is stored, as a user may know it; `used` is the time of its last use, in seconds since 1970."""

    label: str
    bytes: int
    used: float


def folder() -> Path | None:
    """The folder of the entries; None if the store is switched off. The folder need not exist."""
    chosen = os.environ.get("CNNCC_CACHE", "")
    if chosen == "off" or not _CAN_BE_PRIVATE:
        return None
    with contextlib.suppress(RuntimeError):  # no home
        home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        return (Path(chosen) if chosen else Path(home) / "cnncc") / "v1"
    return None


def read(key: str) -> memoryview | None:
    """The bytes written under `key`, aligned to 64; None if there are none, or if they fail verification."""
    try:
        with _opened() as directory:
            if directory is None:
                return None
            data = _read_private(_file_name(key), directory)
    except OSError:
        return None
    content = data[_HEAD_BYTES:]
    return content if data[:_HEAD_BYTES] == _head(key, content, bytes(data[_LABEL:_HEAD_BYTES])) else None


def exists(key: str) -> bool:
    """Whether there is a file under `key`, even a damaged one."""
    path = folder()
    return path is not None and (path / _file_name(key)).exists()


def write(key: str, data: bytes, label: str) -> None:
    """Store `data` under `key`, replacing older data. Does nothing if that cannot be done safely."""
    most = limit()
    if len(data) > most:
        return
    with contextlib.suppress(OSError), _opened(create=True) as directory:
        if directory is not None:
            _write_private(_file_name(key), _head(key, memoryview(data), label.encode()), data, directory)
            _evict(directory, most)


def limit() -> int:
    """The bytes that all entries may take."""
    try:
        return int(bytes(read(_LIMIT_KEY) or b""))
    except ValueError:
        return LIMIT


def set_limit(most: int) -> bool:
    """Let all entries take so many bytes, from now on and for every process; whether that could be stored."""
    with contextlib.suppress(OSError), _opened(create=True) as directory:
        if directory is not None:
            data = b"%d" % most
            _write_private(_file_name(_LIMIT_KEY), _head(_LIMIT_KEY, memoryview(data), b""), data, directory)
            _evict(directory, most)
            return True
    return False


def entries() -> list[Entry]:
    """All entries, the last used first; none if the folder is not this user's alone."""
    try:
        with _opened() as directory:
            files = [] if directory is None else sorted(_files(directory), key=_age)
            return [_described(status, name, directory) for status, name in files if name != _file_name(_LIMIT_KEY)]
    except OSError:
        return []


def clear() -> int:
    """Remove all entries, but not the limit; the answer is their bytes."""
    before = sum(entry.bytes for entry in entries())
    with contextlib.suppress(OSError), _opened() as directory:
        if directory is not None:
            _evict(directory, 0)
    return before - sum(entry.bytes for entry in entries())


@contextlib.contextmanager
def _opened(create: bool = False) -> Iterator[int | None]:
    """A descriptor of the folder, if only this user can access it; all other accesses are relative to it."""
    path = folder()
    if path is None:
        yield None
        return
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield directory if _is_private(os.fstat(directory)) else None
    finally:
        os.close(directory)


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _head(key: str, data: memoryview, label: bytes) -> bytes:
    told = label[: _HEAD_BYTES - _LABEL].ljust(_HEAD_BYTES - _LABEL, b"\0")
    return _MAGIC + hashlib.sha256(key.encode()).digest() + hashlib.sha256(told + digest(data)).digest() + told


def _described(status: os.stat_result, name: str, directory: int | None) -> Entry:
    """What the head says; nothing is verified, since nothing is used."""
    label = ""
    with contextlib.suppress(OSError):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        try:
            head = os.read(descriptor, _HEAD_BYTES)
        finally:
            os.close(descriptor)
        if head.startswith(_MAGIC):
            label = "".join(filter(str.isprintable, head[_LABEL:].decode(errors="ignore")))
    return Entry(label or "unknown", status.st_size, status.st_mtime)


def _read_private(name: str, directory: int) -> memoryview:
    """The bytes of a regular file of this user, marked as just used. Raises OSError if it is anything else."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_private(status):
            raise PermissionError(name)
        with contextlib.suppress(OSError):  # a read-only disk
            os.utime(descriptor)
        return read_aligned(descriptor)
    finally:
        os.close(descriptor)


def _write_private(name: str, head: bytes, data: bytes, directory: int) -> None:
    temporary = f"{name}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(head)
            file.write(data)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise


def _age(file: tuple[os.stat_result, str]) -> int:
    return -file[0].st_mtime_ns


def _evict(directory: int, most: int) -> None:
    """Remove the least recently used files, abandoned temporary ones included, until the rest fits."""
    total = 0
    for status, name in sorted(_files(directory), key=_age):
        if name == _file_name(_LIMIT_KEY):
            continue
        total += status.st_size
        if total > most:
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                os.unlink(name, dir_fd=directory)


def _files(directory: int) -> Iterator[tuple[os.stat_result, str]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # renamed or removed by another process
                yield entry.stat(follow_symlinks=False), entry.name
