"""Single operators at the sizes of small networks, most with channels first, some with channels last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx

from cnncc.elements import INT64
from cnncc.types import Array, TensorType
from tests.onnx.support import Case, model, node

Shape = tuple[int, ...]
Piece = tuple[str, str, str, dict[str, Any]]
"""A node: operator, inputs, output, attributes."""
OPSET = 20
IMAGE = (1, 64, 56, 56)
LAST = (1, 56, 56, 64)
SMALL = (1, 128, 14, 14)
TOKENS = (1, 197, 192)


@dataclass(frozen=True)
class Chain(Case):
    """Several nodes, by name of the operator, inputs, output and attributes; the first input arrives as `i0`."""

    nodes: tuple[Piece, ...] = ()
    weights: Mapping[str, Array] = field(default_factory=dict)

    @property
    def model(self) -> onnx.ModelProto:
        nodes = [node(operator, read, made, **attributes) for operator, read, made, attributes in self.nodes]
        return model(nodes, {"i0": self.inputs[0]}, ["y0"], self.weights, self.opset)


def chain(name: str, shape: Shape, weights: Mapping[str, Array], *nodes: Piece) -> Chain:
    return Chain(name, (shape,), {}, OPSET, nodes=nodes, weights=weights)


def case(operator: str, *inputs: Any, low: float = -3.0, **attributes: Any) -> Case:
    return Case(operator, inputs, attributes, OPSET, low=low)


def known(*shape: int) -> Array:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def number(value: float) -> Array:
    return np.array(value, np.float32)


def whole(*values: int) -> Array:
    return np.array(values, np.int64)


def functions() -> Iterator[Case]:
    """Element by element: 200,704 elements, which the second cache and the third hold, and 25,088."""
    for operator in (
        "Abs Ceil Celu Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Mish Neg Relu Round Selu Sigmoid "
        "Sign Sin Softplus Softsign Tanh ThresholdedRelu"
    ).split():
        yield case(operator, IMAGE)
    for operator in ("Log", "Sqrt", "Reciprocal"):
        yield case(operator, IMAGE, low=0.1)
    for operator in ("Exp", "Sigmoid", "Tanh", "Erf", "Gelu", "Softplus", "Relu"):
        yield case(operator, SMALL)
    yield case("Gelu", TOKENS, approximate="tanh")
    yield case("Clip", IMAGE, number(0), number(6))
    yield case("PRelu", IMAGE, known(64, 1, 1))
    yield case("Pow", IMAGE, number(2.5), low=0.1)
    yield case("Pow", IMAGE, number(2))


def pairs() -> Iterator[Case]:
    """Of two operands: equal shapes, a value a channel, a value an image's pixel."""
    for operator in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        yield case(operator, IMAGE, IMAGE, low=0.1)
    for operator in ("Add", "Mul", "Div"):
        yield case(operator, IMAGE, known(1, 64, 1, 1))
    yield case("Mul", IMAGE, (1, 64, 1, 1))
    yield case("Mul", IMAGE, (1, 1, 56, 56))
    yield case("Add", LAST, known(64))
    yield case("Mul", LAST, (1, 1, 1, 64))
    yield case("Sum", IMAGE, IMAGE, IMAGE)
    yield case("Mean", SMALL, SMALL)


def square(size: int, stride: int, padding: int = 0) -> dict[str, Any]:
    return {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [padding] * 4}


def pools() -> Iterator[Case]:
    for size, stride, padding in (
        (2, 2, 0), (3, 1, 1), (3, 2, 0), (3, 2, 1), (5, 1, 2), (7, 1, 3), (9, 1, 4), (13, 1, 6), (7, 7, 0), (14, 14, 0),
    ):  # fmt: skip
        yield case("MaxPool", IMAGE, **square(size, stride, padding))
    for size, stride, padding in ((2, 2, 0), (3, 1, 1), (3, 2, 1), (5, 1, 2), (7, 7, 0), (9, 1, 4), (13, 1, 6)):
        yield case("AveragePool", IMAGE, **square(size, stride, padding))
    yield case("AveragePool", IMAGE, count_include_pad=1, **square(3, 1, 1))
    yield case("MaxPool", (1, 256, 13, 13), **square(5, 1, 2))
    yield case("MaxPool", (1, 512, 7, 7), **square(13, 1, 6))
    yield case("MaxPool", IMAGE, kernel_shape=[3, 3], dilations=[2, 2], pads=[2] * 4)
    yield case("MaxPool", (1, 32, 1000), kernel_shape=[5], strides=[2])
    yield case("MaxPool", (1, 16, 16, 28, 28), kernel_shape=[2] * 3, strides=[2] * 3)
    yield case("AveragePool", (1, 16, 8, 28, 28), kernel_shape=[3] * 3, strides=[1] * 3, pads=[1] * 6)
    yield case("LpPool", IMAGE, **square(3, 2))
    for shape in (IMAGE, (1, 1280, 7, 7)):
        yield case("GlobalAveragePool", shape)
        yield case("GlobalMaxPool", shape)


def reductions() -> Iterator[Case]:
    for operator in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceSumSquare", "ReduceL2"):
        for axes in ((1,), (3,), (2, 3)):
            yield case(operator, IMAGE, whole(*axes))
    yield case("ReduceMean", LAST, whole(1, 2))
    yield case("ReduceMax", LAST, whole(3))
    yield case("ReduceSum", IMAGE, whole(1, 2, 3))
    yield case("ReduceMin", TOKENS, whole(1))
    yield case("ReduceLogSumExp", TOKENS, whole(2))
    yield case("ReduceProd", TOKENS, whole(2))
    yield case("ReduceL1", IMAGE, whole(3))


def normalizations() -> Iterator[Case]:
    yield case("Softmax", (1, 1000))
    yield case("Softmax", (20, 6906))
    yield case("Softmax", (1, 21, 64, 64), axis=1)
    yield case("Softmax", (1, 64, 64, 21))
    yield case("Softmax", (1, 8, 197, 197))
    yield case("LogSoftmax", (1, 1000))
    yield case("LogSoftmax", (1, 21, 64, 64), axis=1)
    yield case("InstanceNormalization", IMAGE, known(64), known(64))
    yield case("InstanceNormalization", SMALL, known(128), known(128))
    yield case("LayerNormalization", (1, 196, 192), known(192), known(192))
    yield case("LayerNormalization", LAST, known(64), known(64))
    yield case("LayerNormalization", (1, 1024), known(1024), known(1024))
    yield case("LRN", IMAGE, size=5)
    yield case("BatchNormalization", IMAGE, known(64), known(64), known(64), abs(known(64)) + np.float32(0.1))


def moves() -> Iterator[Case]:
    yield case("Transpose", IMAGE, perm=[0, 2, 3, 1])
    yield case("Transpose", LAST, perm=[0, 3, 1, 2])
    yield case("Transpose", (1, 3, 224, 224), perm=[0, 2, 3, 1])
    yield case("Transpose", (1, 224, 224, 3), perm=[0, 3, 1, 2])
    yield case("Transpose", (1, 197, 3, 192), perm=[0, 2, 1, 3])
    yield case("Transpose", (512, 512), perm=[1, 0])
    yield case("Transpose", (1, 8, 197, 64), perm=[0, 1, 3, 2])
    yield case("Transpose", (1, 2, 32, 56, 56), perm=[0, 2, 1, 3, 4])
    for size in (2, 4):
        yield case("DepthToSpace", IMAGE, blocksize=size)
        yield case("SpaceToDepth", IMAGE, blocksize=size)
    yield case("DepthToSpace", (1, 9, 112, 112), blocksize=3, mode="CRD")
    yield case("Concat", IMAGE, IMAGE, axis=1)
    yield case("Concat", LAST, LAST, axis=3)
    yield case("Concat", SMALL, SMALL, SMALL, axis=1)
    yield case("Pad", IMAGE, whole(0, 0, 1, 1, 0, 0, 1, 1))
    yield case("Pad", IMAGE, whole(0, 0, 2, 2, 0, 0, 2, 2), mode="reflect")
    yield case("Pad", IMAGE, whole(0, 0, 3, 3, 0, 0, 3, 3), mode="edge")
    yield case("Slice", IMAGE, whole(0), whole(56), whole(2), whole(2))
    yield case("Slice", IMAGE, whole(0), whole(56), whole(3), whole(2))
    yield case("Slice", IMAGE, whole(16), whole(48), whole(1))
    yield case("Slice", IMAGE, whole(4, 4), whole(52, 52), whole(2, 3))
    yield case("Expand", (1, 64, 1, 1), whole(*IMAGE))
    yield case("Expand", (1, 1, 56, 56), whole(*IMAGE))
    yield case("Tile", (1, 16, 28, 28), whole(1, 2, 2, 2))
    yield case("Gather", IMAGE, whole(*range(0, 64, 3)), axis=1)
    yield case("Gather", IMAGE, whole(*range(0, 56, 3)), axis=3)
    yield case("Flatten", IMAGE)


def scales(factor: float) -> Array:
    return np.array([1, 1, factor, factor], np.float32)


def resizes() -> Iterator[Case]:
    corner: dict[str, Any] = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    for factor, shape in ((2, IMAGE), (2, (1, 256, 13, 13)), (3, (1, 32, 28, 28)), (4, (1, 32, 28, 28))):
        yield case("Resize", shape, None, scales(factor), mode="nearest", **corner)
    yield case("Resize", IMAGE, None, scales(0.5), mode="nearest", **corner)
    for scale in (2.0, 1.5, 0.5):
        yield case("Resize", IMAGE, None, scales(scale), mode="linear")
    aligned: dict[str, Any] = {"coordinate_transformation_mode": "align_corners"}
    yield case("Resize", (1, 21, 32, 32), None, scales(4), mode="linear", **aligned)
    yield case("Resize", (1, 16, 28, 28), None, scales(2), mode="cubic")


def convolutions() -> Iterator[Case]:
    same: dict[str, Any] = {"pads": [1] * 4}
    yield case("ConvTranspose", (1, 32, 28, 28), known(32, 16, 2, 2), strides=[2, 2])
    yield case("ConvTranspose", (1, 32, 28, 28), known(32, 16, 4, 4), strides=[2, 2], pads=[1] * 4)
    yield case("ConvTranspose", (1, 32, 28, 28), known(32, 1, 3, 3), strides=[2, 2], group=32)
    middle = (1, 64, 28, 28)
    yield case("Conv", middle, known(64, 64, 3, 3), **same)
    yield case("Conv", middle, known(64, 64, 3, 3), strides=[2, 2], **same)
    yield case("Conv", middle, known(64, 64, 3, 3), dilations=[2, 2], pads=[2] * 4)
    yield case("Conv", middle, known(64, 64, 5, 5), pads=[2] * 4)
    yield case("Conv", middle, known(64, 64, 1, 1))
    yield case("Conv", middle, known(256, 64, 1, 1))
    yield case("Conv", middle, known(64, 64, 1, 1), strides=[2, 2])
    yield case("Conv", (1, 256, 14, 14), known(256, 256, 3, 3), **same)
    yield case("Conv", (1, 512, 7, 7), known(512, 512, 3, 3), **same)
    yield case("Conv", (1, 320, 7, 7), known(1280, 320, 1, 1))
    yield case("Conv", (1, 3, 224, 224), known(32, 3, 7, 7), strides=[2, 2], pads=[3] * 4)
    yield case("Conv", (1, 3, 224, 224), known(32, 3, 3, 3), strides=[2, 2], **same)
    yield case("Conv", (1, 1, 28, 28), known(6, 1, 5, 5))
    yield case("Conv", IMAGE, known(64, 1, 3, 3), group=64, **same)
    yield case("Conv", IMAGE, known(64, 1, 3, 3), strides=[2, 2], group=64, **same)
    yield case("Conv", middle, known(64, 1, 5, 5), group=64, pads=[2] * 4)
    yield case("Conv", middle, known(64, 1, 7, 7), group=64, pads=[3] * 4)
    yield case("Conv", middle, known(64, 16, 3, 3), group=4, **same)
    yield case("Conv", (1, 17, 29, 31), known(33, 17, 3, 3), **same)
    yield case("Conv", middle, known(1, 64, 1, 1))
    yield case("Conv", middle, known(7, 64, 3, 3), **same)
    yield case("Conv", (1, 64, 1, 160), known(64, 64, 1, 3), pads=[0, 1, 0, 1])
    yield case("Conv", (1, 16, 2000), known(32, 16, 9), pads=[4, 4], strides=[2])
    yield case("Conv", (1, 8, 8, 28, 28), known(16, 8, 3, 3, 3), pads=[1] * 6)
    yield case("Conv", (8, 16, 28, 28), known(32, 16, 3, 3), **same)


def products() -> Iterator[Case]:
    yield case("Gemm", (1, 512), known(512, 512))
    yield case("Gemm", (1, 1280), known(1280, 1000), known(1000))
    for rows in (2, 8, 32, 128):
        yield case("Gemm", (rows, 512), known(512, 512))
    yield case("MatMul", TOKENS, known(192, 576))
    yield case("MatMul", TOKENS, known(192, 192))
    yield case("MatMul", (4, 64, 49, 32), (4, 64, 32, 49))
    yield case("MatMul", (1, 3, 197, 64), (1, 3, 64, 197))
    yield case("MatMul", (1, 3, 197, 197), (1, 3, 197, 64))
    yield case("MatMul", (128, 128), (128, 128))


def chains() -> Iterator[Case]:
    """What networks spell with several nodes."""
    for shape in (IMAGE, SMALL):
        yield chain("SiLU", shape, {}, ("Sigmoid", "i0", "s", {}), ("Mul", "i0 s", "y0", {}))
    numbers = {"root": number(2**0.5), "half": number(0.5), "one": number(1)}
    gelu: tuple[Piece, ...] = (
        ("Div", "i0 root", "a", {}),
        ("Erf", "a", "b", {}),
        ("Add", "b one", "c", {}),
        ("Mul", "i0 c", "d", {}),
        ("Mul", "d half", "y0", {}),
    )
    yield chain("GELU", TOKENS, numbers, *gelu)
    point: Piece = ("Conv", "i0 w", "c", {})
    silu: tuple[Piece, ...] = (("Sigmoid", "c", "s", {}), ("Mul", "c s", "y0", {}))
    for name, function in (("SiLU", silu), ("GELU", (("Gelu", "c", "y0", {}),))):
        yield chain(f"1×1 convolution and {name}", (1, 64, 28, 28), {"w": known(64, 64, 1, 1)}, point, *function)
    for shape, window, operator in (((1, 64, 8, 8), 8, "AveragePool"), ((1, 64, 14, 14), 7, "MaxPool")):
        conv: Piece = ("Conv", "i0 w", "c", {"pads": [1] * 4})
        pool: Piece = (operator, "r", "y0", square(window, window))
        nodes: tuple[Piece, ...] = conv, ("Relu", "c", "r", {}), pool
        yield chain(f"3×3 convolution, ReLU, {operator} {window}", shape, {"w": known(64, 64, 3, 3)}, *nodes)
    pools: list[Piece] = [("MaxPool", "i0", f"p{size}", square(size, 1, size // 2)) for size in (5, 9, 13)]
    yield chain("SPP", (1, 256, 13, 13), {}, *pools, ("Concat", "i0 p5 p9 p13", "y0", {"axis": 1}))


def orders() -> Iterator[Case]:
    """Classes of pixels and of images, and the best of detectors: one line, or several that are short."""
    for operator in ("ArgMax", "ArgMin", "Hardmax"):
        yield case(operator, (1, 1000), axis=1)
        yield case(operator, (1, 21, 64, 64), axis=1)
    for shape, k in (((1, 8400), 300), ((1, 1000), 100), ((1, 1000), 5), ((1, 100_000), 1000), ((64, 1000), 10)):
        yield replace(case("TopK", shape, whole(k)), outputs=2)
    yield replace(case("TopK", (1, 64, 32, 32), whole(5), axis=1), outputs=2)
    lines: list[tuple[tuple[int, ...], int]] = [(IMAGE, 1), (IMAGE, 3), ((1, 10_000), 1), ((1, 80, 80), 2)]
    for sizes, axis in lines:
        yield case("CumSum", sizes, np.array(axis, np.int64))


def at(size: int, operator: str, *inputs: Any, **attributes: Any) -> Case:
    """An operator whose indices, whole numbers that arrive, are of an axis of so many elements."""
    return replace(case(operator, *inputs, **attributes), below=size)


def places() -> Iterator[Case]:
    """Reads and writes at indices that arrive."""

    def some(*shape: int) -> TensorType:
        return TensorType(shape, INT64)

    yield at(1000, "OneHot", some(128), whole(1000), np.array([0, 1], np.float32))
    yield at(21, "OneHot", some(1, 64, 64), whole(21), np.array([0, 1], np.float32), axis=1)
    yield at(10_000, "Gather", known(10_000, 256), some(128), axis=0)
    yield at(256, "Gather", (1, 256, 28, 28), some(64), axis=1)
    yield at(8400, "GatherElements", (1, 8400, 4), some(1, 300, 4), axis=1)
    yield at(1024, "GatherElements", (64, 1024), some(64, 1024), axis=1)
    yield at(80, "GatherND", (8400, 80), some(300, 2))
    yield at(8400, "GatherND", (1, 8400, 4), some(1, 300, 1), batch_dims=1)
    yield at(1024, "ScatterElements", (64, 1024), some(64, 1024), (64, 1024), axis=1, reduction="add")
    yield at(1000, "ScatterElements", (1, 1000), some(1, 300), (1, 300), axis=1, reduction="add")
    yield at(8400, "ScatterND", (8400, 4), some(300, 1), (300, 4), reduction="add")
    yield at(256, "ScatterND", (256, 784), some(64, 1), (64, 784), reduction="add")
    for channels, size in ((64, 32), (3, 128)):
        sampled = case("GridSample", (1, channels, size, size), (1, size, size, 2), low=-1.0, mode="linear")
        yield replace(sampled, high=1.0)


FAMILIES = {
    "functions": functions,
    "pairs": pairs,
    "pools": pools,
    "reductions": reductions,
    "normalizations": normalizations,
    "moves": moves,
    "resizes": resizes,
    "convolutions": convolutions,
    "products": products,
    "chains": chains,
    "orders": orders,
    "places": places,
}


def cases() -> list[tuple[str, Case]]:
    """(family, case), all of them."""
    return [(family, case) for family, rows in FAMILIES.items() for case in rows()]
