"""`compile --example`: a project of C around the model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..sizes import is_open
from . import common

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..runtime.executable import Executable

KINDS = ("a", "h", "json")
"""What is written beside a project, if --kinds does not say."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="*", metavar="INPUT", help=".npy, .npz or picture for --example, one for each input"
    )
    parser.add_argument(
        "--example",
        type=common.one_of("example", ("firmware",)),
        metavar="firmware",
        help="write a project around the model, with start-up code and linker script; for a Cortex-M",
    )


def expect_example(arguments: argparse.Namespace, kinds: tuple[str, ...] | None) -> None:
    """Raise UsageError for what does not go with --example, or not without it; TargetError for a target without one."""
    if arguments.example is None:
        if arguments.files:
            raise UsageError(f"INPUT files are for --example, got '{arguments.files[0]}'")
        return
    from ..compiler import resolve_target
    from ..firmware.boards import board_for
    from ..firmware.project import NEEDED

    if arguments.step or is_open(common.shapes(arguments)):
        raise UsageError("--example is for one program")
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
    from ..check.model import expected, random_feeds
    from ..firmware.project import project
    from .inputs import of_files

    graph, given = compilation.graph, arguments.files
    feeds = of_files(graph, given, arguments.convert) if given else random_feeds(graph, seed=0)
    return project(executable, feeds, expected(compilation, feeds))
