"""The ops, one page each; importing this package fills the registry."""

from .activation import Clip, HardSigmoid, HardSwish, LeakyRelu, PRelu, Relu, Shrink, ThresholdedRelu
from .adaptive import AdaptiveAveragePool, AdaptiveMaxPool, GlobalAveragePool, GlobalMaxPool, SpatialPyramidPool
from .arithmetic import (
    Abs,
    Add,
    Ceil,
    Cos,
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
    Sin,
    Sqrt,
    Sub,
    Sum,
)
from .arrangement import Identity
from .cast import Cast
from .comparison import Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual
from .conv import Conv
from .conv_transpose import ConvTranspose
from .fused import Fused, FusedOp
from .gather import Gather, GatherElements, GatherND
from .grid_sample import GridSample
from .image import ImageToTensor
from .join import Concat, Split
from .linear import Dense, MatMul
from .logic import And, BitwiseAnd, BitwiseNot, BitwiseOr, BitwiseXor, Not, Or, Where, Xor
from .lrn import LRN
from .normalization import (
    BatchNormalization,
    BatchStandardization,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
)
from .pad import Pad
from .pool import AveragePool, LpPool, MaxPool, MixedPool
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

__all__ = [
    "LRN",
    "Abs",
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "Add",
    "And",
    "AveragePool",
    "BatchNormalization",
    "BatchStandardization",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "Ceil",
    "Celu",
    "ChannelShuffle",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Dense",
    "DepthToSpace",
    "Div",
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
    "Identity",
    "ImageToTensor",
    "InstanceNormalization",
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
    "Mean",
    "Min",
    "Mish",
    "MixedPool",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "NotEqual",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
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
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
    "Xor",
]
