"""What a target is: all that plan, emitter and artefacts need to know of a machine. `table.py` has the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..abi import ALIGNMENT
from ..elements import WIDEST_BYTES
from ..errors import TargetError
from .architecture import ARCHITECTURES, Architecture
from .core import Core
from .cores import AVX512_SERVER, CORES
from .mac import Mac


@dataclass(frozen=True)
class Target:
    """A machine to compile for.

    `lanes` are those of 32 bits in a vector register (for wider elements LLVM takes several registers) and `registers`
    the number of such registers; `fma` says that multiply-add is one instruction (elsewhere `llvm.fma` would call
    libm); `float_unit` that there are instructions for floats at all (elsewhere code calls the compiler's runtime:
    `routines.py`); `tune` names the CPU to schedule for, without using its instructions; `atomics` says that shards can
    meet at a barrier; `float16` that one instruction makes float32 of it (elsewhere LLVM would call a library);
    `scales` that one instruction multiplies floats by powers of two; `looks_up` that one finds floats in a table of 16;
    caches are in bytes for one core. `architecture` names a row of `ARCHITECTURES`, which `isa` gives. `core` is how
    fast such a core is: only the choice of a plan asks for it. `abi` is the calling convention in words, `compiler` a
    cross compiler as Debian calls it (nothing where it has none), and `tested` what runs the objects in tests: nothing
    where nothing can.
    """

    name: str
    triple: str
    cpu: str
    architecture: str
    lanes: int
    registers: int
    fma: bool
    features: str = ""
    tune: str = ""
    pointer_bits: int = 64
    atomics: bool = True
    float16: bool = False
    scales: bool = False
    looks_up: bool = False
    l1: int = 32 << 10
    l2: int = 512 << 10
    l3: int = 8 << 20
    core: Core = AVX512_SERVER
    float_unit: bool = True
    abi: str = ""
    compiler: str = ""
    tested: str = ""

    def __post_init__(self) -> None:
        """Raises TargetError for an architecture that is not in the table."""
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise TargetError(
                f"target '{self.name}' is of the unknown architecture '{self.architecture}': expected one of {known}"
            )

    @property
    def mac(self) -> Mac:
        """The multiply-accumulate of its core."""
        return self.core.mac

    @property
    def alignment(self) -> int:
        """Bytes at whose multiples buffers, weights and states begin: lines of a cache, or the widest element."""
        return ALIGNMENT if self.l1 else WIDEST_BYTES

    @property
    def vector_bits(self) -> int:
        return 32 * self.lanes

    @property
    def loads_in_part(self) -> bool:
        """Whether one instruction loads some lanes of a vector: of those with 4 lanes, SSE and NEON, none does."""
        return self.lanes > 4

    @property
    def loads_first(self) -> bool:
        """Whether all loads of straight code come before its arithmetic, so that each of them takes a register.

        V8 orders the instructions of WebAssembly so. With one lane, what a loop takes beside its products is as much as
        what would be spilled: there some models gain and others lose.
        """
        return self.object_format == "wasm" and self.lanes > 1

    @property
    def operand_registers(self) -> int:
        """Registers for sums and operands where loads come first: V8 keeps one, a product waits in one for its sum."""
        return self.registers - 2

    @property
    def isa(self) -> Architecture:
        """The row of its architecture."""
        return ARCHITECTURES[self.architecture]

    @property
    def object_format(self) -> str:
        """The format of its objects, which follows from the triple, as in LLVM."""
        return next((name for word, name in _FORMATS.items() if word in self.triple), "ELF")

    @property
    def has_system(self) -> bool:
        """Whether programs run below an operating system, with shared libraries, or on the bare machine."""
        return "none" not in self.triple.split("-")

    @property
    def elf_flags(self) -> int:
        """What its ELF files state of the calling convention."""
        return self.isa.elf_flags | (self.isa.elf_float_flags if self.float_unit else 0)

    @property
    def shared_library(self) -> str:
        """The kind of its shared libraries, which is the ending of their names: none without an operating system."""
        return _SHARED.get(self.object_format, "") if self.has_system else ""

    def runs_on(self, machine: Target) -> bool:
        """Whether processes of a machine load its code; `NAME_check` tells whether the processor has all it needs."""
        return (self.architecture, self.object_format, self.has_system) == (
            machine.architecture,
            machine.object_format,
            machine.has_system,
        )

    @property
    def demands(self) -> str:
        """What a processor has to have, in LLVM's words."""
        return f"{self.cpu} with {self.features}" if self.features else self.cpu

    def describe(self) -> dict[str, Any]:
        """The fields as JSON can hold them, the core by its name."""
        return asdict(self) | {"core": self.core.name}

    @classmethod
    def restore(cls, fields: Mapping[str, Any]) -> Target:
        """The target that `describe` described.

        A core without a name here, as of another version, counts as the default, and so does none: what is planned
        already does not ask for it. Raises TypeError for other fields than ours.
        """
        return cls(**{**fields, "core": CORES.get(fields.get("core", ""), AVX512_SERVER)})


_FORMATS = {"apple": "Mach-O", "windows": "COFF", "wasm": "wasm"}
"""Words of triples whose objects are not ELF."""
_SHARED = {"ELF": "so", "COFF": "dll", "Mach-O": "dylib"}
