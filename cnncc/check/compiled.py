"""What compiled code computes: the outputs of a model, or any values of its graph.

Code of a machine that is not this one runs under an emulator, twice, so that what a call leaves behind in its workspace
is seen to change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..compiler import Compilation, Options
from ..emulation.run import emulate, is_foreign
from ..errors import DifferenceError
from ..ir import Graph, Value, with_outputs
from ..passes import PIPELINE
from ..runtime.model import Model
from ..types import Array

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Run:
    """The outputs of compiled code by name, and what it ran under if not on this machine."""

    outputs: dict[str, Array]
    emulator: str = ""


def run_compiled(compilation: Compilation, feeds: Feeds, threads: int = 1) -> Run:
    """Run compiled code, here or under an emulator. Raises DifferenceError where a second run there differs."""
    if is_foreign(compilation.options.target):
        return emulated(compilation, feeds)
    with Model(compilation.build(), threads=threads) as model:
        return Run(dict(model.named(dict(feeds))))


def as_it_is(graph: Graph, options: Options) -> Compilation:
    """`graph` with no pass."""
    return Compilation(graph, replace(options, off=tuple(dict.fromkeys(step.name for step in PIPELINE))))


def with_values(graph: Graph, values: Sequence[Value], options: Options) -> Compilation:
    """`graph`, which is rewritten no more, with all these values as outputs."""
    names = {f"value {number}": value for number, value in enumerate(values)}
    return as_it_is(with_outputs(graph, names), options)


def values_of(compilation: Compilation, feeds: Feeds, threads: int = 1) -> dict[Value, Array]:
    """What compiled code gives each value that is an output of `compilation`."""
    found = run_compiled(compilation, feeds, threads).outputs
    return {value: found[name] for name, value in compilation.graph.outputs.items()}


def emulated(compilation: Compilation, feeds: Feeds) -> Run:
    """Run the object under an emulator. Raises DifferenceError where a second run differs."""
    executable = compilation.build()
    answer = emulate(executable, feeds, runs=2)
    first, second = answer.outputs
    for port, one, other in zip(executable.outputs, first, second, strict=True):
        if not same_bits(one, other):
            raise DifferenceError(f"output '{port.name}' of a second run in the same workspace has other bits")
    outputs = {port.name: array for port, array in zip(executable.outputs, first, strict=True)}
    return Run(outputs, answer.emulator)


def same_bits(one: Array, other: Array) -> bool:
    return one.tobytes() == other.tobytes()


def label(value: Value) -> str:
    """The layer's name, with the number of the output where it is not the first."""
    return value.node if value.index == 0 else f"{value.node}:{value.index}"
