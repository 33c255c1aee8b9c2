"""The names behind `from cnncc import nn`.

Two ways to the same graph:

    model = nn.Sequential(nn.Conv(8, 3, activation="relu"), nn.Flatten(), nn.Dense(10), input=(1, 28, 28))

    x = nn.Input((1, 28, 28))
    y = nn.Dense(10)(nn.Flatten()(nn.Conv(8, 3, activation="relu")(x)))
    model = nn.Model(x, y)

Besides the layers and blocks below there is a layer for each op of the registry, under its ONNX name (a few in their
usual spelling, `nn.ReLU`, `nn.GELU`): it takes the op's attributes and owns no parameters.
"""

from .blocks import (
    Block,
    Chain,
    DepthwiseSeparable,
    Flattened,
    Inception,
    Parallel,
    Residual,
    SpatiallySeparable,
    SqueezeExcite,
)
from .generic import OpLayer, op_layers
from .inputs import Input
from .layers import Concat, Conv, ConvTranspose, Dense, DepthwiseConv, Split
from .model import Model, Sequential
from .norms import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, PReLU
from .symbols import Constant, Layer, Tensor

__all__ = [
    "BatchNorm",
    "Block",
    "Chain",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DepthwiseConv",
    "DepthwiseSeparable",
    "Flattened",
    "GroupNorm",
    "Inception",
    "Input",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "Model",
    "PReLU",
    "Parallel",
    "Residual",
    "Sequential",
    "SpatiallySeparable",
    "Split",
    "SqueezeExcite",
    "Tensor",
]


def __getattr__(name: str) -> type[OpLayer]:
    """The generic layer of an op that has no class in `layers`, `norms` or `blocks`."""
    if name in op_layers():
        return op_layers()[name]
    raise AttributeError(f"module 'cnncc.nn' has no layer '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *op_layers()})
