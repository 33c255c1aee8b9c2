"""`compile --example`: a project of C around the model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..sizes import is_open
from . import common

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..compiler import Compilation
    from ..ir import Graph
    from ..runtime.executable import Executable
    from ..types import Array
    from .steps import Learned

KINDS = ("a", "h", "json")
"""What is written beside a project, if --kinds does not say."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="*", metavar="INPUT", help=".npy, .npz or picture for --example, one for each input"
    )
    parser.add_argument(
        "--label", type=common.at_least(0), metavar="N", help="class that an example with --step learns (default: any)"
    )
    parser.add_argument(
        "--example",
        type=common.one_of("example", ("firmware",)),
        metavar="firmware",
        help="write a project around the model, with start-up code and linker script; for a Cortex-M",
    )


def expect_example(arguments: argparse.Namespace, kinds: tuple[str, ...] | None) -> None:
    """Raise UsageError for what does not go with --example, or not without it; TargetError for a target without one."""
    if arguments.label is not None and not (arguments.example and arguments.step):
        raise UsageError("--label is for --example with --step")
    if arguments.example is None:
        if arguments.files:
            raise UsageError(f"INPUT files are for --example, got '{arguments.files[0]}'")
        return
    from ..compiler import resolve_target
    from ..firmware.boards import board_for
    from ..firmware.project import NEEDED

    if is_open(common.shapes(arguments)):
        raise UsageError("--example is for one size: give one --shape for each input")
    if arguments.step and (arguments.batch or 1) > 1:
        raise UsageError("--example with --step takes one image a step: leave --batch out")
    missing = [kind for kind in NEEDED if kinds is not None and kind not in kinds]
    if missing:
        raise UsageError(f"--example is made of {' and '.join(NEEDED)}: --kinds leaves out {', '.join(missing)}")
    board_for(resolve_target(arguments.target))


def files(compilation: Compilation, executable: Executable, arguments: argparse.Namespace) -> dict[str, bytes]:
    """The files of the project by name; none without --example.

    Raises InputError for INPUT files that do not fit, and what `firmware.project.project` raises.
    """
    if arguments.example is None:
        return {}
    from ..check.model import expected
    from ..firmware.project import project

    feeds = _feeds(compilation.graph, arguments)
    return project(executable, feeds, expected(compilation, feeds))


def _feeds(graph: Graph, arguments: argparse.Namespace) -> dict[str, Array]:
    from ..check.model import random_feeds
    from ..reading.inputs import of_files

    given = arguments.files
    return of_files(graph, given, arguments.convert) if given else random_feeds(graph, seed=0)


def learning_files(
    compilations: Sequence[Compilation], executables: Sequence[Executable], step: Learned, arguments: argparse.Namespace
) -> dict[str, bytes]:
    """The files of a project that learns, from the network and a step of its training; none without --example.

    It learns the class --label, or a random one. Raises UsageError for a label that there is not, and what
    `firmware.learning.learning_project` raises.
    """
    if arguments.example is None:
        return {}
    import numpy as np

    from ..check.model import expected
    from ..compiler import Compilation
    from ..firmware.learning import learning_project
    from ..ir import without_states
    from ..learning.losses import LOSS

    network, training = compilations[0].graph, step.training
    held = {name: training.graph.initial(name) for name in training.graph.states}
    feeds = step.recipe.trial(training, _feeds(network, arguments) | held)
    _expect_label(arguments.label, training.classes)
    if arguments.label is not None:
        feeds[training.wanted] = np.full_like(feeds[training.wanted], arguments.label)
    apart = [Compilation(without_states(each.graph), each.options) for each in compilations]
    first, second = (expected(each, {name: feeds[name] for name in each.graph.inputs}) for each in apart)
    code, step_code = executables
    return learning_project(code, step_code, LOSS, feeds, (first, second))


def _expect_label(label: int | None, classes: int | None) -> None:
    if label is not None and (classes is None or label >= classes):
        raise UsageError(f"--label {label}: the loss takes {f'classes 0 to {classes - 1}' if classes else 'no labels'}")
