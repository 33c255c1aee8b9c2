"""LLVM's text for types, numbers and the names of instructions."""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence

from ..instructions import Binary, IndexOperation, Order, Predicate
from ..registers import Kind, RegisterType

FLOATS: Mapping[int, str] = {16: "half", 32: "float"}
FLOAT_OPERATIONS: Mapping[Binary, str] = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
INTEGER_OPERATIONS: Mapping[Binary, str] = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "sdiv",
    "remainder": "srem",
    "and": "and",
    "or": "or",
    "xor": "xor",
    "shift_left": "shl",
    "shift_right": "ashr",
    "shift_right_zeros": "lshr",
}
OPERATIONS: Mapping[Kind, Mapping[Binary, str]] = {
    "float": FLOAT_OPERATIONS,
    "int": INTEGER_OPERATIONS,
    "bool": {"and": "and", "or": "or", "xor": "xor"},
}
INDEX_OPERATIONS: Mapping[IndexOperation, str] = {
    "add": "add nsw",
    "subtract": "sub nsw",
    "multiply": "mul nsw",
    "divide": "udiv",
    "and": "and",
}
FLOAT_PREDICATES: Mapping[Predicate, str] = {"<": "olt", "<=": "ole", ">": "ogt", ">=": "oge", "==": "oeq"}
SIGNED: Mapping[Predicate, str] = {"<": "slt", "<=": "sle", ">": "sgt", ">=": "sge", "==": "eq", "!=": "ne"}
UNSIGNED: Mapping[Predicate, str] = {"<": "ult", "<=": "ule", ">": "ugt", ">=": "uge", "==": "eq", "!=": "ne"}
CURRENT_ROUNDING = 4  # of x86's intrinsics that may state another rounding
ORDERS: Mapping[Order, str] = {
    "relaxed": "monotonic",
    "acquire": "acquire",
    "release": "release",
    "acquire_release": "acq_rel",
}


@functools.cache
def spell(type: RegisterType) -> str:
    """A type in front of an operand."""
    if type.kind == "pointer":
        return "ptr"
    element = FLOATS[type.bits] if type.kind == "float" else f"i{type.bits}"
    return element if type.lanes == 1 else f"<{type.lanes} x {element}>"


@functools.cache
def suffix(type: RegisterType) -> str:
    """A type as the suffix of an intrinsic's name."""
    element = f"{type.kind[0]}{type.bits}"
    return element if type.lanes == 1 else f"v{type.lanes}{element}"


def literal(value: float) -> str:
    """A float32 number as LLVM text: the bits of the equal double."""
    single = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"


def floats(values: Sequence[float]) -> str:
    """The literal of a vector of float32 numbers."""
    return f"<{', '.join(f'{FLOATS[32]} {literal(value)}' for value in values)}>"


def constant(value: float, type: RegisterType) -> str:
    """A number in every lane."""
    if type.kind == "float":
        return every_lane(literal(value), type)
    if type.kind == "bool":
        return every_lane("true" if value else "false", type)
    return every_lane(str(int(value)), type)


@functools.cache
def every_lane(text: str, type: RegisterType) -> str:
    """The literal of a vector with `text` in every lane."""
    if type.lanes == 1:
        return text
    if text == "false":
        return "zeroinitializer"
    return f"<{', '.join([f'{spell(type.wide(1))} {text}'] * type.lanes)}>"


def conversion(source: RegisterType, type: RegisterType, signed: bool) -> str:
    """The instruction that converts a number from one type to another."""
    if source.kind == type.kind == "float":
        return "fptrunc" if type.bits < source.bits else "fpext"
    if source.kind != "float" and type.kind == "int":
        return "trunc" if type.bits < source.bits else "sext" if signed else "zext"
    if source.kind == "int" and type.kind == "float":
        return "sitofp" if signed else "uitofp"
    assert source.kind == "float" and type.kind == "int", (source, type)
    return "fptosi" if signed else "fptoui"
