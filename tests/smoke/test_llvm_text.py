"""LLVM's text has one home: no string of any other module spells a type or an instruction of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from .test_imports import modules

HOMES = (
    "cnncc.codegen.llvm.",
    "cnncc.native",
    "cnncc.runtime.shim",
    "cnncc.machine.architecture",
    "cnncc.elements",
    "cnncc.emulation.module",
)
"""The back end; what hands its text to LLVM; the shim of Python modules, which is no code of a model; and the rows of
architectures, which name intrinsics; and a program of JavaScript, whose types of WebAssembly have the same names."""
WORDS = """
    getelementptr insertelement extractelement shufflevector insertvalue extractvalue zeroinitializer poison inbounds
    fadd fsub fmul fdiv fneg fcmp icmp nsw nuw udiv sdiv urem srem shl lshr ashr freeze atomicrmw cmpxchg
    bitcast ptrtoint inttoptr fptosi fptoui sitofp uitofp zext sext fpext fptrunc
    slt sle sgt sge ult ule ugt uge olt ole ogt oge oeq une uno monotonic acq_rel
""".split()
PATTERN = re.compile(
    r"@llvm\.|\bllvm\.\w+\.|\bi(0|1|8|16|32|64)\b|\bptr\b|<\d+ x |\bx (float|half|double|bfloat|i\d+)>"
    r"|\bcall void\b|\btrunc \S|= phi |\bret void\b|\bbr (i1|label)\b|\b(define|declare) (internal )?\S+ @"
    rf"|target triple|\b({'|'.join(WORDS)})\b"
)
PLANTED = [
    'e.emit("fadd float %a, %b")',
    'type = f"<{lanes} x float>"',
    'e.assign("i1", text)',
    'e.compare("slt", a, b)',
    'parameters = [("ptr", "data")]',
    'e.emit(f"call void @barrier({arguments})")',
    'name = f"@llvm.fma.v{lanes}f32"',
    'text = f"i{bits}"',
    'value = Ssa(type, "poison")',
    'e.emit(f"br label %{after}")',
    'e.assign(type, f"trunc {wide} {value} to {type}")',
]
CLEAN = [
    'e.binary("add", a, b)',
    'e.compare("<", a, b)',
    'function = "trunc"',
    '"""LLVM spells it `fadd <4 x float>`: a sentence may."""',
    'text = f"const float *{name}"',
    'message = f"axis {axis} has {size} x {count} elements"',
]


def spelled(text: str) -> Iterator[str]:
    """The strings of a module that spell LLVM, parts of f-strings joined by zeros; docstrings are sentences."""
    tree = ast.parse(text)
    sentences = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            string = "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in sentences | within:
            string = node.value
        else:
            continue
        if PATTERN.search(string):
            yield f"line {node.lineno}: {string!r}"


def test_only_the_back_end_spells_llvm() -> None:
    found = [
        f"{name}, {place}" for name, text in modules().items() if not name.startswith(HOMES) for place in spelled(text)
    ]
    assert not found, "\n".join(found)


def test_the_back_end_does() -> None:
    """So the pattern knows what it looks for."""
    homes = {name for name, text in modules().items() if list(spelled(text))}
    assert {"cnncc.codegen.llvm.arithmetic", "cnncc.codegen.llvm.memory", "cnncc.codegen.llvm.emitter"} <= homes


@pytest.mark.parametrize("text", PLANTED)
def test_planted_llvm_is_found(text: str) -> None:
    assert list(spelled(text))


@pytest.mark.parametrize("text", CLEAN)
def test_other_text_is_not(text: str) -> None:
    assert not list(spelled(text))
