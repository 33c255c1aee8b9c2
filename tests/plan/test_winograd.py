"""Cook–Toom transforms are exact, their operations few, and the plan takes them where they pay."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from cnncc.computation import Contraction
from cnncc.cook_toom import MOST, Matrix, depth, multiply, operations, phases, transforms
from cnncc.machine.target import TARGETS, Target
from cnncc.ops import Conv
from cnncc.plan.kernels import Candidate, Direct, Epilogue, Layer, Pooling, Winograd
from cnncc.plan.kernels.convolution import PLAIN
from cnncc.plan.kernels.winograd_phases import phases_of
from cnncc.plan.kernels.winograd_tiles import SIZES, all_steps, candidates
from cnncc.types import Array
from cnncc.windows import resolve
from tests.graphs import Net, compilation

FILTERS = [(m, r) for m, r in itertools.product(range(1, MOST + 1), range(1, 12)) if m + -(-r // 2) - 1 <= MOST]


STRIDED = [(m, r, s) for m, r, s in itertools.product((1, 2, 4, 5), range(1, 12), (2, 3)) if m + -(-r // s) - 1 <= MOST]


class Exact:
    """Rational numbers."""

    def plus(self, total: Fraction | None, factor: Fraction, value: Fraction) -> Fraction:
        return (total or Fraction(0)) + factor * value


def whole_numbers(rng: np.random.Generator, count: int) -> list[Fraction]:
    return [Fraction(int(number)) for number in rng.integers(-99, 99, count)]


def plain(matrix: Matrix, values: list[Fraction]) -> list[Fraction]:
    return [sum((a * b for a, b in zip(row, values, strict=True)), Fraction(0)) for row in matrix]


@pytest.mark.parametrize(("m", "r"), FILTERS)
def test_filters_are_exact(m: int, r: int) -> None:
    rng = np.random.default_rng((m, r))
    t = transforms(m, r)
    pixels, taps = whole_numbers(rng, m + r - 1), whole_numbers(rng, r)
    products = [u * v for u, v in zip(plain(t.weights, taps), multiply(Exact(), t.inputs, pixels), strict=True)]
    found = multiply(Exact(), t.outputs, products)
    assert found == [sum(taps[j] * pixels[i + j] for j in range(r)) for i in range(m)]


@pytest.mark.parametrize(("m", "r"), FILTERS)
def test_shared_sums_are_the_matrix(m: int, r: int) -> None:
    """Straight-line programs equal the plain products, and no term takes more roundings than a plain sum has."""
    rng = np.random.default_rng((m, r))
    for matrix in (transforms(m, r).inputs, transforms(m, r).outputs):
        values = whole_numbers(rng, len(matrix[0]))
        assert multiply(Exact(), matrix, values) == plain(matrix, values)
        assert depth(matrix) <= 2 * len(matrix[0])
        for entry in itertools.chain(*matrix):
            assert float(np.float32(float(entry))) == entry, "entries are exact in float32"


@pytest.mark.parametrize(("m", "r", "stride"), STRIDED)
def test_phases_are_exact(m: int, r: int, stride: int) -> None:
    """The products of all phases, summed point by point, are transformed back once."""
    rng = np.random.default_rng((m, r, stride))
    pixels, taps = whole_numbers(rng, (m - 1) * stride + r), whole_numbers(rng, r)
    kinds = phases(m, r, stride)
    sums = [Fraction(0)] * len(kinds[0].inputs)
    for p, t in enumerate(kinds):
        assert depth(t.inputs) <= depth(kinds[0].inputs), "the bound counts the roundings of the first phase"
        assert t.outputs == tuple(row[: len(t.inputs)] for row in kinds[0].outputs)
        values = multiply(Exact(), t.inputs, pixels[p::stride][: len(t.inputs[0])])
        products = [u * v for u, v in zip(plain(t.weights, taps[p::stride]), values, strict=True)]
        sums = [total + product for total, product in itertools.zip_longest(sums, products, fillvalue=Fraction(0))]
    found = multiply(Exact(), kinds[0].outputs, sums)
    assert found == [sum(taps[j] * pixels[i * stride + j] for j in range(r)) for i in range(m)]


def test_phases_take_fewer_products() -> None:
    """3×3 with stride 2: 9 and not 12 on each axis; 7×7 13 and not 28. Phases alike in a vector have 10 and 14."""
    for taps, joined, products in ((3, 1, 9), (7, 1, 13), (3, 4, 10), (7, 4, 14)):
        phases = phases_of((4, 4), (taps, taps), (2, 2), joined)
        assert phases.pairs == products**2 == sum(run.points * run.phases for run in phases.runs)
        assert [len(group) for group in phases.groups] == ([4] if joined == 4 else [1] * 4)
        assert sorted(phases.numbers.values()) == list(range(len(phases.order)))


def test_the_operations_of_the_usual_filters() -> None:
    """F(2, 3) as Lavin and Gray count them, 4 and 4 for each line; F(4, 3) takes two more than their 12 and 10."""
    assert [operations(t) for t in (transforms(2, 3).inputs, transforms(2, 3).outputs)] == [4, 4]
    assert [operations(t) for t in (transforms(4, 3).inputs, transforms(4, 3).outputs)] == [12, 12]


def test_too_many_points() -> None:
    with pytest.raises(ValueError, match="points"):
        transforms(MOST, 3)


def contraction(channels: int, outputs: int, size: int, **changes: int) -> Contraction:
    window = resolve((size, size), (3, 3), (changes.get("stride", 1),) * 2, (changes.get("dilation", 1),) * 2, 1)
    return Contraction(window, channels, outputs, changes.get("groups", 1))


def winograd(target: Target, c: Contraction, epilogue: Epilogue = PLAIN) -> list[Candidate]:
    """What a layer of known weights is offered."""
    return candidates(target, Layer(c, tuple(axis.out for axis in c.window), epilogue))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_candidates_keep_the_register_law(target) -> None:
    shapes = ((3, 5, 9), (16, 16, 32), (64, 100, 14), (512, 512, 7))
    for (channels, outputs, size), stride in itertools.product(shapes, (1, 2)):
        found = winograd(target, contraction(channels, outputs, size, stride=stride))
        assert bool(found) == (target.l2 > 0), "microcontrollers have no room for scratch memory"
        assert len({candidate.label for candidate in found}) == len(found)
        for candidate in found:
            kernel = candidate.kernel
            assert isinstance(kernel, Winograd)
            assert kernel.tile.registers("channels") <= target.registers
            assert kernel.tiles % kernel.tile.columns == 0
            assert kernel.lanes <= target.lanes
            for width in (kernel.pitch, kernel.block):
                lines, rest = divmod(4 * kernel.plane(width), 64)
                assert (lines % 2, rest) == (1, 0), "points of one tile lie in different sets of the cache"
                assert kernel.plane(width) >= kernel.tiles * width
            assert kernel.joined * channels <= kernel.lanes or kernel.joined == 1


def test_what_transforms_cannot_do() -> None:
    host = TARGETS["x86-64-v4"]
    assert not winograd(host, contraction(16, 16, 32, stride=2, dilation=2))
    assert not winograd(host, contraction(16, 16, 32, stride=3)), "phases of one tap gain nothing"
    assert not winograd(host, contraction(16, 16, 32, groups=2))
    pool = Epilogue(pool=Pooling((7, 7), "maximum", False))
    assert all(size % 7 for size in SIZES)
    assert not winograd(host, contraction(16, 16, 32), pool), "a pool must not reach over tiles"


def network(weights: Array | None = None, arrive: bool = False) -> Net:
    net = Net()
    x = net.input(1, 64, 28, 28)
    w = net.weights(64, 64, 3, 3, arrive=arrive) if weights is None else net.known(weights)
    net.out = net.apply(Conv((3, 3), padding=1), x, w)  # type: ignore[attr-defined]
    return net


def chosen(net: Net, **options: object) -> type:
    graph = net.graph(net.out)  # type: ignore[attr-defined]
    plan = compilation(graph, "x86-64-v4", **options).plan  # type: ignore[arg-type]
    return next(type(step.kernel) for step in plan.steps if len(step.kernel.own_window) == 2)


def test_the_choice() -> None:
    """Taken for a usual layer, also of weights that arrive; not in strict mode, or for wild weights."""
    for arrive in (False, True):
        assert chosen(network(arrive=arrive)) is Winograd
        assert chosen(network(arrive=arrive), precision="strict") is Direct
    wild = np.ones((64, 64, 3, 3), np.float32)
    for value in (np.inf, np.nan, 1e30):
        wild[3, 2, 1, 0] = value
        assert chosen(network(wild)) is Direct


def test_weights_that_arrive_are_transformed_for_enough_images() -> None:
    """One image of 8×8 with 64 channels does not pay for the transform of its weights, 32 together do."""
    target = TARGETS["x86-64-v4"]
    layers = [Layer(contraction(64, 64, 8), (8, 8), arriving=images) for images in (0, 1, 32, 10**9)]
    known, alone, together, many = (candidates(target, layer)[0].cycles for layer in layers)
    assert known < together < alone
    assert many == pytest.approx(known)


def test_the_plan_tells_its_tiles() -> None:
    for arrive in (False, True):
        net = network(arrive=arrive)
        compiled = compilation(net.graph(net.out), "x86-64-v4")  # type: ignore[attr-defined]
        ((tiling,),) = compiled.plan.tiles.values()
        assert tiling.arrive == arrive and tiling.steps in ((4, 4), (5, 5))
        assert not compilation(net.graph(net.out), precision="strict").plan.tiles  # type: ignore[attr-defined]


def test_sizes_for_each_axis() -> None:
    """15 × 20 is 3 × 4 tiles of 5 × 5; 12 × 15 takes 4 × 5, what multiplies least on each axis; a 1-wide axis has 1."""
    host = TARGETS["x86-64-v4"]

    def steps(
        height: int, width: int, kernel: tuple[int, int], pool: tuple[int, int] = (1, 1)
    ) -> list[tuple[int, ...]]:
        window = resolve((height, width), kernel, (1, 1), (1, 1), "same")
        pooling = Pooling(pool, "maximum", False) if pool != (1, 1) else None
        return all_steps(host, Contraction(window, 16, 16), Epilogue(pool=pooling))

    assert (5, 5) in steps(15, 20, (3, 3))
    assert steps(12, 15, (3, 3))[-1] == (4, 5)
    assert steps(12, 15, (1, 3)) == [(1, 2), (1, 3), (1, 4), (1, 5)]
    assert steps(12, 15, (1, 3), (2, 1)) == []
    assert steps(12, 12, (3, 3), (2, 2)) == [(2, 2), (4, 4)]
    assert steps(12, 12, (3, 3), (2, 3)) == [(4, 3)]
    assert steps(12, 12, (7, 7)) == [(2, 2)]
    assert steps(12, 12, (1, 7)) == [(1, 2), (1, 3), (1, 4), (1, 5)], "a sum of two filters"
    assert steps(12, 12, (9, 9)) == []
