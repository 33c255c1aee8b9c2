"""Which digits are in these pictures? In Python without llvmlite: `ctypes` and NumPy call what `cnncc compile` wrote.

    cnncc compile examples/digits.py --kinds so,json -o build
    python examples/embed/without_llvm.py build build/7.raw

The manifest tells sizes and fingerprint. Raw pictures have 8 by 8 bytes, white ink on black. A call takes some
microseconds more than one of `cnncc.load`, whose calls are machine code.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

import numpy as np

ALIGNMENT = 64


class Call(ctypes.Structure):
    """`cnncc_call` of the C header."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("abi", "fingerprint", "apart", "images", "shard", "shards")),
        *((name, ctypes.c_void_p) for name in ("inputs", "outputs", "workspace", "weights", "wait", "wait_argument")),
    )


def aligned(size: int) -> np.ndarray:
    """`size` zero bytes at a multiple of `ALIGNMENT`."""
    block = np.zeros(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size]


class Network:
    """The shared library in a folder, and the memory of a call; arrays stay alive as long as the call has them."""

    def __init__(self, folder: Path, name: str):
        told = json.loads((folder / f"{name}.json").read_text())
        library = ctypes.CDLL(str((folder / f"{name}.so").resolve()))
        self.run = getattr(library, f"{name}_run")
        if getattr(library, f"{name}_check")() != 0:
            raise SystemExit("this processor cannot run the network")
        (x,), (y,) = told["inputs"], told["outputs"]
        self.x, self.y = np.zeros(x["shape"], x["dtype"]), np.zeros(y["shape"], y["dtype"])
        self.workspace = aligned(told["workspace_bytes"])
        self.pointers = [(ctypes.c_void_p * 1)(array.ctypes.data) for array in (self.x, self.y)]
        self.call = Call(
            abi=told["abi"],
            fingerprint=told["fingerprint"],
            images=told["images"],
            shards=1,
            inputs=ctypes.addressof(self.pointers[0]),
            outputs=ctypes.addressof(self.pointers[1]),
            workspace=self.workspace.ctypes.data,
            weights=ctypes.addressof(ctypes.c_char.in_dll(library, f"{name}_weights")),
        )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        np.copyto(self.x, x)
        if code := self.run(ctypes.byref(self.call)):
            raise SystemExit(f"the network returned error {code}")
        return self.y


def main(folder: str, *pictures: str) -> None:
    network = Network(Path(folder), "digits")
    for path in pictures:
        picture = np.fromfile(path, np.uint8)
        if picture.size != network.x.size:
            raise SystemExit(f"{path}: not a picture of 8 by 8 bytes")
        print(f"{path}: {network(picture.reshape(network.x.shape) / np.float32(255)).argmax()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
