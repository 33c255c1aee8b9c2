"""What is computed from frames of cameras, against NumPy, OpenCV and Pillow."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import Image
from cnncc.text import parse, show

from .frames import MEAN, STD, answers, bilinear, frame, laid, networks

KINDS = [
    *((layout, order) for layout in ("NHWC", "NCHW") for order in ("RGB", "BGR", "RGBA", "BGRA", "GRAY")),
    ("NHW", "GRAY"),
    ("HWC", "BGR"),
    ("CHW", "RGB"),
    ("HW", "GRAY"),
]
DTYPES = ("uint8", "uint16", "float32", "float16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(5, 7), (1, 1)])
def test_every_layout_and_order(dtype: str, size: tuple[int, int]) -> None:
    images, shapes, feeds, expected = {}, {}, {}, {}
    for number, (layout, order) in enumerate(KINDS):
        name, channels = f"x{number}", 1 if order == "GRAY" else 3
        rgb = frame((2, *size, channels), dtype, number)
        mean, std = (0.4, 0.3) if channels == 1 else (MEAN, STD)
        images[name] = Image(layout=layout, order=order, dtype=dtype, mean=mean, std=std)
        shapes[name], feeds[name] = (channels, *size), laid(rgb, layout, order)
        most = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
        expected[name] = ((rgb / most - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)
    for name, found in answers(networks(images, shapes), feeds):
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=2e-6, err_msg=str(images[name]))


def test_an_input_says_what_its_frames_are() -> None:
    graph = networks({"x": Image(order="BGR")}, {"x": (3, 4, 6)})
    assert str(graph.inputs["x"]) == "uint8[1, 4, 6, 3]" and graph.frame("x") == "NHWC BGR"
    again = parse(show(graph), {node.name: node.op.data for node in graph if node.op.source == "constant"})
    assert again.hash == graph.hash and again.frame("x") == "NHWC BGR"
    assert [node.op.name for node in graph if not node.op.source] == ["ImageToTensor", "Slice", "Neg"]
    plain = networks({"x": Image()}, {"x": (3, 4, 6)})
    assert [node.op.name for node in plain if not node.op.source] == ["ImageToTensor", "Neg"]  # one conversion


def test_floats_with_a_large_mean_keep_their_digits() -> None:
    x = np.float32(1e4) + frame((1, 3, 4, 6), "float32")
    graph = networks({"x": Image(layout="NCHW", dtype="float32", mean=1e4, std=0.5)}, {"x": (3, 4, 6)})
    for _, found in answers(graph, {"x": x}):
        np.testing.assert_allclose(found, (x.astype(np.float64) - 1e4) / 0.5, rtol=1e-6)


def test_special_floats_pass() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40], np.float32).reshape(1, 1, 6, 1)
    graph = networks({"x": Image(dtype="float32")}, {"x": (1, 1, 6)})
    for _, found in answers(graph, {"x": x}):
        np.testing.assert_array_equal(found.ravel(), x.ravel())


SIZES = [((7, 9), (4, 5)), ((4, 5), (7, 9)), ((1, 1), (3, 4)), ((9, 1), (1, 2)), ((5, 6), (5, 6)), ((16, 31), (3, 3))]


@pytest.mark.parametrize(("layout", "order"), [("NHWC", "BGR"), ("NHWC", "RGBA"), ("NCHW", "RGB"), ("NHW", "GRAY")])
def test_frames_of_other_sizes(layout: str, order: str) -> None:
    channels = 1 if order == "GRAY" else 3
    images, shapes, feeds, expected = {}, {}, {}, {}
    for number, (size, network) in enumerate(SIZES):
        name, rgb = f"x{number}", frame((1, *size, channels), "uint8", number)
        images[name] = Image(size, layout=layout, order=order, resize=network, std=0.5)
        shapes[name], feeds[name] = (channels, *network), laid(rgb, layout, order)
        expected[name] = bilinear(rgb[0], network).transpose(2, 0, 1)[None] / 255 / 0.5
    for name, found in answers(networks(images, shapes), feeds):
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [None, (7, 9)])
def test_colours_for_a_grey_network_and_grey_for_one_of_colours(dtype: str, size: tuple[int, int] | None) -> None:
    """The luma of colours; grey three times, each with a mean of its own."""
    images, shapes, feeds, expected = {}, {}, {}, {}
    network, resize = (5, 6), "letterbox" if size else None
    most = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    how = {"dtype": dtype, "size": size, "resize": resize}
    for number, (layout, order) in enumerate(KINDS):
        name, grey = f"x{number}", order == "GRAY"
        x = frame((1, *(size or network), 1 if grey else 3), dtype, number)
        luma = x.astype(np.float64) @ ([1] if grey else [0.299, 0.587, 0.114])
        made = np.zeros((*network, 1))  # 7×9 in 5×6: 4.67 rows of 6 columns
        made[:] = bilinear(luma[0, ..., None], network) if size else luma[0, ..., None]
        mean, std = (MEAN, STD) if grey else (0.4, 0.3)
        images[name] = Image(layout=layout, order=order, mean=mean, std=std, **how)
        shapes[name], feeds[name] = (3 if grey else 1, *network), laid(x, layout, order)
        expected[name] = ((made / most - np.array(mean)) / np.array(std)).transpose(2, 0, 1)[None]
    for name, found in answers(networks(images, shapes), feeds):
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=4e-6, err_msg=str(images[name]))


def test_grey_is_made_of_the_fewer_pixels() -> None:
    names = {}
    for size in ((9, 9), (3, 3)):
        graph = networks({"x": Image(size, resize="stretch", order="BGR")}, {"x": (1, 5, 6)})
        names[size] = [node.op.name for node in graph if not node.op.source]
    assert names == {
        (9, 9): ["ImageToTensor", "Resize", "Conv", "ImageToTensor", "Neg"],
        (3, 3): ["ImageToTensor", "Conv", "Resize", "ImageToTensor", "Neg"],
    }


@pytest.mark.tools
def test_grey_is_opencvs() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    bgr = frame((1, 6, 8, 3), "float32")
    graph = networks({"x": Image(order="BGR", dtype="float32")}, {"x": (1, 6, 8)})
    for _, found in answers(graph, {"x": bgr}):
        np.testing.assert_allclose(found[0, 0], cv2.cvtColor(bgr[0], cv2.COLOR_BGR2GRAY), rtol=0, atol=2e-7)


@pytest.mark.tools
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("method", ["linear", "cubic", "nearest"])
def test_methods_are_those_of_opencv(method: str, dtype: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    flag = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "nearest": cv2.INTER_NEAREST}[method]
    images, shapes, feeds, expected = {}, {}, {}, {}
    for number, (size, network) in enumerate(SIZES):
        name, bgr = f"x{number}", frame((1, *size, 3), dtype, number)
        images[name] = Image(size, order="BGR", dtype=dtype, resize=network, method=method, scale=1)
        shapes[name], feeds[name] = (3, *network), bgr
        floats = cv2.resize(bgr[0].astype(np.float32), network[::-1], interpolation=flag)
        expected[name] = floats[..., ::-1].transpose(2, 0, 1)[None]
        if dtype == "uint8" and method != "cubic":  # OpenCV's own bytes: weights of 11 bits, rounded
            bytes_ = cv2.resize(bgr[0], network[::-1], interpolation=flag)[..., ::-1].transpose(2, 0, 1)[None]
            assert np.abs(expected[name] - bytes_).max() <= 1
    most = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    for name, found in answers(networks(images, shapes), feeds):
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=2e-5 * most)  # OpenCV's places are float32


@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_antialiasing_is_pillows(method: str) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    flag = {"linear": pillow.Resampling.BILINEAR, "cubic": pillow.Resampling.BICUBIC}[method]
    images, shapes, feeds, expected = {}, {}, {}, {}
    for number, (size, network) in enumerate(SIZES):
        name, grey = f"x{number}", frame((1, *size, 1), "float32", number)
        images[name] = Image(size, dtype="float32", resize=network, method=method, antialias=True)
        shapes[name], feeds[name] = (1, *network), grey
        expected[name] = np.asarray(pillow.fromarray(grey[0, ..., 0]).resize(network[::-1], flag))[None, None]
    for name, found in answers(networks(images, shapes), feeds):
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=2e-6)


def test_letterboxes_and_crops() -> None:
    images = {
        "wide": Image((4, 8), resize="letterbox", fill=114),
        "high": Image((9, 4), resize="letterbox", order="BGR"),
        "centre": Image((9, 8), crop=True),
        "short": Image((10, 15), resize=7, crop=True),
    }
    shapes = {"wide": (3, 7, 8), "high": (3, 6, 6), "centre": (3, 4, 5), "short": (3, 6, 6)}
    feeds = {name: frame((1, *(image.size or ()), 3), "uint8", len(name)) for name, image in images.items()}
    wide = np.full((7, 8, 3), 114.0)
    wide[1:5] = feeds["wide"][0]  # of three rows the smaller half stands above
    high = np.zeros((6, 6, 3))
    high[:, 1:4] = bilinear(feeds["high"][0][..., ::-1], (6, 3))  # 4 · 6 / 9 = 2.67 columns
    centre = feeds["centre"][0, 2:6, 2:7]  # half of five rows, rounded to even; half of three columns, too
    short = bilinear(feeds["short"][0], (7, 10))[0:6, 2:8]
    expected = {"wide": wide, "high": high, "centre": centre, "short": short}
    for name, found in answers(networks(images, shapes), feeds):
        np.testing.assert_allclose(found[0].transpose(1, 2, 0), expected[name] / 255, rtol=0, atol=1e-6, err_msg=name)
