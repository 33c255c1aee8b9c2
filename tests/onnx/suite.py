"""Compile whole folders of ONNX models and compare them with what lies beside them.

    python -m tests.onnx.suite DIR_OR_FILE… [--interpret] [--strict] [--limit 1e-4]

Beside each NAME.onnx stands NAME.npz: arrays `in:INPUT` and `out:OUTPUT`, or `x` and `y` for the only ones. The
error is the largest difference over the range of the reference. Exit code 1 if a model fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import cnncc
from cnncc.errors import CnnccError
from cnncc.ir import Graph
from cnncc.types import Array


@dataclass(frozen=True)
class Row:
    """What became of one model; `error` is the largest of its outputs' errors, or a sentence."""

    name: str
    layers: int
    seconds: float
    error: float | str


def references(file: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs and outputs by name; '' for the only one."""
    with np.load(file.with_suffix(".npz")) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if "x" in arrays:
        return {"": arrays["x"]}, {"": arrays["y"]}
    return tuple(  # type: ignore[return-value]
        {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}
        for start in ("in:", "out:")
    )


def loaded(file: Path, feeds: dict[str, Array]) -> Graph:
    """The model for the shapes of its reference inputs."""
    return cnncc.load_graph(file, {name: array.shape for name, array in feeds.items() if name})


def difference(actual: Array, expected: Array) -> float:
    if actual.shape != expected.shape:
        return float("inf")
    span = float(expected.max() - expected.min()) or float(np.abs(expected).max()) or 1.0
    return float(np.abs(actual - expected).max()) / span


def check(file: Path, interpret: bool, precision: str) -> Row:
    feeds, expected = references(file)
    begin = time.perf_counter()
    layers = 0
    try:
        graph = loaded(file, feeds)
        layers = sum(node.op.source is None for node in graph)
        arrays = [np.ascontiguousarray(feeds.get(name, feeds.get("")), np.float32) for name in graph.inputs]
        run: Callable[..., Any] = (
            (lambda *x: cnncc.interpret(graph, *x))
            if interpret
            else cnncc.compile(graph, precision=precision, cache=False)
        )
        results = run(*arrays)
        found = dict(zip(graph.outputs, results if isinstance(results, tuple) else (results,), strict=True))
        error: float | str = max(
            difference(found[name] if name else next(iter(found.values())), array) for name, array in expected.items()
        )
    except CnnccError as problem:
        error = f"{type(problem).__name__}: {problem}"
    except Exception as problem:  # a mistake of ours in one model should not hide the others
        error = f"{type(problem).__name__}: {problem}"
    return Row(file.stem, layers, time.perf_counter() - begin, error)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--interpret", action="store_true", help="the interpreter instead of native code")
    parser.add_argument("--strict", action="store_true", help="compile with precision='strict'")
    parser.add_argument("--limit", type=float, default=1e-4, help="largest error over the output's range")
    options = parser.parse_args()
    files = [f for path in options.paths for f in (sorted(path.glob("*.onnx")) if path.is_dir() else [path])]
    failed = 0
    for file in files:
        row = check(file, options.interpret, "strict" if options.strict else "fast")
        good = isinstance(row.error, float) and row.error <= options.limit
        failed += not good
        told = f"{row.error:.1e}" if isinstance(row.error, float) else row.error[:300]
        print(
            f"{'ok  ' if good else 'FAIL'} {row.name:32} {row.layers:4} layers {row.seconds:6.1f} s  {told}", flush=True
        )
    print(f"{len(files) - failed} of {len(files)} within {options.limit:g} of the output's range")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
