"""Results without elements: they are known, whatever the inputs are, and no layer makes them."""

from __future__ import annotations

import numpy as np

from ...allowance import Allowance, allowance
from ...errors import CnnccError, ShapeError
from ...ir import Value
from ...types import Array
from .call import Anything, NodeContext
from .folding import Row, fold

MOST_BYTES = 1 << 16
"""What is made at most to find out whether results have elements."""


class Hollow(NodeContext):
    """A call in which values of run time are arrays of zeros, which take no memory."""

    def __init__(self, call: NodeContext):
        self.__dict__.update(call.__dict__)
        self.call = call

    def anything(self, index: int) -> Anything:
        found = self.call.anything(index)
        if not isinstance(found, Value):
            return found
        type = self.call.type(found)
        return np.broadcast_to(np.zeros((), type.dtype.numpy), type.shape)

    def sizes(self, index: int, what: str) -> tuple[int, ...]:
        """As of the call itself: zeros do not stand for axes or sizes that arrive."""
        return self.call.sizes(index, what)


def nothing(row: Row, error: ShapeError, call: NodeContext) -> list[Array]:
    """The row's results if they have no elements: these are known, whatever the inputs are. Raises `error` otherwise.

    Not more than `MOST_BYTES` bytes are made to find that out.
    """
    small = Allowance()
    small.limit = min(small.limit, MOST_BYTES)
    try:
        with allowance(small):
            made = fold(row, Hollow(call))
    except (CnnccError, ValueError, IndexError, TypeError, ArithmeticError):
        raise error from None
    if any(array.size for array in made):
        raise error
    return made
