"""A program of a user, whose types `mypy --strict` knows without a cast; `test_typed.py` runs it."""

from __future__ import annotations

from typing import assert_type

import numpy as np
import numpy.typing as npt

import cnncc
from cnncc import learn, nn
from cnncc.folders.mapping import Mapped
from cnncc.frontends.summary import Summary
from cnncc.history import Epoch, History
from cnncc.ir import Graph
from cnncc.learning import Fitted


def network() -> nn.Sequential:
    layers = nn.Conv(2, 3, activation="relu"), nn.ReLU(), nn.Flatten(), nn.Dense(3)
    return assert_type(nn.Sequential(*layers, input=(1, 4, 4)), nn.Sequential)


def program(x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> None:
    net = network()
    assert_type(net.summary(), Summary)
    graph = assert_type(net.graph, Graph)
    assert_type(cnncc.load_graph(net), Graph)
    history = assert_type(net.fit(x, y, epochs=1, optimiser=learn.AdamW(0.01)), History)
    assert_type(history.best, Epoch)
    fitted = assert_type(cnncc.fit(graph, x, y, epochs=1), Fitted)
    assert_type(fitted.compile(), cnncc.Model)
    model = assert_type(cnncc.compile(net), cnncc.Model)
    results = assert_type(model.named(x), cnncc.Outputs)
    scores = results["output"]
    print(scores.argmax(axis=1), results[0].shape, [port.shape for port in model.inputs])
    assert_type(model.why(), str)


def of_any_size(path: str) -> None:
    """Not run: `shapes` tell which model comes of a file."""
    assert_type(cnncc.compile(path, shapes="any"), cnncc.OpenModel)
    assert_type(cnncc.compile(path, shapes={"x": (1, 3, 8, 8)}), cnncc.Model)
    assert_type(cnncc.compile(path, shapes={"x": [(1, 3, 8, 8), (1, 3, 9, 9)]}), cnncc.OpenModel)
    assert_type(cnncc.load(path), cnncc.Model | cnncc.OpenModel)
    for answer in cnncc.map(cnncc.compile(path), [path]):
        assert_type(answer, Mapped)
