"""Numbers of images that record when code computes with them.

A frontend works with one number of images, N, and makes graphs for any N. A graph is right for any N if no code read N
while it was made. So shapes contain a `Count` in N's place, which gives its number only through methods.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..types import Array, TensorType

ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and", "or", "xor")
UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": operator.abs,
    "invert": operator.invert,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
}
ORDER = ("eq", "ne", "lt", "le", "gt", "ge")


class Count:
    """The number of images: a whole number that calls `asked` before it returns its value.

    It does not call `asked` to compare itself with numbers below 1, or two `pure` counts of equal value. A count that
    is not `pure` is computed from the number of images. `asked` may raise.
    """

    def __init__(self, number: int, asked: Callable[[], object], pure: bool = True):
        self._number, self._asked, self._pure = number, asked, pure

    def __index__(self) -> int:
        self._asked()
        return self._number

    __int__ = __index__

    def __float__(self) -> float:
        return float(operator.index(self))

    def __bool__(self) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(operator.index(self))

    def __repr__(self) -> str:
        return repr(self._number)

    def __format__(self, how: str) -> str:
        return format(self._number, how)

    def compared(self, relation: Callable[[Any, Any], bool], other: object) -> bool:
        if self is other or (isinstance(other, Count) and self._pure and other._pure and self._number == other._number):
            return relation(0, 0)
        if isinstance(other, int | np.integer) and other < 1:
            return bool(relation(1, other))
        return relation(operator.index(self), operator.index(other) if isinstance(other, Count) else other)

    def computed(self, function: Callable[..., Any], *operands: Any) -> Any:
        """The result of `function` on `operands`, with numbers in place of counts."""
        return function(*(operator.index(one) if isinstance(one, Count) else one for one in operands))


def _equip() -> None:
    """Give `Count` the operators of a whole number."""

    def set(name: str, method: Callable[..., Any]) -> None:
        setattr(Count, f"__{name}__", method)

    for name in ORDER:
        relation = getattr(operator, name)
        set(name, lambda self, other, relation=relation: self.compared(relation, other))
    for name in ARITHMETIC:
        function = getattr(operator, f"{name}_" if name in ("and", "or") else name)
        set(name, lambda self, other, function=function: self.computed(function, self, other))
        set(f"r{name}", lambda self, other, function=function: self.computed(function, other, self))
    for name, single in UNARY.items():
        set(name, lambda self, *_, single=single: self.computed(single, self))


_equip()


def counted(type: TensorType, shape: tuple[int, ...]) -> TensorType:
    """A type whose shape may contain counts; it is not validated."""
    made = object.__new__(TensorType)
    object.__setattr__(made, "shape", shape)
    object.__setattr__(made, "dtype", type.dtype)
    return made


def equal(a: object, b: object) -> bool:
    """Whether two sizes are equal for every number of images; it reads the value of no count."""
    return a is b if isinstance(a, Count) or isinstance(b, Count) else a == b


def vector(sizes: int | Sequence[int]) -> Array:
    """Whole numbers as an array: of int64, or of Python objects if there are counts among them."""
    numbers = sizes if isinstance(sizes, Sequence) else (sizes,)
    kind = object if any(isinstance(size, Count) for size in numbers) else np.int64
    made = np.empty(len(numbers), kind)
    made[:] = numbers
    return made if isinstance(sizes, Sequence) else made.reshape(())
