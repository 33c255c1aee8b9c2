"""Cycles of a step of the innermost loop, of the tile that repeats it, and of the end of a tile.

One step of a direct convolution multiplies s scalars by v vectors. It issues s·v multiply-adds and s + v loads. It
takes at least the latency of a multiply-add, since each accumulator is one dependency chain. Where the weights of a
block of outputs exceed the first cache, the v vectors come from the second one. With the measured core:

    s·v / 2,   (s + v) / 2,   4,   4·lanes·v / 30     (in a dense layer, whose pipes are idle: / 53)

The longest of these bounds the step. Near-equal bounds delay each other: their fifth norm is what was measured (8
chains take 4.6 cycles, not 4; 14 take 7.1). A core looks some 400 instructions ahead. So the latency of a short tile,
and the start and end of a tile of up to 14 sums, overlap the next tile; each further sum costs 4 cycles a tile.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...elements import FLOAT32, Element
from ...expr import Apply, Expr, parts
from ...machine.core import Core
from ...machine.target import Target
from .transfer import arrival, share_of_sets

SERIES = {
    **dict.fromkeys(("exp", "expm1", "sigmoid", "tanh", "erf"), 1),
    **dict.fromkeys(("log", "softplus", "sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan"), 2),
    **dict.fromkeys(("asinh", "acosh", "atanh"), 4),
    **dict.fromkeys(("power", "remainder", "modulo"), 12),
}
"""Functions that are computed by a series, and how long they take in units of exp."""
BRANCHING = {"sin", "cos", "tan", "remainder", "modulo"}
"""Those of them with a branch or a loop, behind which nothing is computed side by side."""
SIDE_BY_SIDE = 4  # vectors whose series a loop computes at once: their chains overlap, and code is four times as long
COMPUTED_TWICE = 1 / 8  # of the vectors of a run, at most, where their number is no multiple of it
TRANSFORMED = 1.5  # a Winograd convolution with its transforms, in units of its products
PLANAR_DEPTHWISE = 2.0  # for the borders and edges that the cycles of columns leave out, beside copies to channels last
TRANSFORMED_POINTS = 256  # of all phases of a tile, at most: their transforms are straight-line code
SHORT_OF_MEMORY = 1.25  # times the cycles of a split on a core without caches: its sums take memory that is short there
SPARE = 2  # registers that a tile leaves free: LLVM hoists a load or two, and a full register file then spills
SPARE_DEPTHWISE = 4  # the same for a depthwise tile with as many sums as possible: for pixels and weights
CLIP = 0.1  # fraction that tests at the edges add to a direct convolution that reads a ring: rings have no border
STACKED = 4  # rows of a tile with lanes along the columns, at most: columns of few outputs make few sums
TESTED = 2  # operations of a pixel that is tested: a select and its broadcast, where a load otherwise does both
TESTS = 6  # operations of a pixel, or of a vector of pixels, under each tap: its place, comparisons, a mask
CLIPPED_FILTER = 4.0  # times that a filter's tile takes longer at an edge: no vector serves several taps
TESTED_LANE = 3  # operations of each lane of a vector that no instruction loads in part: a test, a load, an insertion
MASKS_OF_VECTORS = 16  # vector registers up to which masks lie in them (AVX2), and not in registers of their own
MASKED_LOADS = 2  # loads that such a mask counts for
UNROLLED = 400  # multiply-adds in the code of a tile, or of a row of taps
ROWS_OF_A_ROUND = 2  # at least, in a chain of layers: a single row does not fill tiles of rows
POOL_COLUMNS = 4  # neighbouring results of a pool that reuse the pixels they have in common
WIDEN_VECTOR = 1  # instructions that make float32 of a vector of narrower weights, loaded by the conversion itself
WIDEN_SCALAR = 3  # … of one, for all lanes: a load of its own, the conversion and the broadcast
INDEXED = 2.0  # cycles of an element at an index that arrives: two loads, the clamp, an insertion or a store
WIDEN_ONE = 2  # … where a register is one lane: from a core register into one for floats, and the conversion


def peak(target: Target) -> float:
    """The most multiply-adds of one element a cycle."""
    return target.mac.rate * target.lanes


def most_scalars(target: Target, vectors: int, spare: int = SPARE) -> int:
    """The most scalars that a tile multiplies by so many vectors, with `spare` registers left over.

    Beside the sums, registers hold the vectors and one scalar, which is loaded just before its use. Where loads come
    first, they hold all scalars: 14 `operand_registers` have room for 4 · 2 sums and 4 + 2 operands.
    """
    if target.loads_first:
        return (target.operand_registers - vectors) // (vectors + 1)
    return (target.registers - 1 - spare) // vectors - 1


def unaligned_loads(target: Target, lanes: int = 0) -> float:
    """Loads that the load of one vector of columns counts for: it begins anywhere in a cache line, and may cross it.

    Of 16 places in a line of 64 bytes, a vector of 16 elements crosses at 15, one of 8 at 7, one of 4 at 3. Each of the
    `pieces` of another number of lanes is a load.
    """
    core = target.core
    places = core.line_bytes // core.mac.pixel.bytes
    beyond = (core.crossing_loads - 1) / (places - 1)
    return sum(1 + beyond * min(places - 1, piece - 1) for piece in pieces(lanes or target.lanes))


def pieces(lanes: int) -> list[int]:
    """The powers of two whose sum is a number of lanes: an instruction loads one of them, another one joins it."""
    return [1 << bit for bit in range(lanes.bit_length()) if lanes >> bit & 1]


def widening(weights: Element, lanes: int, *, scalar: bool = False) -> int:
    """Instructions more than a load, for a vector of `lanes` weights or for one in all lanes."""
    if weights is FLOAT32:
        return 0
    return WIDEN_ONE if lanes == 1 else WIDEN_SCALAR if scalar else WIDEN_VECTOR


def longest(core: Core, products: float, loads: float, chain: float = 1) -> float:
    """Cycles of what bounds a tile: its multiply-adds, its loads, or its chains of `chain` multiply-adds each.

    Differs from `step_cycles`, which adds near-equal bounds. Filters, groups and the partitions of Winograd's products
    are costed by the longest bound alone; where both models give candidates, these are compared with each other.
    """
    return max(products / core.mac.rate, loads / core.load_ports, core.mac.latency * chain)


def step_cycles(
    core: Core,
    scalars: int,
    vectors: int,
    vector_load: float,
    latency: float,
    arrival: float = 0.0,
    saved: int = 0,
    widened: int = 0,
) -> float:
    """Cycles of one step of the innermost loop: the norm of its bounds.

    `vector_load` is what a load of a vector counts for, `latency` and `arrival` are cycles, `saved` counts
    multiply-adds that serve two sums, and `widened` instructions that widen weights, which find a pipe as shuffles do.
    """
    bounds = (
        (scalars * vectors - saved) / core.mac.rate,
        (scalars + vector_load * vectors) / core.load_ports,
        latency,
        arrival,
        widened / core.vector_pipes,
    )
    return float(sum(bound**core.overlap_norm for bound in bounds) ** (1 / core.overlap_norm))


def clipped(target: Target, scalars: int, vectors: int, load: float, tested: float = 0.0, masked: float = 0.0) -> float:
    """Cycles that a step takes longer if it tests its pixels.

    `tested` are operations beside its multiply-adds, for which both share the pipes, and `masked` loads. In a core that
    looks ahead, either is hidden up to the bounds of the step.
    """
    core = target.core
    if not core.window:
        return tested / core.vector_pipes + masked / core.load_ports
    plain = step_cycles(core, scalars, vectors, load, core.mac.latency)
    operations, loads = scalars * vectors + tested, scalars + load * vectors + masked
    return max(0.0, operations / core.vector_pipes - plain, loads / core.load_ports - plain)


def masked_vector(target: Target) -> tuple[float, float]:
    """(operations, loads) more of a vector of neighbours of which some may lie outside.

    With registers for masks there are none. A mask in a vector register is loaded as well, and counts for two loads.
    Without masked loads each lane is tested, loaded and inserted by itself.
    """
    if not target.loads_in_part:
        return TESTED_LANE * target.lanes, 0.0
    return 0.0, 0.0 if target.registers > MASKS_OF_VECTORS else MASKED_LOADS


def with_ends(core: Core, cycles: float, sums: int) -> float:
    """Cycles of a tile with `sums` accumulators, whose steps take `cycles`."""
    return cycles + core.tile_cycles + core.exposed_sum_cycles * max(0, sums - core.hidden_sums)


@dataclass(frozen=True)
class InnerLoop:
    """The innermost loop of a layer: steps for a tile, bytes of a vector, cycles to finish each vector of results.

    A layer with one position uses every weight once; `once` then holds the vectors of weights of a step.
    `widen_scalar` and `widen_vector` are instructions that a scalar or a vector takes after its load. `packed` are the
    vectors of weights that are packed together for a step, if a tile reads only some of them.
    """

    target: Target
    count: int
    bytes: int
    finish: float = 0.0
    once: int = 0
    widen_scalar: int = 0
    widen_vector: int = 0
    packed: int = 0

    def tile(
        self, scalars: int, vectors: int, vector_load: float = 1.0, weights: int = 0, paired: bool = False
    ) -> float:
        """Cycles of a tile; `weights` are the vectors of weights in a block, read by every tile.

        With `paired`, the last vector serves two scalars.
        """
        core = self.target.core
        saved = scalars // 2 if paired else 0
        sums = scalars * vectors - saved
        widened = scalars * self.widen_scalar + vectors * self.widen_vector
        hidden = core.window / (sums + scalars + vectors)
        latency = core.mac.latency * max(0.0, 1 - hidden / self.count)
        fetched = self.arrival(weights, sums / core.mac.rate)
        step = step_cycles(core, scalars, vectors, vector_load, latency, fetched, saved, widened)
        return with_ends(core, self.count * step, sums) + self.finish * sums

    def arrival(self, weights: int, busy: float = 0.0) -> float:
        """Cycles to fetch the weights of a step from the second cache; 0 if they stay in the first one.

        The pipes are `busy` for so many cycles of a step: where they wait, weights arrive as a stream.
        """
        core, step = self.target.core, weights * self.bytes
        held = self.count * (self.once * self.bytes or step)
        crowded = held / share_of_sets(core, step, self.packed * self.bytes)
        waits = self.packed > weights and busy * core.l2_stream_rate < step
        return arrival(self.target, crowded, step, streamed=bool(self.once) or waits)


def products_tile(steps: InnerLoop, columns: int, vectors: int) -> float:
    """Cycles of a tile of a matrix product; with few steps its stores bound it."""
    return max(steps.tile(columns, vectors, weights=vectors), columns * vectors * steps.target.core.store_cycles)


def filter_tile(core: Core, products: int, loads: float, taps: int, sums: int) -> float:
    """Cycles of a filter's tile, by its longest bound; each sum is one chain over the taps."""
    return longest(core, products, loads, taps) + core.tile_cycles + core.filter_store_cycles * sums


def grouped_row(core: Core, products: int, shuffles: int, loads: int, chain: int) -> float:
    """Cycles of a row of taps whose multiply-adds share the pipes with shuffles."""
    return max(longest(core, products, loads, chain), (products + shuffles) / core.vector_pipes)


def transform_cycles(core: Core, operations: int, points: int) -> float:
    """Cycles to transform a tile of a vector of channels: operations, and a load or a store for each point."""
    return operations / core.mac.rate + points * core.store_cycles


def folded(core: Core) -> float:
    """Cycles to add up the lanes of one of n sums, and to add it to a result in memory.

    Together, n / 2 pairs of vectors take two shuffles and an addition each, then n / 4 and so on: 3 n operations.
    """
    return 3 / core.vector_pipes + core.store_cycles + 1 / core.load_ports


def busy_sums(core: Core) -> int:
    """Sums of a tile that keep the pipes busy, the ends of tiles included."""
    return max(int(core.busy_chains), core.hidden_sums)


def spilled(core: Core, sums: int) -> float:
    """Cycles of the end of a tile for sums that have no register, from there to memory and back."""
    return core.spilled_sum_cycles * max(0, sums)


def computed(target: Target, products: float) -> float:
    """Approximate cycles of a layer of usual size with `products` multiply-adds."""
    return products / (peak(target) * target.core.sustained) + target.core.call_cycles


def moved(core: Core, elements: int, lanes: int) -> float:
    """Approximate cycles of a step that only moves elements, `lanes` of them in a vector."""
    return core.call_cycles + elements / (core.moved_vectors * lanes)


def indexed(core: Core, elements: int) -> float:
    """Approximate cycles of a step that reads or writes elements one by one, where indices say."""
    return core.call_cycles + INDEXED * elements


def series(*expressions: Expr) -> int:
    """How long the functions that are computed by a series (exp, tanh…) take, in units of exp."""
    return sum(SERIES.get(part.function, 0) for e in expressions for part in parts(e) if isinstance(part, Apply))


def branches(expr: Expr) -> bool:
    """Whether some function of it branches."""
    return any(isinstance(part, Apply) and part.function in BRANCHING for part in parts(expr))


def series_cycles(core: Core, *expressions: Expr) -> float:
    """Cycles that series take for each vector of results."""
    return core.transcendental_cycles * series(*expressions)
