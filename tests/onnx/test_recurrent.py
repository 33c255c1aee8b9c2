"""Recurrent operators: all their outputs, in native code, against the standard's equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto

import cnncc
from cnncc.errors import ModelError
from cnncc.types import Array
from tests.ops.oracles_recurrent import recurrent

from .cases_recurrent import FEATURES, GATES, HIDDEN, IMAGES, STEPS, weights
from .making import data
from .support import model, node

X = data(STEPS, IMAGES, FEATURES)
STATES = {"LSTM": ("h", "c"), "GRU": ("h",), "RNN": ("h",)}


def network(
    kind: str, sides: int, lengths: bool, images_first: bool, reads: str = "yhc", **more: Any
) -> onnx.ModelProto:
    """One node with states that arrive; outputs that nobody reads have no name."""
    names = STATES[kind]
    state = (IMAGES, sides, HIDDEN) if images_first else (sides, IMAGES, HIDDEN)
    ports: dict[str, Any] = {"x": (IMAGES, STEPS, FEATURES) if images_first else X.shape}
    ports |= {f"{name}0": state for name in names} | ({"lengths": (IMAGES,)} if lengths else {})
    outputs = [name for name in ("y", *names) if name in reads]
    read = f"x w r b {'lengths' if lengths else '_'} {' '.join(f'{name}0' for name in names)}"
    written = " ".join(name if name in reads else "_" for name in ("y", *names))
    direction = "bidirectional" if sides == 2 else "forward"
    made = model(
        [node(kind, read, written, "rec", hidden_size=HIDDEN, direction=direction, layout=int(images_first), **more)],
        ports,
        outputs,
        dict(zip("wrb", weights(kind, sides), strict=True)),
    )
    for port in made.graph.input:
        if port.name == "lengths":
            port.type.tensor_type.elem_type = TensorProto.INT32
    return made


@pytest.mark.parametrize("images_first", (False, True))
@pytest.mark.parametrize("lengths", (None, [5, 2, 0], [-7, 2**31 - 1, 1]))
@pytest.mark.parametrize("sides", (1, 2))
@pytest.mark.parametrize("kind", GATES)
def test_states_and_lengths_that_arrive(kind: str, sides: int, lengths: Any, images_first: bool) -> None:
    """Lengths that no sequence can have are the nearest ones that it can."""
    graph = cnncc.load_graph(network(kind, sides, lengths is not None, images_first))
    states = [data(sides, IMAGES, HIDDEN) * k for k in (1, 2)][: len(STATES[kind])]
    told = None if lengths is None else np.array(lengths, np.int32)
    wanted = recurrent(
        kind, X, *weights(kind, sides), None if told is None else np.clip(told, 0, STEPS), initial=states
    )
    given = [X, *states]
    if images_first:
        given = [np.ascontiguousarray(a.swapaxes(0, 1)) for a in given]
        wanted = [wanted[0].transpose(2, 0, 1, 3), *(last.swapaxes(0, 1) for last in wanted[1:])]
    given += [] if told is None else [told]
    native = images_first and sides == 2 and lengths is not None
    found = cnncc.compile(graph, cache=False)(*given) if native else cnncc.interpret(graph, *given)
    for own, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reads", ("y", "h", "c", "yc", "hc"))
def test_outputs_that_nobody_reads(reads: str) -> None:
    found = cnncc.interpret(network("LSTM", 2, False, False, reads), X, *[data(2, IMAGES, HIDDEN)] * 2)
    every = recurrent("LSTM", X, *weights("LSTM", 2), initial=[data(2, IMAGES, HIDDEN)] * 2)
    wanted = [every["yhc".index(name)] for name in reads]
    for own, other in zip(found if len(reads) > 1 else (found,), wanted, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


def test_peepholes() -> None:
    w, r, b = weights("LSTM")
    p = data(1, 3 * HIDDEN)
    proto = model(
        [node("LSTM", "x w r b _ _ _ p", "y h c", hidden_size=2)],
        {"x": X.shape},
        "yhc",
        {"w": w, "r": r, "b": b, "p": p},
    )
    for own, other in zip(cnncc.compile(proto, cache=False)(X), recurrent("LSTM", X, w, r, b, p=p), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


def test_a_reader_of_lines() -> None:
    """Columns of a picture as the steps of two layers of both directions, as networks that read text have them."""
    first, second = weights("LSTM", 2), [data(2, 8, 4), data(2, 8, 2), data(2, 16)]
    nodes = [
        node("ReduceMax", "x", "columns", axes=[2], keepdims=0),
        node("Transpose", "columns", "steps", perm=[2, 0, 1]),
        node("LSTM", "steps w r b", "y1", direction="bidirectional", hidden_size=2),
        node("Transpose", "y1", "t1", perm=[0, 2, 1, 3]),
        node("Reshape", "t1 size", "joined"),
        node("LSTM", "joined w2 r2 b2", "y2", direction="bidirectional", hidden_size=2),
    ]
    known: dict[str, Array] = dict(zip(("w", "r", "b", "w2", "r2", "b2"), [*first, *second], strict=True))
    known["size"] = np.array([0, 0, -1])
    proto = model(nodes, {"x": ("n", FEATURES, 5, 7)}, ["y2"], known, opset=14)
    x = data(1, FEATURES, 5, 7)
    one = recurrent("LSTM", x.max(2).transpose(2, 0, 1), *first)[0]
    wanted = recurrent("LSTM", one.transpose(0, 2, 1, 3).reshape(7, 1, -1), *second)[0]
    compiled = cnncc.compile(proto, cache=False)
    np.testing.assert_allclose(compiled(x), wanted, rtol=1e-5, atol=1e-6)


REFUSED = {
    "LSTM with clip=1.0 is not supported (at node 'rec')": {"clip": 1.0},
    "LSTM with input_forget=1 is not supported (at node 'rec')": {"input_forget": 1},
    "LSTM with activation affine is not supported (at node 'rec')": {"activations": ["Affine"] * 3},
    "node 'rec': LSTM with 1 activations, expected 3": {"activations": ["Tanh"]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message: str) -> None:
    with pytest.raises(ModelError) as caught:
        cnncc.load_graph(network("LSTM", 1, False, False, **REFUSED[message]))
    assert message in str(caught.value)


def test_many_steps_are_refused() -> None:
    w, r, b = weights("RNN")
    proto = model(
        [node("RNN", "x w r b", "y", "rec", hidden_size=2)], {"x": (1001, 1, 4)}, ["y"], {"w": w, "r": r, "b": b}
    )
    with pytest.raises(
        ModelError, match=r"RNN of 1001 steps is not supported, where all .* may have 1000 \(at node 'rec'\)"
    ):
        cnncc.load_graph(proto)


def test_weights_that_do_not_fit() -> None:
    proto = model([node("GRU", "x w r", "y", "rec")], {"x": X.shape}, ["y"], {"w": data(1, 6, 3), "r": data(1, 6, 2)})
    with pytest.raises(ModelError, match=r"GRU: weights \(1, 6, 3\) and \(1, 6, 2\) do not fit the input \(5, 3, 4\)"):
        cnncc.load_graph(proto)
