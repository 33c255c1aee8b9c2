"""Changes of the images of a batch, made on the host, from random numbers of the step alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from ..types import Array

Augmentation = Callable[[Array, np.random.Generator], Array]
"""A function of images (N, C, spatial…) and a generator; returns as many images of the same shape."""


@dataclass(frozen=True)
class Shift:
    """Each image moved by up to `most` pixels along each spatial axis; what comes in is 0."""

    most: int

    def __post_init__(self) -> None:
        if isinstance(self.most, bool) or not isinstance(self.most, int) or self.most < 0:
            raise UsageError(f"Shift({self.most!r}): expected a whole number of pixels from 0 on")

    def __call__(self, images: Array, random: np.random.Generator) -> Array:
        spatial = images.ndim - 2
        wide = np.pad(images, [(0, 0), (0, 0), *[(self.most, self.most)] * spatial])
        begins = random.integers(0, 2 * self.most + 1, (len(images), spatial))
        return np.stack([_window(image, row, images.shape[2:]) for image, row in zip(wide, begins, strict=True)])


def _window(image: Array, begins: Array, sizes: Sequence[int]) -> Array:
    """So many pixels of an image (C, spatial…) along each spatial axis."""
    cuts = (slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))
    return np.asarray(image[(slice(None), *cuts)])


@dataclass(frozen=True)
class Flip:
    """Half of the images mirrored along an axis; the last one is left and right."""

    axis: int = -1

    def __call__(self, images: Array, random: np.random.Generator) -> Array:
        turned = random.random(len(images)) < 0.5
        result = images.copy()
        result[turned] = np.flip(images[turned], self.axis)
        return result


@dataclass(frozen=True)
class Crop:
    """A window of each image, of at least the share `least` of each side, brought to its size by the nearest pixel."""

    least: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1:
            raise UsageError(f"Crop({self.least!r}): expected a share above 0 and up to 1")

    def __call__(self, images: Array, random: np.random.Generator) -> Array:
        return np.stack([self._one(image, random) for image in images])

    def _one(self, image: Array, random: np.random.Generator) -> Array:
        share = random.uniform(self.least, 1)
        for axis, size in enumerate(image.shape[1:], start=1):
            length = max(1, round(share * size))
            begin = int(random.integers(0, size - length + 1))
            image = image.take(begin + np.arange(size) * length // size, axis)
        return image


def augmented(images: Array, changes: Sequence[Augmentation], seed: Sequence[int]) -> Array:
    """The images after all changes; `seed` gives the random numbers. Raises UsageError for images of another shape."""
    if not changes:
        return images
    random = np.random.default_rng(seed)
    for change in changes:
        after = np.asarray(change(images, random))
        if after.shape != images.shape:
            raise UsageError(f"augmentation {change} made {after.shape} of images of shape {images.shape}")
        images = after.astype(images.dtype, copy=False)
    return images
