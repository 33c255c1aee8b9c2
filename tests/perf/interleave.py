"""Run a harness that measures one engine on one model, so that all engines take turns, several times over.

    python -m tests.perf.interleave RUN.py RESULTS.jsonl --engines cnncc,onnxruntime,… [--repeats 5] [--threads 1,2]

`RUN.py --engines A,B --models M --threads T --again --results FILE` has to append one JSON line for each engine:
engine, model, threads, status ('ok'), median_us, error, version. Its environment is ours. For every repeat and model
all engines run one after the other, beginning with another one each time, so that a machine that changes its pace meets
all alike; every repeat stays in the file. What is there already is not run again: an interrupted session goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnncc.compiler import resolve_target
from cnncc.measure.peak import Peak


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    models = arguments.models or list(json.loads(arguments.suite.read_text()))
    append(arguments.results, {"machine": machine(), "cores": os.cpu_count(), "python": platform.python_version()})
    peak = Peak(resolve_target("host"))
    for repeat in range(arguments.repeats):
        for threads in arguments.threads:
            for model in models:
                append(arguments.results, {"peak": "multiply-adds", "cores": 1, "value": peak.measure() / 1e9})
                done = counts(arguments.results)
                engines = rotated(arguments.engines, repeat + models.index(model))
                left = [engine for engine in engines if done[engine, model, threads] <= repeat]
                if left:
                    run(arguments, left, model, threads)


def run(arguments: argparse.Namespace, engines: Sequence[str], model: str, threads: int) -> None:
    command = [arguments.python, str(arguments.run), "--engines", ",".join(engines), "--models", model]
    command += ["--threads", str(threads), "--seconds", str(arguments.seconds), "--results", str(arguments.results)]
    subprocess.run([*command, "--again"], check=True)


def rotated(engines: Sequence[str], places: int) -> list[str]:
    places %= len(engines)
    return [*engines[places:], *engines[:places]]


def counts(results: Path) -> Counter[tuple[str, str, int]]:
    """How often each engine, model and number of threads was run."""
    lines = map(json.loads, results.read_text().splitlines())
    return Counter((line["engine"], line["model"], line["threads"]) for line in lines if "engine" in line)


def append(results: Path, record: dict[str, Any]) -> None:
    with results.open("a") as file:
        print(json.dumps(record), file=file)


def machine() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _parser() -> argparse.ArgumentParser:
    models = Path(os.environ.get("PEERS_DIR", ".")) / "models"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN.py")
    parser.add_argument("results", type=Path, metavar="RESULTS.jsonl")
    parser.add_argument("--engines", type=lambda text: text.split(","), required=True, metavar="NAME,…")
    parser.add_argument("--models", type=lambda text: text.split(","), metavar="NAME,…", help="default: the suite's")
    parser.add_argument("--suite", type=Path, default=models / "suite.json", help="names and sizes of the models")
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1], metavar="N,…")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the engines")
    return parser


if __name__ == "__main__":
    main()
