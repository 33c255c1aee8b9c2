"""Objects: for every target, without undefined symbols, and the same bytes from every process."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from cnncc.compiler import Compilation, resolve_target
from cnncc.ir import Graph
from cnncc.machine.routines import allowed
from cnncc.machine.target import TARGETS
from cnncc.objects import format_of
from cnncc.ops import (
    Add,
    AveragePool,
    BatchNormalization,
    Concat,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Relu,
    Softmax,
    Split,
)
from tests.graphs import Net, compilation
from tests.ops.cases import FLOAT_OPS

pytestmark = pytest.mark.combinations

OFTEN = ("host", "x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64", "cortex-m4", "cortex-m0plus", "wasm32-simd")
ALL_TARGETS = [*OFTEN, *(pytest.param(name, marks=pytest.mark.tools) for name in TARGETS if name not in OFTEN)]
ROOT = Path(__file__).parents[2]


@cache
def all_ops() -> Graph:
    """Every kernel family, with statistics and weights that arrive at run time too, and every op beside it."""
    net = Net()
    x = net.input(1, 6, 9, 11)
    variance = net.arrives(net.random(24) ** 2 + 0.5, "variance")
    y = net.apply(Conv((3, 3), padding="same"), x, net.weights(24, 6, 3, 3), net.weights(24))
    y = net.apply(BatchNormalization(), y, *(net.weights(24, arrive=True) for _ in range(3)), variance)
    y = net.apply(MaxPool((3, 3), 2, 1), net.apply(Relu(), y))
    y = net.apply(Conv((3, 3), padding=1, groups=24), y, net.weights(24, 1, 3, 3, arrive=True))
    left, right = net.builder.add(Split((8, 16)), (y,))
    left = net.apply(AveragePool((3, 3), 1, "same"), left)
    y = net.apply(Add(), y, net.apply(Concat(), right, left))
    flat = net.apply(Flatten(), net.apply(MaxPool((2, 2)), y))
    dense = net.apply(Dense(), flat, net.weights(10, net.shape(flat)[1]), net.weights(10))
    line = net.apply(Conv((3,), 2), net.input(1, 4, 30, name="line"), net.weights(5, 4, 3))
    beside = []
    for name, op in FLOAT_OPS.items():
        sample = next(op.samples())
        inputs = [net.builder.input(f"{name}{index}", type) for index, type in enumerate(sample.types)]
        beside.append(net.builder.add(sample.op, inputs)[0])
    return net.graph(net.apply(Softmax(), dense), y, line, *beside)


@cache
def compiled(target: str, checked: bool = False) -> Compilation:
    return compilation(all_ops(), target, checked=checked, precision="strict")


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("target", ALL_TARGETS)
def test_no_undefined_symbols(target: str, checked: bool) -> None:
    """But those of routines for floats, where there are none."""
    row, code = resolve_target(target), compiled(target, checked).object
    symbols = format_of(row).global_symbols(code)
    assert {symbol.name for symbol in symbols if not symbol.defined} <= allowed(row)
    names = {symbol.name for symbol in symbols if symbol.defined}
    assert names == {"net_run", "net_check", "net_workspace_bytes"}


def test_all_ops_are_there() -> None:
    assert {node.op.name for node in all_ops() if node.op.source is None} == set(FLOAT_OPS)


@pytest.mark.parametrize("target", ["x86-64-v2", "cortex-m4"])
def test_targets_without_vector_fma_call_no_library(target: str) -> None:
    if target == "x86-64-v2":
        assert "llvm.fma" not in compiled(target).llvm


def test_targets_without_atomics_have_one_shard() -> None:
    executable = compiled("cortex-m4").build()
    assert executable.max_shards == 1 and "atomic" not in compiled("cortex-m4").llvm


SCRIPT = """
import hashlib
from tests.codegen.test_objects import compiled
from tests.fuzz.generate import random_graph
from tests.graphs import compilation
made = [compiled(target) for target in ("host", "x86-64-v2", "aarch64")]
made += [compilation(random_graph(seed)[0], streaming="chains") for seed in range(12)]
for one in made:
    print(hashlib.sha256(one.llvm.encode()).hexdigest(), hashlib.sha256(one.object).hexdigest(),
          hashlib.sha256(one.plan.weights).hexdigest())
"""


def test_every_process_makes_the_same_bytes(tmp_path: Path) -> None:
    """Two processes, two hash seeds, two working folders: the same text, object and weights."""
    answers = []
    for seed in ("1", "77"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        answers.append(done.stdout)
    assert answers[0] == answers[1] and len(answers[0].splitlines()) == 15


def test_the_same_process_makes_the_same_bytes() -> None:
    again = compilation(all_ops(), precision="strict")
    digests = [hashlib.sha256(one.object).hexdigest() for one in (again, compiled("host"))]
    assert digests[0] == digests[1]


C_MAIN = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
typedef struct {{ uint32_t abi, fingerprint, apart, images, shard, shards; const void *const *inputs;
    void *const *outputs; void *workspace; const void *weights; void (*wait)(void *); void *wait_argument; }} call;
int net_run(const call *); int net_check(void);
static void *block(size_t size) {{ void *p = aligned_alloc(64, (size + 127) / 64 * 64); return p; }}
static void *file(const char *name, size_t size) {{
    void *p = block(size); FILE *f = fopen(name, "rb"); if (fread(p, 1, size, f) != size) exit(3); return p; }}
int main(void) {{
    const void *inputs[] = {{ {inputs} }}; void *outputs[] = {{ {outputs} }};
    static const size_t sizes[] = {{ {sizes} }};
    unsigned char *workspace = block({workspace}); for (size_t i = 0; i < {workspace}; i++) workspace[i] = 0;
    call c = {{ 2, {fingerprint}, 0, 1, 0, 1, inputs, outputs, workspace, file("weights", {weights}), 0, 0 }};
    if (net_check()) return 4;
    int code = net_run(&c);
    for (int i = 0; i < {count}; i++) fwrite(outputs[i], 1, sizes[i], stdout);
    return code;
}}
"""


@pytest.mark.tools
@pytest.mark.skipif(
    not (shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-gcc")), reason="needs qemu and a compiler"
)
def test_aarch64_under_emulation(tmp_path: Path) -> None:
    import numpy as np

    from tests.graphs import expected, worst_ratio

    net = Net()
    y = net.apply(Conv((3, 3), padding="same"), net.input(1, 6, 9, 11), net.weights(24, 6, 3, 3), net.weights(24))
    y = net.apply(Softmax(), net.apply(MaxPool((3, 3), 2, 1), net.apply(Relu(), y)))
    graph = net.graph(y)
    made = compilation(graph, "aarch64")
    executable = made.build()
    (tmp_path / "net.o").write_bytes(executable.object)
    (tmp_path / "weights").write_bytes(executable.weights)
    for port in executable.inputs:
        (tmp_path / port.name).write_bytes(net.feeds[port.name].tobytes())
    sizes = [port.type.nbytes for port in executable.outputs]
    main = C_MAIN.format(
        inputs=", ".join(f'file("{port.name}", {port.type.nbytes})' for port in executable.inputs),
        outputs=", ".join(f"block({size})" for size in sizes),
        sizes=", ".join(map(str, sizes)),
        workspace=executable.workspace_bytes(1),
        weights=len(executable.weights),
        fingerprint=executable.fingerprint,
        count=len(sizes),
    )
    (tmp_path / "main.c").write_text(main)
    subprocess.run(
        ["aarch64-linux-gnu-gcc", "-static", "main.c", "net.o", "-o", "main"], cwd=tmp_path, check=True, timeout=60
    )
    done = subprocess.run(["qemu-aarch64", "./main"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    found = np.frombuffer(done.stdout, np.float32).reshape(executable.outputs[0].shape)
    worst_ratio({"y0": found}, expected(made, net.feeds))
