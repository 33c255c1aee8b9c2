"""Compiled models on disk, so that compiling the same graph again takes milliseconds.

An entry is the size of the manifest, the manifest, the object, the first values of states and, at a multiple of 64, the
weights. The weights are used without a copy, in the memory that they were read into.
"""

from __future__ import annotations

import json
import struct

from ..alignment import rounded_up
from ..runtime.executable import Executable
from ..runtime.manifest import describe, restore
from . import store as _store

_SIZE = struct.Struct("<I")


def load(key: str) -> Executable | None:
    """The executable stored under `key`, or None. `key` is any text that names graph, options, target and compiler."""
    data = _store.read(key)
    if data is None:
        return None
    try:
        begin = _SIZE.size + _SIZE.unpack_from(data)[0]
        manifest = json.loads(bytes(data[_SIZE.size : begin]))
        end = begin + int(manifest["object_bytes"])
        after = end + int(manifest.get("state_bytes", 0))
        return restore(manifest, bytes(data[begin:end]), data[rounded_up(after) :], bytes(data[end:after]))
    except (struct.error, ValueError, KeyError, TypeError):
        return None


def store(key: str, executable: Executable) -> None:
    """Store `executable` under `key`. Never fails: without a usable folder nothing is stored."""
    manifest = json.dumps(describe(executable) | {"object_bytes": len(executable.object)}).encode()
    head = _SIZE.pack(len(manifest)) + manifest + executable.object + executable.initial_state
    _store.write(key, b"".join((head.ljust(rounded_up(len(head)), b"\0"), executable.weights)))
