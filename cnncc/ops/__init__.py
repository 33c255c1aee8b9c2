"""The ops, one page each; importing this package fills the registry."""

from .conv import Conv
from .conv_transpose import ConvTranspose
from .elementwise import Add, Relu
from .fused import Fused, Stage
from .image import ImageToTensor
from .linear import Dense
from .normalization import BatchNormalization
from .pool import AveragePool, MaxPool
from .shape import Concat, Flatten, Split
from .softmax import Softmax

__all__ = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Flatten",
    "Fused",
    "ImageToTensor",
    "MaxPool",
    "Relu",
    "Softmax",
    "Split",
    "Stage",
]
