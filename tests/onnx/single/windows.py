"""Convolutions, pools and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .maker import FLOAT, Maker, Recipe


def window(m: Maker, sizes: Sequence[int], ceil: bool = False, largest: int = 3) -> list[int]:
    """Kernel, strides, dilations and pads."""
    axes = len(sizes)
    kernel = [m.random.randint(1, largest) for _ in range(axes)]
    m.set(strides=[m.random.randint(1, 3) for _ in kernel], dilations=[m.random.randint(1, 2) for _ in kernel])
    if m.chance(0.3):
        m.must(auto_pad=m.one_of(("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")))
        if m.attributes.get("auto_pad", "NOTSET") != "NOTSET":  # no negative padding: each one takes it otherwise
            strides = zip(m.attributes.get("strides", [1] * axes), kernel, strict=True)
            m.must(dilations=[1] * axes, strides=[min(stride, size) for stride, size in strides])
    else:
        m.set(pads=[m.random.randrange(0, size) for size in (*kernel, *kernel)])
    if ceil and not str(m.attributes.get("auto_pad")).startswith("SAME"):
        m.set(ceil_mode=m.one_of((0, 1)))
    return kernel


def conv(m: Maker) -> None:
    group = m.one_of((1, 1, 2, 3))
    shape = m.picture(group * m.random.randint(1, 3))
    kernel = window(m, shape[2:])
    outputs = group * m.random.randint(1, 3)
    m.arrive(shape)
    m.either((outputs, shape[1] // group, *kernel))
    if m.chance():
        m.either((outputs,))
    m.must(group=group)
    m.set(kernel_shape=kernel)


def conv_transpose(m: Maker) -> None:
    group = m.one_of((1, 1, 2))
    shape = m.picture(group * m.random.randint(1, 3), size=6)
    kernel = window(m, shape[2:])
    outputs = m.random.randint(1, 3)
    m.arrive(shape)
    m.either((shape[1], outputs, *kernel))
    if m.chance():
        m.either((group * outputs,))
    m.must(group=group)
    m.set(kernel_shape=kernel)
    strides = m.attributes.get("strides", [1])
    if min(strides) > 1 and m.chance():
        m.must(output_padding=[1] * len(kernel))


def pool(*, outputs: int = 1, **choices: Sequence[Any]) -> Recipe:
    def recipe(m: Maker) -> None:
        shape = m.picture()
        m.arrive(shape, m.element())
        m.must(kernel_shape=window(m, shape[2:], ceil=True))
        m.set(**{name: m.one_of(values) for name, values in choices.items()})
        if outputs > 1 and m.version >= 8 and m.chance(0.3):
            m.outputs = 2

    return recipe


def over_picture(**choices: Sequence[Any]) -> Recipe:
    def recipe(m: Maker) -> None:
        m.arrive(m.picture())
        m.set(**{name: m.one_of(values) for name, values in choices.items()})

    return recipe


# Norms


def neighbours(m: Maker) -> None:
    m.arrive(m.picture())
    m.must(size=m.one_of((1, 3, 5)))
    m.set(alpha=m.one_of((1e-4, 0.5)), beta=m.one_of((0.75, 0.5)), bias=m.one_of((1.0, 2.0)))


def batch_norm(m: Maker) -> None:
    shape = m.picture()
    m.arrive(shape)
    for low in (-2.0, -2.0, -1.0, 0.2):
        m.known(m.rng.uniform(low, 2, shape[1]), FLOAT)
    m.set(epsilon=m.one_of((1e-5, 1e-2)), momentum=0.8)
    m.must(**{name: 1 for name in ("is_test", "spatial") if m.version < 9})


def instance_norm(m: Maker) -> None:
    shape = m.picture()
    m.arrive(shape)
    m.either(shape[1:2])
    m.either(shape[1:2])
    m.set(epsilon=m.one_of((1e-5, 1e-2)))


def group_norm(m: Maker) -> None:
    groups = m.one_of((1, 2, 3))
    shape = m.picture(groups * 2)
    m.arrive(shape)
    m.either((groups if m.version < 21 else shape[1],))
    m.either((groups if m.version < 21 else shape[1],))
    m.must(num_groups=groups)
    m.set(epsilon=m.one_of((1e-5, 1e-2)))


def layer_norm(m: Maker) -> None:
    shape = m.shape(2, 4)
    axis = m.axis(len(shape), 1)
    m.arrive(shape)
    m.either(shape[axis:])
    if m.schema.name == "LayerNormalization" and m.chance(0.7):
        m.either(shape[axis:])
    m.must(axis=axis)
    m.set(epsilon=m.one_of((1e-5, 1e-2)))


def lp_norm(m: Maker) -> None:
    shape = m.shape(2, 4)
    m.arrive(shape)
    m.set(axis=m.axis(len(shape)), p=m.one_of((1, 2)))


def variance_norm(m: Maker) -> None:
    m.arrive(m.picture(axes=2))
    m.set(axes=m.one_of(([0, 2, 3], [2, 3], [1, 2, 3])))
