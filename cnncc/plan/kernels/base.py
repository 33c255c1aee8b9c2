"""What a kernel is: the contract that every one keeps, and what the plan asks of it.

Every kernel obeys one contract: it computes rows [a, b) of its target (positions of the outermost spatial
axis; a tensor without spatial axes is one row) from row views of its sources. Where a window leaves its
source, a view that brings its border (`halo`) is read there, and otherwise the kernel itself puts the fill
value in place of what it does not read (`clip`): both give the same bits.

The plan asks a kernel by the properties and methods of `Kernel`, never for its class.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ...computation import Contraction
from ...target import Target
from ...windows import WindowAxis
from ..cost import step
from ..views import View, elements


@dataclass(frozen=True)
class RowNeed:
    """Target rows [a, b) read source rows [a·stride − low, (b − 1)·stride − low + extent), cut to those that exist.

    `grain` rows of the target are computed together.
    """

    stride: int = 1
    extent: int = 1
    low: int = 0
    grain: int = 1


def row_need(window: Sequence[WindowAxis], pooled: int = 1, grain: int = 1) -> RowNeed:
    """The rows that a window reads, where `pooled` of its positions make one row; without a window, as many rows."""
    if not window:
        return RowNeed(grain=grain)
    rows = window[0]
    return RowNeed(pooled * rows.stride, (pooled - 1) * rows.stride + rows.extent, rows.low, grain)


class Kernel(ABC):
    """A frozen description with all that the code depends on: steps with equal ones, and views, share a function.

    What is stated here holds for a kernel that says nothing else.
    """

    reads_borders = False
    """Whether it reads borders of its sources, filled with 0, where they bring them."""
    only_border = False
    """Whether it writes the border of its target and nothing else."""
    is_copy = False
    """Whether it only copies, so that its time counts for who reads the copy."""

    # What it computes

    @property
    @abstractmethod
    def sources(self) -> int:
        """Views that it reads itself, before the operands of its epilogue."""

    @abstractmethod
    def describe(self) -> str:
        """What it computes, its vectors and its tile, in a few words."""

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
        """The contraction and the outputs per tile of a Cook–Toom transform, which rounds otherwise than one sum."""
        return None

    # Rows and shards

    @property
    def row_need(self) -> RowNeed:
        """The rows of its first source that it reads."""
        return row_need(self.own_window, grain=self.grain)

    @property
    def grain(self) -> int:
        """Units that shards should not part."""
        return 1

    def units(self, result: View) -> int:
        """What shards share: rows, unless it says otherwise."""
        return result.rows

    @property
    def writes_own_rows(self) -> bool:
        """Whether shards share the rows of an image, and each writes its own ones only."""
        return True

    @property
    def streams(self) -> bool:
        """Whether it may read a ring of a few rows and write to one."""
        return False

    def shared_evenly(self, target: Target, sources: Sequence[View], result: View) -> Kernel:
        """The same kernel, sharing what shards divide best."""
        return self

    # Memory

    @property
    def scratch(self) -> int:
        """Elements of memory that each shard uses as it likes."""
        return 0

    def follows_tables(self, number: int, source: View) -> bool:
        """Whether it reads source `number` through the tables of its view; else it is given a plain copy."""
        return False

    def touched(self, view: View) -> int:
        """Elements of a view that it reads or writes: each once, however often it is repeated."""
        return math.prod(size for size, stride in zip(view.shape, view.strides, strict=True) if stride)

    # Cost

    def macs(self, result: View) -> int:
        """Multiply-adds of its definition; padding counts as if it were multiplied."""
        return 0

    def multiplied(self, result: View) -> int:
        """Multiply-adds of its algorithm."""
        return self.macs(result)

    def moved(self, sources: Sequence[View], result: View) -> int:
        """Elements that it reads or writes, whichever are more."""
        return max(elements(view.shape) for view in (result, *sources[:1]))

    @property
    def vector_axis(self) -> int:
        """The axis of the result along which its vectors lie."""
        return 1

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """About how long one core takes.

        A guess for decisions between steps, where a third more or less does not matter; the costs of `Candidate` are
        finer.
        """
        along = max(1, result.shape[self.vector_axis]) if self.vector_axis < result.rank else 1
        return step.moved(target.core, self.moved(sources, result), min(target.lanes, along))


def balanced(total: int, most: int) -> list[int]:
    """`total` in as few nearly equal parts of at most `most` as possible: 30 by 14 is 10, 10, 10."""
    count = -(-total // most)
    size, larger = divmod(total, count)
    return [size + 1] * larger + [size] * (count - larger)


def lane_axis(view: View) -> int:
    """The axis along which vectors lie: side by side in memory if possible."""
    close = [axis for axis, stride in enumerate(view.strides) if stride == 1 and view.shape[axis] > 1]
    return max(close, key=lambda axis: view.shape[axis]) if close else view.rank - 1


def sizes(numbers: Sequence[int]) -> str:
    """Such as '3×3'."""
    return "×".join(map(str, numbers))


def taps_of(window: Sequence[WindowAxis]) -> str:
    """The taps of a window, such as '3×3'."""
    return sizes([axis.kernel for axis in window])


def lanes_on(lanes: int, axis: int) -> str:
    """Where vectors lie, in words."""
    return f"{lanes} lanes along axis {axis}"
