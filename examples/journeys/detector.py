"""Writes the ONNX file that a robotics engineer and a migrant bring: `python examples/journeys/detector.py FILE`.

It finds handwritten digits anywhere in a picture of 48 by 64 pixels: the network of `examples/digits.py`, with its
trained weights, whose dense layers are convolutions here, so that each place of 8 by 8 pixels gets its answer.

    images  float32 (n, 1, 48, 64), white ink (1.0) on black (0.0)
    scores  float32 (n, 10, 21, 29): the probability of each digit in the square that begins at (2 · row, 2 · column)
    ink     float32 (n, 1, 21, 29): the share of the square that is white

Needs `cnncc[onnx]`.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = Path(__file__).parents[1] / "digits.npz"
ROLES = "weights", "bias"
NORM = "scale", "bias", "mean", "variance"


def detector() -> onnx.ModelProto:
    weights = dict(np.load(WEIGHTS))
    weights["dense1.weights"] = weights["dense1.weights"].reshape(32, 32, 4, 4)
    weights["dense2.weights"] = weights["dense2.weights"].reshape(10, 32, 1, 1)

    def layer(operator: str, x: str, name: str, roles: tuple[str, ...] = ROLES, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(operator, [x, *(f"{name}.{role}" for role in roles)], [name], name, **attributes)

    nodes = [
        layer("Conv", "images", "conv1", pads=[1] * 4),
        layer("Relu", "conv1", "relu1", ()),
        layer("MaxPool", "relu1", "pool1", (), kernel_shape=[2, 2], strides=[2, 2]),
        layer("Conv", "pool1", "conv2", ("weights",), pads=[1] * 4),
        layer("BatchNormalization", "conv2", "norm2", NORM),
        layer("Relu", "norm2", "relu2", ()),
        layer("Conv", "relu2", "dense1"),
        layer("Relu", "dense1", "relu3", ()),
        layer("Conv", "relu3", "dense2"),
        layer("Softmax", "dense2", "scores", (), axis=1),
        layer("AveragePool", "images", "ink", (), kernel_shape=[8, 8], strides=[2, 2]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in (("images", (1, 48, 64)), ("scores", (10, 21, 29)), ("ink", (1, 21, 29)))
    ]
    arrays = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "detector", ports[:1], ports[1:], arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    onnx.save(detector(), sys.argv[1])
