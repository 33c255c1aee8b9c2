"""`cnncc.map`: a model over many files, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from ..errors import UsageError
from ..reading.inputs import read
from ..runtime.model import Model
from ..runtime.open_model import OpenModel
from .mapping import AnyModel, Mapped, expect_mappable, mapped
from .work import files_of

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def map(model: AnyModel, files: Paths, *, batch: int = 32, jobs: int = 1, resize: bool = False) -> Iterator[Mapped]:
    """What a model of one input answers for each picture or `.npy` file, in order, while others are read and run.

    `files` are paths, or one; a folder stands for all pictures and arrays in and below it. Each answer has the `file`,
    its `outputs` by name without N, and why there are none (`error`), for a file that cannot be read or does not fit.
    `jobs` threads read `batch` files each, which are one call where the model takes any number of images. `resize`
    scales pictures to the size of the input. A model of `Image` inputs takes pictures as frames.

    Raises UsageError for what is no model or has several inputs, and InputError for a folder without pictures.
    """
    if not isinstance(model, Model | OpenModel):
        raise UsageError(f"map takes a compiled model, as cnncc.compile gives it, got {type(model).__name__}")
    for name, number in (("batch", batch), ("jobs", jobs)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(f"{name}={number!r}: expected a whole number of at least 1")
    expect_mappable(model)
    paths = [files] if isinstance(files, str | os.PathLike) else files
    found = files_of(os.fspath(path) for path in paths)
    return mapped(model, found, lambda file: read(file, model.inputs[0], resize), batch=batch, jobs=jobs)
