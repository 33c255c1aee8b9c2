"""fit: train a model on data, and write its weights.

DATA is an .npz with x and y, or a folder with a folder of pictures for each class. The weights (-o) are what
`network.load` reads. Ctrl-C keeps the last finished step; with --checkpoint and --resume training goes on from there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common
from .console import say

if TYPE_CHECKING:
    from ..ir import Graph
    from ..types import Array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("--data", required=True, metavar="DATA", help=".npz with x and y, or a folder of classes")
    parser.add_argument("-o", dest="output", metavar="FILE", help="weights file to write, .npz or .safetensors")
    parser.add_argument("--validation", type=float, metavar="SHARE", help="share of the data to judge by")
    count = common.at_least(1)
    parser.add_argument("--epochs", type=count, default=10, metavar="N", help="times through the data (default: 10)")
    parser.add_argument("--batch", type=count, default=32, metavar="N", help="images a step (default: 32)")
    common.add_learning(parser)
    parser.add_argument("--rate", type=float, metavar="R", help="rate of learning (default: the optimiser's)")
    parser.add_argument(
        "--schedule", default="constant", metavar="NAME", help="constant, step, cosine, one-cycle, plateau"
    )
    parser.add_argument("--patience", type=count, metavar="N", help="stop when no epoch was better for N epochs")
    parser.add_argument("--checkpoint", metavar="FILE", help="where training stands, written after each epoch")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument(
        "--seed", type=common.at_least(0), default=0, metavar="N", help="of all random numbers (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="print the history as JSON")
    common.add_threads(parser)
    common.add_precision(parser)
    common.add_cache(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..api import load_graph
    from ..learning import fit
    from ..learning.losses import loss_of
    from ..learning.optimisers import optimiser_of, with_rate

    optimiser = optimiser_of(arguments.optimiser)
    if arguments.rate is not None:
        optimiser = with_rate(optimiser, arguments.rate)
    graph = load_graph(arguments.model, common.shapes(arguments), arguments.cuts)
    if arguments.output is not None:
        _expect_writable(Path(arguments.output))
    x, y, labels = data(Path(arguments.data), graph)
    fitted = fit(
        graph,
        x,
        y,
        epochs=arguments.epochs,
        batch=arguments.batch,
        loss=loss_of(arguments.loss),
        optimiser=optimiser,
        schedule=arguments.schedule,
        validation=arguments.validation,
        train=arguments.train,
        clip=arguments.clip,
        stop=arguments.patience,
        checkpoint=arguments.checkpoint,
        resume=arguments.resume,
        seed=arguments.seed,
        threads=arguments.threads,
        precision=arguments.precision,
        cache=not arguments.no_cache,
    )
    if arguments.output is not None:
        from ..frontends.weights import write_weights

        write_weights(arguments.output, fitted.weights)
    if arguments.json:
        say(fitted.history.to_json().rstrip())
        return
    say(f"best {fitted.history.best}")
    if labels:
        say(f"classes: {', '.join(labels)}")
    if arguments.output is not None:
        say(f"wrote {len(fitted.weights)} arrays to {arguments.output}")


def _expect_writable(path: Path) -> None:
    """Raise OutputError now, and not after training, for a file that cannot be written."""
    from ..files import write_whole

    probe = path.with_name(f".{path.name}.probe")
    write_whole(probe, "weights file", lambda stream: None)
    probe.unlink()


def data(path: Path, graph: Graph) -> tuple[Any, Array, list[str]]:
    """x, y and, for a folder of classes, their names. Raises InputError."""
    if path.is_dir():
        return pictures(path, graph)
    from .inputs import read_npz

    if path.suffix != ".npz":
        raise InputError(f"data '{path}': expected an .npz file with x and y, or a folder with a folder for each class")
    arrays = dict(read_npz(path))
    if "y" not in arrays or len(arrays) < 2:
        raise InputError(f"'{path}' must hold y and x (or the inputs by name), it has {', '.join(arrays) or 'nothing'}")
    y = arrays.pop("y")
    return (arrays["x"] if arrays.keys() == {"x"} else arrays), y, []


def pictures(folder: Path, graph: Graph) -> tuple[Array, Array, list[str]]:
    """All pictures in the folders of a folder, which are the classes in the order of their names."""
    import numpy as np

    from ..runtime.executable import Port
    from .pictures import read_picture

    if len(graph.inputs) != 1:
        raise InputError(f"a folder of pictures is for one input, model '{graph.name}' has {len(graph.inputs)}")
    (name, type), *_ = graph.inputs.items()
    classes = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    files = [(number, file) for number, each in enumerate(classes) for file in sorted((folder / each).iterdir())]
    if not files:
        raise InputError(f"'{folder}' has no folders with pictures, one for each class")
    port = Port(name, type, True)
    read = [read_picture(file, port, True) for _, file in files]
    return np.concatenate(read), np.array([number for number, _ in files]), classes
