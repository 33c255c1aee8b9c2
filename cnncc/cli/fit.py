"""fit: train a model on data, and write its weights.

DATA is an .npz with x and y, or a folder with a folder of pictures for each class. The weights (-o) are what
`network.load` reads, or those of an ONNX model in a file like it (.onnx). They are written
however training ends. With --checkpoint and --resume training goes on where Ctrl-C ended it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, LearningError, UsageError
from . import common
from .console import say
from .documents import add_json, say_json

if TYPE_CHECKING:
    from ..cache.sources import OnnxFile
    from ..ir import Graph
    from ..types import Array

ENDINGS = (".npz", ".safetensors", ".onnx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("--data", required=True, metavar="DATA", help=".npz with x and y, or a folder of classes")
    parser.add_argument(
        "-o",
        dest="output",
        metavar="FILE",
        help="what to write: weights (.npz, .safetensors), or the ONNX model (.onnx)",
    )
    parser.add_argument("--validation", type=float, metavar="SHARE", help="share of the data to judge by")
    count = common.at_least(1)
    parser.add_argument("--epochs", type=count, default=10, metavar="N", help="times through the data (default: 10)")
    parser.add_argument("--batch", type=count, default=32, metavar="N", help="images a step (default: 32)")
    common.add_learning(parser)
    parser.add_argument("--rate", type=float, metavar="R", help="rate of learning (default: the optimiser's)")
    parser.add_argument(
        "--schedule", default="constant", metavar="NAME", help="constant, step, cosine, one-cycle, plateau"
    )
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="told of the validation data: accuracy, top-5; may be repeated",
    )
    parser.add_argument("--patience", type=count, metavar="N", help="stop when no epoch was better for N epochs")
    parser.add_argument("--checkpoint", metavar="FILE", help="where training stands, written after each epoch")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument(
        "--seed", type=common.at_least(0), default=0, metavar="N", help="of all random numbers (default: 0)"
    )
    add_json(parser)
    common.add_threads(parser)
    common.add_precision(parser)
    common.add_cache(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..api import open_source
    from ..learning import fit

    how = settings(arguments)
    given = common.shapes(arguments), arguments.cuts, arguments.convert, common.fixed(arguments)
    source = open_source(arguments.model, *given)
    graph = _graph(source)
    if arguments.output is not None:
        _expect_output(Path(arguments.output), source, graph, arguments.train)
    x, y, labels = data(Path(arguments.data), graph)
    told = [] if arguments.output is None else [Output(Path(arguments.output), _unread(source))]
    kept: dict[str, Array] = {}
    try:
        history = fit(source, x, y, settled=kept.update, **how).history
    except (KeyboardInterrupt, LearningError):
        for line in [output.written(kept) for output in told if kept]:
            if not arguments.json:
                say(line)
        raise
    written = [output.written(kept) for output in told]
    if arguments.json:
        say_json(history.described())
        return
    say(f"best {history.best}")
    if labels:
        say(f"classes: {', '.join(labels)}")
    for line in written:
        say(line)


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keywords of `fit`. Raises UsageError."""
    from ..learning.losses import loss_of
    from ..learning.optimisers import optimiser_of, with_rate

    optimiser = optimiser_of(arguments.optimiser)
    if arguments.rate is not None:
        optimiser = with_rate(optimiser, arguments.rate)
    same = (
        "epochs",
        "batch",
        "schedule",
        "validation",
        "train",
        "clip",
        "checkpoint",
        "resume",
        "seed",
        "threads",
        "precision",
    )
    return {
        **{name: getattr(arguments, name) for name in same},
        "loss": loss_of(arguments.loss),
        "optimiser": optimiser,
        "stop": arguments.patience,
        "metrics": arguments.metric or (),
        "cache": not arguments.no_cache,
    }


def _unread(source: Graph | OnnxFile) -> Graph | OnnxFile:
    """A source of the same content, to be read apart from this one."""
    from ..cache.sources import OnnxFile

    return source.at(source.shapes) if isinstance(source, OnnxFile) else source


def _graph(source: Graph | OnnxFile) -> Graph:
    """The graph of a source, which can still be read after it."""
    from ..cache.sources import OnnxFile

    other = _unread(source)
    return other.graph if isinstance(other, OnnxFile) else other


def _expect_output(path: Path, source: Graph | OnnxFile, graph: Graph, train: list[str] | None) -> None:
    """Raise now, and not after training, for a file that cannot be written, and for what it cannot hold."""
    from ..cache.sources import OnnxFile
    from ..files import expect_writable
    from ..learning.fitting import NO_ONNX
    from ..learning.training import learned

    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"-o '{path}' must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    expect_writable(path, "ONNX model" if path.suffix.lower() == ".onnx" else "weights file")
    if path.suffix.lower() == ".onnx":
        if not isinstance(source, OnnxFile):
            raise UsageError(f"-o '{path}': {NO_ONNX}")
        from ..ir import Value

        weights = {name: graph.constant(Value(name)) for name in learned(graph, train)}
        source.at(source.shapes).holding({name: array for name, array in weights.items() if array is not None})


@dataclass(frozen=True)
class Output:
    """The file to write, and the source of the model in it."""

    path: Path
    source: Graph | OnnxFile

    def written(self, weights: Mapping[str, Array]) -> str:
        """Write what was learned; returns what is said of it."""
        from ..cache.sources import OnnxFile
        from ..files import write_whole
        from ..frontends.weights import write_weights

        if self.path.suffix.lower() == ".onnx" and isinstance(self.source, OnnxFile):
            content = self.source.holding(weights)
            write_whole(self.path, "ONNX model", lambda stream: stream.write(content))
        else:
            write_weights(self.path, weights)
        return f"wrote {len(weights)} arrays to {self.path}"


def data(path: Path, graph: Graph) -> tuple[Any, Array, list[str]]:
    """x, y and, for a folder of classes, their names. Raises InputError."""
    if path.is_dir():
        return pictures(path, graph)
    from ..reading.inputs import read_npz

    if path.suffix != ".npz":
        raise InputError(f"data '{path}': expected an .npz file with x and y, or a folder with a folder for each class")
    arrays = dict(read_npz(path))
    if "y" not in arrays or len(arrays) < 2:
        raise InputError(f"'{path}' must hold y and x (or the inputs by name), it has {', '.join(arrays) or 'nothing'}")
    y = arrays.pop("y")
    return (arrays["x"] if arrays.keys() == {"x"} else arrays), y, []


def pictures(folder: Path, graph: Graph) -> tuple[Array, Array, list[str]]:
    """All pictures in the folders of a folder, which are the classes in the order of their names.

    Where the model has labels and all folders are called like some, each is the class of its label.
    """
    import numpy as np

    from ..reading.pictures import read_picture
    from ..runtime.executable import Port

    if len(graph.inputs) != 1:
        raise InputError(f"a folder of pictures is for one input, model '{graph.name}' has {len(graph.inputs)}")
    (name, type), *_ = graph.inputs.items()
    classes = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    known = graph.labels if set(classes) <= set(graph.labels) else classes
    files = [(known.index(each), file) for each in classes for file in sorted((folder / each).iterdir())]
    if not files:
        raise InputError(f"'{folder}' has no folders with pictures, one for each class")
    port = Port(name, type, True)
    read = [read_picture(file, port, True) for _, file in files]
    return np.concatenate(read), np.array([number for number, _ in files]), classes
