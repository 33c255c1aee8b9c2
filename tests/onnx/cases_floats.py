"""More cases of rows that compute with floats: norms, Einsum, resizing, Attention, operators of the first opset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import defs

from cnncc.types import Array

from .making import X, case, data, ints, number, positive


def standardized(axes: tuple[int, ...]) -> Callable[[Array], Array]:
    return lambda x: np.asarray((x - x.mean(axes, keepdims=True)) / x.std(axes, keepdims=True))


def norm(axes: tuple[int, ...], p: int) -> Callable[[Array], Array]:
    return lambda x: np.asarray((np.abs(x) ** p).sum(axes, keepdims=True) ** (1 / p))


WINDOWS = [
    case("LpPool", X, kernel_shape=[3, 2], p=3, auto_pad="SAME_LOWER", strides=[2, 2], opset=18),
    case("LpPool", X, kernel_shape=[2, 2], p=5, dilations=[2, 3], ceil_mode=1, strides=[2, 1], opset=18),
    *(case("GlobalLpPool", X, p=p, expected=norm((2, 3), p)) for p in (1, 2, 3)),
    case("GlobalLpPool", (2, 3, 5), opset=1, expected=norm((2,), 2)),
]

EINSUMS = [
    *(
        case("Einsum", (2, 3, 4), data(4, 5), equation=e)
        for e in ("abc,cd->abd", "abc, cd", "...c,cd->d...", "abc,cd->bda")
    ),
    *(
        case("Einsum", (2, 3, 4, 5), data(6, 3), equation=e)
        for e in ("nchw,oc->nohw", "nchw,oc->ow", "n...w,oc->cn...")
    ),
    case("Einsum", data(6, 3), (2, 3, 4, 5), equation="oc,nchw->nohw"),
    case("Einsum", (2, 3, 4, 5), (2, 3, 6, 5), equation="bhqd,bhkd->bhqk", opset=12),
    case("Einsum", (2, 3, 4, 5), (3, 6, 5), equation="nhqd,hkd->nhqk"),
    case("Einsum", (2, 4, 1, 5), (4, 5, 2), equation="...ij,...jk->...ik"),
    case("Einsum", (2, 4), (3, 2, 5), (4, 5), equation="bn,abm,nm->ba"),
    *(case("Einsum", (3, 3, 2, 3), equation=e) for e in ("iiji->ji", "iiji->j", "...i->i...", "aiba->bi")),
    *(case("Einsum", (3,), (3,), equation=e) for e in ("i,i->", "i,j->ji", "i,i->i", "i,j->")),
    *(case("Einsum", (2, 3), equation=e) for e in ("ij->ji", "ij->", "ij", "ba")),
]

STATISTICS = (positive(3), data(3), data(3), positive(3))

NORMS = [
    case("LayerNormalization", (2, 3, 5), (3, 5), (5,), axis=1, outputs=3),
    case("LayerNormalization", (2, 3), data(2, 3), data(2, 3), axis=0, outputs=2),
    case("LpNormalization", (2, 3, 5), opset=1),
    case("LpNormalization", (2, 3, 5), axis=1, p=1, expected=lambda x: x / np.abs(x).sum(1, keepdims=True)),
    case("MeanVarianceNormalization", X),
    case("MeanVarianceNormalization", (2, 3, 5), axes=[-1], opset=9),
    case("InstanceNormalization", X, (3,), (3,)),
    case("BatchNormalization", X, (3,), (3,), (3,), (3,), low=0.1),
    *(
        case("BatchNormalization", (2, 3, 4), *STATISTICS, training_mode=1, outputs=3, opset=n, momentum=m)
        for n, m in ((14, 0.9), (15, 0.7))
    ),
]

CROP: dict[str, Any] = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 1.5}
"""With a value for what lies outside."""

SHAPES = [
    case("Dropout", (2, 3), outputs=2, opset=12),
    case("CenterCropPad", X, ints(3, 9), axes=[2, -1], opset=18),
    case("CenterCropPad", X, ints(1, 4, 4, 5), opset=18),
    case("CenterCropPad", (2, 3), ints(2, 3)),
    case("Resize", X, None, None, ints(1, 3, 5, 3), antialias=1, mode="linear", opset=18),
    case("Resize", X, None, None, ints(4, 3), antialias=1, mode="cubic", axes=[3, 2], exclude_outside=1, opset=18),
    case("Resize", X, None, None, ints(1, 3, 11, 5), exclude_outside=1, mode="cubic", cubic_coeff_a=-0.5, opset=11),
    case("Resize", X, None, None, ints(9, 5), axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
    case("Resize", X, None, None, ints(9, 5), axes=[2, 3], keep_aspect_ratio_policy="not_smaller", mode="linear"),
    case("Resize", (2, 3), None, np.array([2, 1.5], np.float32)),
    case("Resize", (2, 3, 4), None, None, ints(3, 2, 4), mode="linear"),
    case("Resize", (2, 3, 4), None, np.array([2], np.float32), axes=[0]),
    case("Resize", (2, 3, 4), None, None, ints(2, 3, 4)),
    case("Resize", X, np.array([0.1, 0.2, 0.7, 1.3], np.float32), None, ints(4, 6), axes=[2, 3], **CROP),
    case(
        "Resize",
        X,
        np.array([0, 0, 0.1, 0.2, 1, 1, 0.7, 1.3], np.float32),
        None,
        ints(1, 3, 4, 6),
        mode="linear",
        **CROP,
        opset=11,
    ),
    case(
        "Resize",
        X,
        None,
        np.array([1, 1, 1, 2], np.float32),
        coordinate_transformation_mode="tf_half_pixel_for_nn",
        opset=11,
        expected=lambda x, *_: x[..., [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7]],
    ),
    case(
        "Upsample",
        (2, 3, 4),
        np.array([1, 2, 3], np.float32),
        opset=9,
        expected=lambda x, _: x.repeat(2, 1).repeat(3, 2),
    ),
]

ELEMENTWISE = [
    case("Acosh", (2, 3, 5), low=1.0),
    *(case(name, data(2, 3, 5), opset=n) for name, n in (("Acos", 7), ("Asin", 7), ("Atanh", 9))),
    case("Clip", (2, 5), (), (1,), expected=lambda x, low, high: np.minimum(np.maximum(x, low), high)),
    case("Clip", (2, 5), number(0.5), ()),
    case("Clip", (2, 5), ()),
]

LEGACY = [
    case("Affine", X, alpha=0.5, beta=2.0, opset=1, expected=lambda x: 0.5 * x + 2),
    case("Scale", X, scale=0.5, opset=1, expected=lambda x: 0.5 * x),
    case(
        "ImageScaler",
        X,
        scale=0.5,
        bias=[1.0, 2.0, 3.0],
        opset=1,
        expected=lambda x: 0.5 * x + np.array([1, 2, 3]).reshape(3, 1, 1),
    ),
    case("ImageScaler", X, scale=2.0, opset=1, expected=lambda x: 2 * x),
    case("ScaledTanh", X, alpha=1.5, beta=0.5, opset=1, expected=lambda x: 1.5 * np.tanh(0.5 * x)),
    case("ParametricSoftplus", X, alpha=1.5, beta=0.5, opset=1, expected=lambda x: 1.5 * np.log1p(np.exp(0.5 * x))),
    case("Crop", X, border=[1, 2, 3, 1], opset=1, expected=lambda x: x[:, :, 2:-1, 1:-3]),
    case("Crop", X, border=[1, 2, 3, 1], scale=[4, 5], opset=1, expected=lambda x: x[:, :, 2:6, 1:6]),
    *(
        case("MeanVarianceNormalization", X, across_channels=n, opset=1, expected=standardized(axes))
        for n, axes in ((0, (2, 3)), (1, (1, 2, 3)))
    ),
    case(
        "MeanVarianceNormalization",
        X,
        normalize_variance=0,
        opset=1,
        expected=lambda x: x - x.mean((2, 3), keepdims=True),
    ),
]
"""Of operators, or versions of them, for which the `onnx` package has no schema."""

SEEN = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]], bool)

LATER = [
    case("Swish", (2, 3), opset=24),
    case("Swish", (2, 3), alpha=0.5, opset=24),
    case("Attention", (2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7), opset=23),
    case("Attention", (2, 3, 4, 5), (2, 3, 6, 5), data(2, 3, 6, 7), is_causal=1, scale=0.3, opset=23),
    case("Attention", (2, 4, 12), (2, 6, 6), (2, 6, 4), q_num_heads=4, kv_num_heads=2, softcap=2.0, opset=23),
    case("Attention", (2, 4, 12), (2, 6, 12), (2, 6, 8), (4, 6), q_num_heads=4, kv_num_heads=4, opset=23),
    case(
        "Attention",
        (1, 2, 3, 4),
        (1, 2, 3, 4),
        (1, 2, 3, 4),
        np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]], bool),
        is_causal=1,
        opset=23,
    ),
    case("Attention", (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), (3, 3), is_causal=1, opset=23),
    *(
        case(
            "Attention",
            *((1, 2, 3, 4),) * 3,
            data(2, 3, 5),
            *((1, 2, 2, 4),) * 2,
            outputs=4,
            qk_matmul_output_mode=mode,
            is_causal=int(mode != 2),
            opset=23,
        )
        for mode in (0, 2, 3)  # with mode 2, ONNX Runtime would show −∞ as the lowest float
    ),
    case("RMSNormalization", (2, 3, 5), data(5), opset=23),
    case("RMSNormalization", (2, 3, 5), (3, 1), axis=1, epsilon=0.1, opset=23),
]
"""Of operators that the `onnx` package may not have yet."""

HAS = {one.name for one in defs.get_all_schemas()}
CASES = [*WINDOWS, *EINSUMS, *NORMS, *SHAPES, *ELEMENTWISE]
CASES += [later for later in LATER if later.operator in HAS]
