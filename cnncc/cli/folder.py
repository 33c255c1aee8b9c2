"""`cnncc run MODEL FOLDER -o results.csv`: rows for many files, gone on with where they were left."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import common
from .console import say
from .documents import say_json

if TYPE_CHECKING:
    from ..folders.journal import Row
    from ..folders.mapping import AnyModel
    from ..folders.work import Work

MOST_TOLD = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch", type=common.at_least(1), default=32, metavar="N", help="files of a folder in a call (default: 32)"
    )
    parser.add_argument(
        "--jobs", type=common.at_least(1), default=1, metavar="N", help="threads that read and run batches (default: 1)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the rows of a run that did not end")
    parser.add_argument("--force", action="store_true", help="replace the results that are there")


def is_asked(arguments: argparse.Namespace) -> bool:
    """Whether files become rows of a table. Raises UsageError for a folder without one."""
    from ..folders.results import WRITERS, is_table

    if arguments.output and is_table(arguments.output):
        return True
    for path in filter(lambda file: Path(file).is_dir(), arguments.files):
        raise UsageError(f"folder '{path}' needs a file for its rows: -o results{', results'.join(WRITERS)}")
    for option in ("resume", "force"):
        if getattr(arguments, option):
            raise UsageError(f"--{option} is for a table of results: -o results.csv")
    return False


def work(arguments: argparse.Namespace) -> Work:
    """What is asked for. Raises UsageError or OutputError where it is not possible."""
    from ..folders.work import Work

    a = arguments
    if a.input:
        raise UsageError(f"--input names the file of one call, '{a.output}' holds rows of many files")
    if not a.files:
        raise UsageError("run needs at least one INPUT file or folder (see cnncc run --help)")
    asked = Work(Path(a.output), a.batch, a.jobs, 1 if a.top is None else a.top, a.resume, a.force)
    asked.expect_possible()
    return asked


def run(model: AnyModel, asked: Work, arguments: argparse.Namespace) -> None:
    from ..folders.work import files_of, work_off
    from ..reading.inputs import read
    from .outputs import run_document
    from .progress import Progress

    files = files_of(arguments.files)
    with Progress(model.name) as progress:
        failed = work_off(model, files, lambda file: read(file, model.inputs[0], arguments.resize), asked, progress)
    if arguments.json:
        table = {"path": asked.results, "rows": len(files), "failed": [_failed(row) for row in failed]}
        say_json(run_document(model, (), None, table))
        return
    say(f"{asked.results}: {len(files):,} rows" + f", {len(failed):,} without an answer" * bool(failed))
    for row in failed[:MOST_TOLD]:
        say(f"  {row['error']}")
    if len(failed) > MOST_TOLD:
        say(f"  and {len(failed) - MOST_TOLD:,} more")


def _failed(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("file", "error")}
