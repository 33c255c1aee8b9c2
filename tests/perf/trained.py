"""The networks whose training steps are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cnncc import nn


def lenet(seed: int = 0) -> nn.Model:
    """LeNet-5 on 28²: 61,706 parameters."""
    layers = (
        nn.Conv(6, 5, padding=2, activation="relu"),
        nn.MaxPool(2),
        nn.Conv(16, 5, activation="relu"),
        nn.MaxPool(2),
        nn.Flatten(),
        nn.Dense(120, activation="relu"),
        nn.Dense(84, activation="relu"),
        nn.Dense(10),
    )
    network: nn.Model = nn.Sequential(*layers, input=(1, 28, 28), seed=seed)
    return network


def resnet8(seed: int = 0) -> nn.Model:
    """Three residual blocks with batch norm on 32² (He and others, 2016, with n = 1): 75,290 parameters."""
    image = nn.Input((3, 32, 32))
    x = nn.ReLU()(nn.BatchNorm()(nn.Conv(16, 3, padding=1, bias=False)(image)))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = nn.ReLU()(nn.BatchNorm()(nn.Conv(channels, 3, padding=1, stride=stride, bias=False)(x)))
        y = nn.BatchNorm()(nn.Conv(channels, 3, padding=1, bias=False)(y))
        if stride > 1:
            x = nn.BatchNorm()(nn.Conv(channels, 1, stride=stride, bias=False)(x))
        x = nn.ReLU()(nn.Add()(y, x))
    return nn.Model(image, nn.Dense(10)(nn.Flatten()(nn.GlobalAveragePool()(x))), seed=seed)


def digits(seed: int = 0) -> nn.Model:
    """The network of `examples/digits.py` without what stands at its ends: 22,218 parameters."""
    layers = (
        nn.Conv(16, 3, padding="same", activation="relu"),
        nn.MaxPool(2),
        nn.Conv(32, 3, padding="same", bias=False),
        nn.BatchNorm(),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dense(32, activation="relu"),
        nn.Dense(10),
    )
    network: nn.Model = nn.Sequential(*layers, input=(1, 8, 8), seed=seed)
    return network


def tiny(seed: int = 0) -> nn.Model:
    """About 2,000 parameters on 8²."""
    layers = (
        nn.Conv(8, 3, padding="same", activation="relu"),
        nn.MaxPool(2),
        nn.Conv(16, 3, padding="same", activation="relu"),
        nn.MaxPool(2),
        nn.Flatten(),
        nn.Dense(10),
    )
    network: nn.Model = nn.Sequential(*layers, input=(1, 8, 8), seed=seed)
    return network


NETWORKS: Mapping[str, Callable[[], nn.Model]] = {"lenet": lenet, "resnet8": resnet8, "digits": digits, "tiny": tiny}
