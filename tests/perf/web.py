"""Modules of WebAssembly beside onnxruntime-web, in Node.js: both with SIMD and one thread, in turns in one process.

    python -m tests.perf.web ONNXRUNTIME_WEB MODEL.onnx… [--seconds 0.1] [--node node] [--target wasm32-simd]

ONNXRUNTIME_WEB is the folder of that package, as `npm install onnxruntime-web` makes it in node_modules. Times are
medians of 7 turns of so many seconds, and the ratio is the median of the turns' ratios. The peak is that of
multiplications and additions in the same process. Winograd's convolutions may exceed it: the share counts the
multiply-adds of the definition.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cnncc
from cnncc import native
from cnncc.codegen.llvm.emitter import LlvmEmitter
from cnncc.codegen.macs import accumulate, nothing
from cnncc.codegen.registers import FLOAT, POINTER
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.machine.target import Target
from cnncc.objects.wasm_library import standalone
from cnncc.runtime import artefacts

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ROOT / "examples" / "embed" / "web" / "network.mjs"
HEADS = f"{'model':30} {'ms':>8} {'theirs':>8} {'times':>6} {'of peak':>8} {'apart':>8}"

FACTORS, VECTORS = 4, 2  # of a turn: with their sums and a product they fit into V8's registers
READ = 16  # vectors of which a turn reads two


def emit_peak(target: Target) -> str:
    """`void peak(float *data, intptr count)`: in each turn, each of two vectors times each factor is added to a sum.

    That is the inner loop of a convolution whose scalars are in registers.
    """
    e, lanes = LlvmEmitter(target), target.lanes
    sums = [nothing(e, lanes)] * (FACTORS * VECTORS)
    with e.function("peak", [(POINTER, "data"), (e.index_type, "count")]) as (data, count):
        factors = [e.splat(e.load(FLOAT, e.address(data, place)), lanes) for place in range(FACTORS)]
        with e.loop(0, count, carry=sums) as loop:
            begin = e.mul(e.mask(loop.index, READ - VECTORS), lanes)
            places = [e.address(data, e.add(begin, number * lanes)) for number in range(VECTORS)]
            pairs = itertools.product([e.load(FLOAT.wide(lanes), place) for place in places], factors)
            loop.next([accumulate(e, *pair, total) for pair, total in zip(pairs, loop.values, strict=True)])
        for place, total in enumerate(loop.results):
            e.store(total, e.address(data, place * lanes))
        e.ret()
    return e.module()


def write(model: Path, target: Target, folder: Path) -> int:
    """The module and manifest of a model, and the model itself, under its name; its multiply-adds."""
    compilation = Compilation(cnncc.load_graph(model), Options(target))
    paths = artefacts.write(compilation.executable(), folder, ["wasm", "json"])
    paths["json"].rename(folder / f"{model.stem}.json")
    shutil.copy(model, folder / f"{model.stem}.onnx")
    graph = compilation.optimised.graph
    return sum(node.op.cost(*graph.types(node.inputs)).macs for node in graph if node.op.source is None)


def in_turns(arguments: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """What the script measures: the peak, then each model."""
    script, names = Path(__file__).with_suffix(".mjs"), [model.stem for model in arguments.models]
    command = [arguments.node, script, NETWORK, arguments.ort.resolve(), folder, str(arguments.seconds), *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from map(json.loads, process.stdout)
    if process.returncode:
        raise SystemExit(f"{arguments.node} ended with code {process.returncode}")


def main(words: Sequence[str]) -> None:
    """Print a row for each model, and the geometric mean of the ratios."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.web", description=__doc__)
    parser.add_argument("ort", type=Path, metavar="ONNXRUNTIME_WEB")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.onnx")
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--node", default="node")
    parser.add_argument("--target", default="wasm32-simd", type=resolve_target)
    arguments = parser.parse_args(words)
    if shutil.which(arguments.node) is None:
        parser.error(f"not installed: {arguments.node}")
    with tempfile.TemporaryDirectory() as name:
        folder, target = Path(name), arguments.target
        code = native.emit_object(emit_peak(target), target)
        data = {"data": bytes(4 * target.lanes * READ)}
        (folder / "peak.wasm").write_bytes(standalone(code, ["peak"], data))
        products = {model.stem: write(model, target, folder) for model in arguments.models}
        rows = in_turns(arguments, folder)
        best = next(rows)
        most = best["count"] * FACTORS * VECTORS * target.lanes / best["ms"]  # of a millisecond
        print(f"peak of multiplications and additions: {most / 1e6:.1f} G multiply-adds a second\n{HEADS}")
        ratios = []
        for row in rows:
            share = products[row["name"]] / row["ours"] / most
            ratios.append(row["ratio"])
            times = f"{row['ours']:8.3f} {row['theirs']:8.3f} {row['ratio']:6.2f}"
            print(f"{row['name']:30} {times} {share:8.0%} {row['apart']:8.1e}", flush=True)
    print(f"geometric mean: {statistics.geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
