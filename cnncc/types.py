"""Element types and tensor types. Shapes are static: tuples of positive integers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .elements import FLOAT32, Element, element_of
from .errors import ShapeError

Array = npt.NDArray[Any]

MAX_BYTES = 2**31 - 4
"""Byte offsets stay below 2^31, also on 32-bit targets."""
MAX_ELEMENTS = MAX_BYTES // FLOAT32.bytes
"""Elements of a tensor, also of shorter ones: they are computed with as float32. Of longer ones, fewer fit."""

MAX_RANK = 32
"""Axes of a tensor. NumPy, which defines what ops mean, iterates over no more."""


@dataclass(frozen=True)
class TensorType:
    """Shape (logical order: N, C, spatial…) and element type of a value.

    Raises ShapeError for a dimension below 1, more elements than `MAX_BYTES` hold or more than `MAX_RANK` axes.
    """

    shape: tuple[int, ...]
    dtype: Element = FLOAT32

    @staticmethod
    def of(array: Array) -> TensorType:
        """The type of an array (see `element_of`); raises ShapeError for elements that no tensor has."""
        try:
            return TensorType(tuple(array.shape), element_of(array))
        except KeyError:
            raise ShapeError(f"there are no tensors of {array.dtype}") from None

    def shaped(self, shape: Iterable[int]) -> TensorType:
        """As many elements of the same type as another shape says."""
        return TensorType(tuple(shape), self.dtype)

    def typed(self, element: Element) -> TensorType:
        """The same shape of other elements."""
        return TensorType(self.shape, element)

    def __post_init__(self) -> None:
        expect_rank(len(self.shape))
        for size in self.shape:
            if isinstance(size, bool) or not isinstance(size, int):
                raise ShapeError(f"shape {self.shape}: {size!r} is not a whole number")
            if size < 1:
                raise ShapeError(f"shape {self.shape}: every dimension must be at least 1")
        most = min(MAX_ELEMENTS, MAX_BYTES // self.dtype.bytes)
        if self.size > most:
            raise ShapeError(
                f"shape {self.shape} has {self.size} elements ({self.nbytes / 2**30:,.1f} GiB), at most {most} fit"
            )

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.bytes

    def random(self, rng: np.random.Generator) -> Array:
        """Normally distributed numbers of this type; whole ones up to ±100; of bytes and truth values, any."""
        if self.dtype.is_float:
            return rng.standard_normal(self.shape).astype(self.dtype.numpy)
        least, most = int(max(self.dtype.least, -100)), int(self.dtype.most) if self.dtype.bytes == 1 else 100
        return np.asarray(rng.integers(least, most + 1, self.shape, self.dtype.numpy))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


class EmptyType(TensorType):
    """The type of an input or output without elements. No op takes or makes one: there is nothing to compute."""

    def __post_init__(self) -> None:
        expect_rank(len(self.shape))
        if 0 not in self.shape or min(self.shape) < 0:
            raise ShapeError(f"shape {self.shape} is not that of a tensor without elements")


def port_type(shape: Iterable[int], dtype: Element) -> TensorType:
    """The type of an input or output, which may have no elements."""
    sizes = tuple(shape)
    return EmptyType(sizes, dtype) if 0 in sizes else TensorType(sizes, dtype)


def expect_rank(rank: int) -> None:
    """Raise ShapeError for more axes than a tensor can have."""
    if rank > MAX_RANK:
        raise ShapeError(f"a tensor of {rank} axes: at most {MAX_RANK} fit")
