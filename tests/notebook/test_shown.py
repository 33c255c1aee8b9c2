"""What values show of themselves in notebooks, and as plain text."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.errors import ModelError, UsageError
from cnncc.frontends.summary import Row, Summary
from cnncc.history import Epoch, History
from cnncc.ir import Builder, Graph
from cnncc.learning import Fitted
from cnncc.notebook import MOST_DRAWN, grid
from cnncc.notebook.card import MOST_ROWS
from cnncc.notebook.curve import curves
from cnncc.ops import Relu
from cnncc.runtime.model import Model
from cnncc.runtime.open_model import of_sizes
from cnncc.runtime.origin import Origin
from cnncc.shown import MOST
from cnncc.types import TensorType
from tests.runtime import toy

EVIL = '<script>alert("&")</script>'
VOID = {"meta", "line", "rect", "circle", "path"}


class Reader(HTMLParser):
    """The text of HTML whose elements are all closed, each after those inside it."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.met: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.met.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        assert tag in VOID
        self.met.add(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def network() -> nn.Sequential:
    layers = nn.Conv(8, 3, name="filters", activation="relu"), nn.Flatten(), nn.Dense(10)
    return nn.Sequential(*layers, input=(1, 8, 8), name="small")


def chain(length: int, name: str = "chain") -> Graph:
    builder = Builder(name)
    value = builder.input("x", TensorType((1, 2)))
    for _ in range(length):
        (value,) = builder.add(Relu(), [value])
    return builder.graph({"y": value})


def course(count: int = 3) -> History:
    return History([Epoch(n, 1 / (n + 1), 0.1, accuracy=0.5, validation_loss=2 / (n + 1)) for n in range(count)])


SHOWN: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "a network": (network, ["Sequential 'small'", "filters", "Conv + relu", "1×8×6×6", "2,592", "Conv 3×3"]),
    "a summary": (lambda: network().summary(), ["Layers of 'small'", "receptive field", "total", "5,472"]),
    "a graph": (lambda: network().graph, ["Graph 'small', 4 layers", "filters.relu", "1×288"]),
    "a compiled model": (
        lambda: cnncc.compile(network()),
        ["Compiled model 'small'", "host", "bytes", "output", "float32", "1×10", "Relu"],
    ),
    "an open model": (
        lambda: of_sizes([Model(toy.executable())], 1, (lambda: None, ())),  # type: ignore[arg-type, return-value]
        ["Model 'toy' of open sizes", "compiled for", "1×6"],
    ),
    "a history": (course, ["3 epochs", "0.3333", "validation"]),
    "what is learned": (lambda: Fitted(chain(2), {}, course()), ["'chain', trained", "3 epochs", "Relu"]),
    "an inspection": (lambda: cnncc.inspect(network()), ["Model 'small'", "parameters", "2,970", "Flatten"]),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_what_is_shown(kind: str) -> None:
    make, words = SHOWN[kind]
    value = make()
    html = value._repr_html_()
    assert type(html) is str and html == value._repr_html_()
    text = Reader(html).text
    assert [word for word in words if word not in text] == []


def test_every_text_is_escaped() -> None:
    graph, summary = chain(2, EVIL), Summary(EVIL, (Row(EVIL, EVIL, ((1,),), 1, 1, ()),))
    model = Model(toy.executable(), origin=_gone(EVIL))
    values = graph, summary, model, Fitted(graph, {}, History()), cnncc.inspect(graph)
    for value in values:
        html = value._repr_html_()  # type: ignore[attr-defined]
        assert "<script" not in html and "script" not in Reader(html).met and EVIL in Reader(html).text


def _gone(why: str) -> Origin:
    """The origin of a model whose source cannot be read any more."""

    def refuse() -> Graph:
        raise ModelError(why)

    return Origin(lambda layers: "", lambda *_, **__: None, refuse)  # type: ignore[arg-type, return-value]


def test_a_model_without_origin_has_no_drawing() -> None:
    assert "svg" not in Reader(Model(toy.executable())._repr_html_()).met
    assert (
        "There is no drawing: it is gone"
        in Reader(Model(toy.executable(), origin=_gone("it is gone"))._repr_html_()).text
    )
    assert Model(toy.executable()).optimised() is None


def test_the_drawing_is_of_the_graph_after_the_passes() -> None:
    model = cnncc.compile(network())
    assert [node.name for node in model.optimised() if not node.op.source] == ["filters", "flatten1", "dense1"]


def test_what_is_large_is_bounded() -> None:
    html = chain(MOST_DRAWN)._repr_html_()
    assert len(html) < 4000 and "cnncc.drawing.draw(graph)" in html
    assert "svg" in Reader(chain(MOST_DRAWN - 2)._repr_html_()).met
    rows = tuple(Row(f"l{n}", "Relu", ((1, n),), n, n, ()) for n in range(MOST_ROWS + 25))
    text = Reader(Summary("long", rows)._repr_html_()).text
    assert "l399" in text and "l400" not in text and "… 25 more" in text and "total" in text


@pytest.mark.parametrize("count", [1, 38, 39, 40, 1000])
def test_plain_text_is_bounded(count: int) -> None:
    head, *lines = repr(chain(count)).split("\n")
    assert head == "<Graph 'chain'>" and len(lines) == min(count + 1, MOST)
    assert lines[0] == "  x: Input() float32[1, 2]" and lines[1] == "  relu: Relu(x) float32[1, 2]"
    assert lines[-1].endswith(" float32[1, 2]")
    assert any("more" in line for line in lines) is (count + 1 > MOST)


def test_plain_text_names_layers_and_shapes() -> None:
    assert repr(network()).splitlines() == [
        "<Sequential 'small'>",
        "  input: input 1×1×8×8",
        "  filters: Conv + relu 1×8×6×6",
        "  flatten1: Flatten 1×288",
        "  dense1: Dense 1×10",
    ]
    assert repr(network().summary()) == str(network().summary())
    assert repr(course(1)).splitlines() == [
        "<History of 1 epochs>",
        "  epoch 1: loss 1.0000, accuracy 50.00%, validation 2.0000",
    ]
    assert repr(Fitted(chain(1), {"w": np.zeros(1)}, course(2))).startswith(
        "<Fitted 'chain', 1 learned arrays: epoch 2: loss"
    )


def test_arrays_are_squares() -> None:
    shown = grid(some_kernel=np.float32([[[[1, 0, -1]]]]), one_axis=np.array([True, False]), large=np.ones((64, 13)))
    html = shown._repr_html_()
    reader = Reader(html)
    assert html.count("<rect") == 3 + 2 + 64 * 13 and reader.met == {"div", "svg", "g", "rect", "text"}
    assert reader.text.split() == "some kernel 1 0 -1 one axis 1 0 large".split()
    assert repr(shown).startswith("some kernel:\n[[ 1.  0. -1.]]\none axis:\n")
    odd = grid(odd=np.array([np.nan, np.inf, -np.inf, 0.0, -1.25e-7]))._repr_html_()
    assert all(number in Reader(odd).text for number in ("nan", "inf", "-inf", "-1.25e-07"))
    assert Reader(grid(**{EVIL: np.ones(2)})._repr_html_()).met == reader.met
    for wrong in (np.ones((2, 3, 3)), np.ones((65, 1)), np.float32(1), np.array(["a"])):
        with pytest.raises(UsageError, match=r"^'x': expected numbers in at most 64 rows and columns, got "):
            grid(x=wrong)


def test_lines_leave_out_what_is_no_number() -> None:
    assert curves({"loss": [1.0]}) is None and curves({"loss": [None, float("nan"), 2.0]}) is None
    html = curves({"loss": [1.0, float("inf"), 0.5], "validation": [None, 3.0, 3.0]})
    assert html is not None and "inf" not in html and "nan" not in html and Reader(html).text.count("3") >= 2
    same = curves({"loss": [1.0, 1.0]})
    assert same is not None and "nan" not in same
