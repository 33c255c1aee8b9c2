"""The border of a buffer: what a window reads around the image."""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.kernels import Fill
from ..emitter import Emitter, Index
from ..memory import Access
from ..nest import lane_runs


def emit(
    e: Emitter, kernel: Fill, sources: Sequence[Access], operands: Sequence[Access], target: Access, a: Index, b: Index
) -> None:
    """Rows of the buffer, border included: above and below the image whole rows, beside it the two ends."""
    view = target.view
    shape, border = view.shape, view.border
    axes = sorted(range(len(shape)), key=lambda axis: -view.strides[axis])  # outermost in memory first
    inner = axes[-1]
    lanes = e.target.lanes

    def visit(remaining: list[int], position: list[Index], inside: bool) -> None:
        """All positions of `remaining` that have some axis, here or earlier, in its border."""
        if remaining == [inner] and not inside:

            def run(index: Index, width: int) -> None:
                place = [*position[:inner], index, *position[inner + 1 :]]
                target.store(e.number(kernel.value, width), target.offset(place), inner)

            lane_runs(e, *rows(inner, -border[inner][0], shape[inner] + border[inner][1]), lanes, run)
            return
        if not remaining:
            target.store(e.number(kernel.value, 1), target.offset(position), inner)
            return
        axis, *rest = remaining
        low, high = border[axis]
        for begin, end, within in ((-low, 0, False), (0, shape[axis], True), (shape[axis], shape[axis] + high, False)):
            if begin >= end or (inside and within and not any(border[other] != (0, 0) for other in rest)):
                continue
            first, last = rows(axis, begin, end)
            with e.loop(first, last) as loop:
                visit(rest, [*position[:axis], loop.index, *position[axis + 1 :]], inside and within)

    def rows(axis: int, begin: int, end: int) -> tuple[Index, Index]:
        """The part of [begin, end) that belongs to rows [a, b), which count from the top of the border."""
        if axis != 2:
            return begin, end
        top = border[2][0]
        return e.largest(e.sub(a, top), begin), e.least(e.sub(b, top), end)

    if len(shape) > 2:
        visit(axes, [0] * len(shape), True)
    else:
        with e.loop(a, b):
            visit(axes, [0] * len(shape), True)
