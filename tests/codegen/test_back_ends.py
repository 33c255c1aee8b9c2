"""What the emitter's vocabulary promises to a second back end: C source gives the bits that LLVM gives."""

from __future__ import annotations

import ctypes
import dataclasses
import inspect
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncc.codegen.emitter import Emitter
from cnncc.codegen.instructions import Instructions
from cnncc.codegen.kernels import KERNELS
from cnncc.codegen.llvm.emitter import LlvmEmitter
from cnncc.codegen.program import generate
from cnncc.compiler import Compilation
from cnncc.ir import Graph
from cnncc.machine.target import Target
from cnncc.native import load_object
from cnncc.runtime.executable import Executable
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.fuzz.generate import random_graph
from tests.fuzz.mixed import mixed_graph
from tests.graphs import (
    assert_same_bits,
    call,
    compilation,
    expected,
    native,
    of_lines,
    of_weights,
    runnable_targets,
    sprinkled,
    worst_ratio,
)

from .c_source import CEmitter

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
EXACT = "-O1 -fPIC -ffp-contract=off -fno-math-errno -fno-strict-aliasing -fwrapv".split()
ALONE = "-fno-asynchronous-unwind-tables -fno-stack-protector -fcf-protection=none".split()


def by_c(compiled: Compilation, folder: Path) -> Executable:
    """What `compiled` becomes by way of C: LLVM has no part in it but to load the object."""
    target = compiled.options.target
    emitter = CEmitter(target, checked=compiled.options.checked)
    text = generate(emitter, compiled.plan, compiled.identity, profiled=compiled.options.profiled)
    source, made = folder / "model.c", folder / "model.o"
    source.write_text(text)
    command = ["gcc", "-std=gnu11", *EXACT, *architecture(target), "-c", str(source), "-o", str(made)]
    subprocess.run(command, check=True)
    return dataclasses.replace(compiled.build(), object=made.read_bytes())


def architecture(target: Target) -> list[str]:
    return [*ALONE, f"-march={target.cpu}"] if target.architecture == "x86-64" else []


def same_bits(compiled: Compilation, feeds: dict[str, Array], folder: Path) -> None:
    """A program by C and by LLVM, for two inputs: the bits of one another, and within the derived bounds."""
    executable = by_c(compiled, folder)
    code = load_object(executable.object)
    assert ctypes.CFUNCTYPE(ctypes.c_int)(code.address(f"{compiled.symbol}_check"))() == 0
    with Model(executable, threads=2) as model:
        for given in (feeds, sprinkled(feeds, 1)):
            with np.errstate(all="ignore"):
                found = call(model, given)
                worst_ratio(found, expected(compiled, given))
            assert_same_bits(found, native(compiled, given), "C against LLVM")


@needs_gcc
def test_c_gives_the_bits_of_llvm(tmp_path: Path) -> None:
    """Pools, reductions, copies and expressions, whose time is taken."""
    graph, feeds = random_graph(6)
    same_bits(compilation(graph).varied(profiled=True), feeds, tmp_path)


@needs_gcc
@pytest.mark.parametrize("first", [0, pytest.param(4, marks=pytest.mark.tools)])
def test_c_gives_the_bits_of_llvm_for_mixed_elements(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 4 if first == 0 else 40):
        graph, feeds = mixed_graph(seed)
        same_bits(compilation(graph), feeds, tmp_path)


WAYS: dict[int, dict[str, Any]] = {seed: {} for seed in (1, 4, 11, 13, 26, 40, 42)}
WAYS |= {2: {"streaming": "chains"}, 3: {"checked": True}}


@pytest.mark.tools
@needs_gcc
@pytest.mark.parametrize("seed", WAYS)
@pytest.mark.parametrize("target", list(runnable_targets()))
def test_c_gives_the_bits_of_llvm_for_every_kernel(target: str, seed: int, tmp_path: Path) -> None:
    """Whole programs of networks: all kernels, chains of steps, checked accesses, two threads and their barriers."""
    graph, feeds = random_graph(seed)
    same_bits(compilation(graph, target, **WAYS[seed]), feeds, tmp_path)


def of_few_weights() -> tuple[Graph, dict[str, Array]]:
    """With fewer outputs than lanes."""
    return of_weights(channels=1, outputs=3)


@needs_gcc
@pytest.mark.parametrize("made", [of_lines, of_weights, of_few_weights])
def test_c_gives_the_bits_of_llvm_for_others(
    made: Callable[[], tuple[Graph, dict[str, Array]]], tmp_path: Path
) -> None:
    graph, feeds = made()
    same_bits(compilation(graph), feeds, tmp_path)


def test_those_networks_have_every_kernel() -> None:
    plans = [compilation(random_graph(seed)[0], "x86-64-v3", **options).plan for seed, options in WAYS.items()]
    plans += [compilation(made()[0], "x86-64-v3").plan for made in (of_lines, of_weights, of_few_weights)]
    assert {type(step.kernel) for plan in plans for step in plan.steps} == set(KERNELS)


@pytest.mark.parametrize("back_end", [LlvmEmitter, CEmitter])
def test_a_back_end_has_every_instruction(back_end: type[Emitter]) -> None:
    """None is left to the empty body of the Protocol, and what follows from them is not said anew."""
    names = {name for name, _ in inspect.getmembers(Instructions, inspect.isfunction) if not name.startswith("_")}
    missing = {name for name in names if getattr(back_end, name) is getattr(Instructions, name)}
    assert not missing
    derived = {name for name in vars(Emitter) if not name.startswith("_")} - names
    assert all(getattr(back_end, name) is getattr(Emitter, name) for name in derived)
    assert len(names) > 40 and len(derived) > 15
