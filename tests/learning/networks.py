"""Small networks and data to train them on."""

from __future__ import annotations

import numpy as np

from cnncc import nn
from cnncc.types import Array


def small(seed: int = 0, dropout: float = 0.25) -> nn.Model:
    """A convolution, batch norm, a pool, dropout, a dense layer."""
    layers = (
        nn.Conv(6, 3, padding="same", name="conv"),
        nn.BatchNorm(name="norm"),
        nn.ReLU(),
        nn.MaxPool(2),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Dense(4, name="head"),
        nn.Softmax(),
    )
    network: nn.Model = nn.Sequential(*layers, input=(1, 6, 6), seed=seed)
    return network


def examples(count: int = 96, seed: int = 0) -> tuple[Array, Array]:
    """Images whose class a linear map of their pixels tells."""
    rng = np.random.default_rng(seed)
    x = rng.random((count, 1, 6, 6)).astype(np.float32)
    return x, (x.reshape(count, -1) @ np.random.default_rng(1).standard_normal((36, 4))).argmax(1)
