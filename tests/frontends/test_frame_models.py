"""Models that take frames of cameras: calls, sizes, files, caches and artefacts."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from cnncc import CnnccError, Image, compile, load, load_graph, nn
from cnncc.check.model import check
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.runtime.artefacts import write
from cnncc.runtime.header import header
from cnncc.runtime.shared import can_link
from cnncc.source import open_source, with_frames

from .frames import CAMERA, MEAN, STD, answers, conv_net, frame, networks


@pytest.mark.parametrize("precision", ["fast", "strict"])
@pytest.mark.parametrize("image", [CAMERA, Image(order="BGRA", mean=MEAN, std=STD), Image(layout="NCHW")])
def test_each_layer_is_within_its_bound(image: Image, precision: str) -> None:
    graph = load_graph(conv_net(), inputs={"input": image})
    feeds = {"input": frame(graph.inputs["input"].shape, "uint8")}
    report = check(graph, Options(resolve_target("host"), precision), feeds)
    assert report.ok


def test_calls_with_and_without_n() -> None:
    model = compile(conv_net(), inputs={"input": CAMERA}, cache=False)
    frames = frame((3, 31, 40, 3), "uint8")
    all_of_them = model(frames)
    assert all_of_them.shape == (3, 5)
    for number in range(3):
        one = model(frames[number])
        assert one.shape == (1, 5)  # N stays in the result
        np.testing.assert_array_equal(one, all_of_them[number : number + 1])
        np.testing.assert_array_equal(one, model({"input": frames[number]}))
    out = np.empty((1, 5), np.float32)
    step = model.bind(frames[1], out=out)
    step()
    np.testing.assert_array_equal(out, all_of_them[1:2])
    np.testing.assert_array_equal(model(frames[1][:, ::-1]), model(frames[1][:, ::-1].copy()))  # a view with strides
    plain = compile(conv_net(), cache=False)
    with pytest.raises(CnnccError, match=r"expected shape \(1, 3, 12, 16\), got \(3, 12, 16\)"):
        plain(np.zeros((3, 12, 16), np.float32))
    with pytest.raises(CnnccError, match=r"expected shape \(1, 31, 40, 3\), got \(1, 30, 40, 3\)"):
        model(frames[0, 1:])


def test_threads_and_images_change_no_bit() -> None:
    graph = load_graph(conv_net(), inputs={"input": CAMERA})
    frames = frame((4, 31, 40, 3), "uint8")
    one, two = compile(graph, cache=False), compile(graph, threads=2, cache=False)
    np.testing.assert_array_equal(one(frames), two(frames))


def test_frames_of_any_size() -> None:
    image = Image(order="BGR", resize="stretch", mean=MEAN, std=STD)
    model = compile(conv_net(), inputs={"input": image}, cache=False)
    assert model.inputs[0].shape == ("n", "h", "w", 3) and model.outputs[0].shape == ("n", 5)
    frames = frame((2, 31, 40, 3), "uint8")
    with warnings.catch_warnings(record=True, action="always") as told:
        found = model(frames[0])
        many = model(frames)
        model(frame((9, 9, 3), "uint8"))
    assert len(told) == 2 and str(told[0].message).startswith("model 'model' was compiled for input=(1, 31, 40, 3)")
    np.testing.assert_array_equal(found, compile(conv_net(), inputs={"input": CAMERA}, cache=False)(frames[0]))
    np.testing.assert_array_equal(found, many[:1])
    again = pickle.loads(pickle.dumps(model))
    with warnings.catch_warnings(action="ignore"):
        np.testing.assert_array_equal(again(frames[0]), found)


def test_a_fixed_number_of_images() -> None:
    x = nn.Input((3, 4, 6), "x")
    mixing = nn.Model(x, nn.ReduceSum(axes=(0,))(x))
    for size in ((8, 8), None):
        image = Image(size, resize=(4, 6))
        with warnings.catch_warnings(action="ignore"):
            model = compile(mixing, inputs={"x": image}, cache=False)
            assert model(frame((8, 8, 3), "uint8")).shape == (1, 3, 4, 6)
            with pytest.raises(CnnccError, match=r"fixed at 1|expected shape"):
                model(frame((2, 8, 8, 3), "uint8"))


def test_networks_with_channels_last() -> None:
    x = nn.Input((4, 6, 3), "x")
    network = nn.Model(x, nn.Neg()(x))
    rgb = frame((1, 4, 6, 3), "uint8")
    for found in (compile(network, inputs={"x": Image(order="BGR", mean=MEAN)}, cache=False)(rgb[..., ::-1].copy()),):
        np.testing.assert_allclose(-found, rgb / 255 - MEAN, rtol=0, atol=1e-6)


def test_networks_that_read_bgr() -> None:
    rgb = frame((1, 4, 6, 3), "uint8")
    mean = (103.0, 116.0, 123.0)
    for order, given in (("BGR", rgb[..., ::-1].copy()), ("RGB", rgb), (None, rgb)):
        image = Image(order=order, network_order="BGR", mean=mean, scale=1)
        for _, found in answers(networks({"x": image}, {"x": (3, 4, 6)}), {"x": given}):
            np.testing.assert_allclose(found[0].transpose(1, 2, 0), rgb[0, ..., ::-1] - np.array(mean), atol=1e-4)


def test_names_that_are_taken() -> None:
    x = nn.Input((3, 4, 6), "x")
    network = nn.Model(x, nn.Neg(name="x.tensor")(x))
    graph = load_graph(network, inputs={"x": Image()})
    assert "x_.tensor" in graph.nodes and graph["x.tensor"].op.name == "Neg"


def test_the_cache_tells_descriptions_apart() -> None:
    keys = set()
    images = [
        Image(mean=0.1234567890123),
        Image(mean=0.1234567890124),
        Image(mean=np.full(3, 0.25)),
        Image(order="BGR"),
        Image(layout="NCHW"),
        Image((24, 32), resize=(12, 16)),
    ]
    for image in images:
        source = with_frames(open_source(conv_net()), {"input": image})
        keys.add(Compilation(source, Options(resolve_target("host"))).key)
    assert len(keys) == len(images)
    same = with_frames(open_source(conv_net()), {"input": Image(mean=(0.25, 0.25, 0.25))})
    assert Compilation(same, Options(resolve_target("host"))).key in keys


def test_onnx_models(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 4, 6])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"], name="neg")], "net", [x], [y])
    onnx.save(onnx.helper.make_model(graph, ir_version=8), tmp_path / "net.onnx")
    rgb = frame((2, 4, 6, 3), "uint8")
    for _ in range(2):  # the second time from the cache
        model = compile(tmp_path / "net.onnx", inputs={"x": Image(order="BGR", std=0.5)})
        np.testing.assert_allclose(-model(rgb[..., ::-1].copy()), rgb.transpose(0, 3, 1, 2) / 127.5, atol=1e-6)
    again = pickle.loads(pickle.dumps(model))
    assert again(rgb[0]).shape == (1, 3, 4, 6)


def test_halves(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT16, ["n", 3, 4, 6]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"], name="neg")], "net", [x], [y])
    model = compile(onnx.helper.make_model(graph, ir_version=8), inputs={"x": Image(scale=1)}, cache=False)
    rgb = frame((1, 4, 6, 3), "uint8")
    np.testing.assert_array_equal(-model(rgb), rgb.transpose(0, 3, 1, 2).astype(np.float16))


def test_headers_and_manifests(tmp_path: Path) -> None:
    executable = Compilation(
        load_graph(conv_net(), inputs={"input": CAMERA}), Options(resolve_target("host"))
    ).executable(use_cache=False)
    text = header(executable)
    assert " * input x: input uint8[1, 31, 40, 3], frames NHWC BGR" in text
    assert "#define MODEL_INPUT_HEIGHT 31\n#define MODEL_INPUT_WIDTH 40\n#define MODEL_INPUT_CHANNELS 3\n" in text
    assert "const uint8_t *x" in text
    if not can_link(executable.target):
        pytest.skip("no C compiler links a shared library")
    files = write(executable, tmp_path, ("so", "json"))
    model = load(files["so"])
    assert model.inputs[0].frame == "NHWC BGR"
    assert model(frame((31, 40, 3), "uint8")).shape == (1, 5)
