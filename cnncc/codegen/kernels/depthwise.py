"""Depthwise convolution with lanes along the channels.

A tile holds rows × columns outputs of one or two vectors of channels. Each pixel vector is loaded once and multiplied
by the weights of every tap that reaches it: a 3×3 tile of 14 columns takes 3·16 loads of pixels and 9 of weights for
its 126 multiply-adds. Rows of pixels are read from top to bottom, and each row from left to right. So each output is
summed in the order of its taps, starting at its bias. `plan.kernels.depthwise` chooses tile and block.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from ...plan.kernels import Depthwise
from ..emitter import Emitter
from ..epilogue import Key, ResultVector, finish
from ..macs import accumulate
from ..nest import UNROLL_ALL, Carry, flat, reduce_nest
from ..registers import Index, Ssa
from .family import ConvolutionEmitter, Tensors
from .sliding import Patch, Place, Sliding

Meeting = tuple[Index, list[tuple[int, Index]]]  # a pixel of a row, and the pairs (column, tap) that it serves


class DepthwiseConvolution(Sliding[Depthwise], ConvolutionEmitter[Depthwise]):
    """Emits one depthwise convolution."""

    def __init__(self, e: Emitter, kernel: Depthwise, tensors: Tensors):
        pooled = [kernel.epilogue.pooled(axis) for axis in range(len(kernel.window))]
        super().__init__(e, kernel, tensors, block=kernel.block, pooled=pooled)

    def tile(self, patch: Patch) -> None:
        """`patch` has the stored size; the tile computes all outputs that are pooled into it."""
        e = self.e
        stored = self.places(patch)
        first = tuple(e.mul(index, unit) for index, unit in zip(patch.first, self.pooled, strict=True))
        rows = patch.rows * self.pooled[0] if self.last else 1
        least, most = (column * self.pooled[-1] for column in patch.span)
        patch = replace(patch, first=first, rows=rows, columns=patch.columns * self.pooled[-1], span=(least, most))
        places = self.places(patch)
        sums = self.sums(patch)
        cells = {key: ResultVector(places[key], value, self.k.lanes) for key, value in zip(places, sums, strict=True)}
        finish(e, self.k.epilogue, cells, stored, 1, self.target, self.operands)

    def places(self, patch: Patch) -> dict[Key, Place]:
        """The position of each row, column and vector of a patch."""
        found: dict[Key, Place] = {}
        for row, column, vector in itertools.product(range(patch.rows), range(patch.columns), self.side_by_side):
            place = [patch.image, self.channel(patch, vector), *patch.first]
            place[2] = self.e.add(place[2], row)
            place[-1] = self.e.add(place[-1], column)
            found[row, column, vector] = tuple(place)
        return found

    @property
    def side_by_side(self) -> range:
        """The vectors of channels of a tile."""
        return range(self.size.vectors)

    def channel(self, patch: Patch, vector: int) -> Index:
        """The first channel of one of its vectors."""
        return self.e.add(patch.channel, vector * self.lanes)

    def sums(self, patch: Patch) -> Carry:
        """The sums of a patch, row by row."""
        e, k = self.e, self.k
        *outer, last = k.window
        starts = [self.bias_of(self.channel(patch, vector), k.lanes) for vector in self.side_by_side]
        sums = starts * patch.rows * patch.columns
        if patch.rows > 1:
            return self.rows_of_taps(patch, sums)
        whole = last.kernel * len(sums) <= UNROLL_ALL
        taps = range(last.kernel)

        def body(indices: list[Index], sums: Carry) -> Carry:
            tap = tuple(indices[: self.last])
            across = self.reach(patch, taps if whole else indices[self.last :])
            shift = [e.mul(index, w.dilation) for index, w in zip(tap, outer, strict=True)]
            return self.pixel_row(patch, shift, [(0, tap)], across, sums)

        extents = [w.kernel for w in (outer if whole else k.window)]
        return reduce_nest(e, extents, sums, len(sums) * (last.kernel if whole else 1), body)

    def rows_of_taps(self, patch: Patch, sums: Carry) -> Carry:
        """Several rows of outputs: each row of pixels serves all rows of taps that reach it."""
        first, *middle, last = self.k.window
        meeting: dict[int, list[tuple[int, int]]] = {}
        for row, tap in itertools.product(range(patch.rows), range(first.kernel)):
            meeting.setdefault(row * first.stride + tap * first.dilation, []).append((row, tap))
        across = self.reach(patch, range(last.kernel))
        for at in sorted(meeting):
            for inner in itertools.product(*(range(w.kernel) for w in middle)):
                shift = [at, *(tap * w.dilation for tap, w in zip(inner, middle, strict=True))]
                met: list[tuple[int, Place]] = [(row, (tap, *inner)) for row, tap in meeting[at]]
                sums = self.pixel_row(patch, shift, met, across, sums)
        return sums

    def reach(self, patch: Patch, taps: Sequence[Index]) -> list[Meeting]:
        """For each pixel of a row: its distance in columns from the first, and the pairs (column, tap) it serves."""
        e, w = self.e, self.k.window[-1]
        meeting: dict[Index, list[tuple[int, Index]]] = {}
        for column, tap in itertools.product(range(patch.columns), taps):
            meeting.setdefault(e.add(column * w.stride, e.mul(tap, w.dilation)), []).append((column, tap))
        return sorted(meeting.items()) if all(isinstance(at, int) for at in meeting) else list(meeting.items())

    def pixel_row(
        self, patch: Patch, shift: Sequence[Index], met: Sequence[tuple[int, Place]], across: list[Meeting], sums: Carry
    ) -> Carry:
        """Add the row of pixels at `shift` from the first one to the sums of the (row, outer taps) that it serves."""
        e, sums = self.e, list(sums)
        parts = [replace(patch, channel=self.channel(patch, vector)) for vector in self.side_by_side]
        rows = [self.row_of_pixels(part, shift) for part in parts]
        for (at, columns), vector in itertools.product(across, self.side_by_side):
            pixel = self.pixel(patch, rows[vector], at)
            for (y, taps), (x, tap) in itertools.product(met, columns):
                number = (y * patch.columns + x) * len(rows) + vector
                sums[number] = accumulate(e, pixel, self.weight((*taps, tap), parts[vector].channel), sums[number])
        return sums

    def weight(self, taps: Place, channel: Index) -> Ssa:
        e = self.e
        number = flat(e, taps, [w.kernel for w in self.k.window])
        return self.weights.load_strided(e.add(e.mul(number, self.k.channels), channel), 1, self.k.lanes)
