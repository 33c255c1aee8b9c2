"""Element types of the standard's type constraints."""

from __future__ import annotations

from typing import Any

from .models import NUMBERS

NAMES = {"float": "float32", "double": "float64"}
"""Types that ONNX calls otherwise than NumPy."""


def elements(constraint: Any) -> list[str]:
    """The element types that a constraint allows, by ONNX's names, in the order of their numbers."""
    names = {element(text) for text in constraint.allowed_type_strs}
    return sorted(names & set(NUMBERS), key=lambda name: NUMBERS[name])


def element(text: str) -> str:
    """'float' of 'tensor(float)' and of 'seq(tensor(float))'."""
    return text.rstrip(")").rpartition("(")[2]
