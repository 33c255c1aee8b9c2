"""Elements that move: parts, orders, shapes, samples."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from .maker import FLOAT, WHOLE, Images, Maker


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
