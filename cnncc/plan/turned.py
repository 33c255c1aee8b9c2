"""Turned contractions, as gradients of weights are: images have the place of channels, and channels that of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..computation import Contraction
from ..types import TensorType
from .kernels import Turned
from .tensors import Tensor
from .views import Order


def along_memory(shape: Sequence[int], order: Order) -> list[int]:
    """The axes of a tensor from the outermost in memory to the innermost, without those of one element."""
    return [axis for axis in order if shape[axis] > 1]


def side_by_side(shape: Sequence[int], order: Order) -> bool:
    """Whether neighbouring outputs of weights lie side by side."""
    return along_memory(shape, order)[-1:] in ([], [0])


def as_read(shape: Sequence[int], order: Order) -> Order:
    """The order in which a kernel that does not pack weights reads those in `order`, or a copy of them."""
    return order if side_by_side(shape, order) else (*range(1, len(shape)), 0)


def turned(
    c: Contraction, image: Tensor, weights: Tensor, types: Mapping[Tensor, TensorType], orders: Mapping[Tensor, Order]
) -> Turned | None:
    """What a turned contraction of an image and weights that arrive has; None of others.

    That of a single image is known by its window, of more taps than there are results.
    """
    outermost = all(along_memory(types[one].shape, orders[one])[:1] == [1] for one in (image, weights))
    if not (outermost or (c.channels == 1 and c.taps > math.prod(axis.out for axis in c.window))):
        return None
    copies = 0 if side_by_side(types[weights].shape, orders[weights]) else types[weights].size
    lines = all(along_memory(types[one].shape, orders[one])[-1:] == [len(c.window) + 1] for one in (image, weights))
    return Turned(types[image].shape[0], copies, lines)
