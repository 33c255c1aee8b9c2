"""The transforms of Winograd convolution as vector code, and that of its input: V = Bᵀ d B for every phase of a tile.

The arithmetic is that of `cook_toom`: straight-line code made from its matrices, with lanes along channels. With
strides, a pixel of the tile belongs to one phase, and a point has the results of all its phases side by side.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...cook_toom import Matrix, multiply
from ...plan.kernels import Winograd
from ...plan.kernels.winograd_phases import Phase, Spot
from ...plan.views import line_elements
from ..emitter import Emitter
from ..memory import Access
from ..nest import lane_runs, with_guards
from ..registers import Index, Ssa

Load = Callable[[Index, int], Ssa]  # a vector of channels, from the offset of its first channel and its lanes


@dataclass(frozen=True)
class WinogradTile:
    """A tile of an image: its number in the block, and its first output on each axis."""

    image: Index
    number: Index
    first: tuple[Index, ...]


@dataclass(frozen=True)
class Pixels:
    """How to load each pixel of a tile; those outside the image are 0. `dense`: one load may read several of a row."""

    loads: Mapping[Spot, Load]
    dense: bool


class InputTransform:
    """Emits the transform of one tile, for all channels."""

    def __init__(self, e: Emitter, kernel: Winograd, image: Access, scratch: Access):
        self.e, self.k, self.image, self.scratch = e, kernel, image, scratch
        self.phases = kernel.phases
        self.plane = kernel.plane(kernel.pitch)

    def emit(self, place: WinogradTile) -> None:
        """Tiles inside the image, or at its edge; phases; channels."""
        e, k = self.e, self.k
        firsts = zip(place.first, k.window, strict=True)
        start = [e.sub(e.mul(first, w.stride), w.low) for first, w in firsts]
        results = e.mul(place.number, k.pitch)
        if k.next_image:
            own = [m * w.stride for m, w in zip(k.steps, k.window, strict=True)]
            dilations = [w.dilation for w in k.window]
            fetch(e, self.image, [e.add(place.image, 1), 0, *start], own, dilations, k.channels)

        def body(guarded: bool) -> None:
            pixels = self.guarded(place.image, start) if guarded else self.inside(place.image, start)
            for group in self.phases.groups:
                lane_runs(e, 0, k.channels, k.lanes, functools.partial(self.transform, group, pixels, results))

        with_guards(e, self.readable(start), body)

    def transform(self, group: Sequence[Phase], pixels: Pixels, results: Index, channel: Index, lanes: int) -> None:
        """The pixels of some phases in one vector; each point has the results of all its phases side by side."""
        e, phases = self.e, self.phases
        moved, at = self.image.along(1, channel), e.add(results, channel)
        matrices = phases.inputs(group[0])
        spots = itertools.product(*(range(len(matrix[0])) for matrix in matrices))
        wanted = {spot: [self.pixel(spot, phase) for phase in group] for spot in spots}
        values = {spot: self.vector(own, pixels, moved, lanes) for spot, own in wanted.items()}
        for spot, value in transformed(e, matrices, values):
            if len(group) > 1:  # one store of a whole vector: the next group, or padding, lies behind
                value = e.resize(value, self.k.lanes)
            place = phases.numbers[spot] * self.plane + phases.order[spot].index(group[0]) * self.k.channels
            self.scratch.store(value, e.add(at, place), 0)

    # Pixels

    def pixel(self, spot: Spot, phase: Phase) -> Spot:
        """The pixel of a tile that is the pixel `spot` of a phase."""
        return tuple(at * w.stride + p for at, w, p in zip(spot, self.k.window, phase, strict=True))

    def vector(self, wanted: Sequence[Spot], pixels: Pixels, moved: Index, lanes: int) -> Ssa:
        """`lanes` channels of each pixel, one after the other; 0 for those behind the tile, which meet weights of 0."""
        parts = []
        for pixel, count in self.side_by_side(wanted) if pixels.dense else ((pixel, 1) for pixel in wanted):
            load = pixels.loads.get(pixel)
            parts.append(load(moved, count * lanes) if load else self.image.number(0.0, count * lanes))
        return functools.reduce(self.e.join, parts)

    def side_by_side(self, wanted: Sequence[Spot]) -> Iterator[tuple[Spot, int]]:
        """Runs of neighbours in a row of the tile: the first pixel and their number."""
        first, count = wanted[0], 1
        for pixel in wanted[1:]:
            if pixel == (*first[:-1], first[-1] + count) and pixel[-1] < self.k.pixels[-1]:
                count += 1
                continue
            yield first, count
            first, count = pixel, 1
        yield first, count

    def inside(self, n: Index, start: Sequence[Index]) -> Pixels:
        """The pixels of a tile that lies in the image or in its border."""
        e, view = self.e, self.image.view
        steps = [w.dilation * stride for w, stride in zip(self.k.window, view.strides[2:], strict=True)]
        dense = view.strides[1] == 1 and steps[-1] == self.k.channels
        if view.ring:  # rows are not equally far apart: each has an address of its own
            starts = [
                [n, 0, e.add(start[0], row * self.k.window[0].dilation), *start[1:]] for row in range(self.k.pixels[0])
            ]
            rows, steps[0] = [self.image.offset(position) for position in starts], 0
            dense = dense and len(steps) > 1
        else:
            rows = [self.image.offset([n, 0, *start])] * self.k.pixels[0]

        def pixel(first: Index, distance: int) -> Load:
            return lambda moved, lanes: self.image.load(e.add(e.add(first, moved), distance), 1, lanes)

        loads = {spot: pixel(rows[spot[0]], sum(map(operator.mul, spot, steps))) for spot in self.spots()}
        return Pixels(loads, dense)

    def spots(self) -> Iterator[Spot]:
        """The pixels of a tile."""
        return itertools.product(*map(range, self.k.pixels))

    def guarded(self, n: Index, start: Sequence[Index]) -> Pixels:
        """The pixels of a tile that may reach beyond the image."""
        return Pixels({spot: self.guarded_pixel(n, start, spot) for spot in self.spots()}, dense=False)

    def guarded_pixel(self, n: Index, start: Sequence[Index], spot: Spot) -> Load:
        e = self.e
        steps = zip(start, spot, self.k.window, strict=True)
        position = [n, 0, *(e.add(begin, at * w.dilation) for begin, at, w in steps)]
        guard = self.image.guard(position, range(2, len(position)))
        return lambda moved, lanes: self.image.load_guarded(guard, e.add(guard.offset, moved), 1, lanes, 0.0)

    def readable(self, start: Sequence[Index]) -> Ssa | bool:
        """Whether all pixels of a tile lie in the image or in its border."""
        e, tests = self.e, []
        for axis, (begin, w, n) in enumerate(zip(start, self.k.window, self.k.pixels, strict=True)):
            low, high = self.image.view.border[axis + 2] if self.image.view.border else (0, 0)
            step = self.k.steps[axis] * w.stride * w.dilation
            phase = (w.dilation - 1) * w.stride  # by which the last tile begins later than the first of its group
            last = (self.k.grid[axis] // w.dilation - 1) * step + phase - w.low + (n - 1) * w.dilation + 1
            if w.low > low:
                tests.append(e.compare(">=", begin, -low))
            if last > w.size + high:
                tests.append(e.compare("<=", begin, w.size + high - (n - 1) * w.dilation - 1))
        result = e.all_of(tests)
        return True if result is None else result


def fetch(
    e: Emitter, tensor: Access, position: Sequence[Index], sizes: Sequence[int], apart: Sequence[int], channels: int
) -> None:
    """Prefetch all channels of the pixels from a position on: so many along each axis, so far apart."""
    view = tensor.view
    if view.ring:
        return
    at, line = tensor.offset(position), line_elements(tensor.element)
    steps = [distance * stride for distance, stride in zip(apart, view.strides[2:], strict=True)]
    for pixel in itertools.product(*map(range, sizes)):
        for channel in range(0, channels, line):
            tensor.prefetch(e.add(at, sum(map(operator.mul, pixel, steps)) + channel * view.strides[1]))


def transformed(e: Emitter, matrices: Sequence[Matrix], values: Mapping[Spot, Ssa]) -> Iterator[tuple[Spot, Ssa]]:
    """A transform along every axis, the last axis first; the results of the first axis come line by line."""
    for axis in range(len(matrices) - 1, 0, -1):
        values = dict(along(e, axis, matrices[axis], values))
    yield from along(e, 0, matrices[0], values)


def along(e: Emitter, axis: int, matrix: Matrix, values: Mapping[Spot, Ssa]) -> Iterator[tuple[Spot, Ssa]]:
    """`matrix` times every line of values along an axis."""
    for line in dict.fromkeys((spot[:axis], spot[axis + 1 :]) for spot in values):
        before, after = line
        column = [values[*before, place, *after] for place in range(len(matrix[0]))]
        for place, value in enumerate(multiply(Vectors(e), matrix, column)):
            yield (*before, place, *after), value


@dataclass(frozen=True)
class Vectors:
    """Vectors of the emitter as the values of `cook_toom.multiply`."""

    e: Emitter

    def plus(self, total: Ssa | None, factor: Fraction, value: Ssa) -> Ssa:
        e, lanes = self.e, value.lanes
        if total is None:
            return value if factor == 1 else e.binary("multiply", value, e.number(float(factor), lanes))
        if abs(factor) == 1:
            return e.binary("add" if factor > 0 else "subtract", total, value)
        return e.multiply_add(value, e.number(float(factor), lanes), total)
