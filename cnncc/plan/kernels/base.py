"""The contract of a kernel, and the interface through which the plan asks about it.

Every kernel computes rows [a, b) of its target from row views of its sources. Rows are positions of the outermost
spatial axis; a tensor without spatial axes is one row. Where a window leaves its source, the kernel reads the border
of a view that has one (`halo`), and otherwise substitutes the fill value (`clip`): both give the same bits.

The plan calls the properties and methods of `Kernel` and never tests the class of a kernel.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ...computation import Contraction
from ...elements import Element
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost import step
from ..views import ROW_AXIS, View, elements


@dataclass(frozen=True)
class RowNeed:
    """Target rows [a, b) read source rows [a·stride − low, (b − 1)·stride − low + extent), as far as they exist.

    `granularity` rows of the target are computed together.
    """

    stride: int = 1
    extent: int = 1
    low: int = 0
    granularity: int = 1


@dataclass(frozen=True)
class OverImages:
    """A kernel that computes several images at once, the positions of one after those of the other along one axis.

    `grain` rows should stay in one shard. Number n of `cycles` is what n + 1 images take together; by itself, in the
    kernel for one image, each takes `single`.
    """

    kernel: Kernel
    grain: int
    cycles: Sequence[float]
    single: float


def row_need(window: Sequence[WindowAxis], pooled: int = 1, granularity: int = 1) -> RowNeed:
    """The rows that a window reads, with `pooled` positions for each target row; without a window, the same rows."""
    if not window:
        return RowNeed(granularity=granularity)
    rows = window[0]
    return RowNeed(pooled * rows.stride, (pooled - 1) * rows.stride + rows.extent, rows.low, granularity)


class Kernel(ABC):
    """A frozen description with everything that the code depends on.

    Steps with equal kernels and views share a function. The properties and methods here are defaults; a kernel
    overrides those that differ.
    """

    reads_borders = False
    """Whether it reads the borders of its sources, filled with 0, where they have any."""
    only_border = False
    """Whether it writes the border of its target and nothing else."""
    is_copy = False
    """Whether it only copies: its time is then counted for the reader of the copy."""

    # What it computes

    @property
    @abstractmethod
    def sources(self) -> int:
        """The number of views that it reads before the operands of its epilogue."""

    @abstractmethod
    def describe(self) -> str:
        """Its computation, vectors and tile, in a few words."""

    @property
    def roles(self) -> list[str]:
        """The names of its sources."""
        return ["source"] if self.sources == 1 else [f"source {number}" for number in range(self.sources)]

    @property
    def own_window(self) -> tuple[WindowAxis, ...]:
        """The window over its first source, if it has one."""
        return ()

    @property
    def transform(self) -> tuple[Contraction, tuple[int, ...]] | None:
        """The contraction and the outputs per tile of a Cook–Toom transform, which rounds differently from a sum."""
        return None

    # Rows and shards

    @property
    def row_need(self) -> RowNeed:
        """The rows of its first source that it reads."""
        return row_need(self.own_window, granularity=self.granularity)

    @property
    def granularity(self) -> int:
        """The number of units that should stay in one shard."""
        return 1

    def units(self, result: View) -> int:
        """The number of units that shards divide: rows by default."""
        return result.rows

    @property
    def writes_own_rows(self) -> bool:
        """Whether shards divide the rows of an image, and each writes its own rows only."""
        return True

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        """Whether it computes each position of the first axis by itself, so that shards may divide these."""
        return False

    @property
    def computes_once(self) -> bool:
        """Whether it surely computes each result once, after it has read the operands of its epilogue."""
        return False

    @property
    def streams(self) -> bool:
        """Whether it may read from a ring of a few rows and write to one."""
        return False

    def shared_evenly(self, target: Target, sources: Sequence[View], result: View) -> Kernel:
        """The same kernel, partitioned along the axis that shards divide best."""
        return self

    def in_rounds(self, rows: int) -> Kernel:
        """The same kernel in a chain, where each call computes about `rows` rows."""
        return self

    def over_images(self, target: Target, images: int) -> OverImages | None:
        """The kernel that computes a block of images as rows, with the same sums; None if there is none."""
        return None

    # Memory

    @property
    def scratch(self) -> int:
        """Elements of scratch memory for each shard."""
        return 0

    def scratch_element(self, source: Element) -> Element:
        """What they are, for elements of the first source: the same, if it says nothing."""
        return source

    def follows_tables(self, number: int, source: View) -> bool:
        """Whether it reads source `number` through the index tables of its view; else the plan makes a plain copy."""
        return False

    def touched(self, view: View) -> int:
        """Elements of a view that it reads or writes; a repeated element counts once."""
        return math.prod(size for size, stride in zip(view.shape, view.strides, strict=True) if stride)

    # Cost

    def macs(self, result: View) -> int:
        """Multiply-adds of its definition, those with padding included."""
        return 0

    def multiplied(self, result: View) -> int:
        """Multiply-adds of its algorithm."""
        return self.macs(result)

    def moved(self, sources: Sequence[View], result: View) -> int:
        """The larger of the elements that it reads and those that it writes."""
        return max(elements(view.shape) for view in (result, *sources[:1]))

    @property
    def vector_axis(self) -> int:
        """The axis of the result along which its vectors lie."""
        return 1

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """Approximate cycles on one core.

        An estimate for decisions between steps, where an error of a third does not matter; the costs of `Candidate` are
        more exact.
        """
        along = max(1, result.shape[self.vector_axis]) if self.vector_axis < result.rank else 1
        return step.moved(target.core, self.moved(sources, result), min(target.lanes, along))


class AlongAxis(Kernel):
    """A kernel whose vectors lie along one axis of its result, `lane_axis`."""

    lane_axis: int
    by_rows = False
    """Whether it computes rows of its result from rows of its sources."""

    @property
    def streams(self) -> bool:
        """False if a vector holds several rows of one column: in a ring it might reach beyond the last row."""
        return self.by_rows and self.lane_axis != ROW_AXIS

    @property
    def vector_axis(self) -> int:
        return self.lane_axis


def balanced(total: int, most: int) -> list[int]:
    """`total` as the least number of nearly equal parts of at most `most`: 30 by 14 is 10, 10, 10."""
    count = -(-total // most)
    size, larger = divmod(total, count)
    return [size + 1] * larger + [size] * (count - larger)


def lane_axis(view: View) -> int:
    """The axis along which vectors lie: one whose elements are adjacent in memory, if possible."""
    close = [axis for axis, stride in enumerate(view.strides) if stride == 1 and view.shape[axis] > 1]
    return max(close, key=lambda axis: view.shape[axis]) if close else view.rank - 1


def sizes(numbers: Sequence[int]) -> str:
    """Numbers as text, such as '3×3'."""
    return "×".join(map(str, numbers))


def taps_of(window: Sequence[WindowAxis]) -> str:
    """The taps of a window, such as '3×3'."""
    return sizes([axis.kernel for axis in window])


def lanes_on(lanes: int, axis: int) -> str:
    """Where vectors lie, in words."""
    return f"{lanes} lanes along axis {axis}"
