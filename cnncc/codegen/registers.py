"""The values of a program under construction: types of registers, and names of values.

Only a back end knows the text of a type.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..elements import Element

Kind = Literal["float", "int", "bool", "pointer"]


class RegisterType(NamedTuple):
    """A vector of lanes of one element type; one lane is a scalar. Integers are signed or unsigned by instruction.

    `bits` is the size of an element; for a pointer it is 0, since the size depends on the target.
    """

    kind: Kind
    bits: int
    lanes: int = 1

    def wide(self, lanes: int) -> RegisterType:
        """The same element type with `lanes` lanes."""
        return RegisterType(self.kind, self.bits, lanes)


FLOAT = RegisterType("float", 32)
BYTE, INT16, INT32, INT64 = (RegisterType("int", bits) for bits in (8, 16, 32, 64))
BOOL = RegisterType("bool", 1)
POINTER = RegisterType("pointer", 0)


def memory_type(element: Element) -> RegisterType:
    """An element as it lies in memory; a truth value is a byte."""
    return RegisterType("float" if element.is_float else "int", 8 * element.bytes)


def register_type(element: Element) -> RegisterType:
    """What a register holds of an element: a load widens to it, a store narrows it (`codegen.memory`)."""
    return memory_type(element.in_register)


class Ssa(NamedTuple):
    """A value, assigned once: its type, its name or literal in the back end's text, and its number if it is constant.

    `constant` is the number in every lane. (A module has many values, and tuples are the fastest to create.)
    """

    type: RegisterType
    name: str
    constant: float | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def lanes(self) -> int:
        return self.type.lanes


Index = int | Ssa
"""A number of elements, rows, bytes…: known at compile time, or a value of the target's index type."""
