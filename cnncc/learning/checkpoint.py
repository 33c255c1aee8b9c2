"""Where training stands, in a file: all of it, so that what goes on equals what was never interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from ..allowance import allowance
from ..errors import InputError, UsageError
from ..files import opened, write_whole
from ..history import Epoch
from ..runtime.executable import StatePort
from ..types import Array

VERSION = 3
_UNREADABLE = (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass
class Standing:
    """Where training stands: `batches` of the epoch after those in `epochs` are done, with sums over their images.

    `state` is the block of all states, `best` that of the best epoch so far.
    """

    state: Array
    best: Array
    epochs: list[Epoch] = field(default_factory=list)
    batches: int = 0
    loss: float = 0.0
    correct: float = 0.0


def identity(parts: Mapping[str, str]) -> dict[str, str]:
    """What training has to have in common with its checkpoint, as digests by what they are of."""
    return {what: hashlib.sha256(text.encode()).hexdigest()[:16] for what, text in parts.items()}


def digest(arrays: Mapping[str, Array]) -> str:
    """A digest of arrays, their names and types."""
    found = hashlib.sha256()
    for name, array in arrays.items():
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def save(
    path: str | os.PathLike[str], standing: Standing, known: Mapping[str, str], states: Sequence[StatePort]
) -> None:
    """Write a checkpoint, whole or not at all. Raises OutputError.

    The bytes of all states stand one after the other: where they lie in a block depends on the machine.
    """
    state, best = (
        np.concatenate([port.bytes_in(block) for port in states]) for block in (standing.state, standing.best)
    )
    told = {
        "version": VERSION,
        "identity": dict(known),
        "epochs": [vars(epoch) for epoch in standing.epochs],
        "batches": standing.batches,
        "loss": standing.loss.hex(),
        "correct": standing.correct,
    }
    text = np.frombuffer(json.dumps(told).encode(), np.uint8)

    def fill(stream: BinaryIO) -> None:
        np.savez(stream, told=text, state=state, best=best)

    write_whole(path, "checkpoint", fill)


def load(path: str | os.PathLike[str], known: Mapping[str, str], states: Sequence[StatePort], block: int) -> Standing:
    """The standing in a checkpoint, with all `states` in blocks of so many bytes.

    Raises InputError for a file that is missing or damaged, UsageError for that of another training, with what differs.
    """
    with opened(path, "checkpoint", InputError) as stream, allowance():
        if not zipfile.is_zipfile(stream):
            raise InputError(f"'{os.fspath(path)}' is no checkpoint, or a damaged one")
        stream.seek(0)
        try:
            with np.load(stream, allow_pickle=False) as archive:
                told, state, best = json.loads(archive["told"].tobytes()), archive["state"], archive["best"]
            epochs = [Epoch(**epoch) for epoch in told["epochs"]]
            other, version = dict(told["identity"]), told["version"]
            numbers = int(told["batches"]), float.fromhex(told["loss"]), float(told["correct"])
        except _UNREADABLE as error:
            raise InputError(f"checkpoint '{os.fspath(path)}' is damaged: {error}") from None
    if version != VERSION:
        raise UsageError(f"checkpoint '{os.fspath(path)}' is of version {version}, expected {VERSION}")
    different = [what for what, is_now in known.items() if other.get(what) != is_now]
    if different:
        raise UsageError(f"checkpoint '{os.fspath(path)}' is of another training: not the same {', '.join(different)}")
    size = sum(port.type.nbytes for port in states)
    if {state.size, best.size} != {size} or state.dtype != np.uint8 or best.dtype != np.uint8:
        raise InputError(f"checkpoint '{os.fspath(path)}' is damaged: its states take {state.size} bytes, not {size}")
    batches, loss, correct = numbers
    return Standing(_block(state, states, block), _block(best, states, block), epochs, batches, loss, correct)


def _block(data: Array, states: Sequence[StatePort], size: int) -> Array:
    """A block of all states, from their bytes one after the other."""
    block, begin = np.zeros(size, np.uint8), 0
    for port in states:
        port.bytes_in(block)[:] = data[begin : begin + port.type.nbytes]
        begin += port.type.nbytes
    return block
