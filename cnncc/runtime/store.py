"""Bytes on disk that will be executed: a store private to the user, where nothing is believed unverified.

The folder is `v1` (mode 0700, ours, no symlink) in `$CNNCC_CACHE`, else `$XDG_CACHE_HOME/cnncc`, else
`~/.cache/cnncc`; `CNNCC_CACHE=off` switches the store off. An entry is one file (mode 0600) that names its key and
the hash of its content, and appears by a rename. Whatever is wrong with the folder or a file, the store behaves as if
it were empty: a compile never fails for its cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 256 << 20  # of all entries; the least recently used go first
_MAGIC = b"cnncc store 1\n"
_DIGEST_BYTES = 32


def folder() -> Path | None:
    """Where entries are kept; None if the store is switched off. The folder need not exist."""
    chosen = os.environ.get("CNNCC_CACHE", "")
    if chosen == "off":
        return None
    with contextlib.suppress(RuntimeError):  # no home
        home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        return (Path(chosen) if chosen else Path(home) / "cnncc") / "v1"
    return None


def read(key: str) -> bytes | None:
    """What was written under `key`; None if there is nothing, or nothing that can be trusted."""
    try:
        with _opened() as directory:
            if directory is None:
                return None
            data = _read_private(_file_name(key), directory)
    except OSError:
        return None
    head = _head(key, data[len(_MAGIC) + 2 * _DIGEST_BYTES :])
    return data[len(head) :] if data.startswith(head) else None


def exists(key: str) -> bool:
    """Whether there is anything under `key`, be it damaged."""
    path = folder()
    return path is not None and (path / _file_name(key)).exists()


def write(key: str, data: bytes) -> None:
    """Remember `data` under `key`, replacing what was there. Does nothing if that cannot be done safely."""
    if len(data) > MAX_BYTES:
        return
    with contextlib.suppress(OSError), _opened(create=True) as directory:
        if directory is not None:
            _write_private(_file_name(key), _head(key, data) + data, directory)
            _evict(directory)


@contextlib.contextmanager
def _opened(create: bool = False) -> Iterator[int | None]:
    """A descriptor of the folder, if it is a real folder that only we can use; everything else goes through it."""
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


def _head(key: str, data: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(key.encode()).digest() + hashlib.sha256(data).digest()


def _read_private(name: str, directory: int) -> bytes:
    """The bytes of a regular file of ours, marked as just used. Raises OSError if it is anything else."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_private(status):
            raise PermissionError(name)
        os.utime(descriptor)
        return file.read()


def _write_private(name: str, data: bytes, directory: int) -> None:
    temporary = f"{name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise


def _evict(directory: int) -> None:
    """Remove the least recently used files, left-over temporary ones among them, until the rest fits."""
    with os.scandir(directory) as entries:
        files = [(entry.stat(follow_symlinks=False), entry.name) for entry in entries]
    files.sort(key=lambda file: file[0].st_mtime_ns, reverse=True)
    total = 0
    for status, name in files:
        total += status.st_size
        if total > MAX_BYTES:
            os.unlink(name, dir_fd=directory)
