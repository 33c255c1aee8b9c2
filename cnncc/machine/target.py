"""The targets by their names, and what stands for this machine. Nothing here asks LLVM or the operating system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..errors import TargetError
from .core import Core
from .cores import nearest
from .definition import Target
from .table import ALIASES, TARGETS

__all__ = ["ALIASES", "TARGETS", "Target", "below", "core_of", "lower", "named", "runnable", "x86_level"]

_V3 = frozenset("avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave".split())
_V4 = frozenset("avx512f avx512bw avx512cd avx512dq avx512vl".split())
"""What these levels of x86-64's psABI add to the one before."""


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
    base = next((target for target in runnable(machine) if target.cpu == levels[level]), machine)
    l1, l2, l3 = caches
    lowered = replace(base, name="host", triple=machine.triple, tune=machine.tune, l1=l1, l2=l2, l3=l3)
    return replace(lowered, core=core_of(lowered, "") if sizes else machine.core)


def below(triple: str, base: Target) -> Target:
    """A target of Linux as it is below the operating system of `triple`.

    Windows and macOS have targets of our table with the same instructions or fewer, whose triple is taken: the
    system's own names a version, or another compiler, whose routines objects would need.
    """
    there = replace(base, triple=triple)
    like = next((target for target in TARGETS.values() if target.runs_on(there)), None)
    if like is None or like.object_format == "ELF":
        return there
    return replace(base, triple=like.triple, abi=like.abi, compiler=like.compiler, tested=like.tested)


def core_of(machine: Target, cpu: str) -> Core:
    """The core for a machine: the one that names its `cpu`, else the nearest of its architecture."""
    among = {target.core for target in TARGETS.values() if target.architecture == machine.architecture}
    return nearest(cpu, machine.lanes, (machine.l1, machine.l2, machine.l3), sorted(among, key=lambda core: core.name))


def runnable(machine: Target) -> Iterator[Target]:
    """The targets of our table whose code a machine can run, the widest last."""
    for target in TARGETS.values():
        if target.runs_on(machine) and target.lanes <= machine.lanes:
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
