"""Whole numbers and truth values on other processors: the bits of the interpreter, and nothing that traps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cnncc import native
from cnncc.elements import BOOL, COMPUTED, FLOAT32, INTEGERS, Element
from cnncc.ir import Graph
from cnncc.op import REGISTRY, Op
from cnncc.ops import Abs, Add, Cast, Div, Mod, Mul, Neg, Sign, Where
from cnncc.types import Array
from tests.fuzz.mixed import mixed_graph
from tests.graphs import Net, compilation, expected, runnable_targets, sprinkled, worst_ratio
from tests.graphs import native as run_native
from tests.ops.cases import data, of_floats, samples

from .emulated import CORTEX_M4, EMULATORS, Emulated, Emulator
from .support import needs

Feeds = dict[str, Array]
OPERATIONS: tuple[tuple[Op, int], ...] = (
    *((op, 2) for op in (Add(), Mul(), Div(), Mod(), Mod(True))),
    *((op, 1) for op in (Abs(), Neg(), Sign())),
)


def corners(element: Element) -> Array:
    """Numbers at the ends of ranges, around 0 and around powers of two; of floats special ones, too."""
    if element is BOOL:
        return np.array([False, True])
    powers = [2**n for n in (5, 7, 8, 15, 16, 23, 24, 25, 31, 32, 33, 40, 53, 54, 62, 63)]
    near = [sign * (power + by) for power, by, sign in product(powers, (-1, 0, 1, 3), (1, -1))]
    if element is FLOAT32:
        special = [np.nan, np.inf, -np.inf, -0.0, 0.0, 0.5, -0.75, 1e-40, 3e38, -3e38]
        more = np.float32([*special, *near])
        return np.concatenate([more, np.nextafter(more, np.float32(0)), np.nextafter(more, np.float32(np.inf))])
    halves = [2**n + 2 ** (n - 24) * k for n in (30, 36, 47, 60, 62) for k in (1, 2, 3)]  # ties between floats
    numbers = [*range(-9, 10), *near, *halves, *(-number for number in halves), *(number + 1 for number in halves)]
    least, most = int(element.least), int(element.most)
    return np.array([least, least + 1, *(n for n in numbers if least <= n <= most), most - 1, most], element.numpy)


def of_corners() -> Iterator[tuple[Graph, Feeds]]:
    """All pairs of corners through arithmetic, and corners through every conversion and a choice."""
    for element in INTEGERS:
        net, numbers = Net(), corners(element)
        x = net.arrives(np.repeat(numbers, numbers.size), "x", element)
        y = net.arrives(np.tile(numbers, numbers.size), "y", element)
        yield net.graph(*(net.apply(op, *(x, y)[:arity]) for op, arity in OPERATIONS)), net.feeds
    net = Net()
    results = []
    for element in COMPUTED:
        x = net.arrives(corners(element), "x", element)
        truth = net.apply(Cast(BOOL.name), x)
        results += [net.apply(Cast(to.name), x) for to in COMPUTED]
        results.append(net.apply(Where(), truth, x, net.known(corners(element)[::-1].copy(), element)))
    yield net.graph(*results), net.feeds


def of_samples() -> Iterator[tuple[Graph, Feeds]]:
    """For each op that knows other elements than floats, its samples of those, all arriving."""
    for name in REGISTRY:
        net, results = Net(), []
        for sample in samples():
            if sample.op.name == name and not of_floats(sample):
                results += net.of_arrays(sample.op, *data(sample))
        if results:
            yield net.graph(*results), sprinkled(net.feeds, 1, 0.3)


def networks() -> Iterator[tuple[Graph, Feeds]]:
    yield from of_corners()
    yield from of_samples()
    yield from map(mixed_graph, range(40))


@pytest.mark.parametrize("target", list(runnable_targets()))
def test_corners_here(target: str) -> None:
    for graph, feeds in of_corners():
        compiled = compilation(graph, target)
        with np.errstate(all="ignore"):
            worst_ratio(run_native(compiled, feeds), expected(compiled, feeds))


@pytest.mark.tools
@pytest.mark.parametrize(
    ("target", "emulator"),
    [
        pytest.param(name, emulator, marks=needs(emulator.compiler, emulator.command[0]))
        for name, emulator in {**EMULATORS, "cortex-m4": CORTEX_M4}.items()
    ],
    ids=[*EMULATORS, "cortex-m4"],
)
def test_elements_under_qemu(target: str, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_is_trusted", lambda _: True)  # a process for each would take longer than all else
    graphs, feeds = zip(*networks(), strict=True)
    work = [compilation(graph, target) for graph in graphs]
    program = Emulated.of(work, tmp_path, emulator)
    assert all(executable.undefined == () for executable in program.executables)
    failed = 0
    for number, (compiled, given) in enumerate(zip(work, feeds, strict=True)):
        found = program.run(emulator.command, number, given)
        failed += found is None
        if found is not None:
            with np.errstate(all="ignore"):
                worst_ratio(found, expected(compiled, given))
    assert failed < 0.2 * len(work), f"the emulator failed for {failed} of {len(work)} networks"
