"""ONNX models with open dimensions: as a model that compiles sizes as they come, and as the programs of one library."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .cache import models as cache
from .cache.sources import Fixed, Framed, OnnxFile, OnnxMessage
from .compiler import Compilation, Entry, Options
from .errors import ModelError, UsageError
from .runtime.executable import Executable
from .runtime.model import Model
from .runtime.open_model import OpenModel, OpenPort
from .sizes import Size, larger, listed, suffixes, telling, told
from .timings import Stopwatch


def opened_model(
    source: OnnxFile | Framed,
    shapes: Any,
    options: Options,
    threads: int,
    use_cache: bool,
    stopwatch: Stopwatch | None = None,
) -> OpenModel:
    """A model of any size; those that `shapes` lists are compiled now. Raises what `listed` and the compiler raise.

    A stopwatch that is given counts every size, also later ones. Raises UsageError for choices of one size's plan.
    """
    _expect_no_choices(options)
    name, inputs, outputs = source.ports

    def make(size: Mapping[str, Sequence[int]]) -> Model:
        return Model(Compilation(source.at(size), options, stopwatch).executable(use_cache=use_cache), threads=threads)

    models = []
    for size in listed(shapes):
        with telling(size):
            models.append(make(size))
    labels: tuple[str, ...] = ()
    if isinstance(source, Framed):
        labels = source.network.labels
        again: Any = opened_model, (source, shapes, options, threads, use_cache)
    else:
        origin = source.content if source.given else str(source.path.resolve())
        again = _again, (origin, source.outputs, source.fixed, shapes, options, threads, use_cache)
    return OpenModel(
        name,
        [OpenPort(port.name, port.shape, port.dtype, getattr(port, "frame", "")) for port in inputs],
        [OpenPort(port.name, port.shape, port.dtype) for port in outputs],
        models,
        threads=threads,
        make=make,
        advice=lambda size, fault: _advice(source, size, fault),
        convert=options.convert,
        labels=labels,
        rebuild=again,
    )


def _expect_no_choices(options: Options) -> None:
    if options.plan.source:
        raise UsageError(f"plan '{options.plan.source}' has the choices for one size: give one shape for each input")


def _advice(source: OnnxFile | Framed, size: Mapping[str, Sequence[int]], fault: str) -> str:
    """The next larger size that the model can have, in words; nothing if the largest of them has the same fault."""
    sizes = list(larger(size, {port.name: port.shape for port in source.ports[1]}))
    if not sizes or _fault(source, sizes[-1]) == fault:
        return ""
    fitting = (near for near in sizes if not _fault(source, near))
    return next((f"; {told(near)} would fit" for near in fitting), "")


def _fault(source: OnnxFile | Framed, size: Mapping[str, Sequence[int]]) -> str:
    """What is wrong with the graph of a size; empty if nothing is."""
    try:
        source.at(size).graph  # noqa: B018
    except ModelError as error:
        return str(error)
    return ""


def _again(
    origin: str | bytes, outputs: tuple[str, ...], fixed: Fixed, shapes: Any, options: Options, *others: Any
) -> OpenModel:
    """What a pickled model runs to come back: its file is read again, content that was given is in the pickle."""
    asked = None, outputs, options.convert, fixed
    file = OnnxFile(origin, *asked) if isinstance(origin, str) else OnnxMessage(origin, *asked)
    return opened_model(file, shapes, options, *others)


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
    and the compiler raise, and UsageError for choices of one size's plan.
    """
    _expect_no_choices(options)
    stopwatch, sizes = stopwatch or Stopwatch(), listed(shapes)
    files = [source.at(size) for size in sizes]
    found, key = None, ""
    if use_cache:
        key = _key(files, sizes, options, name, stopwatch)
        with stopwatch.stage("cache"):
            found = cache.load_library(key)
    if found is None:
        found = _built(_programs(files, sizes, options, name, stopwatch), sizes)
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


def compilations(
    source: OnnxFile, shapes: Any, options: Options, name: str | None = None, stopwatch: Stopwatch | None = None
) -> list[Compilation]:
    """The programs of a library before anything of them is compiled, as `library` takes them."""
    sizes = listed(shapes)
    return _programs([source.at(size) for size in sizes], sizes, options, name, stopwatch or Stopwatch())


def _programs(
    files: Sequence[OnnxFile], sizes: Sequence[Size], options: Options, name: str | None, stopwatch: Stopwatch
) -> list[Compilation]:
    """The weights of each go on with those of the one before."""
    graphs = []
    for file, size in zip(files, sizes, strict=True):
        with telling(size), stopwatch.stage("read"):
            graph = file.graph
        graphs.append(graph if name is None else replace(graph, name=name))
    ends = suffixes([[graph.nodes[input].types[0].shape for input in graph.inputs] for graph in graphs])
    made: list[Compilation] = []
    for end, graph in zip(ends, graphs, strict=True):
        made.append(Compilation(graph, options, stopwatch, Entry(end, tuple(made))))
    return made


def _built(programs: Sequence[Compilation], sizes: Sequence[Size]) -> tuple[Executable, ...]:
    built = []
    for program, size in zip(programs, sizes, strict=True):
        with telling(size):
            built.append(program.build())
    return tuple(built)
