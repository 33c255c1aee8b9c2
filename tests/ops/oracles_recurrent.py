"""Recurrent layers by the equations of the ONNX standard, image by image and step by step, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cnncc.types import Array

Function = Callable[[Array], Array]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def lstm_step(x: Array, w: Array, r: Array, b: Array, p: Array, state: Sequence[Array], *_: object) -> list[Array]:
    h, c = state
    size = len(h)
    i, o, f, g = np.split(w @ x + b[: 4 * size] + r @ h + b[4 * size :], 4)
    c_new = sigmoid(f + p[2 * size :] * c) * c + sigmoid(i + p[:size] * c) * np.tanh(g)
    return [sigmoid(o + p[size : 2 * size] * c_new) * np.tanh(c_new), c_new]


def gru_step(
    x: Array, w: Array, r: Array, b: Array, p: Array, state: Sequence[Array], late: bool, functions: Sequence[Function]
) -> list[Array]:
    (h,), size = state, len(state[0])
    f, g = functions
    wb, rb = np.split(b, 2)
    (wz, wr, wn), (rz, rr, rn) = np.split(w @ x + wb, 3), np.split(r, 3)
    z, reset = f(wz + rz @ h + rb[:size]), f(wr + rr @ h + rb[size : 2 * size])
    inner = reset * (rn @ h + rb[2 * size :]) if late else rn @ (reset * h) + rb[2 * size :]
    return [(1 - z) * g(wn + inner) + z * h]


def rnn_step(x: Array, w: Array, r: Array, b: Array, p: Array, state: Sequence[Array], *_: object) -> list[Array]:
    wb, rb = np.split(b, 2)
    return [np.tanh(w @ x + wb + r @ state[0] + rb)]


def recurrent(
    kind: str,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    lengths: Array | None = None,
    initial: Sequence[Array | None] = (),
    p: Array | None = None,
    direction: str = "forward",
    late: bool = False,
    functions: Sequence[Function] = (sigmoid, np.tanh),
) -> list[Array]:
    """The outputs (steps, directions, images, hidden) and the last states (directions, images, hidden)."""
    steps_of: dict[str, Callable[..., list[Array]]] = {"LSTM": lstm_step, "GRU": gru_step, "RNN": rnn_step}
    step = steps_of[kind]
    x, w, r = (a.astype(np.float64) for a in (x, w, r))
    steps, images, _ = x.shape
    sides, rows, hidden = r.shape
    b = np.zeros((sides, 2 * rows)) if b is None else b.astype(np.float64)
    p = np.zeros((sides, 3 * hidden)) if p is None else p.astype(np.float64)
    count = 2 if kind == "LSTM" else 1
    starts = [*initial, *[None] * count][:count]
    lasts = [np.zeros((sides, images, hidden)) if s is None else s.astype(np.float64) for s in starts]
    every = np.zeros((steps, sides, images, hidden))
    for d in range(sides):
        for n in range(images):
            length = steps if lengths is None else int(lengths[n])
            state = [last[d, n] for last in lasts]
            back = direction == "reverse" or d == 1
            for t in reversed(range(length)) if back else range(length):
                state = step(x[t, n], w[d], r[d], b[d], p[d], state, late, functions)
                every[t, d, n] = state[0]
            for last, value in zip(lasts, state, strict=True):
                last[d, n] = value
    return [every.astype(np.float32), *(last.astype(np.float32) for last in lasts)]
