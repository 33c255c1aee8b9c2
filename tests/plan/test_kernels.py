"""Kernels answer for themselves: nobody asks for their classes, and what they answer fits together."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.codegen.kernels import KERNELS
from cnncc.plan import kernels
from cnncc.plan.kernels import Convolution, Kernel, OverFibres, OverLines
from cnncc.plan.views import elements
from tests.fuzz.generate import random_graph
from tests.graphs import compilation, of_lines, of_weights

PACKAGE = Path(cnncc.__file__).resolve().parent
CLASSES = {found for found in vars(kernels).values() if isinstance(found, type) and issubclass(found, Kernel)}
FAMILIES = CLASSES - {Kernel, Convolution, OverFibres, OverLines}


def asked(text: str) -> Iterator[str]:
    """The names of kernel classes that a source asks for."""
    names = {found.__name__ for found in CLASSES}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.MatchClass):
            parts: Iterator[ast.AST] = ast.walk(node.cls)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            parts = ast.walk(node.args[1])
        else:
            continue
        found = {part.id if isinstance(part, ast.Name) else getattr(part, "attr", "") for part in parts}
        yield from sorted(found & names)


def test_nobody_asks_for_the_class_of_a_kernel() -> None:
    found = {file.name: [*asked(file.read_text(encoding="utf-8"))] for file in PACKAGE.rglob("*.py")}
    assert {name: classes for name, classes in found.items() if classes} == {}


@pytest.mark.parametrize(
    "text", ["isinstance(step.kernel, k.Direct | Winograd)", "match kernel:\n    case k.Direct() | Winograd(): pass"]
)
def test_who_asks_is_caught(text: str) -> None:
    assert [*asked(text)] == ["Direct", "Winograd"]


def test_every_kernel_has_code() -> None:
    assert set(KERNELS) == FAMILIES


def test_layers_are_offered_what_the_tables_say() -> None:
    """In the order of the tables, with a reason for each, and once more where a pool may be a step of its own."""
    assert all(entry.why for entry in (*kernels.PREFERRED, *kernels.COMPARED))
    for seed in range(20):
        offers = compilation(random_graph(seed)[0], "x86-64-v4").plan.offers
        for offered in offers.values():
            for split in {candidate.split for candidate in offered}:
                kinds = [type(candidate.kernel) for candidate in offered if candidate.split == split]
                order = [ORDER.index(kind) for kind in kinds]
                assert order == sorted(order) and 0 in order


ORDER = (kernels.Direct, kernels.Grouped, kernels.Winograd)


def test_answers_fit_together() -> None:
    rng = np.random.default_rng(0)
    seen: set[type] = set()
    for number, graph in enumerate(
        chain(
            [of_lines()[0], of_weights()[0], of_weights(channels=1, outputs=3)[0]],
            (random_graph(seed)[0] for seed in range(300)),
        )
    ):
        if number > 40 and seen == FAMILIES:
            break
        plan = compilation(graph, "x86-64-v4").plan
        for step in plan.steps:
            kernel = step.kernel
            seen.add(type(kernel))
            assert len(kernel.roles) == kernel.sources == len(step.sources) - len(step.operands)
            assert (step.scratch.shape if step.scratch else (0,)) == (kernel.scratch,)
            assert bool(step.macs) == isinstance(kernel, Convolution) and step.cycles(plan.target) > 0
            assert step.units >= 1 <= kernel.granularity and kernel.describe()
            assert step.by_images or not kernel.writes_own_rows or step.units == step.target.rows
            if isinstance(kernel, Convolution):
                weights = rng.standard_normal(kernel.weights_shape(step.target.shape[0])).astype(np.float32)
                packed = kernel.pack(weights, flip=False)
                assert packed.size == elements(step.sources[1].shape) == kernel.packed_elements(step.target.shape[0])
                assert kernel.edge_cycles(plan.target) >= 0
    assert seen == FAMILIES
