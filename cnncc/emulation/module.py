"""A program for node: the object as a module of WebAssembly, its memory, and a script that goes through the table."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping

from .. import abi
from ..objects.wasm_module import module
from .program import Program
from .starts import COLUMNS, NODE_CALLS

_SCRIPT = """\
const { writeSync } = require("node:fs");
const decoded = (text) => Buffer.from(text, "base64");
const first = FIRST, size = SIZE;
const memory = new WebAssembly.Memory({ initial: first / 65536 }); // data that reaches further is an error
const env = {
  __linear_memory: memory,
  __stack_pointer: new WebAssembly.Global({ value: "i32", mutable: true }, STACK),
  __indirect_function_table: new WebAssembly.Table({ initial: 64, element: "anyfunc" }),
};

function write(start, end) {
  for (let at = start; at < end; )
    at += writeSync(1, new Uint8Array(memory.buffer, at, end - at));
}

function main() {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(decoded("MODULE")), { env });
  const functions = NAMES.map((name) => exports[name]);
  memory.grow(Math.ceil(size / 65536));
  new Uint8Array(memory.buffer).set(decoded("IMAGE"), first);
  const words = new DataView(memory.buffer);
  for (let row = TABLE; ; row += 4 * COLUMNS) {
    const [called, ...given] = [0, 1, 2, 3, 4].map((place) => words.getInt32(row + 4 * place, true));
    if (called < functions.length)
      words.setInt32(row, functions[called](...given), true);
    else if (given[0] === WRITE)
      write(given[2], given[2] + given[3]);
    else
      return;
  }
}

try {
  main();
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
"""


class ModuleProgram(Program):
    """A script for node. Pointers to functions are numbers of what the module exports, and the last one is the host."""

    @property
    def _functions(self) -> list[str]:
        symbol = self._executable.symbol
        return [f"{symbol}_check", f"{symbol}_workspace_bytes", f"{symbol}_run"]

    def _code(self) -> int:
        self.labels = {name: number for number, name in enumerate(self._functions)}
        return 0

    def _weights(self) -> int:
        return self._memory.place(bytes(self._executable.weights) or b"\0", abi.ALIGNMENT)

    def _file(self, start_at: int) -> bytes:
        first = self.emulator.first
        image = bytearray(self._memory.end - first)
        for block in self._memory.blocks:
            image[block.address - first : block.address - first + len(block.data)] = block.data
        functions = self._functions
        return _filled(
            {
                "FIRST": str(first),
                "SIZE": str(len(image)),
                "STACK": str(self._stack.end),
                "NAMES": str(functions),
                "TABLE": str(self._table.address),
                "COLUMNS": str(COLUMNS),
                "WRITE": str(NODE_CALLS.write),
                "MODULE": b64encode(module(self._executable.object, functions)).decode(),
                "IMAGE": b64encode(bytes(image)).decode(),
            }
        )


def _filled(values: Mapping[str, str]) -> bytes:
    """The script with its words in capitals replaced, each of which stands there once."""
    return re.sub("|".join(values), lambda found: values[found[0]], _SCRIPT).encode()
