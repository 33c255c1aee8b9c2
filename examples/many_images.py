"""Classifies the pictures of a folder on all workers of a Dask or Ray cluster, and writes a table.

    pip install "cnncc[images,sweep]"
    python examples/many_images.py MODEL FOLDER -o results.csv [--batch 256] [--address tcp://SCHEDULER:8786]
    pip install "cnncc[images]" ray
    python examples/many_images.py MODEL FOLDER -o results.csv --ray [--address auto]

Without an address, this machine's cores are the cluster. The model travels pickled: its graph and weights, never
machine code, so each worker compiles it once for the processor that it has. Every worker needs cnncc, and the folder
under the same path. On one machine, `cnncc run MODEL FOLDER -o results.csv --jobs 2` does the same without a cluster.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cnncc

Row = tuple[str, int | None, float | None, str]
HEADS = "file", "class", "score", "error"
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def rows(model: cnncc.Model, files: Sequence[str]) -> list[Row]:
    """The best class of each file; it runs on a worker."""
    found: list[Row] = []
    for answer in cnncc.map(model, files, batch=len(files), resize=True):
        scores = next(iter(answer.outputs.values()), None)
        best = None if scores is None else int(scores.argmax())
        found.append((answer.file, best, None if best is None or scores is None else float(scores[best]), answer.error))
    return found


def by_dask(address: str | None, model: cnncc.Model, parts: Sequence[Sequence[str]]) -> Iterator[list[Row]]:
    from distributed import Client

    with Client(address) if address else Client(threads_per_worker=1, dashboard_address=None) as client:
        everywhere = client.scatter(model, broadcast=True)
        yield from client.gather(client.map(lambda part, model: rows(model, part), parts, model=everywhere))


def by_ray(address: str | None, model: cnncc.Model, parts: Sequence[Sequence[str]]) -> Iterator[list[Row]]:
    import ray

    ray.init(address=address, include_dashboard=False, log_to_driver=False)
    try:
        everywhere, remote = ray.put(model), ray.remote(rows)
        yield from ray.get([remote.remote(everywhere, part) for part in parts])
    finally:
        ray.shutdown()


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="model script or ONNX file")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", dest="results", required=True, help="the table, as CSV")
    parser.add_argument("--batch", type=int, default=256, help="files that a worker takes at a time")
    parser.add_argument("--ray", action="store_true", help="Ray in place of Dask")
    parser.add_argument("--address", help="of a scheduler that runs already")
    asked = parser.parse_args(words)
    files = sorted(str(file) for file in asked.folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    parts = [files[start : start + asked.batch] for start in range(0, len(files), asked.batch)]
    spread: Callable[..., Iterator[list[Row]]] = by_ray if asked.ray else by_dask
    with cnncc.compile(asked.model) as model, open(asked.results, "w", newline="") as stream:
        table: Any = csv.writer(stream)
        table.writerow(HEADS)
        for part in spread(asked.address, model, parts):
            table.writerows(part)
    print(f"{asked.results}: {len(files):,} rows")


if __name__ == "__main__":
    main()
