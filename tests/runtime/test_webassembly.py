"""Modules of WebAssembly, made without a linker: what they export, and what they compute under node."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc import native
from cnncc.compiler import Compilation, Options
from cnncc.errors import NativeError, OutputError
from cnncc.ir import Builder
from cnncc.machine.target import TARGETS
from cnncc.objects.wasm_library import STACK_BYTES, standalone
from cnncc.objects.wasm_pieces import GLOBALS, MAGIC, MEMORIES, Reader, constant, leb, part, parts, text
from cnncc.ops import Add
from cnncc.runtime import artefacts
from cnncc.types import TensorType

from . import toy

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits.py"
BOTH = ("wasm32", "wasm32-simd")
WASM = TARGETS["wasm32"]
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="not installed: node")

CALL = """
import { readFileSync, writeFileSync } from "node:fs";
const [, , network, folder, manifest, calls] = process.argv;
const { Network } = await import(network);
const told = JSON.parse(readFileSync(`${folder}/${manifest}.json`));
const model = await Network.start(readFileSync(`${folder}/${told.files.wasm}`), told);
const all = told.inputs.map((_, place) => new Float32Array(new Uint8Array(readFileSync(`${folder}/x${place}`)).buffer));
for (let call = 0; call < calls; call++) {
  const outputs = model.run(...all.map((x, place) => {
    const { size } = model.inputs[place];
    return x.subarray(call * size, (call + 1) * size);
  }));
  outputs.forEach((y, place) => writeFileSync(`${folder}/y${place}`, y, { flag: "a" }));
}
"""


def in_node(folder: Path, name: str, *inputs: np.ndarray) -> np.ndarray:
    """The first output of a call for each image, by the class of the examples."""
    (folder / "call.mjs").write_text(CALL)
    for place, x in enumerate(inputs):
        x.tofile(folder / f"x{place}")
    network = ROOT / "examples" / "embed" / "web" / "network.mjs"
    command: list[str | Path] = ["node", folder / "call.mjs", network, folder, name, str(len(inputs[0]))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return np.fromfile(folder / "y0", np.float32)


@needs_node
@pytest.mark.parametrize("target", BOTH)
def test_a_module_computes_what_the_interpreter_does(target: str, tmp_path: Path) -> None:
    compilation = Compilation(cnncc.load_graph(DIGITS), Options(TARGETS[target]))
    artefacts.write(compilation.executable(), tmp_path, ["wasm", "json"])
    images = np.load(DIGITS.parent / "digits" / "held_out.npz")["images"][:20, None] / np.float32(255)
    wanted = cnncc.interpret(DIGITS, images)
    np.testing.assert_allclose(in_node(tmp_path, "digits", images).reshape(wanted.shape), wanted, atol=1e-5)


@needs_node
def test_several_inputs(tmp_path: Path) -> None:
    artefacts.write(toy.executable(n_in=2, target=WASM), tmp_path, ["wasm", "json"])
    x = toy.images(3)
    np.testing.assert_array_equal(in_node(tmp_path, "toy", x, x).reshape(3, -1), toy.expected(x, x))


@needs_node
def test_states_begin_as_they_should_and_stay(tmp_path: Path) -> None:
    builder = Builder("counter")
    x = builder.input("x", TensorType((1, 3, 5)))
    total = builder.state(np.full((1, 3, 5), 7, np.float32), "total")
    (builder.updates["total"],) = builder.add(Add(), (total, x))
    graph = builder.graph({"y": builder.add(Add(), (total, x))[0]})
    artefacts.write(Compilation(graph, Options(TARGETS["wasm32"])).build(), tmp_path, ["wasm", "json"])
    images = np.arange(60, dtype=np.float32).reshape(4, 3, 5)
    np.testing.assert_array_equal(in_node(tmp_path, "counter", images), 7 + np.cumsum(images, 0).reshape(-1))


def test_each_program_of_a_library_has_a_module(tmp_path: Path) -> None:
    programs = [dataclasses.replace(toy.executable(name=name, target=WASM), library="both") for name in ("a", "b")]
    paths = artefacts.write(programs, tmp_path, ["wasm", "o"])
    assert {role: path.name for role, path in paths.items() if role.startswith("wasm")} == {
        "wasm a": "a.wasm",
        "wasm b": "b.wasm",
    }
    assert text("b_run") in paths["wasm b"].read_bytes() and text("both_weights") in paths["wasm a"].read_bytes()


def test_the_bytes_are_the_same_from_two_runs() -> None:
    first, second = (
        artefacts._module(Compilation(cnncc.load_graph(DIGITS), Options(TARGETS["wasm32-simd"])).build())
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("target", ["host", "cortex-m4", "windows-x86-64"])
def test_other_targets_have_no_module(target: str, tmp_path: Path) -> None:
    executable = toy.executable(target=None if target == "host" else TARGETS[target])
    told = f"^cnncc writes no module of WebAssembly for target '{executable.target.name}': compile for wasm32 or wasm32"
    with pytest.raises(OutputError, match=told):
        artefacts.write(executable, tmp_path / "new", ["h", "wasm"])
    assert not list(tmp_path.iterdir())
    assert "wasm" not in artefacts.kinds_for(executable.target) and "wasm" in artefacts.kinds_for(WASM)


USES_STACK = """
define i32 @f(i32 %a) {
  %p = alloca [64 x i32]
  %q = getelementptr i32, ptr %p, i32 %a
  store volatile i32 %a, ptr %q
  %r = load volatile i32, ptr %q
  ret i32 %r
}
define i32 @deep(i32 %a) {
  %p = alloca [40000 x i32]
  store volatile i32 %a, ptr %p
  %r = load volatile i32, ptr %p
  ret i32 %r
}
@table = constant [3 x i32] [i32 5, i32 6, i32 7]
define i32 @element(i32 %a) {
  %q = getelementptr i32, ptr @table, i32 %a
  %r = load i32, ptr %q
  ret i32 %r
}
"""
TELL = """
const module = new WebAssembly.Module(require("fs").readFileSync(process.argv[1]));
const { exports } = new WebAssembly.Instance(module);
const at = (symbol) => exports[symbol].value;
const bytes = (symbol, size) => Buffer.from(exports.memory.buffer, at(symbol), size).toString();
console.log(exports.f(40), exports.element(2), at("held"), bytes("held", 3), at("more") - at("held"));
console.log(at("__heap_base"), exports.memory.buffer.byteLength, WebAssembly.Module.imports(module).length);
try { exports.deep(1); } catch (error) { console.log(error.message); }
"""


@needs_node
def test_stack_and_data(tmp_path: Path) -> None:
    """An object that has both; a stack that is too small stops at the address 0."""
    data = {"held": b"abc", "more": bytes(70000)}
    code = standalone(native.emit_object(USES_STACK, WASM), ["f", "deep", "element"], data)
    (tmp_path / "f.wasm").write_bytes(code)
    done = subprocess.run(
        ["node", "-e", TELL, tmp_path / "f.wasm"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    held = 64 + STACK_BYTES
    end = held + 64 + -(-70000 // 64) * 64
    first, second, third = done.stdout.splitlines()
    assert first == f"40 7 {held} abc 64"
    assert second == f"{end} {-(-end // 65536) * 65536} 0"
    assert third == "memory access out of bounds"


def test_objects_that_are_no_modules() -> None:
    code = native.emit_object("define void @f() { ret void }", WASM)
    with pytest.raises(NativeError, match=r"^the object does not define 'g'$"):
        standalone(code, ["g"], {})
    calls = native.emit_object("declare void @g()\ndefine void @f() { call void @g() ret void }", WASM)
    with pytest.raises(NativeError, match=r"^the object imports 'g', which a module by itself does not have$"):
        standalone(calls, ["f"], {})
    pointer = "@p = constant ptr @f\ndefine void @f() { %g = load ptr, ptr @p\n call void %g() ret void }"
    with pytest.raises(NativeError, match=r"^the object has a section 'element', and a module is made of others$"):
        standalone(native.emit_object(pointer, WASM), ["f"], {})
    with pytest.raises(NativeError, match=r"^the object has a section 'memory', and a module is made of others$"):
        standalone(code + part(MEMORIES, b"\1\0\1"), ["f"], {})
    for size in range(len(MAGIC) + 1, code.index(text("linking")), 7):
        with pytest.raises(NativeError):
            standalone(code[:size], ["f"], {})
    with pytest.raises(NativeError, match=r"^not a WebAssembly module$"):
        standalone(b"\x7fELF", ["f"], {})


@pytest.mark.parametrize(
    "number", [0, 1, 63, 64, 65, 127, 128, 8191, 8192, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
)
def test_addresses_are_signed_numbers(number: int) -> None:
    """The bits of 32 come back, and no number is longer than it has to be."""
    head, *digits, last, end = constant(number)
    assert (head, end) == (0x41, 0x0B) and all(digit & 0x80 for digit in digits) and last < 0x80
    value = sum((digit & 0x7F) << 7 * place for place, digit in enumerate([*digits, last]))
    value -= (1 << 7 * len([*digits, last])) if last & 0x40 else 0
    assert value % (1 << 32) == number and len(digits) < 5
    assert Reader(leb(number)).number() == number


def test_a_module_has_the_functions_of_its_manifest(tmp_path: Path) -> None:
    paths = artefacts.write(toy.executable(target=WASM), tmp_path, ["a", "wasm", "h", "json"])
    told, code = json.loads(paths["json"].read_text()), paths["wasm"].read_bytes()
    assert told["files"]["wasm"] == "toy.wasm"
    assert all(text(name) in code for name in (*told["functions"].values(), told["weights_symbol"], "memory"))
    assert GLOBALS in dict(parts(code)) and 0 not in dict(parts(code))
