"""Ops that change the order of axes: transpose, pixel shuffle and its inverse, channel shuffle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import LoweringBuilder
from ..errors import ShapeError
from ..op import Sample
from ..types import Array, TensorType
from .arrangement import Arranging


@dataclass(frozen=True)
class Transpose(Arranging):
    """Axis a of the result is axis `axes[a]` of the input; without `axes` their order is reversed."""

    axes: tuple[int, ...] | None = None

    def order(self, rank: int) -> tuple[int, ...]:
        """Raises ShapeError unless every axis occurs once."""
        axes = tuple(reversed(range(rank))) if self.axes is None else self.axes
        if sorted(axes) != list(range(rank)):
            raise ShapeError(f"axes {axes} must name each of the {rank} axes once")
        return axes

    def shape(self, x: TensorType) -> tuple[int, ...]:
        return tuple(x.shape[axis] for axis in self.order(x.rank))

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.asarray(inputs[0].transpose(self.order(inputs[0].ndim)), order="C"),)

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        return pieces.transpose(x, self.order(pieces.types[x].rank))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True,) if self.axes and self.axes[0] == 0 else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((0, 2, 3, 1)), ((2, 3, 4, 5),))
        yield Sample(cls((0, 3, 1, 2)), ((1, 9, 17, 21),))
        yield Sample(cls(), ((3, 18, 5),))
        yield Sample(cls((0, 2, 1)), ((2, 33, 20),))


@dataclass(frozen=True)
class Shuffling(Arranging, abstract=True):
    """The axes are split (`split`), put into another order and joined again (`shape`)."""

    def split(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shape with its axes split, and the order that they are brought into; raises ShapeError."""
        raise NotImplementedError

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        parted, order = self.split(x.shape)
        return (np.ascontiguousarray(x.reshape(parted).transpose(order).reshape(self.shape(TensorType.of(x)))),)

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        parted, order = self.split(pieces.shape(x))
        whole = self.shape(pieces.types[x])
        return pieces.reshape(pieces.transpose(pieces.reshape(x, parted), order), whole)


def _image(shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    if len(shape) != 4:
        raise ShapeError(f"{what} takes (N, C, H, W), got {shape}")
    return shape


@dataclass(frozen=True)
class DepthToSpace(Shuffling):
    """Pixel shuffle: `block`² channels become squares of block × block pixels.

    With mode 'DCR' channel (row, column, c) and with 'CRD' (PyTorch's PixelShuffle) channel (c, row, column) of the
    input holds the pixel in that place of the square.
    """

    block: int
    mode: str = "DCR"

    def split(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        (n, c, h, w), b = _image(shape, self.name), self.block
        if type(b) is not int or b < 1 or c % (b * b):
            raise ShapeError(f"block {b} does not divide the {c} channels into squares")
        if self.mode == "DCR":
            return (n, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2)
        if self.mode == "CRD":
            return (n, c // (b * b), b, b, h, w), (0, 1, 4, 2, 5, 3)
        raise ShapeError(f"mode {self.mode!r} is unknown: expected 'DCR' or 'CRD'")

    def shape(self, x: TensorType) -> tuple[int, ...]:
        self.split(x.shape)
        n, c, h, w = x.shape
        return n, c // self.block**2, h * self.block, w * self.block

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(2), ((2, 12, 3, 5),))
        yield Sample(cls(3, "CRD"), ((1, 18, 2, 4),))


@dataclass(frozen=True)
class SpaceToDepth(Shuffling):
    """The inverse of DepthToSpace with mode 'DCR': squares of block × block pixels become channels."""

    block: int

    def split(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        (n, c, h, w), b = _image(shape, self.name), self.block
        if type(b) is not int or b < 1 or h % b or w % b:
            raise ShapeError(f"block {b} does not divide an image of {h} × {w}")
        return (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4)

    def shape(self, x: TensorType) -> tuple[int, ...]:
        self.split(x.shape)
        n, c, h, w = x.shape
        return n, c * self.block**2, h // self.block, w // self.block

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(2), ((2, 3, 4, 6),))
        yield Sample(cls(3), ((1, 2, 6, 3),))


@dataclass(frozen=True)
class ChannelShuffle(Shuffling):
    """Channels of `groups` groups dealt out in turn: the first of each group, then the second of each… (ShuffleNet)."""

    groups: int

    def split(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if len(shape) < 2 or type(self.groups) is not int or self.groups < 1 or shape[1] % self.groups:
            raise ShapeError(f"groups={self.groups} does not divide the channels of {shape}")
        n, channels, *spatial = shape
        parted = (n, self.groups, channels // self.groups, *spatial)
        return parted, (0, 2, 1, *range(3, len(parted)))

    def shape(self, x: TensorType) -> tuple[int, ...]:
        self.split(x.shape)
        return x.shape

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(3), ((2, 12, 3, 5),))
        yield Sample(cls(2), ((2, 6),))
