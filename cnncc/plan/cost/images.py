"""What images of a call that are computed together have to save, and the memory that they may take for it."""

from __future__ import annotations

from ...machine.core import Core
from ...machine.target import Target

WORTHWHILE = 0.9  # of the time of single images that images together may take at most
NOTICEABLE = 0.003  # of an image's time that all stages in blocks have to save
CALLS = 2  # of kernels whose cycles they have to save: so much may the blocks of others cost a single image
FREE_BYTES = 64 << 10  # that blocks of images may add to the memory of any model …
MEMORY = 1.25  # … and the factor by which they may increase that of a large one
TILE_OF_L2 = 0.9  # of the second cache for all that the stages of a tile of images touch
REUSED_OF_L3 = 0.5  # of the third cache for what the next stage reads; other programs and tensors have the rest
AHEAD = 64  # stages among which others are looked for that share tiles with one
LEAST_ROWS = 2  # of the lowest tile for rows of images: a single image has a kernel of its own


def worthwhile(together: float, singles: float) -> bool:
    """Whether images are faster together than one after the other."""
    return together < WORTHWHILE * singles


def noticeable(core: Core, saved: float, image: float) -> bool:
    """Whether `saved` cycles of the `image` cycles that an image takes are worth code and memory."""
    return saved > max(CALLS * core.call_cycles, NOTICEABLE * image)


def fits(nbytes: int, before: int) -> bool:
    """Whether a program may need so many bytes of memory that needed `before` bytes for one image at a time."""
    return nbytes <= max(before + FREE_BYTES, MEMORY * before)


def exceeds_caches(target: Target, nbytes: int) -> bool:
    """Whether what one stage wrote comes back from memory, and not from a cache.

    Of a step with 64 images, which the third cache held, some stages took as much longer in tiles as others took less.
    """
    return nbytes > max(target.l2, REUSED_OF_L3 * target.l3)


def images_of_tile(target: Target, images: int, nbytes: int) -> int:
    """How many of the images that take `nbytes` the second cache holds; 0 if caches hold all, or it holds none."""
    return int(images * TILE_OF_L2 * target.l2 / nbytes) if exceeds_caches(target, nbytes) else 0
