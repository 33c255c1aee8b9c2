"""Header, code and weights of different compilations: each pair is refused, and no memory is touched."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import abi, alignment, sizes
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import NativeError
from cnncc.ir import Graph
from cnncc.native import load_object
from cnncc.ops import Conv, Flatten, MaxPool, Relu
from cnncc.plan import PlanOptions
from cnncc.runtime import artefacts, layout
from cnncc.runtime.executable import Executable
from cnncc.runtime.header import header
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import Net

from .support import EXAMPLES, OBJECTS, STRICT, build, needs_cc, write_digits

GUARD = 256
FILL = 0xA5


def pairs_of(count: int, seed: int) -> list[tuple[Compiled, Compiled]]:
    """Every pair of `count` compilations of networks of one name."""
    made = list(itertools.islice(compilations(np.random.default_rng(seed)), count))
    return list(itertools.product(made, made))


def compilations(random: np.random.Generator) -> Iterator[Compiled]:
    """Compilations that differ in sizes, weights or options, and may be alike in some of them."""
    while True:
        size, channels, seed = (int(random.choice(choices)) for choices in ((8, 9), (4, 8), (0, 1)))
        options = Options(
            resolve_target("host"),
            precision=str(random.choice(["fast", "strict"])),
            off=("fuse",) if random.random() < 0.3 else (),
            checked=bool(random.random() < 0.3),
            plan=PlanOptions(streaming=str(random.choice(["cost", "chains"]))),
        )
        yield Compiled(Compilation(network(size, channels, seed), options).build())


def network(size: int, channels: int, seed: int) -> Graph:
    net = Net(seed)
    x = net.input(1, 2, size, size)
    y = net.apply(Relu(), net.apply(Conv((3, 3)), x, net.weights(channels, 2, 3, 3)))
    return net.graph(net.apply(Flatten(), net.apply(MaxPool((2, 2), stride=(2, 2)), y)))


@dataclass
class Compiled:
    executable: Executable

    def __post_init__(self) -> None:
        self.code = load_object(self.executable.object)
        self.weights = alignment.aligned_bytes(self.executable.weights)
        address = self.code.address(f"{self.executable.symbol}_run")
        self.run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(address)

    def called_with(self, header: Executable, weights: Array) -> int:
        """The code of a call of a program that has another compilation's header: its sizes and its fingerprint.

        Memory is as large as that header says, between guards that have to stay as they are.
        """
        memory = {
            "x": _guarded(header.inputs[0].type.nbytes),
            "y": _guarded(header.outputs[0].type.nbytes),
            "workspace": _guarded(header.workspace_bytes(1)),
        }
        place = {name: int(array.ctypes.data) + GUARD for name, array in memory.items()}
        inputs, outputs = layout.pointers([place["x"]]), layout.pointers([place["y"]])
        call = layout.CallStruct(
            abi=abi.VERSION,
            fingerprint=header.fingerprint,
            images=1,
            shards=1,
            inputs=ctypes.addressof(inputs),
            outputs=ctypes.addressof(outputs),
            workspace=place["workspace"],
            weights=int(weights.ctypes.data),
        )
        code = int(self.run(ctypes.addressof(call)))
        for array in memory.values():
            assert (array[:GUARD] == FILL).all() and (array[-GUARD:] == FILL).all()
            assert code == 0 or not array[GUARD:-GUARD].any()
        return code


def _guarded(size: int) -> Array:
    array = alignment.aligned(size + 2 * GUARD)[: size + 2 * GUARD]
    array[:GUARD] = array[-GUARD:] = FILL
    return array


def expect_refused(pairs: list[tuple[Compiled, Compiled]]) -> int:
    """How many of the pairs were refused, of header and object as well as of object and weights."""
    refused = 0
    for one, other in pairs:
        alike = one.executable.object == other.executable.object and one.executable.weights == other.executable.weights
        wanted = abi.ErrorCode.OK if alike else abi.ErrorCode.WRONG_FINGERPRINT
        assert one.called_with(other.executable, one.weights) == wanted
        assert one.called_with(one.executable, other.weights) == wanted
        refused += not alike
    return refused


def test_a_header_of_another_compilation_is_refused() -> None:
    assert expect_refused(pairs_of(16, 0)) > 100


def test_weights_of_a_loaded_library_are_checked() -> None:
    """Also those that Python hands over."""
    one, other = (Compilation(network(8, 4, seed), Options(resolve_target("host"))).build() for seed in (0, 1))
    mixed = Model(replace(other, weights=one.weights))
    with pytest.raises(NativeError, match=r"error 7: header, code and weights are not of one compilation$"):
        mixed(np.zeros((1, 2, 8, 8), np.float32))


def test_fingerprints_stand_in_header_manifest_and_weights() -> None:
    executable = Compilation(network(8, 4, 0), Options(resolve_target("host"))).build()
    assert f"_FINGERPRINT {executable.fingerprint}\n" in header(executable)
    assert int.from_bytes(bytes(executable.weights)[: abi.WORD_BYTES], "little") == executable.fingerprint
    again = Compilation(network(8, 4, 0), Options(resolve_target("host"))).build()
    assert again == executable and 0 < executable.fingerprint < 2**31


def test_a_block_of_weights_has_room_for_all_programs() -> None:
    assert sizes.MOST * abi.WORD_BYTES <= abi.WEIGHTS_HEADER_BYTES


@pytest.mark.parametrize(("shards", "possible"), [(0, False), (1, True), (64, True), (65, False), (2**32 - 1, False)])
def test_the_workspace_of_an_impossible_number_of_shards(shards: int, possible: bool) -> None:
    executable = Compilation(network(8, 4, 0), Options(resolve_target("host"))).build()
    code = load_object(executable.object)
    size = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_uint32)(code.address(f"{executable.symbol}_workspace_bytes"))
    assert size(shards) == (executable.workspace_bytes(shards) if possible else 0)


ANOTHER = """
#include <stdio.h>
#include "digits.h"
static _Alignas(64) unsigned char memory[DIGITS_WORKSPACE_BYTES + 64];
int main(void)
{
    float x[DIGITS_INPUT_SIZE] = {0}, y[DIGITS_OUTPUT_SIZE] = {0};
    printf("%d ", digits_infer(x, y, memory) == CNNCC_WRONG_FINGERPRINT);
    for (int i = 0; i < (int)sizeof memory; i++)
        if (memory[i]) return 1;
    return 0;
}
"""


@needs_cc
def test_a_program_with_an_older_header(tmp_path: Path) -> None:
    write_digits(tmp_path, "host")
    strict = Compilation(
        cnncc.load_graph(EXAMPLES / "digits.py"), Options(resolve_target("host"), precision="strict")
    ).build()
    artefacts.write(strict, tmp_path, ("h",))
    (tmp_path / "main.c").write_text(ANOTHER)
    program = build(tmp_path, "cc", "-std=c11", *STRICT, "main.c", *OBJECTS, output="main")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "1 ")


@needs_cc
def test_the_pool_of_threads(tmp_path: Path) -> None:
    """The example: threads that stay, and call again without waiting for each other."""
    write_digits(tmp_path, "host")
    shutil.copy(EXAMPLES / "embed" / "threads.c", tmp_path)
    program = build(tmp_path, "cc", "-std=c11", *STRICT, "-pthread", "threads.c", "libdigits.a", output="threads")
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (
        0,
        "50 calls of 4 images by 2 threads: 50 with the bits of one thread\n",
    )


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"{expect_refused(pairs_of(number, 1)):,} of {number**2:,} pairs are of different compilations: all refused")
