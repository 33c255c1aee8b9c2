"""What images of a call that are computed together have to save, and the memory that they may take for it."""

from __future__ import annotations

from ...machine.core import Core

WORTHWHILE = 0.9  # of the time of single images that images together may take at most
NOTICEABLE = 0.003  # of an image's time that all stages in blocks have to save
CALLS = 2  # of kernels whose cycles they have to save: so much may the blocks of others cost a single image
FREE_BYTES = 64 << 10  # that blocks of images may add to the memory of any model …
MEMORY = 1.25  # … and the factor by which they may increase that of a large one
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
