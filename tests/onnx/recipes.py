"""Models of one node with random attributes, for every operator of networks in every version of the standard.

A recipe gives the node its inputs and attributes; the schemas of the `onnx` package say what the version has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from cnncc.types import Array

ELEMENTS = {
    f"tensor({name})": np.dtype(kind)
    for name, kind in {
        "float": "float32",
        "float16": "float16",
        **{name: name for name in ("int8", "uint8", "int16", "int32", "int64", "bool")},
    }.items()
}
FLOAT, WHOLE = np.dtype(np.float32), np.dtype(np.int64)
Fill = Callable[[np.random.Generator, Sequence[int]], Array]


class Images(int):
    """A size that is the number of images."""


@dataclass(frozen=True)
class Arriving:
    """An input at run time."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Fill

    def array(self, rng: np.random.Generator, images: int) -> Array:
        sizes = [images if isinstance(size, Images) else size for size in self.shape]
        return np.asarray(self.fill(rng, sizes)).astype(self.dtype)


class Maker:
    """One node of a version of an operator under construction; the same for the same seed."""

    def __init__(self, operator: str, version: int, seed: int, images: int = 2):
        self.schema: defs.OpSchema = defs.get_schema(operator, version)
        self.random = random.Random(f"{operator} {version} {seed}")
        self.rng = np.random.default_rng([version, seed, *operator.encode()])
        self.n = Images(images)
        self.version = version
        self.names: list[str] = []
        self.ports: dict[str, Arriving] = {}
        self.weights: dict[str, Array] = {}
        self.attributes: dict[str, Any] = {}
        self.outputs = 1
        RECIPES[operator](self)

    # What recipes choose

    def chance(self, probability: float = 0.5) -> bool:
        return self.random.random() < probability

    def one_of(self, choices: Sequence[Any]) -> Any:
        return self.random.choice(choices)

    def shape(self, least: int = 1, most: int = 4) -> tuple[int, ...]:
        """Images and so many axes in all."""
        rank = self.random.randint(least, most)
        return (self.n, *(self.random.randint(1, 5) for _ in range(rank - 1)))

    def picture(self, channels: int = 0, axes: int = 0, size: int = 8) -> tuple[int, ...]:
        axes = axes or self.one_of((1, 2, 2, 2, 3))
        sizes = (self.random.randint(5, size) for _ in range(axes))
        return (self.n, channels or self.random.randint(1, 5), *sizes)

    def element(self, place: int = 0) -> np.dtype[Any]:
        """A type that the standard allows for an input; floats in two cases of three."""
        given = self.schema.inputs[place].type_str
        allowed = next((c.allowed_type_strs for c in self.schema.type_constraints if c.type_param_str == given), [given])
        able = [ELEMENTS[name] for name in ELEMENTS if name in allowed]
        return FLOAT if FLOAT in able and self.chance(0.65) else self.one_of(able)

    def has(self, attribute: str) -> bool:
        return attribute in self.schema.attributes

    def axis(self, rank: int, least: int = 0) -> int:
        axis = self.random.randrange(least, rank)
        return axis - rank if self.version >= 11 and self.chance(0.4) else axis

    def axes(self, rank: int) -> list[int]:
        return self.random.sample(range(rank), self.random.randint(1, rank))

    # What they give the node

    def set(self, **attributes: Any) -> None:
        """Attributes that this version has, each left out in one case of four."""
        self.attributes |= {name: v for name, v in attributes.items() if self.has(name) and self.chance(0.75)}

    def must(self, **attributes: Any) -> None:
        self.attributes |= {name: value for name, value in attributes.items() if self.has(name)}

    def skip(self) -> None:
        self.names.append("")

    def arrive(
        self,
        shape: Sequence[int],
        dtype: np.dtype[Any] = FLOAT,
        low: float = -3.0,
        high: float = 3.0,
        fill: Fill | None = None,
    ) -> None:
        name = f"x{len(self.names)}"
        self.ports[name] = Arriving(tuple(shape), dtype, fill or values(dtype, low, high))
        self.names.append(name)

    def known(self, data: Any, dtype: np.dtype[Any] | None = None) -> None:
        name = f"w{len(self.names)}"
        self.weights[name] = np.asarray(data, dtype)
        self.names.append(name)

    def either(self, shape: Sequence[int], dtype: np.dtype[Any] = FLOAT, low: float = -3.0, high: float = 3.0) -> None:
        """Known in two cases of three."""
        if self.chance(0.35):
            self.arrive(shape, dtype, low, high)
        else:
            sizes = [1 if isinstance(size, Images) else size for size in shape]
            self.known(values(dtype, low, high)(self.rng, sizes).astype(dtype))

    def setting(self, name: str, numbers: Any) -> None:
        """An attribute where this version has it, else the next input."""
        if self.has(name):
            self.attributes[name] = numbers
        else:
            self.known(numbers, WHOLE)

    @property
    def model(self) -> onnx.ModelProto:
        while self.names and not self.names[-1]:
            self.names.pop()
        made = [f"y{place}" for place in range(self.outputs)]
        node = helper.make_node(self.schema.name, self.names, made, "node", **self.attributes)
        number = helper.np_dtype_to_tensor_dtype
        ports = [
            helper.make_tensor_value_info(
                name, number(port.dtype), ["N" if isinstance(size, Images) else size for size in port.shape]
            )
            for name, port in self.ports.items()
        ]
        results = [onnx.ValueInfoProto(name=name) for name in made]
        tensors = [numpy_helper.from_array(data, name) for name, data in self.weights.items()]
        graph = helper.make_graph([node], "graph", ports, results, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.version)], ir_version=8)

    def feeds(self, images: int) -> dict[str, Array]:
        rng = np.random.default_rng([images, *self.schema.name.encode()])
        return {name: port.array(rng, images) for name, port in self.ports.items()}


def values(dtype: np.dtype[Any], low: float, high: float) -> Fill:
    def fill(rng: np.random.Generator, shape: Sequence[int]) -> Array:
        if dtype.kind == "f":
            return rng.uniform(low, high, shape)
        if dtype.kind == "b":
            return rng.random(shape) < 0.5
        least = 0 if dtype.kind == "u" else math.floor(2 * low)
        return rng.integers(max(least, 1 if low > 0 else least), math.ceil(2 * high) + 1, shape)

    return fill


Recipe = Callable[[Maker], None]


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
        m.weights[m.names[1]] = np.float32(m.one_of((2.0, 0.5, 3.0))).reshape(())
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


# Windows


def window(m: Maker, sizes: Sequence[int], ceil: bool = False, largest: int = 3) -> list[int]:
    """Kernel, strides, dilations and pads."""
    axes = len(sizes)
    kernel = [m.random.randint(1, largest) for _ in range(axes)]
    m.set(strides=[m.random.randint(1, 3) for _ in kernel], dilations=[m.random.randint(1, 2) for _ in kernel])
    if m.chance(0.3):
        m.must(auto_pad=m.one_of(("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")))
        if "dilations" in m.attributes and m.attributes["auto_pad"] != "NOTSET":
            m.must(dilations=[1] * axes)
    else:
        m.set(pads=[m.random.randrange(0, size) for size in (*kernel, *kernel)])
    if ceil:
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


# Products


def gemm(m: Maker) -> None:
    rows, inner, columns = m.n, m.random.randint(1, 6), m.random.randint(1, 6)
    back, over = m.one_of((0, 0, 0, 1)), m.one_of((0, 1))
    m.arrive((inner, rows) if back else (rows, inner))
    m.either((columns, inner) if over else (inner, columns))
    if m.version < 11 or m.chance(0.7):
        m.either(m.one_of(((columns,), (1, columns), (1,), ())) if m.version >= 7 else (columns,))
        m.must(broadcast=1)
    m.set(alpha=m.one_of((0.5, 2.0)), beta=m.one_of((0.25, -1.0)))
    m.must(transA=back, transB=over)


def matmul(m: Maker) -> None:
    shape = m.shape(1, 4)
    m.arrive(shape)
    inner = shape[-1]
    columns = m.random.randint(1, 5)
    m.either(m.one_of(((inner, columns), (inner,), (*shape[:-2], inner, columns), (1, inner, columns))))


def einsum(m: Maker) -> None:
    equation, *shapes = m.one_of(
        (
            ("bij,bjk->bik", (m.n, 2, 3), (m.n, 3, 4)),
            ("bij,jk->bik", (m.n, 2, 3), (3, 4)),
            ("bhqd,bhkd->bhqk", (m.n, 2, 3, 4), (m.n, 2, 5, 4)),
            ("bchw->bhwc", (m.n, 2, 3, 4)),
            ("bij->bi", (m.n, 2, 3)),
            ("bii->bi", (m.n, 3, 3)),
            ("...i,ij->...j", (m.n, 2, 3), (3, 4)),
            ("bi,bj->bij", (m.n, 3), (m.n, 2)),
            ("bi,bi", (m.n, 3), (m.n, 3)),
        )
    )
    for shape in shapes:
        m.arrive(shape)
    m.must(equation=equation)


def attention(m: Maker) -> None:
    heads, size = m.one_of((1, 2)), m.one_of((2, 4))
    queries, keys = m.random.randint(1, 4), m.random.randint(1, 4)
    if m.chance():
        m.must(q_num_heads=heads, kv_num_heads=heads)
        shapes = ((m.n, length, heads * size) for length in (queries, keys, keys))
    else:
        shapes = ((m.n, heads, length, size) for length in (queries, keys, keys))
    for shape in shapes:
        m.arrive(shape)
    if m.chance(0.3):
        m.known(m.rng.standard_normal((queries, keys)), FLOAT)
    m.set(is_causal=m.one_of((0, 1)), scale=m.one_of((0.5, 1.0)))


# Along axes


def soft(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape)
    m.set(axis=m.axis(len(shape)))


def reduction(low: float = -3.0) -> Recipe:
    def recipe(m: Maker) -> None:
        shape = m.shape()
        m.arrive(shape, m.element(), low)
        if m.chance(0.8):
            m.setting("axes", m.axes(len(shape)))
        m.set(keepdims=m.one_of((0, 1)), noop_with_empty_axes=m.one_of((0, 1)))

    return recipe


def arg(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    m.set(axis=m.axis(len(shape)), keepdims=m.one_of((0, 1)), select_last_index=m.one_of((0, 1)))


def top(m: Maker) -> None:
    shape = m.shape(2)
    axis = m.axis(len(shape))
    m.arrive(shape)
    count = m.random.randint(1, shape[axis])
    m.must(axis=axis)
    if m.has("k"):
        m.must(k=count)
    else:
        m.known([count], WHOLE)
    m.set(largest=m.one_of((0, 1)), sorted=1)
    m.outputs = 2


def running(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    m.known(m.axis(len(shape)), WHOLE)
    m.set(exclusive=m.one_of((0, 1)), reverse=m.one_of((0, 1)))


# Moves


def concat(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    for _ in range(m.random.randint(1, 3)):
        sizes = list(shape)
        sizes[axis] = m.random.randint(1, 4)
        m.arrive(sizes, dtype)
    m.must(axis=axis)


def split(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    parts = [m.random.randint(1, 3) for _ in range(m.random.randint(1, 3))]
    sizes = list(shape)
    sizes[axis] = sum(parts)
    m.arrive(sizes, dtype)
    m.must(axis=axis)
    m.outputs = len(parts)
    if m.has("num_outputs") and m.chance():
        m.must(num_outputs=len(parts))
        m.outputs = len(parts)
    else:
        m.setting("split", parts)


def reshape(m: Maker) -> None:
    shape = m.shape(2)
    rest = list(shape[1:])
    m.arrive(shape, m.element())
    m.setting("shape", m.one_of(([-1, *rest], [0, -1], [-1, *rest, 1], [0, 1, -1], [0, *rest[::-1]], [-1])))


def flatten(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    m.set(axis=m.axis(len(shape)))


def squeeze(m: Maker) -> None:
    shape = list(m.shape(2))
    axis = m.random.randrange(1, len(shape))
    shape[axis] = 1
    m.arrive(shape, m.element())
    m.setting("axes", [axis - len(shape) if m.version >= 11 and m.chance() else axis])


def unsqueeze(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    m.setting("axes", m.one_of(([0], [1], [1, 2], [len(shape)], [-1] if m.version >= 11 else [1])))


def transpose(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    m.set(perm=m.random.sample(range(len(shape)), len(shape)))


def cut(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    axes = m.axes(len(shape))
    begins = [m.random.randint(-shape[a], shape[a] - 1) for a in axes]
    ends = [m.one_of((shape[a], 2**31 - 1, max(1, shape[a] - 1))) for a in axes]
    begins = [b if (b + shape[a]) % shape[a] < e else 0 for a, b, e in zip(axes, begins, ends, strict=True)]
    if m.has("starts"):
        m.must(starts=begins, ends=ends, axes=axes)
        return
    back = m.chance(0.25)
    if back:
        begins, ends = [-1 for _ in axes], [-(2**31) for _ in axes]
    for numbers in (begins, ends, axes, [-1 if back else m.random.randint(1, 2) for _ in axes]):
        m.known(numbers, WHOLE)


def pad(m: Maker) -> None:
    shape = m.shape(2)
    dtype = m.element()
    m.arrive(shape, dtype)
    mode = m.one_of(("constant", "constant", "edge", "reflect", *(["wrap"] if m.version >= 19 else [])))
    room = [0 if isinstance(n, Images) else n - 1 if mode in ("reflect", "wrap") else 2 for n in shape]
    pads = [m.random.randint(0, n) for n in (*room, *room)]
    if m.has("paddings"):
        m.must(paddings=pads, value=1.5)
    elif m.has("pads"):
        m.must(pads=pads)
        m.set(value=1.5)
    else:
        m.known(pads, WHOLE)
        if mode == "constant" and m.chance():
            m.known(1, dtype)
    m.must(mode=mode)


def tile(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, FLOAT if m.version < 6 else m.element())
    if m.version < 6:
        m.known(2, FLOAT)
        m.known(len(shape) - 1, FLOAT)
    else:
        m.known([m.random.randint(1, 3) for _ in shape], WHOLE)


def expand(m: Maker) -> None:
    shape = [size if m.chance() or isinstance(size, Images) else 1 for size in m.shape()]
    m.arrive(shape, m.element())
    m.known([*([2] if m.chance(0.3) else []), 1, *(n if n > 1 else m.random.randint(1, 3) for n in shape[1:])], WHOLE)


def blocks(m: Maker) -> None:
    block = m.one_of((2, 3))
    if m.schema.name == "DepthToSpace":
        m.arrive((m.n, 2 * block**2, 2, 3))
        m.set(mode=m.one_of(("DCR", "CRD")))
    else:
        m.arrive((m.n, 2, 2 * block, 3 * block))
    m.must(blocksize=block)


def shape_of(m: Maker) -> None:
    m.arrive(m.shape(), m.element())
    m.set(start=m.one_of((0, 1, -2)), end=m.one_of((1, -1, 9)))


def plain(m: Maker) -> None:
    m.arrive(m.shape(), m.element())


def crop_pad(m: Maker) -> None:
    shape = m.shape(2)
    axes = m.random.sample(range(1, len(shape)), m.random.randint(1, len(shape) - 1))
    m.arrive(shape)
    m.known([m.random.randint(1, 7) for _ in axes], WHOLE)
    m.must(axes=axes)


def triangle(m: Maker) -> None:
    m.arrive(m.shape(2), m.element())
    if m.chance():
        m.known(m.one_of((-2, -1, 1, 2)), WHOLE)
    m.set(upper=m.one_of((0, 1)))


def eye(m: Maker) -> None:
    m.arrive((m.n, m.random.randint(1, 5)), FLOAT)
    m.set(k=m.one_of((-1, 0, 1)), dtype=m.one_of((1, 6, 7)))


def filled(m: Maker) -> None:
    m.known([2, 3], WHOLE)
    dtype = m.one_of((FLOAT, WHOLE, np.dtype(np.int32), np.dtype(bool)))
    m.set(value=numpy_helper.from_array(np.ones(1, dtype)))


def constant(m: Maker) -> None:
    m.must(value=numpy_helper.from_array(m.rng.standard_normal((2, 3)).astype(np.float32)))


def counted(m: Maker) -> None:
    for number in m.one_of(((0, 5, 1), (3, 12, 2), (7, -2, -3))):
        m.known(number, m.one_of((WHOLE,)))


# Resampling


def resize(m: Maker) -> None:
    shape = m.picture(axes=2, size=6)
    scales = [1, 1, *(m.one_of((0.5, 1.0, 1.5, 2.0, 3.0)) for _ in shape[2:])]
    m.arrive(shape)
    if m.version == 10:
        m.known(scales, FLOAT)
        m.set(mode=m.one_of(("nearest", "linear")))
        return
    m.skip()
    if m.version == 11:
        m.names[-1] = ""
        m.known([], FLOAT)
        m.names = [m.names[0], m.names[-1]]
    by_sizes = m.chance(0.4) and m.version >= 18
    if by_sizes:
        m.skip()
        m.known([m.random.randint(2, 12) for _ in shape[2:]], WHOLE)
        m.must(axes=[2, 3])
        m.set(keep_aspect_ratio_policy=m.one_of(("stretch", "not_larger", "not_smaller")))
    else:
        m.known(scales, FLOAT)
    mode = m.one_of(("nearest", "linear", "cubic"))
    m.must(mode=mode)
    m.set(
        coordinate_transformation_mode=m.one_of(("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")),
        nearest_mode=m.one_of(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
    )
    if mode == "cubic":
        m.set(cubic_coeff_a=-0.5, exclude_outside=m.one_of((0, 1)))
    if mode != "nearest" and m.chance(0.3):
        m.set(antialias=1)


def upsample(m: Maker) -> None:
    m.arrive(m.picture(axes=2))
    scales = [1.0, 1.0, m.one_of((1.0, 2.0, 3.0)), m.one_of((1.0, 2.0))]
    if m.has("height_scale"):
        m.must(height_scale=scales[2], width_scale=scales[3])
    elif m.has("scales"):
        m.must(scales=scales)
    else:
        m.known(scales, FLOAT)
    m.set(mode=m.one_of(("nearest", "bilinear" if m.version == 1 else "linear")))


def grid(m: Maker) -> None:
    shape = m.picture(axes=2)
    m.arrive(shape)
    m.arrive((m.n, 3, 4, 2), FLOAT, -1.2, 1.2)
    modes = ("bilinear", "nearest", "bicubic") if m.version < 20 else ("linear", "nearest", "cubic")
    m.set(mode=m.one_of(modes), padding_mode=m.one_of(("zeros", "border", "reflection")))
    m.set(align_corners=m.one_of((0, 1)))


# Indices


def indexed(m: Maker, shape: Sequence[int], size: int, dtype: np.dtype[Any] = WHOLE) -> None:
    """Indices of an axis of this size, from both ends where the version allows it."""
    least = -size if m.version >= 11 else 0

    def fill(rng: np.random.Generator, sizes: Sequence[int]) -> Array:
        return rng.integers(least, size, sizes)

    if m.chance():
        m.arrive(shape, dtype, fill=fill)
    else:
        m.known(fill(m.rng, [int(size) for size in shape]), dtype)


def gather(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    m.arrive(shape, dtype)
    indexed(m, m.one_of(((), (2,), (2, 3))), shape[axis], m.one_of((WHOLE, np.dtype(np.int32))))
    m.must(axis=axis)


def gather_elements(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    m.arrive(shape, dtype)
    sizes = list(shape)
    sizes[axis] = m.random.randint(1, 4)
    indexed(m, sizes, shape[axis])
    m.must(axis=axis)


def gather_nd(m: Maker) -> None:
    m.arrive((m.n, 3, 4), m.element())
    if m.has("batch_dims") and m.chance():
        m.must(batch_dims=1)
        indexed(m, (m.n, 2, 1), 3)
    else:
        indexed(m, m.one_of(((2, 1), (5, 1))), 1)


def scatter_elements(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    m.arrive(shape, dtype)
    places = [m.random.sample(range(shape[axis]), shape[axis]) for _ in range(1)][0]
    spread = np.array(places).reshape([-1 if a == axis % len(shape) else 1 for a in range(len(shape))])
    m.known(np.broadcast_to(spread, [int(n) for n in shape]).copy(), WHOLE)
    m.arrive(shape, dtype)
    m.must(axis=axis)
    m.set(reduction=m.one_of(("none", "add", *(("max", "min", "mul") if m.version >= 18 else ()))))
    if dtype.kind == "b":
        m.attributes.pop("reduction", None)


def scatter_nd(m: Maker) -> None:
    dtype = m.element()
    m.arrive((m.n, 4, 3), dtype)
    m.known([[0, 1], [0, 3]], WHOLE)
    m.arrive((2, 3), dtype)
    m.set(reduction=m.one_of(("none", "add", *(("max", "min", "mul") if m.version >= 18 else ()))))
    if dtype.kind == "b":
        m.attributes.pop("reduction", None)


def one_hot(m: Maker) -> None:
    shape = m.shape(1, 3)
    m.arrive(shape, m.one_of((WHOLE, np.dtype(np.int32), FLOAT)), fill=lambda rng, sizes: rng.integers(-4, 4, sizes))
    m.known(4, WHOLE)
    m.known([0, 1], m.one_of((FLOAT, WHOLE)))
    m.set(axis=m.one_of((-1, 0, 1)))


# Quantised


def quantize(m: Maker) -> None:
    shape, kind = m.shape(2), np.dtype(m.one_of((np.uint8, np.int8)))
    arrives = FLOAT if m.schema.name == "QuantizeLinear" else kind
    m.arrive(shape, arrives, -3 if arrives == FLOAT else -50, 3 if arrives == FLOAT else 50)
    axis = m.axis(len(shape), 1)
    each = m.version >= 13 and m.chance()
    size = [shape[axis]] if each else []
    m.known(m.rng.uniform(0.01, 0.1, size), FLOAT)
    m.known(m.rng.integers(0, 50, size), kind)
    m.must(axis=axis) if each else None


def dynamic(m: Maker) -> None:
    m.arrive(m.shape())
    m.outputs = 3


def dropout(m: Maker) -> None:
    m.arrive(m.shape())
    m.set(ratio=0.3)
    m.must(is_test=1)
    if m.version >= 7 and m.chance(0.3):
        m.outputs = 2


SLOPES = (0.01, 0.3, 1.5)
RECIPES: dict[str, Recipe] = {
    **dict.fromkeys("Abs Ceil Cos Erf Exp Floor HardSwish Identity Mish Neg Relu Round Sigmoid".split(), unary()),
    **dict.fromkeys("Sign Sin Sinh Cosh Softplus Softsign Tanh Atan Asinh Not BitwiseNot IsNaN".split(), unary()),
    **dict.fromkeys(("Acos", "Asin", "Atanh", "Tan"), unary(-0.9, 0.9)),
    "Acosh": unary(1.2),
    **dict.fromkeys(("Log", "Sqrt", "Reciprocal"), unary(0.2)),
    **dict.fromkeys(("Celu", "Elu", "LeakyRelu", "ThresholdedRelu", "Swish"), unary(alpha=SLOPES)),
    "Selu": unary(alpha=SLOPES, gamma=SLOPES),
    "HardSigmoid": unary(alpha=SLOPES, beta=SLOPES),
    "Shrink": unary(lambd=SLOPES, bias=SLOPES),
    "Gelu": unary(approximate=("none", "tanh")),
    "IsInf": unary(detect_negative=(0, 1), detect_positive=(0, 1)),
    **dict.fromkeys("Add Sub Mul Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor".split(), binary()),
    **dict.fromkeys("BitwiseAnd BitwiseOr BitwiseXor PRelu".split(), binary()),
    "Div": binary(least=0.5),
    "Mod": mod,
    "BitShift": shift,
    "Pow": power,
    **dict.fromkeys(("Max", "Min", "Mean", "Sum"), variadic),
    "Where": where,
    "Clip": clip,
    "Cast": cast,
    "CastLike": cast_like,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": pool(outputs=2),
    "AveragePool": pool(count_include_pad=(0, 1)),
    "LpPool": pool(p=(1, 2, 3)),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), over_picture()),
    "GlobalLpPool": over_picture(p=(1, 2, 3)),
    "LRN": lambda m: (over_picture(alpha=(1e-4, 0.5), beta=(0.75, 0.5), bias=(1.0, 2.0))(m), m.must(size=3))[0],
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), layer_norm),
    "LpNormalization": lp_norm,
    "MeanVarianceNormalization": variance_norm,
    "Gemm": gemm,
    "MatMul": matmul,
    "Einsum": einsum,
    "Attention": attention,
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), soft),
    **dict.fromkeys((f"Reduce{name}" for name in "L1 L2 LogSumExp Max Mean Min Prod Sum SumSquare".split()), reduction()),
    "ReduceLogSum": reduction(0.2),
    **dict.fromkeys(("ArgMax", "ArgMin"), arg),
    "TopK": top,
    "CumSum": running,
    "Concat": concat,
    "Split": split,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Slice": cut,
    "Pad": pad,
    "Tile": tile,
    "Expand": expand,
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), blocks),
    "Shape": shape_of,
    "Size": plain,
    "CenterCropPad": crop_pad,
    "Trilu": triangle,
    "EyeLike": eye,
    "ConstantOfShape": filled,
    "Constant": constant,
    "Range": counted,
    "Resize": resize,
    "Upsample": upsample,
    "GridSample": grid,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    **dict.fromkeys(("Scatter", "ScatterElements"), scatter_elements),
    "ScatterND": scatter_nd,
    "OneHot": one_hot,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), quantize),
    "DynamicQuantizeLinear": dynamic,
    "Dropout": dropout,
}


def versions() -> list[tuple[str, int]]:
    """Every operator with a recipe in every version that the standard has given it."""
    every = sorted({(schema.name, schema.since_version) for schema in defs.get_all_schemas_with_history() if not schema.domain})
    return [(name, version) for name, version in every if name in RECIPES and not defs.get_schema(name, version).deprecated]
