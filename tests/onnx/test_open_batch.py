"""An open number of images: what a model computes from it is right for any number, or refused by name."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import cnncc
from cnncc import batching
from cnncc.cli import main
from cnncc.errors import InputError
from cnncc.types import Array

from . import open_batch
from .support import imported, model, node, skip_where_the_reference_is_wrong

X = ("N", 2, 4, 4)
RELU = node("Relu", "x", "y")


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def floats(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


ONES = onnx.numpy_helper.from_array(ints(1))
COUNT = [node("Shape", "x", "s"), node("Gather", "s first", "n")]
"""The number of images as a vector of one."""
REAL = [*COUNT, node("Cast", "n", "f", to=1)]
WEIGHTS = {
    "zero": np.array(0),
    "one": np.array(1),
    "two": np.array(2),
    "big": np.array(40),
    "first": ints(0),
    "channel": ints(1),
    "all": ints(2, 4, 4),
    "8": ints(8),
    "3,3": ints(3, 3),
    "big4": ints(1, 2, 8, 8),
    "square": floats(2, 2),
    "axes": ints(1, 2),
    "spatial": ints(1, 2, 3),
    "to_rows": ints(0, -1),
    "to_one_row": ints(1, -1),
    "to_32": ints(-1, 32),
    "to_one": ints(1, 8, 4),
    "bare": ints(1, 2, 4, 4),
    "ones": ints(1, 1, 1),
    "twice": ints(2, 1, 1, 1),
    "pad_images": ints(1, *[0] * 7),
    "pad_side": ints(0, 0, 0, 1, 0, 0, 0, 0),
    "none": np.array([], np.float32),
    "scales": np.array([1, 1, 2, 2], np.float32),
    "vector": floats(4),
    "matrix": floats(32, 3),
    "image": floats(1, 2, 2, 2),
    **{str(number): ints(number) for number in (-1, 1, 2, 3, 4, 9)},
}


def case(name: str, *nodes: onnx.NodeProto, opset: int = 18, x: tuple[Any, ...] = X) -> Any:
    return pytest.param(list(nodes), opset, x, id=name)


FREE = [
    case("nothing", RELU),
    case("view", *COUNT, node("Concat", "n -1", "t", axis=0), node("Reshape", "x t", "y")),
    case("view, cast", *COUNT, node("Concat", "n -1", "t", axis=0), node("Cast", "t", "i", to=6),
         node("Cast", "i", "j", to=7), node("Reshape", "x j", "y")),
    case("reshape to 0", node("Reshape", "x to_rows", "y")),
    case("reshape to -1", node("Reshape", "x to_32", "y")),
    case("reshape as another", node("Shape", "x", "s"), node("Relu", "x", "r"), node("Reshape", "r s", "y")),
    case("size of the rest", node("Shape", "x", "s", start=1), node("ReduceProd", "s", "p", keepdims=1),
         node("Concat", "-1 p", "t", axis=0), node("Reshape", "x t", "y")),
    case("another size", node("Shape", "x", "s"), node("Gather", "s two", "h"), node("Cast", "h", "f", to=1),
         node("Mul", "x f", "y")),
    case("resize to sizes", node("Shape", "x", "s"), node("Slice", "s first 2 first", "nc"),
         node("Concat", "nc 8 8", "t", axis=0), node("Resize", "x none none t", "y", mode="nearest")),
    case("resize by scales", node("Resize", "x none scales", "y", mode="nearest")),
    case("sizes computed all together", node("Shape", "x", "s"), node("Cast", "s", "f", to=1),
         node("Mul", "f scales", "g"), node("Floor", "g", "l"), node("Cast", "l", "i", to=7),
         node("Slice", "i 2 4 first", "hw2"), node("Slice", "s first 2 first", "nc"),
         node("Concat", "nc hw2", "t", axis=0), node("Resize", "x none none t", "y", mode="nearest")),
    case("expand to itself", node("Shape", "x", "s"), node("Expand", "x s", "y")),
    case("expand as PyTorch writes it", *COUNT, node("Concat", "n -1 4 4", "t", axis=0),
         node("Shape", "t", "r"), node("ConstantOfShape", "r", "e", value=ONES), node("Mul", "e -1", "m"),
         node("Equal", "t m", "q"), node("Where", "q e t", "k"), node("Expand", "x k", "y")),
    case("expand by ones", node("Expand", "x bare", "y")),
    case("shape of what nobody reads", node("Abs", "x", "a"), node("Shape", "a", "s"), node("Reshape", "x s", "y")),
    case("softmax over channels", node("Softmax", "x", "y", axis=1), opset=11),
    case("softmax over columns", node("Softmax", "x", "y", axis=2), opset=11),
    case("log-softmax over columns", node("LogSoftmax", "x", "y", axis=2), opset=11),
    case("softmax, opset 13", node("Softmax", "x", "y", axis=2)),
    case("flatten", node("Flatten", "x", "y")),
    case("squeeze an axis", node("ReduceMean", "x 3", "m", keepdims=1), node("Squeeze", "m 3", "y")),
    case("unsqueeze", node("Unsqueeze", "x -1", "y")),
    case("transpose", node("Transpose", "x", "y", perm=[0, 2, 3, 1])),
    case("split channels", node("Split", "x", "a b", axis=1, num_outputs=2), node("Add", "a b", "y")),
    case("concat channels", node("Concat", "x x", "y", axis=1)),
    case("reduce", node("ReduceSum", "x axes", "y")),
    case("pad a side", node("Pad", "x pad_side", "y")),
    case("matmul", node("Flatten", "x", "f"), node("MatMul", "f matrix", "y")),
    case("one number each", node("Sin", "x", "y"), x=("N",)),
    case("sum of products", node("Einsum", "x x", "y", equation="nchw,ncvw->nhv")),
    case("matrix at every pixel", node("Einsum", "x square", "y", equation="nchw,oc->nohw")),
    case("matrix before every pixel", node("Einsum", "square x", "y", equation="oc,nchw->nohw")),
    case("normal layers and their statistics", node("LayerNormalization", "x vector", "z m d"), node("Mul", "z d", "r"),
         node("Add", "r m", "y")),
    case("p-norm", node("LpNormalization", "x", "y", axis=1)),
    case("crop of shapes", node("Shape", "x", "s"), node("Slice", "s first 2 first", "nc"),
         node("Concat", "nc 3 9", "t", axis=0), node("CenterCropPad", "x t", "y")),
    case("resize by antialias", node("Resize", "x none none 3,3", "y", mode="linear", axes=[2, 3], antialias=1)),
    case("resize channels", node("Resize", "x none none 3", "y", mode="linear", axes=[1])),
]  # fmt: skip

FIXED = [
    case("matrix of images", node("Einsum", "x x", "y", equation="nchw,mchw->nm")),
    case("trace of images", node("Einsum", "x", "y", equation="nchw->chw")),
    case("mean of the batch", node("MeanVarianceNormalization", "x", "y")),
    case("norm over images", node("LpNormalization", "x", "y", axis=0)),
    case("resize images", node("Resize", "x none none 3", "y", axes=[0])),
    case("crop to literal images", node("Concat", "1 2 9 9", "t", axis=0), node("CenterCropPad", "x t", "y")),
    case("policy over all axes", node("Resize", "x none none big4", "y", keep_aspect_ratio_policy="not_larger")),
    case("times N", *REAL, node("Mul", "x f", "y")),
    case("by the size", node("Size", "x", "n"), node("Cast", "n", "f", to=1), node("Div", "x f", "y")),
    case("shape with end", node("Shape", "x", "s", end=1), node("Cast", "s", "f", to=1), node("Mul", "x f", "y")),
    case("shape from -4", node("Shape", "x", "s", start=-4), node("ReduceProd", "s", "p"),
         node("Cast", "p", "f", to=1), node("Mul", "x f", "y")),
    case("slice to N", *COUNT, node("Slice", "x first n -1", "y")),
    case("slice from N", *COUNT, node("Sub", "n 1", "m"), node("Slice", "x m 9 -1", "y")),
    case("a part of the images", node("Slice", "x first 1 first", "y")),
    case("the last images", node("Slice", "x -1 9 first", "y")),
    case("range", *COUNT, node("Squeeze", "n", "k"), node("Range", "zero k one", "r"),
         node("Cast", "r", "f", to=1), node("Unsqueeze", "f spatial", "u"), node("Add", "x u", "y")),
    case("range that is empty for one", *COUNT, node("Squeeze", "n", "k"), node("Range", "one k one", "r"),
         node("Size", "r", "z"), node("Cast", "z", "f", to=1), node("Add", "x f", "y")),
    case("constant of shape", node("Shape", "x", "s"), node("ConstantOfShape", "s", "z"), node("Add", "x z", "y")),
    case("constant of N", *COUNT, node("ConstantOfShape", "n", "z"), node("Size", "z", "k"),
         node("Cast", "k", "f", to=1), node("Add", "x f", "y")),
    case("even or odd", *COUNT, node("Mod", "n 2", "m"), node("Cast", "m", "f", to=1), node("Mul", "x f", "y")),
    case("is it three", *COUNT, node("Equal", "n 3", "e"), node("Where", "e 9 1", "k"),
         node("Cast", "k", "f", to=1), node("Mul", "x f", "y")),
    case("is it 40", *COUNT, node("Equal", "n big", "e"), node("Cast", "e", "f", to=1), node("Add", "x f", "y")),
    case("at most one", *COUNT, node("Min", "n 1", "m"), node("Cast", "m", "f", to=1), node("Mul", "x f", "y")),
    case("reshape to 1", node("Reshape", "x to_one_row", "y")),
    case("reshape to 1, all given", node("Reshape", "x to_one", "y")),
    case("reshape to N at the end", *COUNT, node("Concat", "-1 n", "t", axis=0), node("Reshape", "x t", "y")),
    case("reshape to 2 N - 1", *COUNT, node("Add", "n n", "d"), node("Sub", "d 1", "m"),
         node("Concat", "m -1", "t", axis=0), node("Reshape", "x t", "y")),
    case("expand to 2 N - 1", *COUNT, node("Add", "n n", "d"), node("Sub", "d 1", "m"),
         node("Concat", "m all", "t", axis=0), node("Expand", "x t", "y")),
    case("resize to 2 N - 1", *COUNT, node("Add", "n n", "d"), node("Sub", "d 1", "m"),
         node("Concat", "m 2 8 8", "t", axis=0), node("Resize", "x none none t", "y", mode="nearest")),
    case("expand to N", *COUNT, node("Concat", "n all", "t", axis=0), node("Expand", "vector t", "e"),
         node("Add", "x e", "y")),
    case("tile N times", *COUNT, node("Concat", "ones n", "t", axis=0), node("Tile", "x t", "y")),
    case("tile images", node("Tile", "x twice", "y")),
    case("resize to N", node("Shape", "x", "s"), node("Gather", "s first", "n"), node("Add", "n 3", "k"),
         node("Slice", "s first 2 first", "nc"), node("Concat", "nc k 4", "t", axis=0),
         node("Resize", "x none none t", "y", mode="nearest")),
    case("resize to literal images", node("Concat", "1 2 8 8", "t", axis=0),
         node("Resize", "x none none t", "y", mode="nearest")),
    case("scales from N", *REAL, node("Slice", "scales 1 4 first", "g"), node("Concat", "f g", "t", axis=0),
         node("Resize", "x none t", "y", mode="nearest")),
    case("softmax over images", node("Softmax", "x", "y", axis=0), opset=11),
    case("log-softmax over images", node("LogSoftmax", "x", "y", axis=-4), opset=12),
    case("softmax over images, opset 13", node("Softmax", "x", "y", axis=0)),
    case("flatten images", node("Flatten", "x", "y", axis=0)),
    case("flatten with channels", node("Flatten", "x", "y", axis=2)),
    case("squeeze all", node("Squeeze", "x", "y"), x=("N", 2, 1, 4)),
    case("squeeze images", node("Squeeze", "x first", "y")),
    case("unsqueeze in front", node("Unsqueeze", "x first", "y")),
    case("transpose", node("Transpose", "x", "y", perm=[1, 0, 2, 3])),
    case("shape of a transpose that nobody reads", node("Transpose", "x", "t", perm=[1, 0, 2, 3]),
         node("Shape", "t", "s", start=1, end=2), node("Cast", "s", "f", to=1), node("Mul", "x f", "y")),
    case("reduce images", node("ReduceSum", "x first", "y")),
    case("reduce images away", node("ReduceMean", "x first", "y", keepdims=0)),
    case("reduce all", node("ReduceMax", "x", "y")),
    case("gather an image", node("Gather", "x zero", "y", axis=0)),
    case("gather images", node("Gather", "x first", "y", axis=0)),
    case("concat images", node("Concat", "x x", "y", axis=0)),
    case("concat one", node("Concat", "x", "y", axis=0)),
    case("split images", node("Split", "x 1", "y", axis=0)),
    case("pad images", node("Pad", "x pad_images", "y")),
    case("a constant of one image", node("Identity", "image", "y")),
    case("N alone", node("Shape", "x", "s", end=1), node("Cast", "s", "y", to=1)),
]  # fmt: skip


def proto_of(nodes: list[onnx.NodeProto], opset: int, x: tuple[Any, ...]) -> onnx.ModelProto:
    read = {name for each in nodes for name in each.input}
    weights = {name: data for name, data in WEIGHTS.items() if name in read}
    proto = model(nodes, {"x": x}, weights=weights, opset=opset)
    proto.ir_version = 8
    return proto


def feed(x: tuple[Any, ...], images: int) -> dict[str, Array]:
    return {"x": np.random.default_rng(images).standard_normal((images, *x[1:])).astype(np.float32)}


def wanted(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> Array:
    skip_where_the_reference_is_wrong(proto)
    return open_batch.reference(proto, feeds)[0]


@pytest.mark.parametrize(("nodes", "opset", "x"), FREE)
@pytest.mark.parametrize("images", [1, 3])
def test_what_any_number_of_images_may_be(
    nodes: list[onnx.NodeProto], opset: int, x: tuple[Any, ...], images: int, tmp_path: Path
) -> None:
    proto = proto_of(nodes, opset, x)
    graph = imported(proto, tmp_path, shapes={"x": (images, *x[1:])})
    assert batching.images_of(graph).fixed == ""
    for other in (1, 2, 3, 5):
        feeds = feed(x, other)
        np.testing.assert_allclose(cnncc.interpret(graph, feeds), wanted(proto, feeds), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("nodes", "opset", "x"), FIXED)
@pytest.mark.parametrize("images", [1, 3])
def test_what_is_for_one_number_of_images(
    nodes: list[onnx.NodeProto], opset: int, x: tuple[Any, ...], images: int, tmp_path: Path
) -> None:
    proto = proto_of(nodes, opset, x)
    try:
        graph = imported(proto, tmp_path, shapes={"x": (images, *x[1:])})
    except cnncc.errors.CnnccError:
        assert images == 3  # the model has literal sizes for one image
        return
    for other in (1, 2, 3, 5):
        feeds = feed(x, other)
        if other == images:
            np.testing.assert_allclose(cnncc.interpret(graph, feeds), wanted(proto, feeds), rtol=1e-5, atol=1e-5)
        else:
            with pytest.raises(InputError, match=rf"; .*'.*so that the number of images is fixed at {images}$"):
                cnncc.interpret(graph, feeds)


def test_random_models() -> None:
    """The long run: `python -m tests.onnx.open_batch --graphs 20000 --seed 100000`."""
    found = open_batch.Counter[str]()
    for seed in range(120):
        found += open_batch.check_seed(seed)
    assert found["equal"] > 200 and found["refused"] > 200, found


def test_the_refusal_names_the_node_and_the_way_out(tmp_path: Path) -> None:
    nodes = [*REAL, node("Mul", "x f", "y", "scaled")]
    file = tmp_path / "small.onnx"
    onnx.save(proto_of(nodes, 18, ("N", 4)), file)
    graph, x = cnncc.load_graph(file), feed(("N", 4), 3)["x"]
    why = (
        "node 'scaled' computes with the number of images (shapes={'x': (…, 4)} gives another), "
        "so that the number of images is fixed at 1"
    )
    compiled = cnncc.compile(file, cache=False)
    for run in (compiled, pickle.loads(pickle.dumps(compiled))):
        with pytest.raises(InputError) as refused:
            run(x)
        assert str(refused.value) == f"input 'x': expected shape (1, 4), got (3, 4); {why}"
        np.testing.assert_array_equal(run(x[:1]), x[:1])
    with pytest.raises(InputError) as refused:
        cnncc.interpret(graph, x)
    assert str(refused.value) == f"input 'x' must have shape (1, 4), got (3, 4); {why}"
    np.testing.assert_array_equal(cnncc.compile(file, cache=False, shapes={"x": (3, 4)})(x), 3 * x)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_artefacts_know_that_the_number_is_fixed(tmp_path: Path) -> None:
    file, folder = tmp_path / "scaled.onnx", tmp_path / "build"
    onnx.save(proto_of([*REAL, node("Mul", "x f", "y")], 18, ("N", 4)), file)
    assert main(["compile", str(file), "-o", str(folder)]) == 0
    manifest = json.loads((folder / "scaled.json").read_text())
    assert (manifest["images"], manifest["batchable"]) == (1, False)
    assert manifest["fixed"].startswith("node 'y' computes with the number of images")
    assert "exactly this number of images" in (folder / "scaled.h").read_text()
    with pytest.raises(InputError, match="node 'y' computes with the number of images"):
        cnncc.load(folder / "scaled.so")(feed(("N", 4), 3)["x"])


def test_the_cache_knows_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "scaled.onnx"
    onnx.save(proto_of([*REAL, node("Mul", "x f", "y")], 18, ("N", 4)), file)
    for _ in range(2):
        with pytest.raises(InputError, match="node 'y' computes with the number of images"):
            cnncc.compile(file)(feed(("N", 4), 3)["x"])


def test_graphs_with_and_without_a_fixed_number_have_different_hashes(tmp_path: Path) -> None:
    """Their nodes are the same ones."""
    fixed = imported(proto_of([node("Reshape", "x to_one_row", "y")], 18, X), tmp_path)
    free = imported(proto_of([node("Reshape", "x to_rows", "y")], 18, X), tmp_path)
    assert list(fixed.nodes.values()) == list(free.nodes.values())
    assert fixed.hash != free.hash


def test_a_number_that_the_file_fixes(tmp_path: Path) -> None:
    """Where the file says one image, another number is fine if nothing was computed from the one."""
    x = (1, 2, 4, 4)
    free, fixed = proto_of(list(FREE[1].values[0]), 18, x), proto_of([*REAL, node("Mul", "x f", "y")], 18, x)
    three = feed(x, 3)
    np.testing.assert_array_equal(cnncc.interpret(imported(free, tmp_path), three), wanted(free, three))
    with pytest.raises(InputError) as refused:
        cnncc.interpret(imported(fixed, tmp_path), three)
    assert str(refused.value).endswith(
        "; node 'y' computes with the number of images, so that the number of images is fixed at 1"
    )


KEPT = [
    ("Add", (5,), (5,)),
    ("Add", (5,), (1, 5)),
    ("Mul", (2, 5), (1, 2, 5)),
    ("Mul", (2, 5), (1, 1, 1)),
    ("MatMul", (5,), (5, 3)),
    ("MatMul", (2, 5), (1, 5, 3)),
    ("Add", (5,), ()),
]


@pytest.mark.parametrize(("operator", "x", "w"), KEPT)
def test_an_input_of_fixed_size_beside_an_open_number(
    operator: str, x: tuple[int, ...], w: tuple[int, ...], tmp_path: Path
) -> None:
    proto = model([node(operator, "x w", "z"), node("Relu", "z", "y")], {"x": ("N", *x), "w": w})
    graph = imported(proto, tmp_path)
    assert batching.batched_inputs(graph) == {"x": True, "w": False}
    compiled = cnncc.compile(graph, cache=False)
    for images in (1, 2, 3):
        feeds = {"x": floats(images, *x), "w": floats(*w)}
        for run in (compiled, lambda feeds: cnncc.interpret(graph, feeds)):
            np.testing.assert_allclose(run(feeds), wanted(proto, feeds), rtol=1e-5, atol=1e-5)


def test_an_input_of_three_images_beside_an_open_number(tmp_path: Path) -> None:
    proto = model([node("Add", "x w", "y")], {"x": ("N", 4), "w": (3, 4)})
    feeds = {"x": floats(1, 4), "w": floats(3, 4)}
    graph = imported(proto, tmp_path)
    np.testing.assert_array_equal(cnncc.interpret(graph, feeds), wanted(proto, feeds))
    with pytest.raises(InputError, match=r"layer 'y' \(Add\) takes no other number of images"):
        cnncc.interpret(graph, {**feeds, "x": floats(3, 4)})


def test_two_open_inputs_have_the_same_number(tmp_path: Path) -> None:
    proto = model([node("Add", "x w", "y")], {"x": ("N", 4), "w": ("N", 4)})
    feeds = {"x": floats(3, 4), "w": floats(3, 4)}
    np.testing.assert_array_equal(cnncc.interpret(imported(proto, tmp_path), feeds), wanted(proto, feeds))


OWN = [
    case("a constant", RELU, node("Softmax", "square", "c")),
    case("its own shape", RELU, node("Shape", "x", "s", start=1), node("ConstantOfShape", "s", "c")),
    case("an array on the way", node("GlobalAveragePool", "image", "c"), node("Add", "x c", "y")),
]
WITH_N = [
    case("the shape", RELU, node("Shape", "x", "c")),
    case("the size", RELU, node("Size", "x", "c")),
    case("N as a float", RELU, *COUNT, node("Cast", "n", "c", to=1)),
    case("as many rows", RELU, node("Shape", "x", "s"), node("ConstantOfShape", "s", "c")),
    case("no elements", RELU, node("Slice", "x first first channel", "c")),
]


def two_outputs(nodes: list[onnx.NodeProto], tmp_path: Path, images: int) -> tuple[onnx.ModelProto, Any]:
    proto = proto_of(nodes, 18, X)
    proto.graph.output.append(onnx.helper.make_empty_tensor_value_info("c"))
    return proto, imported(proto, tmp_path, shapes={"x": (images, *X[1:])})


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(("nodes", "opset", "x"), OWN)
def test_an_output_that_depends_on_no_image_keeps_its_shape(
    nodes: list[onnx.NodeProto], opset: int, x: tuple[Any, ...], images: int, tmp_path: Path
) -> None:
    proto, graph = two_outputs(nodes, tmp_path, images)
    assert batching.images_of(graph).own == {"c"}
    compiled = cnncc.compile(graph, cache=False)
    for other in (1, 2, 3, 5):
        feeds = feed(X, other)
        for found, expected in zip(compiled(feeds), open_batch.reference(proto, feeds), strict=True):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(("nodes", "opset", "x"), WITH_N)
def test_an_output_that_holds_the_number_fixes_it(
    nodes: list[onnx.NodeProto], opset: int, x: tuple[Any, ...], images: int, tmp_path: Path
) -> None:
    _, graph = two_outputs(nodes, tmp_path, images)
    fixed = batching.images_of(graph).fixed
    assert fixed.startswith(("output 'c' holds the number of images", "node 'c' computes with the number of images"))
