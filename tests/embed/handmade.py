"""Small objects in LLVM's words with the functions of the ABI, for tests of what runs objects: they are no models."""

from __future__ import annotations

from cnncc import abi, native
from cnncc.machine.target import Target
from cnncc.runtime.executable import Executable, Port
from cnncc.types import TensorType

LENGTH = 4
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
