"""Element types and tensor types. Shapes are static: tuples of positive integers."""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ShapeError

Array = npt.NDArray[Any]

MAX_ELEMENTS = 2**29 - 1  # of float32: byte offsets stay below 2^31, also on 32-bit targets

MAX_RANK = 32
"""Axes of a tensor. NumPy, which defines what ops mean, iterates over no more."""


class DType(enum.Enum):
    """The element type of a tensor."""

    float32 = "float32"
    uint8 = "uint8"
    """Inputs only (camera images); everything is computed in float32."""

    @functools.cached_property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.value)

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class TensorType:
    """Shape (logical order: N, C, spatial…) and element type of a value.

    Raises ShapeError for a dimension below 1, more than `MAX_ELEMENTS` elements or more than `MAX_RANK` axes.
    """

    shape: tuple[int, ...]
    dtype: DType = DType.float32

    def __post_init__(self) -> None:
        expect_rank(len(self.shape))
        for size in self.shape:
            if isinstance(size, bool) or not isinstance(size, int):
                raise ShapeError(f"shape {self.shape}: {size!r} is not a whole number")
            if size < 1:
                raise ShapeError(f"shape {self.shape}: every dimension must be at least 1")
        if self.size > MAX_ELEMENTS:
            raise ShapeError(f"shape {self.shape} has {self.size} elements, at most {MAX_ELEMENTS} fit")

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def random(self, rng: np.random.Generator) -> Array:
        """Normally distributed numbers of this type; of bytes, any."""
        if self.dtype is DType.uint8:
            return rng.integers(0, 256, self.shape, np.uint8)
        return rng.standard_normal(self.shape).astype(np.float32)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def expect_rank(rank: int) -> None:
    """Raise ShapeError for more axes than a tensor can have."""
    if rank > MAX_RANK:
        raise ShapeError(f"a tensor of {rank} axes: at most {MAX_RANK} fit")
