"""Lowered ops → lowered ops: the rows of a matrix are positions of one image, where they arrive together.

A dense layer has its rows along the axis of images, of which a program of single images sees one. But where layers mix
images, or rows are steps or tokens that a reshape brought there, each row would read all weights again. As positions of
one image several rows share each load of weights: 20 rows of 1024 → 8210 take 1.36 ms in place of 8.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..computation import Arrangement, Contraction, Permute, RowMajorReshape
from ..types import Array, TensorType
from ..windows import WindowAxis
from .lower import LoweredGraph, LoweredOp, Operand
from .tensors import Tensor

TURNED = Permute((0, 2, 1))


def rows_as_positions(works: LoweredGraph) -> LoweredGraph:
    """The same program, in which dense layers of several rows are convolutions of one image of as many positions."""
    rows = Rows(dict(works.types), dict(works.constants), [])
    for work in works.works:
        rows.rewrite(work)
    return replace(works, works=rows.works, types=rows.types, constants=rows.constants)


@dataclass
class Rows:
    """The new program while it is made."""

    types: dict[Tensor, TensorType]
    constants: dict[Tensor, Array]
    works: list[LoweredOp]

    def rewrite(self, work: LoweredOp) -> None:
        """Append what replaces a lowered op: the contraction, and the moves of its operands and its result."""
        c, (rows, *_) = work.computation, self.types[work.result].shape or (1,)
        if not isinstance(c, Contraction) or c.window or c.weights_per_image or rows == 1:
            self.works.append(work)
            return
        image, weights, *bias = work.operands
        kernels = self._moved(work, RowMajorReshape(), weights, (*self.types[weights].shape, 1), (1,))
        operands = [self._image(work, image, 0), kernels, *bias]
        extras = [self._extra(work, extra, number) for number, extra in enumerate(work.extras, start=2)]
        product = replace(c, window=(WindowAxis(rows),))
        shape = self.types[work.result].shape
        made = self._new(work, work.result, (1, shape[1], rows), ())
        self.works.append(replace(work, computation=product, operands=operands, extras=extras, result=made))
        back = self._moved(work, TURNED, made, (1, *shape), (-1,))
        self.works.append(LoweredOp(work.name, RowMajorReshape(), [back], work.result))

    def _extra(self, work: LoweredOp, extra: Operand, number: int) -> Operand:
        """What the epilogue reads, aligned to the new result (1, channels, rows)."""
        if self.types[extra.tensor].rank < 2:
            return replace(extra, dims=tuple(2 - dim for dim in extra.dims))
        return Operand(self._image(work, extra.tensor, number), (0, 1, 2))

    def _image(self, work: LoweredOp, tensor: Tensor, number: int) -> Tensor:
        """A matrix (rows, channels) as an image (1, channels, rows)."""
        rows, channels = self.types[tensor].shape
        whole = self._moved(work, RowMajorReshape(), tensor, (1, rows, channels), (number,))
        return self._moved(work, TURNED, whole, (1, channels, rows), (number, 1))

    def _moved(
        self, work: LoweredOp, move: Arrangement, tensor: Tensor, shape: tuple[int, ...], numbers: tuple[int, ...]
    ) -> Tensor:
        """An arrangement of a tensor; of a constant the constant."""
        made = self._new(work, tensor, shape, numbers)
        if tensor in self.constants:
            self.constants[made] = move.arrange([self.constants[tensor]], shape)
        else:
            self.works.append(LoweredOp(work.name, move, [tensor], made))
        return made

    def _new(self, work: LoweredOp, like: Tensor, shape: tuple[int, ...], numbers: tuple[int, ...]) -> Tensor:
        """A tensor of the elements of another one."""
        made = Tensor("rows", (work.result,), numbers)
        self.types[made] = self.types[like].shaped(shape)
        return made
