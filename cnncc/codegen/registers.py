"""What the values of a program under construction are: the types of registers, and names for what they hold.

A back end says how a type is spelled; nobody else asks.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..elements import Element

Kind = Literal["float", "int", "bool", "pointer"]


class RegisterType(NamedTuple):
    """An element in each of some lanes; one lane is a scalar. Integers have no sign of their own, instructions do.

    `bits` are those of an element; a pointer has as many as the target says, and 0 here.
    """

    kind: Kind
    bits: int
    lanes: int = 1

    def wide(self, lanes: int) -> RegisterType:
        """The same element in so many lanes."""
        return RegisterType(self.kind, self.bits, lanes)


FLOAT = RegisterType("float", 32)
BYTE, INT32, INT64 = (RegisterType("int", bits) for bits in (8, 32, 64))
BOOL = RegisterType("bool", 1)
POINTER = RegisterType("pointer", 0)


def memory_type(element: Element) -> RegisterType:
    """An element as it lies in memory; a truth value is a byte."""
    return RegisterType("float" if element.is_float else "int", 8 * element.bytes)


def register_type(element: Element) -> RegisterType:
    """What a register holds of an element: a load widens to it, a store narrows it (`codegen.memory`)."""
    return memory_type(element.in_register)


class Ssa(NamedTuple):
    """A value, assigned once: its type, its name (or literal) in the back end's text, and its number if it is known.

    `constant` is that of every lane. (A tuple, since a module has many: those are made fastest.)
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
"""A number of elements, rows, bytes…: known when the code is made, or a value of the target's index type."""
