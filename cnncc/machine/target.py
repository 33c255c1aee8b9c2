"""What the plan and the emitter need to know of a machine. Nothing here asks LLVM or the operating system."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import TargetError
from .architecture import ARCHITECTURES, Architecture
from .core import Core
from .cores import AVX2_SERVER, AVX512_SERVER, CORES, CORTEX_A53, CORTEX_M4, NEOVERSE, nearest
from .mac import Mac


@dataclass(frozen=True)
class Target:
    """A machine to compile for.

    `lanes` are those of 32 bits in a vector register (for wider elements LLVM takes several registers) and `registers`
    the number of such registers; `fma` says that multiply-add is one instruction (elsewhere `llvm.fma` would call
    libm); `tune` names the CPU to schedule for, without using its instructions; `atomics` says that shards can meet at
    a barrier; `float16` that one instruction makes float32 of it (elsewhere LLVM would call a library); `scales` that
    one instruction multiplies floats by powers of two; `looks_up` that one finds floats in a table of 16; caches are in
    bytes for one core. `architecture` names a row of `ARCHITECTURES`, which `isa` gives. `core` is how fast such a core
    is: only the choice of a plan asks for it.
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
    def vector_bits(self) -> int:
        return 32 * self.lanes

    @property
    def loads_in_part(self) -> bool:
        """Whether one instruction loads some lanes of a vector: of those with 4 lanes, SSE and NEON, none does."""
        return self.lanes > 4

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
_LINUX = "x86_64-unknown-linux-gnu"
_ARM = "aarch64-unknown-linux-gnu"

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("x86-64-v2", _LINUX, "x86-64-v2", "x86-64", lanes=4, registers=16, fma=False, core=AVX2_SERVER),
        Target(
            "x86-64-v3", _LINUX, "x86-64-v3", "x86-64", lanes=8, registers=16, fma=True, float16=True, core=AVX2_SERVER
        ),
        Target(
            "x86-64-v4",
            _LINUX,
            "x86-64-v4",
            "x86-64",
            lanes=16,
            registers=32,
            fma=True,
            float16=True,
            scales=True,
            looks_up=True,
        ),
        Target("aarch64", _ARM, "generic", "aarch64", lanes=4, registers=32, fma=True, float16=True, core=NEOVERSE),
        Target(
            "cortex-a53",
            _ARM,
            "cortex-a53",
            "aarch64",
            lanes=4,
            registers=32,
            fma=True,
            float16=True,
            l3=0,
            core=CORTEX_A53,
        ),
        Target(
            "riscv64",
            "riscv64-unknown-linux-gnu",
            "generic-rv64",
            "riscv64",
            lanes=4,
            registers=32,
            fma=True,
            features="+m,+a,+f,+d,+c,+v,+zvl128b,+zihintpause",  # the pause is a hint: others take it for a fence
            core=CORTEX_A53,
        ),
        Target(
            "cortex-m4",
            "thumbv7em-none-unknown-eabihf",
            "cortex-m4",
            "thumb",
            lanes=1,
            registers=32,
            fma=True,
            pointer_bits=32,
            atomics=False,
            float16=True,  # VFPv4 converts, and computes not with it
            l1=0,
            l2=0,
            l3=0,
            core=CORTEX_M4,
        ),
    )
}
_V3 = frozenset("avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave".split())
_V4 = frozenset("avx512f avx512bw avx512cd avx512dq avx512vl".split())
"""What these levels of x86-64's psABI add to the one before."""
ALIASES = {"thumbv7em-none-eabihf": "cortex-m4"}


def named(name: str) -> Target:
    """The target called `name`; raises TargetError listing the known ones ('host' is resolved elsewhere)."""
    target = TARGETS.get(ALIASES.get(name, name))
    if target is None:
        known = ", ".join(["host", *TARGETS, *ALIASES])
        raise TargetError(f"unknown target '{name}': expected one of {known}")
    return target


def lower(name: str, machine: Target) -> Target:
    """The target that stands for a machine by the wish 'LEVEL' or 'LEVEL,L1,L2,L3', as in 'x86-64-v3,32K,512K,32M'.

    A level is one of our table that the machine can run, or 'host' for its own; without sizes of caches it has the
    machine's. Raises TargetError for anything else.
    """
    level, *sizes = name.split(",")
    levels = {"host": machine.cpu, **{target.name: target.cpu for target in runnable(machine)}}
    caches = [_bytes(size) for size in sizes] or [machine.l1, machine.l2, machine.l3]
    if level not in levels or len(caches) != 3 or not 0 < caches[0] <= caches[1] <= caches[2]:
        raise TargetError(
            f"environment variable CNNCC_HOST is '{name}': expected a level that this machine can run "
            f"({', '.join(levels)}), alone or with its caches, as in '{list(levels)[-1]},32K,512K,32M'"
        )
    base = next(target for target in runnable(machine) if target.cpu == levels[level])
    l1, l2, l3 = caches
    lowered = replace(base, name="host", triple=machine.triple, tune=machine.tune, l1=l1, l2=l2, l3=l3)
    return replace(lowered, core=core_of(lowered, "") if sizes else machine.core)


def core_of(machine: Target, cpu: str) -> Core:
    """The core for a machine: the one that names its `cpu`, else the nearest of its architecture."""
    among = {target.core for target in TARGETS.values() if target.architecture == machine.architecture}
    return nearest(cpu, machine.lanes, (machine.l1, machine.l2, machine.l3), sorted(among, key=lambda core: core.name))


def runnable(machine: Target) -> Iterator[Target]:
    """The targets of our table whose code a machine can run, the widest last."""
    for target in TARGETS.values():
        if target.architecture == machine.architecture and target.lanes <= machine.lanes:
            yield target


def _bytes(size: str) -> int:
    """The bytes of '512K' or '32M'; 0 for anything else."""
    found = re.fullmatch(r"([0-9]{1,6})([KM])", size)
    return int(found[1]) << {"K": 10, "M": 20}[found[2]] if found else 0


def x86_level(features: set[str]) -> Target:
    """The widest of our x86-64 levels of which a CPU has everything, by LLVM's feature names; at least v2.

    A virtual machine may hide any one of them, and then `NAME_check` would refuse what was compiled for the level.
    """
    if features >= _V3 | _V4:
        return TARGETS["x86-64-v4"]
    return TARGETS["x86-64-v3" if features >= _V3 else "x86-64-v2"]
