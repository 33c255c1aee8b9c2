"""Gradients of sums of products: a contraction is linear in its image and in its weights, and so are its gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ..computation import Contraction
from ..expr import Arg
from ..ops.conv_transpose import TransposedAxis, transposed
from ..windows import WindowAxis
from .pieces import NoGradient, Pieces, Step


def contraction(step: Step, c: Contraction) -> list[int | None]:
    """By the image: a transposed convolution. By the weights: see `by_weights`. By the bias: the sum of g."""
    if c.weights_per_image:
        return _per_image(step, c)
    (x, w, *_), pieces, rank = step.x, step.pieces, len(c.window)
    found: list[int | None] = [None] * len(step.x)
    if step.wanted[0]:
        filters = flipped(pieces, w) if c.flip else w
        found[0] = transposed(pieces, step.g, filters, backward(c.window), c.groups, lambda s: pieces.zeros(step.g, s))
    if step.wanted[1]:
        made = by_weights(pieces, c, x, step.g)
        found[1] = flipped(pieces, made) if c.flip else made
    if c.bias and step.wanted[2]:
        total = pieces.reduce(step.g, (0, *range(2, rank + 2)), "add")
        found[2] = pieces.reshape(total, (c.outputs,))
    return found


def backward(window: Sequence[WindowAxis]) -> list[TransposedAxis]:
    """The way back along each axis: window o and tap t meet in element o·stride + t·dilation − low."""
    return [TransposedAxis(a.out, a.kernel, a.stride, a.dilation, a.low, a.size) for a in window]


def flipped(pieces: Pieces, w: int) -> int:
    """Weights (O, C / groups, taps…) with their taps in reverse order."""
    for axis, size in enumerate(pieces.shape(w)[2:], start=2):
        w = pieces.part(w, axis, size - 1, size, -1) if size > 1 else w
    return w


def by_weights(pieces: Pieces, c: Contraction, x: int, g: int) -> int:
    """dw[o, c, t] = Σ g[n, o, p] · x[n, c, p·stride + t·dilation − low], summed over images n and positions p.

    That is a convolution again: images and channels change places, g is the kernel, and stride and dilation change
    places. The groups stay groups, each with all images as its channels.
    """
    if c.channels == c.groups > 1:
        return _by_single_channel(pieces, c, x, g)
    window = [_turned(a) for a in c.window]
    if any(a.size < 1 for a in window):  # every window of an axis lies in its padding
        return pieces.zeros(g, (c.outputs, c.channels // c.groups, *(a.out for a in window)))
    for axis, a in enumerate(window, start=2):
        x = pieces.part(x, axis, 0, a.size)
    (n, _, *sizes), outputs = pieces.shape(x), pieces.shape(g)[1]
    inner, spatial = c.channels // c.groups, tuple(range(3, len(sizes) + 3))
    swap = (1, 0, *range(2, len(sizes) + 2))
    if c.groups == 1:
        image = pieces.transpose(x, swap)
    else:
        image = pieces.transpose(pieces.reshape(x, (n, c.groups, inner, *sizes)), (2, 1, 0, *spatial))
        image = pieces.reshape(image, (inner, c.groups * n, *sizes))
    kernels = pieces.transpose(g, swap)
    product = Contraction(tuple(window), c.groups * n, outputs, c.groups)
    made = pieces.add(product, (image, kernels), (inner, outputs, *(a.out for a in window)))
    return pieces.transpose(made, swap)


def _turned(a: WindowAxis) -> WindowAxis:
    """The window of the gradient along one axis, over x without the elements at its end that no window reached."""
    high = (a.kernel - 1) * a.dilation + (a.out - 1) * a.stride + 1 - a.size - a.low
    return WindowAxis(a.size + min(high, 0), a.out, a.dilation, a.stride, a.low, max(high, 0))


def _by_single_channel(pieces: Pieces, c: Contraction, x: int, g: int) -> int:
    """Of depthwise convolutions: tap by tap the sum of products of what the tap saw and g."""
    n, outputs, *positions = pieces.shape(g)
    several = outputs // c.groups
    grouped = pieces.reshape(g, (n, c.groups, several, *positions))
    whole = seen_whole(pieces, x, c.window, 0.0)
    found = []
    for tap in itertools.product(*(range(a.kernel) for a in c.window)):
        seen = pieces.reshape(strided(pieces, whole, c.window, tap), (n, c.groups, 1, *positions))
        total = pieces.reduce(
            pieces.pointwise(Arg(0) * Arg(1), (seen, grouped)), (0, *range(3, len(positions) + 3)), "add"
        )
        found.append(pieces.reshape(total, (outputs, 1, 1)))
    return pieces.reshape(pieces.join(found, 2), (outputs, 1, *(a.kernel for a in c.window)))


def seen_whole(pieces: Pieces, x: int, window: Sequence[WindowAxis], fill: float) -> int:
    """x with the padding that its windows read."""
    low = tuple(a.low for a in window)
    sizes = (a.low + a.size + a.reach[1] for a in window)
    return pieces.padded(x, (0, 0, *low), (*pieces.shape(x)[:2], *sizes), fill)


def strided(pieces: Pieces, whole: int, window: Sequence[WindowAxis], tap: Sequence[int]) -> int:
    """What one tap sees from all window positions."""
    for axis, (t, a) in enumerate(zip(tap, window, strict=True), start=2):
        whole = pieces.part(whole, axis, t * a.dilation, a.out, a.stride)
    return whole


def _per_image(step: Step, c: Contraction) -> list[int | None]:
    """Of batched matrix products: the two other products of the three matrices, image by image."""
    if c.groups != 1 or c.bias or any(a != WindowAxis(a.size) for a in c.window):
        raise NoGradient("has no gradient where weights of several taps change from image to image")
    pieces, (x, w) = step.pieces, step.x
    n, positions = pieces.shape(x)[0], math.prod(a.size for a in c.window)
    image = pieces.reshape(x, (n, c.channels, positions))
    weights = pieces.reshape(w, (n, c.outputs, c.channels))
    gradient = pieces.reshape(step.g, (n, c.outputs, positions))
    found: list[int | None] = [None, None]
    if step.wanted[0]:
        found[0] = pieces.reshape(_product(pieces, pieces.transpose(weights, (0, 2, 1)), gradient), pieces.shape(x))
    if step.wanted[1]:
        found[1] = pieces.reshape(_product(pieces, gradient, pieces.transpose(image, (0, 2, 1))), pieces.shape(w))
    return found


def _product(pieces: Pieces, left: int, right: int) -> int:
    """Matrices (N, M, K) times (N, K, P): the left ones are weights."""
    (n, m, k), p = pieces.shape(left), pieces.shape(right)[2]
    product = Contraction((WindowAxis(p),), k, m, weights_per_image=True)
    return pieces.add(product, (right, pieces.reshape(left, (n, m, k, 1))), (n, m, p))
