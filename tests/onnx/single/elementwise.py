"""Element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from .maker import ELEMENTS, FLOAT, WHOLE, Maker, Recipe


def broadcast(m: Maker, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape that can be stretched to another one."""
    kept = shape[m.random.randrange(len(shape)) :] if m.chance() else shape
    return tuple(1 if m.chance(0.25) else size for size in kept)


def unary(low: float = -3.0, high: float = 3.0, **choices: Sequence[Any]) -> Recipe:
    def recipe(m: Maker) -> None:
        m.arrive(m.shape(), m.element(), low, high)
        m.set(**{name: m.one_of(values) for name, values in choices.items()})

    return recipe


def binary(low: float = -3.0, least: float = -3.0) -> Recipe:
    def recipe(m: Maker) -> None:
        shape, dtype = m.shape(), m.element()
        m.arrive(shape, dtype, low)
        if m.has("broadcast"):  # up to opset 6: the second one lies along some axes of the first one
            axis = m.random.randrange(1, len(shape)) if len(shape) > 1 else 0
            if axis and m.chance():
                m.must(broadcast=1, axis=axis)
                m.either(shape[axis : m.random.randrange(axis + 1, len(shape) + 1)], dtype, least)
            else:
                m.arrive(shape, dtype, least)
        else:
            m.either(broadcast(m, shape), dtype, least)

    return recipe


def variadic(m: Maker) -> None:
    shape, dtype = m.shape(), m.element()
    m.arrive(shape, dtype)
    for _ in range(m.random.randrange(4)):
        m.either(broadcast(m, shape) if m.version >= 8 else shape, dtype)
    if m.version < 8:
        for name in [name for name in m.names if name in m.weights]:
            m.weights[name] = np.resize(m.weights[name], [int(size) for size in shape])


def slopes(m: Maker) -> None:
    """Up to opset 6 one for each channel, or one for all."""
    if m.version >= 7:
        binary()(m)
        return
    shape, dtype = m.picture(), m.element()
    m.arrive(shape, dtype)
    m.either(m.one_of((shape[1:2], (1,))), dtype)


def mod(m: Maker) -> None:
    shape, dtype = m.shape(), m.element()
    m.arrive(shape, dtype)
    m.either(broadcast(m, shape), dtype, 0.5)
    m.must(fmod=1 if dtype.kind == "f" else m.one_of((0, 1)))


def shift(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, np.dtype(np.uint8), 0, 100)
    m.either(broadcast(m, shape), np.dtype(np.uint8), 0, 3)
    m.must(direction=m.one_of(("LEFT", "RIGHT")))


def power(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, FLOAT, 0.1)
    m.either(broadcast(m, shape) if m.version >= 7 else shape)
    if m.version < 7 and m.weights:
        m.weights[m.names[1]] = np.array(m.one_of((2.0, 0.5, 3.0)), np.float32)
        m.must(broadcast=1)


def where(m: Maker) -> None:
    shape = m.shape()
    dtype = m.one_of((FLOAT, FLOAT, WHOLE, np.dtype(np.uint8)))
    m.arrive(shape, np.dtype(bool))
    m.arrive(shape, dtype)
    m.either(broadcast(m, shape), dtype)


def clip(m: Maker) -> None:
    dtype = m.element()
    m.arrive(m.shape(), dtype)
    low, high = (0.0, 2.0) if dtype.kind == "u" else (-1.0, 2.0)
    if m.has("min"):
        m.set(min=low, max=high)
        return
    for bound in (low, high):
        if m.chance(0.75):
            m.known(bound, dtype)
        else:
            m.skip()


def cast(m: Maker) -> None:
    m.arrive(m.shape(), m.one_of(list(ELEMENTS.values())), 0)
    target = m.one_of(list(ELEMENTS.values()))
    number = int(helper.np_dtype_to_tensor_dtype(target))
    m.must(to=onnx.TensorProto.DataType.Name(number) if m.version < 6 else number)


def cast_like(m: Maker) -> None:
    m.arrive(m.shape(), m.one_of(list(ELEMENTS.values())), 0)
    m.known(np.zeros(1), m.one_of(list(ELEMENTS.values())))
