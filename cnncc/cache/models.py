"""Compiled models on disk, so that compiling the same graph again takes milliseconds.

An entry is the size of the manifest, the manifest, the objects, the first values of states and, at a multiple of 64,
the weights. The weights are used without a copy, in the memory that they were read into. The programs of a library are
one entry.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Sequence

from ..alignment import rounded_up
from ..runtime.executable import Executable
from ..runtime.manifest import describe_library, restore_library
from . import store as _store

_SIZE = struct.Struct("<I")


def load(key: str) -> Executable | None:
    """The executable stored under `key`, or None. `key` is any text that names graph, options, target and compiler."""
    found = load_library(key)
    return found[0] if found and len(found) == 1 else None


def store(key: str, executable: Executable) -> None:
    """Store `executable` under `key`. Never fails: without a usable folder nothing is stored."""
    store_library(key, [executable])


def load_library(key: str) -> tuple[Executable, ...] | None:
    """The programs stored under `key`, or None. The weights of each are the beginning of those of the last."""
    data = _store.read(key)
    if data is None:
        return None
    try:
        begin = _SIZE.size + _SIZE.unpack_from(data)[0]
        manifest = json.loads(bytes(data[_SIZE.size : begin]))
        ends = list(itertools.accumulate(map(int, manifest["object_bytes"]), initial=begin))
        objects = [bytes(data[start:end]) for start, end in itertools.pairwise(ends)]
        after = ends[-1] + int(manifest.get("state_bytes", 0))
        return restore_library(manifest, objects, data[rounded_up(after) :], bytes(data[ends[-1] : after]))
    except (struct.error, ValueError, KeyError, TypeError):
        return None


def store_library(key: str, programs: Sequence[Executable]) -> None:
    """Store programs, each of which has the weights of the one before and perhaps more. Never fails, as `store`."""
    objects = [each.object for each in programs]
    manifest = json.dumps(describe_library(programs) | {"object_bytes": list(map(len, objects))}).encode()
    head = b"".join((_SIZE.pack(len(manifest)), manifest, *objects, programs[0].initial_state))
    data = b"".join((head.ljust(rounded_up(len(head)), b"\0"), programs[-1].weights))
    _store.write(key, data, f"model {programs[0].name} for {programs[0].target.name}")
