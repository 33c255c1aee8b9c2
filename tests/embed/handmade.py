"""Small objects in LLVM's words with the functions of the ABI, for tests of what runs objects: they are no models."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import abi, native
from cnncc.machine.target import TARGETS, Target
from cnncc.runtime.executable import Executable, Port
from cnncc.types import TensorType

from .support import needs

LENGTH = 4
X = np.arange(LENGTH, dtype=np.float32)
Y = 10 * (X + np.array([2, 3, 5, 7], np.float32))
FOREIGN = {
    "aarch64": "qemu-aarch64",
    "cortex-a53": "qemu-aarch64",
    "riscv64": "qemu-riscv64",
    "cortex-m4": "qemu-system-arm",
}
MORE = {
    "armv7": "qemu-arm",
    "cortex-m7": "qemu-system-arm",
    "cortex-m33": "qemu-system-arm",
    "cortex-m55": "qemu-system-arm",
    "riscv64gc": "qemu-riscv64",
    "riscv32imafc": "qemu-riscv32",
}
FOREIGN |= {name: tool for name, tool in MORE.items() if name in TARGETS}
EACH = pytest.mark.parametrize("target", [pytest.param(name, marks=needs(tool)) for name, tool in FOREIGN.items()])
on_x86 = pytest.mark.skipif(native.host_target().architecture != "x86-64", reason="not an x86-64 machine")

_TEXT = """
@table = internal constant [4 x float] [float 2.0, float 3.0, float 5.0, float 7.0], align 16

define internal float @far(float %a) noinline nounwind section ".text.far" {
  %b = fmul float %a, 10.0
  ret float %b
}

define WORD @m_workspace_bytes(i32 %shards) nounwind {
  ret WORD 64
}

define i32 @m_check() nounwind {
  ret i32 CHECK
}

define i32 @m_run(ptr %call) nounwind {
start:
  %inputs.at = getelementptr i8, ptr %call, WORD INPUTS
  %inputs = load ptr, ptr %inputs.at
  %x = load ptr, ptr %inputs
  %outputs.at = getelementptr i8, ptr %call, WORD OUTPUTS
  %outputs = load ptr, ptr %outputs.at
  %y = load ptr, ptr %outputs
  br label %loop
loop:
  %i = phi WORD [ 0, %start ], [ %next, %loop ]
  %x.at = getelementptr float, ptr %x, WORD %i
  %a = load float, ptr %x.at
  %table.at = getelementptr float, ptr @table, WORD %i
  %b = load float, ptr %table.at
  %c = fadd float %a, %b
  %d = call float @far(float %c)
  %y.at = getelementptr float, ptr %y, WORD %i
  store float %d, ptr %y.at
  %next = add WORD %i, 1
  %more = icmp ult WORD %next, ROUNDS
  br i1 %more, label %loop, label %end
end:
  ret i32 RESULT
}
"""


def handmade(target: Target, *, check: int = 0, result: int = 0, rounds: int = LENGTH) -> Executable:
    """y = 10 (x + (2, 3, 5, 7)): a loop over a table in another section, and calls of a function in another one.

    What check() and run() return can be set, and how many elements it writes.
    """
    word, offsets = f"i{target.pointer_bits}", abi.offsets(target.pointer_bits // 8)
    changes = {"INPUTS": offsets["inputs"], "OUTPUTS": offsets["outputs"], "ROUNDS": rounds}
    text = _TEXT.replace("WORD", word)
    if target.object_format == "Mach-O":
        text = text.replace(".text.far", "__TEXT,__far")
    for name, value in {**changes, "CHECK": check, "RESULT": result}.items():
        text = text.replace(name, str(value))
    type = TensorType((LENGTH,))
    return Executable(
        name="m",
        symbol="m",
        target=target,
        object=native.emit_object(text, target),
        weights=b"",
        inputs=(Port("x", type, False),),
        outputs=(Port("y", type, False),),
        images=1,
        batchable=False,
        workspace_base=64,
        workspace_shard=0,
        max_shards=1,
        useful_shards=1,
    )
