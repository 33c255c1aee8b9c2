"""A model over many files: batches that several threads read and run, answers in the order of the files."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError, UsageError
from ..runtime.executable import Port
from ..runtime.model import Model
from ..runtime.open_model import OpenModel, OpenPort
from ..types import Array

AnyModel = Model | OpenModel
Read = Callable[[Path], Array]
"""Reads one file as the model's input. Raises InputError for one that cannot be read."""

AHEAD = 2  # batches of each thread that are read before their turn


@dataclass(frozen=True)
class Mapped:
    """What a model answered for a file: its outputs by name without N, or why there are none."""

    file: str
    outputs: dict[str, Array] = field(default_factory=dict)
    error: str = ""


Answers = Generator[Mapped, None, None]


def mapped(model: AnyModel, files: Iterable[Path], read: Read, *, batch: int, jobs: int) -> Answers:
    """One answer for each file, in order; a file that cannot be read, or does not fit, is an answer with its reason.

    `jobs` threads read `batch` files each and run them in one call where the model takes any number of images, else one
    by one. No more than `AHEAD` batches for each thread are in memory. Whoever leaves the iterator ends it after the
    calls that run.

    Raises UsageError for a model with several inputs, or one that mixes the images of its N.
    """
    expect_mappable(model)
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="cnncc-map")
    pending: deque[Future[list[Mapped]]] = deque()
    remaining = iter(files)
    try:
        while group := list(itertools.islice(remaining, batch)):
            pending.append(pool.submit(_answered, model, group, read))
            if len(pending) > AHEAD * jobs:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def expect_mappable(model: AnyModel) -> None:
    """Raise UsageError unless each answer belongs to one file."""
    if len(model.inputs) != 1:
        told = ", ".join(repr(port.name) for port in model.inputs) or "none"
        raise UsageError(f"model '{model.name}' has the inputs {told}: files are mapped over models with one")
    if isinstance(model, Model) and not model.executable.batchable and model.executable.images != 1:
        raise UsageError(
            f"model '{model.name}' takes {model.executable.images} images at a time, {model.executable.fixed}: "
            "files are mapped one by one"
        )


def _answered(model: AnyModel, files: Sequence[Path], read: Read) -> list[Mapped]:
    """The answers for some files, which become as few calls as their shapes allow."""
    answers: dict[Path, Mapped] = {}
    alike: dict[tuple[int, ...], list[tuple[Path, Array]]] = {}
    for file in files:
        try:
            array = read(file)
            _expect_one_image(file, array)
            alike.setdefault(array.shape, []).append((file, array))
        except InputError as error:
            answers[file] = Mapped(str(file), error=str(error))
    for group in alike.values():
        answers |= _run(model, group)
    return [answers[file] for file in files]


def _expect_one_image(file: Path, array: Array) -> None:
    if array.ndim and len(array) != 1:
        raise InputError(f"'{file}' holds {len(array)} images, expected one")


def _run(model: AnyModel, group: Sequence[tuple[Path, Array]]) -> dict[Path, Mapped]:
    """The answers for arrays of one shape; if a call refuses several, each is asked alone: one may be at fault."""
    together = len(group) > 1 and _takes_several(model)
    if len(group) > 1 and not together:
        return {file: one for pair in group for file, one in _run(model, [pair]).items()}
    try:
        answer = model(np.concatenate([array for _, array in group]) if together else group[0][1])
    except InputError as error:
        if together:
            return {file: one for pair in group for file, one in _run(model, [pair]).items()}
        return {file: Mapped(str(file), error=f"{file}: {error}") for file, _ in group}
    arrays = answer if isinstance(answer, tuple) else (answer,)
    return {file: Mapped(str(file), _row(model, arrays, place)) for place, (file, _) in enumerate(group)}


def _takes_several(model: AnyModel) -> bool:
    """Open models are asked for each file: its size decides which program runs."""
    return isinstance(model, Model) and model.executable.batchable


def _row(model: AnyModel, arrays: Sequence[Array], place: int) -> dict[str, Array]:
    """One image's part of each output; an output that depends on no image is part of every row."""
    row = {}
    ports: tuple[Port | OpenPort, ...] = tuple(model.outputs)
    for port, array in zip(ports, arrays, strict=True):
        of_image = port.batched if isinstance(port, Port) else array.ndim > 0
        row[port.name] = array[place] if of_image else array
    return row
