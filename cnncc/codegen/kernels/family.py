"""The base class of all kernel families: code that computes rows [a, b) of a step's target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...plan.kernels import Convolution, Kernel
from ..emitter import Emitter
from ..macs import nothing
from ..memory import Access
from ..nest import outside_axes
from ..registers import Index, Ssa

K = TypeVar("K", bound=Kernel)
C = TypeVar("C", bound=Convolution)


@dataclass(frozen=True)
class Tensors:
    """The memory of a step: the kernel's sources, its epilogue's operands, its target and its scratch memory."""

    sources: Sequence[Access]
    operands: Sequence[Access]
    target: Access
    scratch: Sequence[Access] = ()


class KernelEmitter(ABC, Generic[K]):
    """The code of one step: the class of a family is its loop nest, and `emit` has the outermost loops.

    It computes the `images` of a range: all, unless shards divide them (`Step.by_images`).
    """

    def __init__(self, e: Emitter, kernel: K, tensors: Tensors):
        self.e, self.k = e, kernel
        self.sources, self.operands, self.target = tensors.sources, tensors.operands, tensors.target
        self.images: tuple[Index, Index] = (0, self.target.view.shape[0] if self.target.view.rank else 1)

    @abstractmethod
    def emit(self, a: Index, b: Index) -> None:
        """Emit rows [a, b) of the target, or other units that shards divide (`Step.units`)."""


class ConvolutionEmitter(KernelEmitter[C]):
    """A family of convolutions, with names for its sources."""

    def __init__(self, e: Emitter, kernel: C, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.image, self.weights = self.sources[:2]
        self.bias = self.sources[2] if kernel.bias else None
        self.rank = len(kernel.window)
        self.guarded_axes = outside_axes(kernel.window, self.image)

    def bias_of(self, channel: Index, lanes: int, lane_axis: int = 1) -> Ssa:
        """The initial value of the sums of outputs from `channel` on: their bias, or zero."""
        if self.bias is None:
            return nothing(self.e, lanes)
        return self.bias.load(self.bias.offset([0, channel, *[0] * self.rank]), lane_axis, lanes)
