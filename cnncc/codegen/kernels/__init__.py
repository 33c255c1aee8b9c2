"""The kernel families: one class and one file each (direct convolution has one more file for each lane direction)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...plan import kernels as k
from ..emitter import Emitter
from .depthwise import DepthwiseConvolution
from .direct import DirectConvolution
from .direct_channels import AlongChannels
from .direct_columns import AlongColumns
from .elementwise import ElementwiseExpression
from .extreme_place import ExtremeOfFibres
from .family import KernelEmitter, Tensors
from .fill import Border
from .filter import Filter
from .grouped import GroupedConvolution
from .indexed import ReadAtIndices, WriteAtIndices
from .inner import InnerProducts
from .move import Copy
from .outer import OuterProducts
from .ranking import FirstByInsertion
from .reduce import WholeReduction
from .running_sum import SumsOfFibres
from .selection import FirstBySelection
from .separable import SeparableWindow
from .sweeps import FibreSweeps
from .window import pooling
from .winograd import WinogradConvolution

__all__ = ["KERNELS", "Tensors"]


def direct(e: Emitter, kernel: k.Direct, tensors: Tensors) -> DirectConvolution:
    """Direct convolution of the kind that the kernel describes."""
    along = AlongChannels if kernel.lanes_along == "channels" else AlongColumns
    return Filter(e, kernel, tensors) if kernel.is_filter else along(e, kernel, tensors)


KERNELS: Mapping[type, Callable[[Emitter, Any, Tensors], KernelEmitter[Any]]] = {
    k.Direct: direct,
    k.Grouped: GroupedConvolution,
    k.Depthwise: DepthwiseConvolution,
    k.Winograd: WinogradConvolution,
    k.Outer: OuterProducts,
    k.Inner: InnerProducts,
    k.Window: pooling,
    k.Separable: SeparableWindow,
    k.Elementwise: ElementwiseExpression,
    k.Reduce: WholeReduction,
    k.Sweeps: FibreSweeps,
    k.FindExtreme: ExtremeOfFibres,
    k.Rank: FirstByInsertion,
    k.Select: FirstBySelection,
    k.Accumulate: SumsOfFibres,
    k.IndexedRead: ReadAtIndices,
    k.IndexedWrite: WriteAtIndices,
    k.Move: Copy,
    k.Fill: Border,
}
"""The factory for each kernel of a plan: it takes the kernel and its memory and returns an object with `emit(a, b)`."""
