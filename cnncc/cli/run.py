"""run: run a model on arrays and pictures.

An INPUT is a .npy or .npz file or a picture. A model with one input runs on each of them; one with several inputs takes
one file for each input in order, one .npz with all of them, or --input for some. Pictures are converted to grey or RGB
and scaled to 0…1; those with transparent pixels, or numbers of no certain range, are refused. MODEL may also be a
shared library that `cnncc compile` wrote; of several sizes, each call takes that of its input, or all the one that
--shape chooses. --shape any compiles an ONNX file for the sizes of its inputs. With --image pictures are frames as a
camera gives them, and what makes of them what the network reads is compiled in.

With -o results.csv, .jsonl or .parquet, each file, and each picture in and below a folder, is a row of a table.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UsageError
from ..sizes import ANY, expect_one, is_open, told
from . import common, dump, folder
from .console import say
from .documents import add_json, say_json

if TYPE_CHECKING:
    from ..runtime.model import Model
    from ..runtime.open_model import OpenModel
    from ..timings import Stopwatch
    from ..types import Array

    AnyModel = Model | OpenModel


TOP = 5  # classes that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser, "model script (.py), ONNX file (.onnx) or shared library (.so)")
    parser.add_argument("files", nargs="*", metavar="INPUT", help=".npy, .npz, picture, or folder of these")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=FILE", help="the file of one input")
    parser.add_argument(
        "-o", dest="output", metavar="FILE", help="write outputs to .npy or .npz, rows to .csv, .jsonl or .parquet"
    )
    parser.add_argument(
        "--top", type=common.at_least(0), metavar="N", help="best classes (default: 5, of a table 1); 0: all numbers"
    )
    parser.add_argument("--resize", action="store_true", help="scale pictures to the size of the input")
    folder.add_arguments(parser)
    dump.add_arguments(parser)
    common.add_threads(parser)
    common.add_compiling(parser)
    common.add_cache(parser)
    common.add_timings(parser)
    add_json(parser)


@dataclass(frozen=True)
class RunRequest:
    """One call of the model: its inputs by name, and the files that they came from."""

    feeds: dict[str, Array]
    files: tuple[str, ...]


def run(arguments: argparse.Namespace) -> None:
    from ..timings import Stopwatch
    from .outputs import check_output, describe, plain_call, run_document, write
    from .progress import Compiling

    table = folder.work(arguments) if folder.is_asked(arguments) else None
    if arguments.output and table is None:
        check_output(arguments.output)
    dump.expect_dump(arguments)
    stopwatch = Stopwatch(Compiling())
    with _model(arguments, stopwatch) as model:
        if table is not None:
            folder.run(model, table, arguments)
            return
        if arguments.output:
            check_output(arguments.output, len(model.outputs))
        results, told, calls = [], [], _calls(model, arguments)
        for call in calls:
            results.append(_run(model, call, arguments.convert or None))
            described = model, results[-1], call.files, TOP if arguments.top is None else arguments.top
            if arguments.json:
                told.append(plain_call(*described))
            else:
                say("\n".join(describe(*described)))
        if arguments.output:
            write(arguments.output, model, results)
        dumped = dump.dumped(arguments, [call.feeds for call in calls]) if arguments.dump else None
        if arguments.json:
            say_json(run_document(model, told, arguments.output, dumped=dumped.facts() if dumped else None))
        elif dumped:
            say(dumped.shown())
    common.tell_timings(stopwatch, arguments)


def _run(model: AnyModel, call: RunRequest, convert: bool | None) -> tuple[Array, ...]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "model .* was compiled for", UserWarning)  # as whoever runs it knows
            answer: Any = model(call.feeds, convert=convert)
    except InputError as error:
        raise InputError(f"{', '.join(call.files)}: {error}") from None
    return answer if isinstance(answer, tuple) else (answer,)


def _model(arguments: argparse.Namespace, stopwatch: Stopwatch) -> AnyModel:
    from ..cache.sources import Framed
    from ..opening import opened_model
    from ..runtime.model import Model

    if Path(arguments.model).suffix == ".so":
        return _loaded(arguments)
    use_cache, shapes = not arguments.no_cache, common.shapes(arguments)
    if is_open(shapes):
        options = common.options(arguments)
        with stopwatch.stage("read"):
            source = common.onnx_source(arguments)
        return opened_model(source, shapes, options, arguments.threads, use_cache, stopwatch)
    compilation = common.compilation(arguments, stopwatch)
    if isinstance(compilation.source, Framed) and compilation.source.open:
        return opened_model(
            compilation.source, ANY, compilation.options, arguments.threads, use_cache, compilation.stopwatch
        )
    executable = compilation.executable(use_cache=use_cache)
    with stopwatch.stage("load"):
        return Model(executable, threads=arguments.threads)


def _loaded(arguments: argparse.Namespace) -> AnyModel:
    """The model of a library, or of that one of its sizes that --shape chooses."""
    from ..runtime.model import Model
    from ..runtime.reload import load

    a = arguments
    chosen = a.target, a.precision, a.weights, a.passes, a.checked, a.plan, a.cuts, a.timings, a.image
    refused = UsageError(f"'{arguments.model}' is compiled already: options of the compiler do not go with it")
    if chosen != ("host", "fast", "float32", "", False, None, None, False, None):
        raise refused
    loaded = load(arguments.model, threads=arguments.threads)
    if a.shape is None:
        return loaded
    if isinstance(loaded, Model):
        raise refused
    return _of_size(loaded, common.shapes(arguments))


def _of_size(model: OpenModel, given: Any) -> Model:
    """The one size of a library that has these shapes. Raises UsageError for none or several."""
    expect_one(given, "run of a library")
    names = [port.name for port in model.inputs]
    sizes = [dict(zip(names, size, strict=True)) for size in sorted(model.sizes)]
    found = [size for size in sizes if given.items() <= size.items()]
    if len(found) != 1:
        raise UsageError(
            f"model '{model.name}' was compiled for {'; '.join(map(told, sizes))}: "
            f"expected --shape of one of them, got {told(given)}"
        )
    return model.at(*found[0].values())


def _calls(model: AnyModel, arguments: argparse.Namespace) -> list[RunRequest]:
    """All files read and checked for what can be seen before the first call."""
    if model.inputs and not arguments.files and not arguments.input:
        raise UsageError("run needs at least one INPUT file (see cnncc run --help)")
    named = _named(model, arguments.input)
    files = [Path(file) for file in arguments.files]
    if len(model.inputs) == 1 and not named:
        return list(_one_input(model, files, arguments.resize))
    return [_several_inputs(model, files, named, arguments.resize)]


def _named(model: AnyModel, given: Iterable[str]) -> dict[str, Path]:
    """The `--input` options. Raises UsageError for an unknown name or one that is given twice."""
    known = [port.name for port in model.inputs]
    named: dict[str, Path] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or not file:
            raise UsageError(f"--input takes NAME=FILE, got '{text}'")
        if name not in known:
            raise UsageError(f"model '{model.name}' has no input '{name}': it has {', '.join(map(repr, known))}")
        if name in named:
            raise UsageError(f"--input '{name}' is given twice")
        named[name] = Path(file)
    return named


def _one_input(model: AnyModel, files: list[Path], resize: bool) -> Iterator[RunRequest]:
    """Neighbouring pictures become one batch where images do not mix, else as many calls as it takes."""
    from ..reading.inputs import is_picture, read

    port = model.inputs[0]
    for pictures, group in itertools.groupby(files, is_picture):
        members = list(group)
        size = _at_once(model, len(members)) if pictures else 1
        if len(members) % size:
            raise InputError(f"model '{model.name}' takes {size} pictures at a time, got {len(members)}")
        for start in range(0, len(members), size):
            part = members[start : start + size]
            yield RunRequest({port.name: _joined([read(file, port, resize) for file in part])}, tuple(map(str, part)))


def _at_once(model: AnyModel, pictures: int) -> int:
    """How many pictures become one call."""
    from ..runtime.model import Model

    if isinstance(model, Model) and model.executable.batchable:
        return pictures
    first = model.inputs[0].shape[0] if model.inputs[0].shape else 1
    return first if isinstance(first, int) else 1  # the pictures of an open model may differ in size


def _joined(arrays: list[Array]) -> Array:
    import numpy as np

    if len({array.shape for array in arrays}) > 1:
        raise InputError(f"{len(arrays)} pictures go into one call, and differ in size")
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _named_arrays(file: Path, names: Sequence[str]) -> dict[str, Array]:
    """The arrays of a `.npz` file that have these names."""
    from ..reading.inputs import read_npz

    arrays = read_npz(file)
    missing = [name for name in names if name not in arrays]
    if missing:
        held = ", ".join(map(repr, arrays)) or "nothing"
        raise InputError(f"'{file}' holds {held}, expected also {', '.join(map(repr, missing))}")
    return {name: arrays[name] for name in names}


def _several_inputs(model: AnyModel, files: list[Path], named: dict[str, Path], resize: bool) -> RunRequest:
    """Files in the order of the inputs that no `--input` names."""
    from ..reading.inputs import read

    ports = {port.name: port for port in model.inputs}
    free = [name for name in ports if name not in named]
    if len(files) == 1 and len(free) > 1 and files[0].suffix.lower() == ".npz":
        feeds = _named_arrays(files[0], free)
    elif len(files) != len(free):
        wanted = ", ".join(map(repr, free)) or "none"
        raise InputError(f"model '{model.name}' needs a file for each of the inputs {wanted}, got {len(files)}")
    else:
        feeds = {name: read(file, ports[name], resize) for name, file in zip(free, files, strict=True)}
    feeds |= {name: read(file, ports[name], resize) for name, file in named.items()}
    together = " + ".join(dict.fromkeys(map(str, (*files, *named.values()))))
    return RunRequest({name: feeds[name] for name in ports}, (together,))
