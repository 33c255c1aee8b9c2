"""ONNX models with open dimensions: as a model that compiles sizes as they come, and as the programs of one library."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .cache import models as cache
from .cache.sources import OnnxFile, OnnxMessage
from .compiler import Compilation, Entry, Options
from .runtime.executable import Executable
from .runtime.model import Model
from .runtime.open_model import OpenModel, OpenPort
from .sizes import Size, listed, suffixes, telling
from .timings import Stopwatch


def opened_model(
    source: OnnxFile,
    shapes: Any,
    options: Options,
    threads: int,
    use_cache: bool,
    stopwatch: Stopwatch | None = None,
) -> OpenModel:
    """A model of any size; those that `shapes` lists are compiled now. Raises what `listed` and the compiler raise.

    A stopwatch that is given counts every size, also later ones.
    """
    name, inputs, outputs = source.ports

    def make(size: Mapping[str, Sequence[int]]) -> Model:
        return Model(Compilation(source.at(size), options, stopwatch).executable(use_cache=use_cache), threads=threads)

    models = []
    for size in listed(shapes):
        with telling(size):
            models.append(make(size))
    origin = source.content if source.given else str(source.path.resolve())
    return OpenModel(
        name,
        [OpenPort(port.name, port.shape, port.dtype) for port in inputs],
        [OpenPort(port.name, port.shape, port.dtype) for port in outputs],
        models,
        threads=threads,
        make=make,
        rebuild=(_again, (origin, source.outputs, shapes, options, threads, use_cache)),
    )


def _again(origin: str | bytes, outputs: tuple[str, ...], *arguments: Any) -> OpenModel:
    """What a pickled model runs to come back: its file is read again, content that was given is in the pickle."""
    file = OnnxFile(origin, None, outputs) if isinstance(origin, str) else OnnxMessage(origin, None, outputs)
    return opened_model(file, *arguments)


def library(
    source: OnnxFile,
    shapes: Any,
    options: Options,
    name: str | None = None,
    stopwatch: Stopwatch | None = None,
    *,
    use_cache: bool = True,
) -> tuple[list[Executable], list[int]]:
    """The programs of a library, one for each listed size, with names that end in what differs (`suffixes`).

    All have the same block of weights; for each, the bytes of it that the programs before it do not have. They come
    from the cache on disk if all of them are there together, else they are built and remembered. Raises what `listed`
    and the compiler raise.
    """
    stopwatch, sizes = stopwatch or Stopwatch(), listed(shapes)
    files = [source.at(size) for size in sizes]
    found, key = None, ""
    if use_cache:
        key = _key(files, sizes, options, name, stopwatch)
        with stopwatch.stage("cache"):
            found = cache.load_library(key)
    if found is None:
        found = _built(files, sizes, options, name, stopwatch)
        if use_cache:
            with stopwatch.stage("cache"):
                cache.store_library(key, found)
    blocks = [0, *(len(each.weights) for each in found)]
    added = [after - before for before, after in itertools.pairwise(blocks)]
    return [replace(each, weights=found[-1].weights) for each in found], added


def _key(
    files: Sequence[OnnxFile], sizes: Sequence[Size], options: Options, name: str | None, stopwatch: Stopwatch
) -> str:
    """What a library depends on: its name and, for each size, what a compilation of it alone depends on."""
    parts = ["library", name or ""]
    for file, size in zip(files, sizes, strict=True):
        with telling(size), stopwatch.stage("read"):
            parts.append(Compilation(file, options).key)
    return "\n".join(parts)


def _built(
    files: Sequence[OnnxFile], sizes: Sequence[Size], options: Options, name: str | None, stopwatch: Stopwatch
) -> tuple[Executable, ...]:
    """The programs; the weights of each go on with those of the one before."""
    graphs = []
    for file, size in zip(files, sizes, strict=True):
        with telling(size), stopwatch.stage("read"):
            graph = file.graph
        graphs.append(graph if name is None else replace(graph, name=name))
    ends = suffixes([[graph.nodes[input].types[0].shape for input in graph.inputs] for graph in graphs])
    made: list[Compilation] = []
    built: list[Executable] = []
    for end, graph, size in zip(ends, graphs, sizes, strict=True):
        made.append(Compilation(graph, options, stopwatch, Entry(end, tuple(made))))
        with telling(size):
            built.append(made[-1].build())
    return tuple(built)
