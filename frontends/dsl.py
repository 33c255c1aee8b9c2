"""The names behind `from cnncc import nn`.

Two ways to the same graph:

    model = nn.Sequential(nn.Conv(8, 3, activation="relu"), nn.Flatten(), nn.Dense(10), input=(1, 28, 28))

    x = nn.Input((1, 28, 28))
    y = nn.Dense(10)(nn.Flatten()(nn.Conv(8, 3, activation="relu")(x)))
    model = nn.Model(x, y)
"""

from .layers import (
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    MaxPool,
    ReLU,
    Softmax,
    Split,
)
from .model import Model, Sequential
from .symbols import Input, Layer, Tensor

__all__ = [
    "Add",
    "AveragePool",
    "BatchNorm",
    "Concat",
    "Conv",
    "Dense",
    "DepthwiseConv",
    "Flatten",
    "Input",
    "Layer",
    "MaxPool",
    "Model",
    "ReLU",
    "Sequential",
    "Softmax",
    "Split",
    "Tensor",
]
