"""Compiled models on disk, so that compiling the same graph again takes milliseconds."""

from __future__ import annotations

import json

from . import store as _store
from .executable import Executable
from .manifest import describe, restore


def load(key: str) -> Executable | None:
    """The executable stored under `key`, or None. `key` is any text that names graph, options, target and compiler."""
    data = _store.read(key)
    if data is None:
        return None
    header, _, body = data.partition(b"\n")
    try:
        manifest = json.loads(header)
        size = int(manifest["object_bytes"])
        return restore(manifest, body[:size], body[size:])
    except (ValueError, KeyError, TypeError):
        return None


def store(key: str, executable: Executable) -> None:
    """Remember `executable` under `key`. Never fails: without a usable folder nothing is remembered."""
    header = describe(executable) | {"object_bytes": len(executable.object)}
    _store.write(key, json.dumps(header).encode() + b"\n" + executable.object + executable.weights)
