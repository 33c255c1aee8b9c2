"""A folder from its files to a file of results, gone on with where it was left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import InputError, UsageError
from ..runtime.model import Model
from .journal import Journal, Row, journal_of
from .mapping import AnyModel, Read, expect_mappable, mapped
from .results import expect_writer, write_results
from .table import Table

PICTURES = (".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".npy", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""How files end that are taken from a folder."""


@dataclass(frozen=True)
class Work:
    """How the files become results. `resume` goes on where a run ended, `force` forgets what is there."""

    results: Path
    batch: int = 32
    jobs: int = 1
    top: int = 1
    resume: bool = False
    force: bool = False

    def expect_possible(self) -> None:
        """Raise UsageError or OutputError for what can be known before anything is compiled or read."""
        expect_writer(self.results)
        if self.force:
            return
        if self.results.exists():
            raise UsageError(f"'{self.results}' exists: --force replaces it")
        if journal_of(self.results).exists() and not self.resume:
            begun = f"'{journal_of(self.results)}' has the rows of a run that did not end"
            raise UsageError(f"{begun}: --resume goes on, --force begins anew")


def files_of(paths: Iterable[str]) -> list[Path]:
    """The files, and of a folder all pictures and arrays in and below it, in the order of their paths.

    Raises InputError for a folder without any.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(each for each in path.rglob("*") if each.suffix.lower() in PICTURES and each.is_file())
        if not inside:
            raise InputError(f"folder '{path}' holds no picture and no .npy file")
        found += inside
    return list(dict.fromkeys(found))


def work_off(
    model: AnyModel, files: Sequence[Path], read: Read, work: Work, progress: Callable[[float, str], None]
) -> list[Row]:
    """Answer all files and write the results; the answer is the rows of files that could not be read.

    Raises UsageError for a model that maps no files, or rows of another run; InputError if no file could be read;
    OutputError if rows or results cannot be written, which leaves the finished rows in the journal.
    """
    expect_mappable(model)
    table = Table(model, work.top)
    made_by = {"model": model.name, "columns": " ".join(table.columns), **_identity(model)}
    failed: list[Row] = []
    with Journal(work.results, made_by, work.resume and not work.force) as journal:
        left = [file for file in files if str(file) not in journal.finished]
        done = len(files) - len(left)
        with closing(mapped(model, left, read, batch=work.batch, jobs=work.jobs)) as answers:
            while group := [table.row(answer) for answer in islice(answers, work.batch)]:
                journal.write(group)
                failed += [row for row in group if row["error"] is not None]
                done += len(group)
                progress(done / len(files), f"{done:,} of {len(files):,}, {group[-1]['file']}")
        if len(failed) == len(files):
            journal.remove()
            raise InputError(f"none of {len(files):,} files could be read: {failed[0]['error']}")
        write_results(work.results, table.columns, (journal.row(str(file)) for file in files))
        journal.remove()
    return failed


def _identity(model: AnyModel) -> Row:
    """What tells a model from another of its name."""
    return {"fingerprint": f"{model.executable.fingerprint:016x}"} if isinstance(model, Model) else {}
