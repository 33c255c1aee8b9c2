"""Direct convolution with lanes along the columns: s outputs' weights, each in all lanes, times v vectors of columns.

For planar images with few channels, or few outputs. The last vector of a row slides back over columns that were
computed already, and gives the same bits. If all rows of a pool's window fit into one vector, it holds all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..epilogue import Key, ResultVector
from ..nest import Carry
from ..registers import Index, Ssa
from .direct import DirectConvolution
from .direct_tile import Load, OutputBlock, TilePosition, TileShape


class AlongColumns(DirectConvolution):
    """Weights of output channels are the scalars, columns the vectors."""

    across = 1

    @property
    def lane_axis(self) -> int:
        return self.rank + 1

    # Tiles

    def tiles(self, rows: int, width: int) -> Iterator[tuple[Index, TileShape]]:
        """Vectors, the last of which slides back, or one vector that holds all columns of several rows."""
        if self.k.tile.rows_per_vector > 1:
            yield 0, TileShape(rows, (0,), self.k.lanes, self.k.tile.rows_per_vector)
            return
        stored, step = self.k.lanes // self.unit, self.k.tile.vectors
        vectors = -(-width // stored)
        regular = width // stored // step * step  # vectors in whole tiles
        if regular:
            with self.e.loop(0, regular * stored, step * stored) as x:
                yield x.index, self.shape(rows, step)
        starts = [min(number * stored, width - stored) for number in range(vectors)]
        for first in range(regular, vectors, step):
            begin, *others = starts[first : first + step]
            columns = (0, *((start - begin) * self.unit for start in others))
            yield begin, TileShape(rows, columns, self.k.lanes)

    def sizes(self) -> list[tuple[int, TileShape]]:
        stored, vectors = self.k.lanes // self.unit, self.k.tile.vectors
        counts = [vectors, 1] if vectors > 1 else [1]
        return [*((count * stored, self.shape(1, count)) for count in counts), (1, TileShape(1, (0,), self.unit))]

    def shape(self, rows: int, vectors: int) -> TileShape:
        return TileShape(rows, tuple(number * self.k.lanes for number in range(vectors)), self.k.lanes)

    def span(self, shape: TileShape) -> int:
        return shape.columns[-1] + shape.width

    # Registers

    def keys(self, outputs: OutputBlock, shape: TileShape) -> list[Key]:
        return [(row, column, channel) for channel in range(outputs.count) for row, column in shape.places]

    def channel(self, outputs: OutputBlock, number: int) -> Index:
        return self.e.add(outputs.first, number)

    def counted_lanes(self, outputs: OutputBlock, number: int, shape: TileShape) -> int:
        return shape.lanes

    def step(
        self, outputs: OutputBlock, shape: TileShape, at: Index, pixels: Sequence[Callable[[], Ssa]], sums: Carry
    ) -> Carry:
        """The vectors of columns are loaded first, the weights one by one."""
        columns = [load() for load in pixels]
        places = [self.e.add(at, output) for output in range(outputs.count)]
        return self.products(columns, [partial(self.weight, place, shape.lanes) for place in places], sums)

    def weight(self, at: Index, lanes: int) -> Ssa:
        """One weight in all lanes."""
        return self.e.splat(self.weights.scalar(at), lanes)

    def load(self, position: list[Index], lanes: int, guarded: bool) -> Load:
        """A vector of columns, one stride of the window apart."""
        e, step = self.e, self.k.window[-1].stride
        last = self.rank + 1
        if not guarded:
            offset, distance = self.image.offset(position), step * self.image.view.strides[last]
            return lambda moved: self.image.load_strided(e.add(offset, moved), distance, lanes)
        rows = [axis + 2 for axis in self.guarded_axes if axis + 2 != last]
        guard = self.image.guard([*position[:-1], 0], rows)
        column = position[-1]
        if last - 2 not in self.guarded_axes:
            offset = e.add(guard.offset, self.image.along(last, column))
            distance = step * self.image.view.strides[last]

            def load(moved: Index) -> Ssa:
                value = self.image.load_strided(e.add(offset, moved), distance, lanes)
                return e.select(guard.inside, value, e.number(0.0, lanes)) if guard.inside else value

            return load
        return lambda moved: self.image.load_columns(e.add(guard.offset, moved), column, step, lanes, 0.0, guard.inside)

    # Several rows in one vector

    def pixels(
        self,
        outputs: OutputBlock,
        n: Index,
        first: Sequence[Index],
        tap: Sequence[Index],
        shape: TileShape,
        guarded: bool,
    ) -> list[Load]:
        loads = super().pixels(outputs, n, first, tap, shape, guarded)
        if shape.rows_per_vector == 1:
            return loads
        groups = [loads[first : first + shape.rows_per_vector] for first in range(0, shape.rows, shape.rows_per_vector)]
        return [partial(self.side_by_side, group) for group in groups]

    def side_by_side(self, loads: Sequence[Load], moved: Index) -> Ssa:
        """Several rows in one vector."""
        first, *others = (load(moved) for load in loads)
        for other in others:
            first = self.e.join(first, other)
        return first

    def store(
        self, outputs: OutputBlock, place: TilePosition, first: Sequence[Index], shape: TileShape, sums: dict[Key, Ssa]
    ) -> None:
        """As in the base class, after a vector of several rows is split into one register for each row."""
        if shape.rows_per_vector > 1:
            parts = [range(row * shape.width, (row + 1) * shape.width) for row in range(shape.rows_per_vector)]
            sums = {
                (row * shape.rows_per_vector + inner, column, number): self.e.shuffle(value, None, part)
                for (row, column, number), value in sums.items()
                for inner, part in enumerate(parts)
            }
            shape = replace(shape, lanes=shape.width, rows_per_vector=1)
        super().store(outputs, place, first, shape, sums)

    # Pools

    def finish(
        self, cells: Mapping[Key, ResultVector], pooled: Mapping[Key, tuple[Index, ...]], shape: TileShape
    ) -> None:
        """Join pairs of neighbouring vectors first: the vectors that a pool splits are then full."""
        if self.k.epilogue.pool:
            cells = self.joined(cells, shape)
            pooled = {key: position for key, position in pooled.items() if key in cells}
        super().finish(cells, pooled, shape)

    def joined(self, cells: Mapping[Key, ResultVector], shape: TileShape) -> dict[Key, ResultVector]:
        result: dict[Key, ResultVector] = {}
        second: set[int] = set()
        for (row, column, number), cell in cells.items():
            if column in second:
                continue
            other = cells.get((row, column + 1, number))
            if other and shape.columns[column + 1] - shape.columns[column] == shape.lanes:
                second.add(column + 1)
                pair = self.e.shuffle(cell.value, other.value, range(2 * shape.lanes))
                cell = replace(cell, value=pair, lanes=2 * shape.lanes)
            result[row, column, number] = cell
        return result
