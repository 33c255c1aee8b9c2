"""What Winograd convolution may add to a bound: the running error analysis of its three transforms.

With U = G w Gᵀ, V = Bᵀ x B (along every axis) and y = Aᵀ (Σ_c U ⊙ V) A, every product of a weight and a pixel
reaches y through the roundings of Bᵀ, the one of U, those of the sum over C channels, of Aᵀ and of the bias. By
Higham's lemma 3.1 their number N bounds the error, and the sizes are those of the matrices without their signs:

    |ŷ − y| ≤ γ(N) |Aᵀ| (Σ_c (|G||w||Gᵀ|) ⊙ (|Bᵀ||x||B|)) |A| + underflow

Weights that arrive are multiplied by one matrix for all axes (the product of their G), whose entries are rounded: with
t taps a weight goes through that rounding and those of a sum of t products, where a known one is rounded once.

(compare Barabasz et al. 2020, theorem 1, who go on to norms). In contrast to a direct sum it reads all pixels of a
tile, not only those in the window of y: a large one spoils its neighbours, and NaN or an infinity spreads to the
whole tile, where the bound is infinite.

With strides, the phases of the image are further channels: the sum over C is one over the channels of all phases, each
with its own taps of w. A phase with a tap less than others has a 0 in its place, and one for the pixel under it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ..computation import Contraction
from ..cook_toom import Matrix, Tiling, Transforms, depth, transforms
from ..functions import LARGEST, TINY
from ..types import Array
from ..windows import WindowAxis

Steps = tuple[int, ...]
"""Outputs of a tile along each axis."""

ROOM = 2.0**-8  # of the largest float: what a term of a transform may exceed its result by


def roundings(c: Contraction, tiling: Tiling) -> int:
    """N: how often a product is rounded on its way into an output."""
    channels = c.channels * math.prod(map(_phases, c.window))
    of_weights = 1 + math.prod(map(_most_taps, c.window)) if tiling.arrive else 1
    return sum(depth(t.inputs) + depth(t.outputs) for t in _used(c, tiling.steps)) + of_weights + channels + c.bias


def sizes(c: Contraction, tiling: Tiling, x: Array, w: Array) -> tuple[Array, Array]:
    """(Σ without signs, underflow) of each output, from |x| and |w|; infinite where a transform may overflow."""
    steps = tiling.steps
    used = _used(c, steps)
    v = _tiles(c, steps, x)
    u = _taps(c, np.flip(w, tuple(range(2, w.ndim))) if c.flip else w)
    for axis, t in enumerate(used):
        v = _along(t.inputs, v, 3 + 2 * axis)
        u = _along(t.weights, u, 2 + axis)
    steps_lost = roundings(c, tiling)
    total, lost = _products(v, u), _products(v + steps_lost, u + steps_lost)
    most = np.maximum(v.max(axis=1, keepdims=True), total.max(axis=1, keepdims=True))
    unsure = _whole_tiles(c, steps, most > ROOM * LARGEST) | bool(u.max() > ROOM * LARGEST)
    for axis, t in enumerate(used):
        total, lost = (_along(t.outputs, part, 3 + 2 * axis) for part in (total, lost))
    return np.where(unsure, np.inf, _placed(c, steps, total)), TINY * _placed(c, steps, lost)


def reached(c: Contraction, steps: Steps, marked: Array) -> Array:
    """The outputs whose tile reads a marked pixel (N, C, spatial…), for all channels alike: (N, 1, spatial…)."""
    tiles = _tiles(c, steps, np.asarray(marked.any(axis=1, keepdims=True)))
    return _whole_tiles(c, steps, np.asarray(tiles.any(axis=1, keepdims=True)))


def _whole_tiles(c: Contraction, steps: Steps, marked: Array) -> Array:
    """All outputs (N, 1, spatial…) of the tiles with a marked point (N, 1, tiles, points…)."""
    points = [3 + 2 * axis for axis in range(len(steps))]
    shape = list(marked.shape)
    for axis, m in zip(points, steps, strict=True):
        shape[axis] = m
    return _placed(c, steps, np.broadcast_to(marked.any(axis=tuple(points), keepdims=True), shape))


def _firsts(size: int, m: int, dilation: int) -> Array:
    """The first output of each tile along an axis: tiles of each phase of a dilation."""
    groups = -(-size // (m * dilation))
    return (np.arange(groups)[:, None] * m * dilation + np.arange(dilation)).ravel()


def _phases(w: WindowAxis) -> int:
    """Phases of the pixels of an axis that windows read."""
    return min(w.stride, w.kernel)


def _most_taps(w: WindowAxis) -> int:
    """Taps of the first phase, which has the most."""
    return -(-w.kernel // w.stride)


def _used(c: Contraction, steps: Steps) -> list[Transforms]:
    """The transforms of the first phase along each axis."""
    return [transforms(m, _most_taps(w)) for m, w in zip(steps, c.window, strict=True)]


def _tiles(c: Contraction, steps: Steps, x: Array) -> Array:
    """(N, channels of all phases, tiles, points, tiles, points…): the pixels of each tile, 0 outside the image."""
    for axis, (m, w) in enumerate(zip(steps, c.window, strict=True)):
        place, count = 2 + 2 * axis, m + _most_taps(w) - 1
        inside = np.arange(count)[:, None] * w.stride + np.arange(_phases(w))
        reads = _firsts(w.out, m, w.dilation)[:, None, None] * w.stride + inside * w.dilation
        pads = [(0, 0)] * x.ndim
        pads[place] = w.low, max(0, int(reads.max()) + 1 - w.low - w.size) + 1
        unread = inside >= (m - 1) * w.stride + w.kernel
        x = _merged(np.take(np.pad(x, pads), np.where(unread, -1, reads), place), place + 2)
    return x


def _taps(c: Contraction, w: Array) -> Array:
    """(O, channels of all phases, taps…): the taps of each phase."""
    for axis, window in enumerate(c.window, start=2):
        taps, count = _most_taps(window), _phases(window)
        pads = [(0, 0)] * w.ndim
        pads[axis] = 0, taps * count - window.kernel
        w = _merged(np.pad(w, pads).reshape(*w.shape[:axis], taps, count, *w.shape[axis + 1 :]), axis + 1)
    return w


def _merged(x: Array, phases: int) -> Array:
    """The axis `phases` as further channels."""
    x = np.moveaxis(x, phases, 2)
    return x.reshape(x.shape[0], -1, *x.shape[3:])


def _along(matrix: Matrix, x: Array, axis: int) -> Array:
    """|matrix| along an axis."""
    absolute = np.abs(np.array(matrix, np.float64))
    return np.moveaxis(np.tensordot(x, absolute, (axis, 1)), -1, axis)


def _products(v: Array, u: Array) -> Array:
    """(N, O, tiles, points, …): the sum over channels at each point."""
    rank = (v.ndim - 2) // 2
    tiles, points = [2 + 2 * axis for axis in range(rank)], [3 + 2 * axis for axis in range(rank)]
    count, places = [v.shape[axis] for axis in points], [v.shape[axis] for axis in tiles]
    left = v.transpose(*points, 0, *tiles, 1).reshape(*count, -1, v.shape[1])
    right = u.transpose(*range(2, u.ndim), 1, 0)
    product = (left @ right).reshape(*count, v.shape[0], *places, u.shape[0])
    order = [rank, 2 * rank + 1, *itertools.chain(*((rank + 1 + axis, axis) for axis in range(rank)))]
    return product.transpose(order)


def _placed(c: Contraction, steps: Sequence[int], tiles: Array) -> Array:
    """(N, O, spatial…) from (N, O, tiles, outputs, …): what reaches beyond the result is cut."""
    for axis, (m, w) in enumerate(zip(steps, c.window, strict=True)):
        place = 2 + axis
        at = (_firsts(w.out, m, w.dilation)[:, None] + np.arange(m) * w.dilation).ravel()
        flat = tiles.reshape(*tiles.shape[:place], -1, *tiles.shape[place + 2 :])
        order = np.argsort(at)[: w.out]
        tiles = np.take(flat, order, place)
    return tiles
