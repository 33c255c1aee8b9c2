"""The ops, one page each; importing this package fills the registry."""

from .activation import Clip, HardSigmoid, HardSwish, LeakyRelu, PRelu, Relu, Shrink, ThresholdedRelu
from .adaptive import AdaptiveAveragePool, AdaptiveMaxPool, GlobalAveragePool, GlobalMaxPool, SpatialPyramidPool
from .arithmetic import (
    Abs,
    Add,
    Ceil,
    Div,
    Exp,
    Floor,
    Log,
    Max,
    Mean,
    Min,
    Mod,
    Mul,
    Neg,
    Pow,
    Reciprocal,
    Round,
    Sign,
    Sqrt,
    Sub,
    Sum,
)
from .arrangement import Identity
from .by_place import OneHot, Trilu
from .cast import Cast
from .comparison import Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual
from .computed import Computed
from .conv import Conv
from .conv_transpose import ConvTranspose
from .cumulative import CumProd, CumSum
from .dropout import Dropout
from .fused import Fused, FusedOp
from .gather import Gather, GatherElements, GatherND
from .grid_sample import GridSample
from .image import ImageToTensor
from .join import Concat, Split
from .linear import Dense, MatMul
from .logic import And, BitShift, BitwiseAnd, BitwiseNot, BitwiseOr, BitwiseXor, Not, Or, Where, Xor
from .lrn import LRN
from .nonfinite import IsInf, IsNaN
from .normalization import (
    BatchNormalization,
    BatchStandardization,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
)
from .pad import Pad
from .pool import AveragePool, LpPool, MaxPool, MixedPool
from .pool_places import MaxPoolIndices
from .quantize import Dequantize, Quantize
from .ranking import ArgMax, ArgMin, Hardmax, TopK
from .reduction import (
    ReduceL1,
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
)
from .repeat import Expand, Tile
from .reshape import Flatten, Reshape, Squeeze, Unsqueeze
from .resize import Resize
from .scatter import ScatterElements, ScatterND
from .select import Slice
from .shuffle import ChannelShuffle, DepthToSpace, SpaceToDepth, Transpose
from .smooth import Celu, Elu, Erf, Gelu, Mish, Selu, Sigmoid, Silu, Softplus, Softsign, Tanh
from .softmax import LogSoftmax, Softmax
from .spectral import SpectralPool
from .trigonometry import Acos, Acosh, Asin, Asinh, Atan, Atanh, Cos, Cosh, Sin, Sinh, Tan

__all__ = [
    "LRN",
    "Abs",
    "Acos",
    "Acosh",
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "AveragePool",
    "BatchNormalization",
    "BatchStandardization",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "Ceil",
    "Celu",
    "ChannelShuffle",
    "Clip",
    "Computed",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumProd",
    "CumSum",
    "Dense",
    "DepthToSpace",
    "Dequantize",
    "Div",
    "Dropout",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Fused",
    "FusedOp",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GridSample",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "ImageToTensor",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "LpPool",
    "MatMul",
    "Max",
    "MaxPool",
    "MaxPoolIndices",
    "Mean",
    "Min",
    "Mish",
    "MixedPool",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "NotEqual",
    "OneHot",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "Quantize",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Silu",
    "Sin",
    "Sinh",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "SpatialPyramidPool",
    "SpectralPool",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
]
