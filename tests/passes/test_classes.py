"""Passes ask for computations and traits, so that an op which they have never heard of is rewritten, too."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cnncc.computation import Lowering
from cnncc.ir import Graph
from cnncc.op import Cost, Op
from cnncc.ops import Conv, Pad, Softmax
from cnncc.passes import Optimised
from cnncc.passes.fuse import fuse
from cnncc.passes.groups import find_groups
from cnncc.passes.padding import fold_padding
from cnncc.passes.parallel import merge_parallel
from cnncc.passes.separable import lower_separable
from cnncc.passes.zero_rings import trim_zero_rings
from cnncc.types import Array, TensorType

from .support import Net, apply, assert_same_bits, assert_within_bounds

SOURCES = sorted((Path(__file__).resolve().parents[2] / "passes").glob("*.py"))
STRUCTURE = {("match", "Constant"), ("match", "Fused")}
"""Asked for in one place: they are no operations, but how a graph is built (a source, several ops in one node)."""


def asked(text: str) -> Iterator[str]:
    """Classes and names of ops that a module asks for: by `isinstance`, `type`, `match`, `getattr` or the op's name."""
    tree = ast.parse(text)
    known = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("op", "ops")
        for alias in node.names
    }
    for node in ast.walk(tree):  # KINDS = Conv | Dense
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp | ast.Tuple | ast.Name):
            known.update(
                (t.id, t.id) for t in node.targets if isinstance(t, ast.Name) and any(_classes(node.value, known))
            )
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                yield from _classes(kinds, known)
            case ast.Call(func=ast.Name(id="getattr"), args=[ast.Attribute(attr="op" | "anchor"), *_]):
                yield ast.unparse(node)
            case ast.MatchClass(cls=kind):
                yield from _classes(kind, known)
            case ast.Compare():
                yield from _classes(node, known)
                yield from (
                    ast.unparse(part)
                    for part in ast.walk(node)
                    if ast.unparse(part).endswith((".op.name", ".__class__"))
                )


def _classes(node: ast.AST, known: dict[str, str]) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in known:
            yield known[part.id]
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "ops":
            yield part.attr


def test_no_pass_asks_for_the_class_of_an_op() -> None:
    found = {(source.stem, name) for source in SOURCES for name in asked(source.read_text(encoding="utf-8"))}
    assert found == STRUCTURE


def test_passes_do_not_speak_of_the_machine() -> None:
    """What they may not import they should not reckon with either: costs are counted in work, not in lanes."""
    words = re.compile(r"\b(lanes?|registers?|simd|avx\w*|neon|cache lines?)\b", re.IGNORECASE)
    assert not [(source.stem, found) for source in SOURCES if (found := words.findall(source.read_text("utf-8")))]


PLANTED = {
    "from ..ops import Conv\nif isinstance(node.op, Conv): pass": "Conv",
    "from ..ops import Conv as C, Dense\nisinstance(node.op, Dense | C)": "Dense",
    "from .. import ops\nisinstance(node.op, (ops.Dense, int))": "Dense",
    "from ..ops.linear import Dense\nKINDS = (Dense,)\nisinstance(op, KINDS)": "KINDS",
    "from ..ops import Conv\nmatch op:\n    case Conv(kernel=k): pass": "Conv",
    "from ..ops import Relu\ntype(op) is Relu": "Relu",
    "if node.op.name in ('Conv', 'Dense'): pass": "node.op.name",
    "node.op.__class__ == kind": "node.op.__class__",
    "getattr(node.op, 'groups', 1)": "getattr(node.op, 'groups', 1)",
}


@pytest.mark.parametrize("text", PLANTED)
def test_a_planted_question_is_caught(text: str) -> None:
    assert PLANTED[text] in set(asked(text))


def test_making_an_op_is_no_question() -> None:
    assert not set(asked("from ..ops import Conv\nop = Conv((3, 3))\nisinstance(found, Contraction)"))


@dataclass(frozen=True)
class Unheard(Op, abstract=True):
    """A convolution whose class and attributes say nothing of it."""

    hidden: Conv

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        return self.hidden.infer(*inputs)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return self.hidden.reference(*inputs)

    def cost(self, *inputs: TensorType) -> Cost:
        return self.hidden.cost(*inputs)

    def lower(self, *inputs: TensorType) -> Lowering:
        return self.hidden.lower(*inputs)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return self.hidden.images(*ranks)


RINGED = np.pad(np.arange(1.0, 5).reshape(2, 1, 1, 2), ((0, 0), (0, 0), (1, 1), (1, 0)))
CONTRACTED: dict[str, tuple[Callable[[Graph], Optimised], Conv, Array]] = {
    "padding": (fold_padding, Conv((3, 3), 2, 1, 1, 2, True), np.ones((4, 1, 3, 3))),
    "zero rings": (trim_zero_rings, Conv((3, 3), 1, 2, "same", 2), RINGED),
    "groups": (
        find_groups,
        Conv((2, 1), dilation=2, flip=True),
        np.kron(np.eye(2), np.ones((2, 1)))[..., None, None] * [[1], [2]],
    ),
    "separable": (lower_separable, Conv((5, 5), (1, 2), 1, 2, 2), np.multiply.outer([1.0, 3], np.ones((1, 5, 5)))),
}


@pytest.mark.parametrize("case", CONTRACTED)
def test_an_op_that_computes_a_convolution_is_rewritten_like_one(case: str) -> None:
    run_pass, conv, weights = CONTRACTED[case]

    def rewritten(op: Op) -> Optimised:
        net = Net()
        padded = net.apply(Pad(((0, 0), (0, 0), (1, 0), (0, 2))), net.input(1, 2, 9, 12), name="pad")
        before = net.graph(net.apply(op, padded, net.known(weights.astype(np.float32)), name="layer"))
        result = apply(run_pass, before)
        assert_within_bounds(before, result.graph)
        return result

    found = rewritten(Unheard(conv))
    assert found.fired and found == rewritten(conv)


def test_pointwise_convolutions_of_any_class_are_merged() -> None:
    net = Net()
    x = net.input(1, 3, 4, 4)
    made = [
        net.relu(net.apply(Unheard(Conv((1, 1))), x, net.weights(n, 3, 1, 1), name=f"a{n}"), f"r{n}") for n in (2, 5)
    ]
    before = fuse(net.graph(*(net.apply(Softmax(1), y) for y in made))).graph
    result = apply(merge_parallel, before)
    assert [entry.layer for entry in result.fired] == ["a2"]
    assert_same_bits(before, result.graph)
