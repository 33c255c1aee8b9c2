"""An estimate of the cycles of instructions that ran, for cores of which each instruction has its time in a manual.

Memory has no wait states, and of what a manual gives as a range the middle counts. It is an estimate: a board may
differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ..emulation.plugin import Executed

_CONDITIONS = "(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)"
_LISTS = "v?(?:ldm|stm|push|pop)(?:ia|db)?"
_FUSED = "vfn?m[as]|vn?ml[as]"
_BRANCHES = "bl|blx|bx|tbb|tbh"


@dataclass(frozen=True)
class Cycles:
    """What a core takes for its instructions: 1 cycle, or what `rows` say (patterns of names, cycles).

    A list of registers takes `listed` cycles and one for each register, and `into_pc` more if it ends a function. A
    branch that is taken takes `taken` more. The result of an instruction like `late` is there one cycle later for the
    next one.
    """

    rows: tuple[tuple[str, float], ...]
    listed: int = 1
    into_pc: int = 2
    taken: int = 2
    late: str = "(?!)"

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], float]]:
        return [(_named(names), cycles) for names, cycles in self.rows]

    def estimate(self, executed: Sequence[Executed]) -> Iterator[float]:
        """The cycles of each instruction, those of all of its runs. They are given by address."""
        late = _named(self.late)
        before: Executed | None = None
        for one, after in pairwise([*executed, Executed(-1, 0, "")]):
            cycles = self._one(one) * one.count + self.taken * _taken(one, after)
            if before is not None and late.fullmatch(_name(before)) and _operands(before)[0] in _read(one):
                cycles += one.count
            before = one
            yield cycles

    def _one(self, one: Executed) -> float:
        name, operands = _name(one), one.text.partition("{")[2]
        if re.fullmatch(f"{_LISTS}{_CONDITIONS}?", name):
            return self.listed + _registers(operands) + self.into_pc * ("pc" in operands)
        return next((cycles for pattern, cycles in self._patterns if pattern.fullmatch(name)), 1)


def _named(names: str) -> re.Pattern[str]:
    return re.compile(f"(?:{names}){_CONDITIONS}?")


def _name(one: Executed) -> str:
    return one.text.split(maxsplit=1)[0].partition(".")[0] if one.text else ""


def _operands(one: Executed) -> list[str]:
    """Registers of floats, in order."""
    return re.findall(r"\b[sd]\d+\b", one.text) or [""]


def _read(one: Executed) -> list[str]:
    """Those that an instruction reads when it starts: a sum that is added to is read late."""
    return _operands(one) if _name(one).startswith(("vstr", "vcmp")) else _operands(one)[1:]


def _taken(one: Executed, after: Executed) -> int:
    """How often a branch was taken: as often as what follows it did not run."""
    if re.fullmatch(f"b{_CONDITIONS}|cbn?z", _name(one)):
        return max(0, one.count - after.count)
    return one.count if _name(one) == "b" else 0


def _registers(operands: str) -> int:
    """Words of a list of registers."""
    return sum(2 if word.strip().startswith("d") else 1 for word in operands.rstrip("}").split(","))


_INTEGERS = (
    ("ldrd|strd", 3),
    ("ldr[a-z]*|str[a-z]*", 2),
    (_BRANCHES, 3),
    ("[su]div", 7),
    ("ml[as]", 2),
    ("i[te]+", 0.5),
)
CYCLES: dict[str, Cycles] = {
    "cortex-m0plus": Cycles((("ldr[a-z]*|str[a-z]*|bx|blx", 2), ("bl|dsb|isb", 3)), into_pc=2, taken=1),
    "cortex-m3": Cycles(_INTEGERS),
    "cortex-m4": Cycles(
        ((_FUSED, 3), ("vldr|vstr", 2), ("vdiv|vsqrt", 14), *_INTEGERS),
        late=f"vadd|vsub|vn?mul|vdiv|vsqrt|vcvt|{_FUSED}",
    ),
}
"""By LLVM's names of processors: the technical reference manuals of the Cortex-M0+ (r0p1, 3.3; with the fast
multiplier), the Cortex-M3 (r2p1, 3.3.1) and the Cortex-M4 (r0p1, 3.3.1 and 7.2.3)."""
