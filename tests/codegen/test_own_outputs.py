"""Outputs that depend on no image keep their shape, and are right for every number of images of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncc import interpreter
from cnncc.batching import images_of
from cnncc.errors import InputError
from cnncc.ir import Graph, Value
from cnncc.ops import Add, Conv, Dense, MaxPool, Mul, Relu, Softmax, Transpose
from cnncc.passes.manager import optimise
from cnncc.runtime.header import header
from cnncc.runtime.model import Model
from cnncc.types import Array

from ..graphs import Net, assert_same_bits, call, check, compilation, expected, runnable_targets, worst_ratio

IMAGES = (1, 2, 3, 5, 40)


def convolved() -> tuple[Graph, Net]:
    """Outputs that are a constant, computed from one, twice the same, and the input that all images share."""
    net = Net()
    x, w = net.input(1, 3, 9, 7), net.weights(5, 3, 3, 3, arrive=True)
    known = net.known(net.random(2, 6))
    y = net.apply(Conv((3, 3)), x, w)
    soft = net.apply(Softmax(1), known)
    graph = net.graph(known, net.apply(MaxPool((2, 2)), y), soft, soft, w, net.apply(Relu(), w))
    return replace(graph, kept=("w",)), net


def read_on() -> tuple[Graph, Net]:
    """An output that all images share, and that each of them reads."""
    net = Net()
    x, w = net.input(1, 4, 5, 6), net.arrives(net.random(1, 4, 5, 6), "w")
    shared = net.apply(Transpose((0, 1, 3, 2)), net.apply(Add(), w, net.known(net.random(1, 4, 5, 6))))
    y = net.apply(Mul(), net.apply(Transpose((0, 1, 3, 2)), x), shared)
    return replace(net.graph(shared, y), kept=("w",)), net


def in_blocks() -> tuple[Graph, Net]:
    """Dense layers, which compute several images at once, and a dense layer of a constant beside them."""
    net = Net()
    w, v = net.weights(384, 256), net.weights(64, 384)
    hidden = net.apply(Relu(), net.apply(Dense(), net.input(1, 256), w))
    own = net.apply(Dense(), net.apply(Dense(), net.known(net.random(3, 256)), w), v)
    return net.graph(own, net.apply(Dense(), hidden, v)), net


NETWORKS = {"convolved": convolved, "read on": read_on, "in blocks": in_blocks}


def feeds_of(graph: Graph, net: Net, images: int) -> dict[str, Array]:
    batched = images_of(graph).batched
    assert batched is not None
    return {
        name: np.concatenate([array, *(net.random(*array.shape) for _ in range(images - 1))])
        if batched[name]
        else array
        for name, array in net.feeds.items()
    }


@pytest.mark.parametrize("options", [{}, {"checked": True}, {"images_at_once": 1}, {"precision": "strict"}])
@pytest.mark.parametrize("network", NETWORKS)
def test_each_output_has_its_own_shape(network: str, options: dict[str, bool]) -> None:
    graph, net = NETWORKS[network]()
    compiled = compilation(graph, **options)
    executable = compiled.build()
    own = images_of(graph).own
    assert own and {port.name for port in executable.outputs if not port.batched} == own
    for threads in (1, 2):
        with Model(executable, threads=threads) as model:
            for images in IMAGES:
                feeds = feeds_of(graph, net, images)
                found = call(model, feeds)
                worst_ratio(found, expected(compiled, feeds))
                for name, array in found.items():
                    shape = graph.type(graph.outputs[name]).shape
                    assert array.shape == (shape if name in own else (images, *shape[1:]))
                    assert name not in own or np.array_equal(array, call(model, net.feeds)[name])


@pytest.mark.parametrize("network", NETWORKS)
def test_every_target_has_them(network: str) -> None:
    graph, net = NETWORKS[network]()
    for target in runnable_targets():
        check(graph, feeds_of(graph, net, 3), target)


def test_they_are_computed_once_a_call() -> None:
    for network in NETWORKS.values():
        plan = compilation(network()[0]).plan
        places = {place for place, port in enumerate(plan.outputs) if not port.batched}
        for stage in plan.stages:
            buffer = plan.buffers[plan.steps[stage.steps[0]].target.buffer]
            assert stage.once == (buffer.space == "output" and buffer.place in places) or buffer.space == "arena"


def test_bound_calls_and_out() -> None:
    graph, net = read_on()
    with Model(compilation(graph).build()) as model:
        feeds = feeds_of(graph, net, 3)
        want = model(feeds)
        out = tuple(np.full_like(array, np.nan) for array in want)
        model.bind(feeds, out=out)()
        assert_same_bits(dict(enumerate(out)), dict(enumerate(want)))
        with pytest.raises(InputError, match=r"^output 'y0': expected shape \(1, 4, 6, 5\), got \(3, 4, 6, 5\)$"):
            model(feeds, out=tuple(np.empty((3, 4, 6, 5), np.float32) for _ in range(2)))


def test_no_image_at_all_is_refused() -> None:
    """Nothing would compute the output that has elements nevertheless."""
    graph, net = read_on()
    message = r"^model 'net' takes at least one image: output 'y0' depends on no image$"
    none, w = np.empty((0, 4, 5, 6), np.float32), net.feeds["w"]
    with Model(compilation(graph).build()) as model:
        for call_of in (model, lambda *given: model.bind(*given)()):
            with pytest.raises(InputError, match=message):
                call_of(none, w)


def test_the_header_says_which() -> None:
    text = header(compilation(convolved()[0]).build())
    assert " * input x1: w float32[5, 3, 3, 3], for any number of images\n" in text
    assert " * output y0: y0 float32[2, 6], for any number of images\n" in text
    assert " * output y1: y1 float32[1, 5, 3, 2]\n" in text


def test_alone_they_fix_the_number() -> None:
    net = Net()
    net.input(1, 4)
    graph = net.graph(net.apply(Relu(), net.known(net.random(2, 4))))
    assert images_of(graph).fixed == "output 'y0' does not depend on images"
    assert not compilation(graph).build().batchable


def test_a_pass_that_computes_an_output_with_images_fixes_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant for one image is none for three."""
    from cnncc.passes import manager
    from cnncc.passes.report import Optimised

    graph, net = read_on()
    known = net.known(net.random(1, 4, 6, 5))
    other = net.apply(Relu(), Value("x"))
    graph = replace(graph, nodes=dict(net.builder.nodes), outputs={**graph.outputs, "y2": other})
    folded = replace(graph, nodes=dict(net.builder.nodes), outputs={**graph.outputs, "y1": known})
    monkeypatch.setattr(manager, "_run", lambda step, graph: Optimised(folded, ()))
    assert images_of(optimise(graph).graph).fixed == "the passes computed output 'y1'"


def test_the_interpreter_agrees() -> None:
    graph, net = convolved()
    found = interpreter.run(graph, feeds_of(graph, net, 3))
    assert [array.shape[0] for array in found.values()] == [2, 3, 2, 2, 5, 5]
