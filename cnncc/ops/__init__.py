"""The ops, one page each; importing this package fills the registry."""

from .adaptive import AdaptiveAveragePool, AdaptiveMaxPool, GlobalAveragePool, GlobalMaxPool, SpatialPyramidPool
from .arrangement import Identity
from .conv import Conv
from .conv_transpose import ConvTranspose
from .elementwise import Add, Relu
from .fused import Fused, Stage
from .image import ImageToTensor
from .join import Concat, Split
from .linear import Dense, MatMul
from .normalization import BatchNormalization
from .pad import Pad
from .pool import AveragePool, LpPool, MaxPool, MixedPool
from .repeat import Expand, Tile
from .reshape import Flatten, Reshape, Squeeze, Unsqueeze
from .resize import Resize
from .select import Gather, Slice
from .shuffle import ChannelShuffle, DepthToSpace, SpaceToDepth, Transpose
from .softmax import Softmax
from .spectral import SpectralPool

__all__ = [
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "ChannelShuffle",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Fused",
    "Gather",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "ImageToTensor",
    "LpPool",
    "MatMul",
    "MaxPool",
    "MixedPool",
    "Pad",
    "Relu",
    "Reshape",
    "Resize",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "SpatialPyramidPool",
    "SpectralPool",
    "Split",
    "Squeeze",
    "Stage",
    "Tile",
    "Transpose",
    "Unsqueeze",
]
