"""Models with open height and width: a call with a new size compiles it, remembers it and says so once."""

from __future__ import annotations

import concurrent.futures
import gc
import pickle
import re
import threading
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

import cnncc
from cnncc import OpenModel
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import CnnccError, InputError, ModelError, NativeError, UsageError
from cnncc.plan import PlanOptions
from cnncc.plan.saved import save
from cnncc.runtime import open_model
from cnncc.sizes import larger, listed, suffixes

from .cases import data
from .support import model, node

OPEN = ("n", 2, "h", "w")


def proto(*, shape: Any = OPEN) -> onnx.ModelProto:
    """An element-wise layer between two that look at neighbours; it takes heights and widths from 3 on."""
    nodes = [
        node("Conv", "x k", "a", "first"),
        node("Relu", "a", "b", "relu"),
        node("GlobalAveragePool", "b", "c", "mean"),
        node("Flatten", "c", "y", "flat"),
    ]
    made = model(nodes, {"x": shape}, ["y"], {"k": data(4, 2, 3, 3)})
    made.graph.name = "net"
    return made


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "model .* was compiled for", UserWarning)
        yield


def closed(x: np.ndarray[Any, Any], **options: Any) -> Any:
    """The result of a model that is compiled for the shape of this input alone."""
    return cnncc.compile(proto(), shapes={"x": x.shape}, **options)(x)


def test_each_new_size_is_compiled_once_and_said_once() -> None:
    net = cnncc.compile(proto(), shapes="any")
    assert isinstance(net, OpenModel) and net.sizes == ()
    assert (
        repr(net) == "<cnncc.OpenModel 'net' (x: float32[n, 2, h, w], y: float32 of any shape), threads=1, 0 size(s)>"
    )
    told = []
    for shape in ((1, 2, 5, 6), (1, 2, 5, 6), (2, 2, 5, 6), (0, 2, 5, 6), (3, 2, 8, 3), (1, 2, 8, 3), (5, 2, 5, 6)):
        x = data(*shape)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            y = net(x)
        told += [(str(found.message), found.filename) for found in caught]
        assert y.shape == (shape[0], 4) and np.array_equal(y, closed(x) if len(x) else y)
    assert [file for _, file in told] == [__file__, __file__]
    assert re.fullmatch(r"model 'net' was compiled for x=\(1, 2, 5, 6\), in \d+\.\d\d seconds", told[0][0])
    assert "x=(3, 2, 8, 3)" in told[1][0]
    assert net.sizes == (((1, 2, 8, 3),), ((1, 2, 5, 6),))  # the one called last stands last


def test_a_call_looks_once_for_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    net = cnncc.compile(proto(), shapes="any")
    net(data(1, 2, 4, 4))
    looks: list[object] = []
    real = open_model.takes
    monkeypatch.setattr(open_model, "takes", lambda *arguments: looks.append(arguments) or real(*arguments))
    net(data(3, 2, 4, 4))
    assert len(looks) == 1


def test_all_else_works_on_it(tmp_path: Path) -> None:
    onnx.save(proto(), tmp_path / "small.onnx")
    with cnncc.compile(tmp_path / "small.onnx", shapes="any", threads=2, precision="strict") as net:
        x, y = data(2, 2, 7, 5), np.empty((2, 4), np.float32)
        want = closed(x, precision="strict")
        assert (net.name, net.threads, [port.name for port in net.outputs], net.labels) == ("small", 2, ["y"], ())
        assert net.inputs[0].shape == OPEN and net.inputs[0].dtype == "float32"
        assert net(x, out=y) is y and np.array_equal(y, want)
        assert np.array_equal(net({"x": x}), want)
        assert np.array_equal(net(x.astype(np.float64), convert=True), want)
        assert np.array_equal(net(memoryview(x)), want)
        for step in (net.bind(x, out=y), net.bind(x, y)):
            y[:] = 0
            assert step() is y and np.array_equal(y, want)
        assert net.at((1, 2, 7, 5)).name == "small" and np.array_equal(net.at(x.shape)(x), want)
        again = pickle.loads(pickle.dumps(net))
        assert again.threads == 2 and np.array_equal(again(x), want)
    for shape in (x.shape, (1, 2, 9, 9)):
        with pytest.raises(NativeError, match=r"^model 'small' has been closed$"):
            net(data(*shape))


def test_listed_sizes_are_compiled_at_once_and_others_later() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = cnncc.compile(proto(), shapes={"x": [(1, 2, 4, 4), (2, 2, 6, 5)]})
        assert len(net.sizes) == 2
        for shape in ((1, 2, 4, 4), (3, 2, 6, 5)):
            x = data(*shape)
            assert np.array_equal(net(x), closed(x))
    x = data(1, 2, 3, 3)
    with pytest.warns(UserWarning, match=r"compiled for x=\(1, 2, 3, 3\)"):
        assert np.array_equal(net(x), closed(x))
    assert len(pickle.loads(pickle.dumps(net)).sizes) == 2  # content that was given is in the pickle


def test_the_least_recently_used_size_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_model, "MOST", 2)
    net = cnncc.compile(proto(), shapes="any")
    first, second, third = (data(1, 2, 3, width) for width in (3, 4, 5))
    step = net.bind(first)
    want = net(first)
    net(second)
    net(first)
    net(third)
    assert [size[0][-1] for size in net.sizes] == [3, 5]
    net(second)
    assert [size[0][-1] for size in net.sizes] == [5, 4]
    assert np.array_equal(step(), want)  # what is bound stays
    with pytest.warns(UserWarning, match=r"compiled for"):
        assert np.array_equal(net(first), want)


def test_a_number_of_images_that_is_not_free() -> None:
    """Each number is compiled, since the mean goes over images too."""
    made = model([node("ReduceMean", "x", "y", "mean", keepdims=1)], {"x": ("n", "c")}, ["y"], opset=13)
    net = cnncc.compile(made, shapes="any")
    for images in (1, 3, 2, 3):
        x = data(images, 4)
        np.testing.assert_allclose(net(x), x.mean(keepdims=True), rtol=1e-6)
    assert sorted(size[0] for size in net.sizes) == [(1, 4), (2, 4), (3, 4)]


def test_a_number_of_images_that_the_model_states() -> None:
    net = cnncc.compile(proto(shape=(1, 2, "h", "w")), shapes="any")
    x = data(3, 2, 4, 6)
    assert np.array_equal(net(x), closed(x)) and net.sizes == (((1, 2, 4, 6),),)


def test_several_inputs() -> None:
    made = model([node("Add", "a b", "y", "sum")], {"a": ("n", "h"), "b": ("k", "h")}, ["y"])
    net = cnncc.compile(made, shapes="any")
    a, b = data(2, 3), data(1, 3)
    for _ in range(2):
        assert np.array_equal(net(a, b), a + b) and np.array_equal(net(a, a), a + a)
    lists = {"a": [(2, 5), (2, 6)], "b": (2, 1)}
    assert [size[0] for size in cnncc.compile(made, shapes=lists).sizes] == [(2, 5), (2, 6)]
    with pytest.raises(InputError, match=r"^model 'graph' cannot take a=\(2, 3\), b=\(2, 4\): layer 'sum': "):
        net(a, data(2, 4))


def test_a_model_that_is_cut_takes_what_is_left() -> None:
    made = model([node("Relu", "a", "mid"), node("Add", "mid b", "y")], {"a": ("n", "h"), "b": ("n", "h")}, ["y"])
    net = cnncc.compile(made, shapes="any", outputs=("mid",))
    assert [port.name for port in net.inputs] == ["a"]
    assert np.array_equal(net(data(2, 3)), np.maximum(data(2, 3), 0))


CALLS: dict[str, tuple[Any, type[CnnccError], str]] = {
    "channels": (data(1, 3, 4, 4), InputError, "input 'x': expected shape (n, 2, h, w), got (1, 3, 4, 4)"),
    "axes": (data(2, 4, 4), InputError, "input 'x': expected shape (n, 2, h, w), got (2, 4, 4)"),
    "elements": (data(1, 2, 4, 4).astype(np.int64), InputError, "input 'x': expected float32, got int64; convert it*"),
    "a list": ([[1.0]], InputError, "input 'x': expected a float32 array, got list"),
    "too small": (
        data(1, 2, 2, 9),
        InputError,
        "model 'net' cannot take x=(1, 2, 2, 9): layer 'first': *",
    ),
    "none": (data(1, 2, 0, 9), InputError, "model 'net' cannot take x=(1, 2, 0, 9): node 'first': *"),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls_that_are_refused_compile_nothing(case: str) -> None:
    value, kind, message = CALLS[case]
    net = cnncc.compile(proto(), shapes="any")
    with pytest.raises(kind) as found:
        net(value)
    told = str(found.value)
    assert told.startswith(message[:-1]) if message.endswith("*") else told == message
    assert net.sizes == () and "\n" not in told


SHAPES: dict[str, tuple[Any, dict[str, Any], type[CnnccError], str]] = {
    "another word": ("all", {}, UsageError, "shapes='all': expected shapes of inputs by name, or 'any'"),
    "an unknown input": (
        {"z": [(1, 2, 3, 3), (1, 2, 4, 4)]},
        {},
        UsageError,
        "a shape is given for 'z', but the inputs of 'the given model' are x",
    ),
    "a contradiction": (
        {"x": [(1, 2, 3, 3), (1, 3, 4, 4)]},
        {},
        UsageError,
        "shape (1, 3, 4, 4) is given for input 'x', which the model declares (n, 2, h, w)",
    ),
    "the same again": ({"x": [(1, 2, 3, 3)] * 2}, {}, UsageError, "size x=(1, 2, 3, 3) is given twice"),
    "too many": (
        {"x": [(1, 2, 3, width) for width in range(3, 20)]},
        {},
        UsageError,
        "17 sizes are given, at most 16 fit into one model",
    ),
    "no shape": ({"x": [(1, 2, 3, 3), (1, "a")]}, {}, UsageError, "input 'x': (1, 'a') is not a shape"),
    "another number": (
        {"x": [(1, 2, 3, 3), (1, 2, 4, 4)], "y": [(1,)]},
        {},
        UsageError,
        "input 'x' has 2 shapes and input 'y' 1: expected as many, or one for all",
    ),
    "too small": (
        {"x": [(1, 2, 3, 3), (1, 2, 2, 2)]},
        {},
        ModelError,
        "with x=(1, 2, 2, 2): layer 'first': *",
    ),
    "tuning": ("any", {"tune": True}, UsageError, "tune=True takes one size: give one shape for each input"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_sizes_that_are_refused(case: str) -> None:
    shapes, options, kind, message = SHAPES[case]
    with pytest.raises(kind) as found:
        cnncc.compile(proto(), shapes=shapes, **options)
    told = str(found.value)
    assert told.startswith(message[:-1]) if message.endswith("*") else told == message


def test_choices_of_one_size_are_refused(tmp_path: Path) -> None:
    """A saved plan names layers by their sizes; options of a plan that name none hold for all sizes."""
    one = Compilation(cnncc.load_graph(proto(), shapes={"x": (1, 2, 9, 9)}), Options(resolve_target("host")))
    save(one.plan, one.options.plan, tmp_path / "p.json")
    message = rf"^plan '{tmp_path / 'p.json'}' has the choices for one size: give one shape for each input$"
    for shapes in ("any", {"x": [(1, 2, 9, 9), (1, 2, 8, 8)]}):
        with pytest.raises(UsageError, match=message):
            cnncc.compile(proto(), shapes=shapes, plan=tmp_path / "p.json")
    x = data(1, 2, 9, 9)
    assert np.array_equal(cnncc.compile(proto(), shapes="any", plan=PlanOptions(sharing="all"))(x), closed(x))


def test_a_graph_has_one_size() -> None:
    for shapes in ("any", {"x": [(1, 2, 3, 3), (1, 2, 4, 4)]}):
        with pytest.raises(UsageError, match=r"^a graph takes one size: give one shape for each input$"):
            cnncc.load_graph(proto(), shapes=shapes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^shapes are given with ONNX models only"):
        cnncc.compile(cnncc.load_graph(proto(), shapes={"x": (1, 2, 3, 3)}), shapes="any")


def test_without_shapes_open_dimensions_are_refused_as_before() -> None:
    with pytest.raises(ModelError, match=r"give its open dimensions"):
        cnncc.compile(proto())


def test_weights_in_other_files_have_to_stay(tmp_path: Path) -> None:
    """All sizes have the same weights: the model is read once, and files beside it may not change."""
    file = tmp_path / "net.onnx"
    onnx.save(proto(), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    net, x = cnncc.compile(file, shapes="any"), data(1, 2, 4, 4)
    assert np.array_equal(net(x), closed(x))
    (tmp_path / "weights.bin").write_bytes(bytes((tmp_path / "weights.bin").stat().st_size))
    assert np.array_equal(net(x), closed(x))
    with pytest.raises(InputError, match=r"weights of .* have changed since its first size was compiled"):
        net(data(1, 2, 5, 5))


def test_a_file_that_changes_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    onnx.save(proto(), file)
    net, x = cnncc.compile(file, shapes="any"), data(1, 2, 4, 4)
    file.write_bytes(b"")
    assert np.array_equal(net(x), closed(x))


def test_threads_that_need_the_same_new_size_compile_it_once() -> None:
    net, x, made = cnncc.compile(proto(), shapes="any"), data(1, 2, 6, 6), []
    make = net._make
    assert make is not None
    net._make = lambda size: made.append(size) or make(size)  # type: ignore[func-returns-value]
    threads = [threading.Thread(target=net, args=(x,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [{"x": (1, 2, 6, 6)}]


def test_names_say_what_differs() -> None:
    assert suffixes([[(1, 3, 8, 8)], [(1, 3, 9, 12)]]) == ["8x8", "9x12"]
    assert suffixes([[(1, 3, 8, 8)], [(1, 3, 8, 12)]]) == ["8", "12"]
    assert suffixes([[(1, 8), (4,)], [(1, 9), (4,)], [(1, 9), (5,)]]) == ["8_4", "9_4", "9_5"]
    assert suffixes([[(1, 8)], [(8,)], [()]]) == ["1x8", "8", "scalar"]
    assert listed("any") == []


def test_what_fits_is_told() -> None:
    """The next larger size that the network can take, where there is one; nothing where sizes are not what is wrong."""
    halves = [
        node("MaxPool", "x", "p", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", "p none scales", "u", "twice"),
        node("Concat", "u x", "y", "join", axis=1),
    ]
    weights = {"none": np.zeros(0, np.float32), "scales": np.array([1, 1, 2, 2], np.float32)}
    dense = [node("Flatten", "x", "f"), node("Gemm", "f k", "y", "dense")]
    for made, shape, end in (
        (proto(), (1, 2, 2, 9), "(axis 0 of the window); x=(1, 2, 4, 12) would fit"),
        (proto(), (3, 2, 9, 0), "is not supported; x=(3, 2, 12, 4) would fit"),
        (model(halves, {"x": OPEN}, ["y"], weights, opset=13), (1, 2, 6, 5), "along axis 1; x=(1, 2, 6, 6) would fit"),
        (model(dense, {"x": OPEN}, ["y"], {"k": data(32, 3)}), (1, 2, 3, 3), "(outputs, 18); x=(1, 2, 4, 4) would fit"),
        (model(dense, {"x": OPEN}, ["y"], {"k": data(32, 3)}), (1, 2, 4, 5), "expected (outputs, 40)"),
        (model([node("Det", "x", "y")], {"x": OPEN}, ["y"]), (1, 2, 4, 5), "model before others"),
    ):
        with pytest.raises(InputError, match=r"^model '\w+' cannot take x=") as found:
            cnncc.compile(made, shapes="any")(data(*shape))
        assert str(found.value).endswith(end)
    (near, *_) = larger({"x": (3, 2, 5), "w": (5,)}, {"x": ("n", 2, "h"), "w": (5,)})
    assert near == {"x": (3, 2, 6), "w": (5,)}
    assert [size["x"] for size in larger({"x": (1, 64)}, {"x": None})] == [(1, 128)]


def test_many_sizes_in_a_row_leave_no_memory_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_model, "MOST", 3)
    net = cnncc.compile(proto(), shapes="any")
    seen = []
    for width in range(3, 13):
        x = data(1, 2, 3, width)
        assert np.array_equal(net(x), net(x))
        seen.append(weakref.ref(net.at(x.shape)))
    gc.collect()
    assert [model() is not None for model in seen] == [False] * 7 + [True] * 3


def test_threads_with_several_new_sizes() -> None:
    """More sizes than are kept, each from two threads at once."""
    net = cnncc.compile(proto(), shapes="any")
    inputs = [data(1, 2, 3, width) for width in range(3, 23)]
    wanted = [closed(x) for x in inputs]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for turns in (inputs, inputs[::-1]):
            found = list(pool.map(net, [x for x in turns for _ in range(2)]))
            want = wanted if turns is inputs else wanted[::-1]
            assert all(np.array_equal(found[2 * k + i], want[k]) for k in range(len(want)) for i in range(2))
    assert len(net.sizes) == 16
