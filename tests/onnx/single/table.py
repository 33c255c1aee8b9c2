"""A recipe for every operator of networks."""

from __future__ import annotations

from onnx import defs

from . import axes, elementwise, indices, moves, windows
from .elementwise import binary, unary
from .maker import Maker, Recipe

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
    **dict.fromkeys("BitwiseAnd BitwiseOr BitwiseXor".split(), binary()),
    "PRelu": elementwise.slopes,
    "Div": binary(least=0.5),
    "Mod": elementwise.mod,
    "BitShift": elementwise.shift,
    "Pow": elementwise.power,
    **dict.fromkeys(("Max", "Min", "Mean", "Sum"), elementwise.variadic),
    "Where": elementwise.where,
    "Clip": elementwise.clip,
    "Cast": elementwise.cast,
    "CastLike": elementwise.cast_like,
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    "MaxPool": windows.pool(outputs=2),
    "AveragePool": windows.pool(count_include_pad=(0, 1)),
    "LpPool": windows.pool(p=(1, 2, 3)),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), windows.over_picture()),
    "GlobalLpPool": windows.over_picture(p=(1, 2, 3)),
    "LRN": windows.neighbours,
    "BatchNormalization": windows.batch_norm,
    "InstanceNormalization": windows.instance_norm,
    "GroupNormalization": windows.group_norm,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), windows.layer_norm),
    "LpNormalization": windows.lp_norm,
    "MeanVarianceNormalization": windows.variance_norm,
    "Gemm": axes.gemm,
    "MatMul": axes.matmul,
    "Einsum": axes.einsum,
    "Attention": axes.attention,
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), axes.soft),
    **dict.fromkeys(
        (f"Reduce{name}" for name in "L1 L2 LogSumExp Max Mean Min Prod Sum SumSquare".split()), axes.reduction()
    ),
    "ReduceLogSum": axes.reduction(0.2),
    **dict.fromkeys(("ArgMax", "ArgMin"), axes.arg),
    "TopK": axes.top,
    **dict.fromkeys(("CumProd", "CumSum"), axes.running),
    "Concat": moves.concat,
    "Split": moves.split,
    "Reshape": moves.reshape,
    "Flatten": moves.flatten,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Transpose": moves.transpose,
    "Slice": moves.cut,
    "Pad": moves.pad,
    "Tile": moves.tile,
    "Expand": moves.expand,
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), moves.blocks),
    "Shape": moves.shape_of,
    "Size": moves.plain,
    "CenterCropPad": moves.crop_pad,
    "Trilu": moves.triangle,
    "EyeLike": moves.eye,
    "ConstantOfShape": moves.filled,
    "Constant": moves.constant,
    "Range": moves.counted,
    "Resize": moves.resize,
    "Upsample": moves.upsample,
    "GridSample": moves.grid,
    "Gather": indices.gather,
    "GatherElements": indices.gather_elements,
    "GatherND": indices.gather_nd,
    **dict.fromkeys(("Scatter", "ScatterElements"), indices.scatter_elements),
    "ScatterND": indices.scatter_nd,
    "OneHot": indices.one_hot,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), indices.quantize),
    "DynamicQuantizeLinear": indices.dynamic,
    "Dropout": indices.dropout,
}


def versions() -> list[tuple[str, int]]:
    """Every operator with a recipe in every version that the standard has given it."""
    every = sorted(
        {(schema.name, schema.since_version) for schema in defs.get_all_schemas_with_history() if not schema.domain}
    )
    return [
        (name, version) for name, version in every if name in RECIPES and not defs.get_schema(name, version).deprecated
    ]


def made(operator: str, version: int, seed: int) -> Maker:
    """The model of a seed."""
    return Maker(operator, version, seed, RECIPES[operator])
