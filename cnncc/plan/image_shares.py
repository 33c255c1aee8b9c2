"""Images as units: which steps shards divide by images, positions of the first axis, and not by rows.

Where all images arrive together, as in a step of training, rows of a layer are a few rows of every image: eight of 8²
are few, three of the gradient of a 3×3 kernel leave one of two shards with twice the work of the other, and each shard
writes lines of the cache that the other one writes as well. Images are many, each is a range of memory, and no window
reaches from one to the next: a shard that has the same images in all steps needs no barrier between them, up to the
first sum over images.
"""

from __future__ import annotations

from dataclasses import replace

from ..machine.target import Target
from .cost.parallel import BALANCED_SHARDS, MORE_EVEN, largest_part
from .plan import Step, most_shards
from .views import View


def shared_evenly(step: Step, target: Target) -> Step:
    """The step with the most balanced partition among shards: by images, or what its kernel finds best."""
    even = replace(step, kernel=step.kernel.shared_evenly(target, step.sources, step.target))
    if not _may_divide_images(step, target):
        return even
    images = replace(step, by_images=True)
    far = MORE_EVEN if not all(map(_one_by_one, step.views)) else 1.0
    return images if _busiest(images) <= far * _busiest(even) else even


def _may_divide_images(step: Step, target: Target) -> bool:
    """Whether there are several images, and the kernel computes each of them by itself."""
    several = step.target.rank > 0 and step.target.shape[0] > 1 and most_shards(target) > 1
    return several and step.kernel.divides_images(step.sources, step.target)


def _busiest(step: Step) -> float:
    """The share of the busiest shard, summed over some numbers of shards."""
    return sum(largest_part(step.partitions, shards) for shards in BALANCED_SHARDS)


def _one_by_one(view: View) -> bool:
    """Whether each image of a view is a range of memory of its own."""
    return view.rank < 2 or view.strides[0] >= max(view.strides[1:]) or not view.strides[0]
