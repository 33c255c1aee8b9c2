"""Which inputs carry images, for kinds of ops."""

from __future__ import annotations

from ..op import Op
from .axes import axis_of


class AlongOneAxis(Op, abstract=True):
    """An op of one input along `axis`: of each image by itself, unless that is the axis of the images."""

    axis: int

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if axis_of(self.axis, ranks[0]) == 0 else (True,)


class WithParameters(Op, abstract=True):
    """An op whose first input has images; the others are the same for all."""

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True, *(False for _ in ranks[1:]))
