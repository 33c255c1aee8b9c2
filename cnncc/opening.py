"""ONNX models with open dimensions: as a model that compiles sizes as they come, and as the programs of one library."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .cache.sources import Fixed, OnnxFile, OnnxMessage
from .compiler import Compilation, Entry, Options
from .errors import ModelError
from .runtime.executable import Executable
from .runtime.model import Model
from .runtime.open_model import OpenModel, OpenPort
from .sizes import listed, suffixes, told
from .timings import Stopwatch


def opened_model(source: OnnxFile, shapes: Any, options: Options, threads: int, use_cache: bool) -> OpenModel:
    """A model of any size; those that `shapes` lists are compiled now. Raises what `listed` and the compiler raise."""
    name, inputs, outputs = source.ports

    def make(size: Mapping[str, Sequence[int]]) -> Model:
        return Model(Compilation(source.at(size), options).executable(use_cache=use_cache), threads=threads)

    models = []
    for size in listed(shapes):
        with _told(size):
            models.append(make(size))
    origin = source.content if source.given else str(source.path.resolve())
    return OpenModel(
        name,
        [OpenPort(port.name, port.shape, port.dtype) for port in inputs],
        [OpenPort(port.name, port.shape, port.dtype) for port in outputs],
        models,
        threads=threads,
        make=make,
        rebuild=(_again, (origin, source.outputs, source.fixed, shapes, options, threads, use_cache)),
    )


def _again(origin: str | bytes, outputs: tuple[str, ...], fixed: Fixed, *arguments: Any) -> OpenModel:
    """What a pickled model runs to come back: its file is read again, content that was given is in the pickle."""
    if isinstance(origin, str):
        return opened_model(OnnxFile(origin, None, outputs, fixed), *arguments)
    return opened_model(OnnxMessage(origin, None, outputs, fixed), *arguments)


def library(
    source: OnnxFile,
    shapes: Any,
    options: Options,
    name: str | None = None,
    stopwatch: Stopwatch | None = None,
) -> tuple[list[Executable], list[int]]:
    """The programs of a library, one for each listed size, with names that end in what differs (`suffixes`).

    All have the same block of weights; for each, the bytes of it that the programs before it do not have. Raises what
    `listed` and the compiler raise.
    """
    graphs, stopwatch = [], stopwatch or Stopwatch()
    for size in listed(shapes):
        with _told(size), stopwatch.stage("read"):
            graph = source.at(size).graph
        graphs.append(graph if name is None else replace(graph, name=name))
    ends = suffixes([[graph.nodes[input].types[0].shape for input in graph.inputs] for graph in graphs])
    made: list[Compilation] = []
    for end, graph in zip(ends, graphs, strict=True):
        made.append(Compilation(graph, options, stopwatch, Entry(end, tuple(made))))
    built = [entry.build() for entry in made]
    blocks = [0, *(len(each.weights) for each in built)]
    added = [after - before for before, after in itertools.pairwise(blocks)]
    return [replace(each, weights=built[-1].weights) for each in built], added


@contextmanager
def _told(size: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """What is wrong with the model at a size is told with the size."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"with {told(size)}: {error}") from None
