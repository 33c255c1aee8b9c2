"""What a call takes of the stack: the frames that LLVM tells, along the deepest path of calls.

A function is inlined nowhere and calls itself nowhere, so the sum along a path is what is taken. LLVM's figure for a
frame has all that the function saves and spills, with padding, but not

- what a call pushes on x86-64: the address, and, but on Windows, the arguments after the sixth;
- the red zone there: up to 128 bytes which a function that calls none uses below its frame (not on Windows either);
- what is lost where a frame is aligned for vectors of more than the stack's 16 bytes: less than twice such a vector
  (`X86FrameLowering::emitPrologue` rounds the frame up, then the pointer down);
- vectors of RISC-V that are spilled, whose bytes depend on the processor: they are read from the code, for vectors of
  as many bits as the target is compiled for. Where registers are longer, they take more.

The first three are bounds that are added here.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...alignment import rounded_up
from ...machine.target import Target
from ...objects.riscv_spills import spilled

_STACK_ALIGNMENT = 16  # of each convention with vectors


def deepest(text: str, code: bytes, frames: Mapping[str, int], entry: str, target: Target) -> int | None:
    """Bytes of the deepest path from a function of a module; None where the code that spills is not understood.

    `text` is the module, `code` its object. What its functions call that is not in it does not count.
    """
    calls = _calls(text)
    scalable = target.architecture.startswith("riscv") and target.lanes > 1
    vectors = spilled(code, calls, target.vector_bits // 8) if scalable else {}
    if vectors is None:
        return None

    def below(name: str) -> int:
        told, called = frames.get(name, 0), calls[name]
        frame = _frame(told, target, leaf=not called) + vectors.get(name, 0)
        return frame + max((_pushed(count, target) + below(other) for other, count in called), default=0)

    return below(entry)


def _frame(told: int, target: Target, *, leaf: bool) -> int:
    """A bound for all that a function takes, with the address that its call pushed."""
    isa, vector = target.isa, target.vector_bits // 8
    aligning = 2 * vector if told and vector > _STACK_ALIGNMENT else 0
    return isa.return_bytes + told + max(aligning, isa.red_zone if leaf and _is_system_v(target) else 0)


def _pushed(arguments: int, target: Target) -> int:
    """What a call pushes for its arguments: elsewhere their place is part of the frame."""
    most = target.isa.argument_registers
    return (
        rounded_up(max(0, arguments - most) * target.pointer_bits // 8, _STACK_ALIGNMENT) if _is_system_v(target) else 0
    )


def _is_system_v(target: Target) -> bool:
    return target.isa.red_zone > 0 and target.object_format != "COFF"


def _calls(text: str) -> dict[str, set[tuple[str, int]]]:
    """The functions that each function of a module calls, by name and number of arguments."""
    found = {}
    for definition in text.split("\ndefine ")[1:]:
        name = definition[definition.index("@") + 1 : definition.index("(")]
        places = definition.split("call void @")[1:]
        heads = [place[: place.index(")")] for place in places if not place.startswith("llvm.")]
        found[name] = {(head[: head.index("(")], head.count(",") + 1) for head in heads}
    return found
