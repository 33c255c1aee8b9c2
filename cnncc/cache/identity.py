"""The identity of this compiler in the keys of the cache."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from .. import native
from ..version import VERSION


@functools.cache
def compiler_identity() -> str:
    """One line that identifies this compiler: versions, and a digest of its sources."""
    return f"cnncc {VERSION} {native.backend_version()} {_sources_digest()}"


def _sources_digest() -> str:
    """A digest of the compiler's own sources, so that an edited checkout never loads stale objects."""
    return hashlib.sha256("".join(source_lines()).encode()).hexdigest()


def source_lines() -> list[str]:
    """Name, size and time of each source of the compiler, in lines."""
    root = Path(__file__).resolve().parents[1]
    folders = [root] + [root.parent / name for name in ("passes", "frontends") if not (root / name).is_dir()]
    return [line for folder in folders for line in sorted(_sources(str(folder), ""))]


def _sources(folder: str, inside: str) -> Iterator[str]:
    """Name, size and time of each source below a folder; `inside` is the name of the folder in these lines."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _sources(entry.path, f"{inside}{entry.name}/")
            elif entry.name.endswith(".py"):
                stat = entry.stat()
                yield f"{inside}{entry.name} {stat.st_size} {stat.st_mtime_ns}\n"
