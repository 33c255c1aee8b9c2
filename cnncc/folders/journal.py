"""The rows that are finished, one JSON object a line, appended while a folder is worked on.

`results.csv` has the journal `results.csv.part` until all is done. Whatever ends the work (Ctrl-C, a full disk, a
power cut), the finished rows are in it; a line that was cut off is left out. The first line says what made it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

from ..errors import OutputError, UsageError

Row = Mapping[str, Any]


class Journal:
    """A file of rows, open for more of them. `finished` has the place of each file's row.

    Raises UsageError where `resume` finds the rows of another model or other columns, OutputError for a file that
    cannot be written.
    """

    def __init__(self, results: Path, made_by: Row, resume: bool):
        self.results, self.path = results, journal_of(results)
        self.finished: dict[str, int] = {}
        try:
            self._stream: BinaryIO = self.path.open("r+b" if resume and self.path.exists() else "w+b")
        except OSError as error:
            raise self._failed(error) from None
        try:
            if self._recall(made_by) == 0:
                self._append(made_by)
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what could not be written a moment ago
            self._stream.close()

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows, each with its `file`, and hand them to the system. Raises OutputError if that fails."""
        places = {str(row["file"]): self._append(row) for row in rows}
        try:
            self._stream.flush()
        except OSError as error:
            raise self._failed(error) from None
        self.finished |= places

    def row(self, file: str) -> Row:
        """The row of a finished file."""
        self._stream.seek(self.finished[file])
        found: Row = json.loads(self._stream.readline())
        return found

    def remove(self) -> None:
        self._stream.close()
        self.path.unlink(missing_ok=True)

    def _recall(self, made_by: Row) -> int:
        """Find the rows that are there, and forget a line that was cut off; the answer is the bytes that stay."""
        place = 0
        for line in self._stream:
            row = _parsed(line)
            if row is None:
                break
            if place == 0 and row != made_by:
                raise UsageError(
                    f"'{self.path}' was begun with {_told(row)}, this is {_told(made_by)}: --force begins anew"
                )
            if place and row.get("error") is None:  # files that could not be read are tried again
                self.finished[str(row["file"])] = place
            place += len(line)
        self._stream.truncate(place)
        return place

    def _append(self, row: Row) -> int:
        try:
            place = self._stream.seek(0, os.SEEK_END)
            self._stream.write(json.dumps(row).encode() + b"\n")
        except OSError as error:
            raise self._failed(error) from None
        return place

    def _failed(self, error: OSError) -> OutputError:
        kept = f"; {len(self.finished)} finished rows are in it, --resume goes on" if self.finished else ""
        return OutputError(f"cannot write '{self.path}': {error.strerror or error}{kept}")


def journal_of(results: Path) -> Path:
    return results.with_name(results.name + ".part")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The row of a whole line; None of one that was cut off."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _told(made_by: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in made_by.items())
