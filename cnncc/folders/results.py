"""Files of results: CSV, JSON lines, or Parquet (extra `parquet`), written whole when all rows are there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import OutputError, UsageError
from ..files import write_whole
from .journal import Row

Write = Callable[[BinaryIO, Sequence[str], Iterable[Row]], None]


def is_table(path: str) -> bool:
    """Whether a file of this name holds rows."""
    return Path(path).suffix in WRITERS


def expect_writer(path: Path) -> None:
    """Raise UsageError unless the name ends as some format does, OutputError if a library for it is missing."""
    if path.suffix not in WRITERS:
        raise UsageError(f"-o '{path}' must end in {', '.join(WRITERS)}")
    if path.suffix == ".parquet":
        _pyarrow()


def write_results(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write all rows. Raises OutputError if that fails, and leaves what stood under the name."""
    write_whole(path, "results", lambda stream: WRITERS[path.suffix](stream, columns, rows))


def _csv(stream: BinaryIO, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Lists are JSON in a cell; a cell without a value is empty."""
    text = io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([json.dumps(cell) if isinstance(cell, list) else cell for cell in _cells(row, columns)])
    text.flush()
    text.detach()


def _json_lines(stream: BinaryIO, columns: Sequence[str], rows: Iterable[Row]) -> None:
    for row in rows:
        told = dict(zip(columns, _cells(row, columns), strict=True))
        stream.write(json.dumps(told).encode() + b"\n")


def _parquet(stream: BinaryIO, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Numbers that are text in JSON are floats again."""
    arrow = _pyarrow()
    cells = {name: [] for name in columns}  # type: dict[str, list[Any]]
    for row in rows:
        for name, cell in zip(columns, _cells(row, columns), strict=True):
            cells[name].append(cell if name in ("file", "error") else _floats(cell))
    import_module("pyarrow.parquet").write_table(arrow.table(cells), stream)


def _floats(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_floats(each) for each in cell]
    return float(cell) if cell in ("NaN", "Infinity", "-Infinity") else cell


def _cells(row: Row, columns: Sequence[str]) -> list[Any]:
    return [row.get(name) for name in columns]


def _pyarrow() -> Any:
    try:
        return import_module("pyarrow")
    except ImportError:
        raise OutputError("a .parquet file needs pyarrow: pip install 'cnncc[parquet]'") from None


WRITERS: dict[str, Write] = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
