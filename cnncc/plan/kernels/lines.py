"""Computations of lines: the kernels, and how each looks at the views of its tensors (`Ranked` is a lookup).

All of them loop over the axes in the order of memory, merged where it has no gaps; the lines keep an axis of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...lines import ExtremePlace, Linewise, Ranking, Running
from ...machine.target import Target
from ..views import View
from . import extreme_place, ranking, running_sum
from .fibre_axes import FibreAxes, OverFibres, fibre_axes


def kernel(
    target: Target, computation: Linewise, sources: Sequence[View], result: View
) -> tuple[OverFibres, list[View], View]:
    """The kernel of a computation, and the views as it reads and writes them."""
    axes = line_axes(computation.axis, sources, result)
    return chosen(target, computation, axes), [axes.read(source) for source in sources], axes.written(result)


def chosen(target: Target, computation: Linewise, axes: FibreAxes) -> OverFibres:
    sizes, line = axes.sizes, axes.reduced_groups
    match computation:
        case ExtremePlace():
            return extreme_place.kernel(target, computation, sizes, line)
        case Ranking():
            return ranking.kernel(target, computation, sizes, line)
        case Running():
            return running_sum.kernel(target, computation, sizes, line)
    raise AssertionError(f"no kernel for {computation}")


def line_axes(axis: int, sources: Sequence[View], result: View) -> FibreAxes:
    """The axes of the loops, that of the lines among them even if it has one element."""
    axes = fibre_axes(sources[0].shape, (axis,), sources, result, reads_result=True)
    return (
        axes if axes.reduced_groups else replace(axes, groups=((axis,), *axes.groups), stored=((axis,), *axes.stored))
    )
