"""Reports to look at, and what a page holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.ir import Builder, Graph
from cnncc.ops import Add, Conv, Relu
from cnncc.report import Report, report
from cnncc.report.facts import Request
from cnncc.types import TensorType

VOID = ("meta", "br")
ODD = "a<b>&\"'\n</script>"
"""A name that is no HTML."""
QUICK = Request(against=(), seconds=0.01)


@dataclass
class Page(HTMLParser):
    """The elements of a page: their ids, the places that links lead to, attributes, texts by element."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append((name, value or ""))
            {"id": self.ids, "href": self.links}.get(name, []).append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(html: str) -> Page:
    """A page, whose elements have to end in order."""
    found = Page()
    found.feed(html)
    found.close()
    assert not found._open
    return found


def skipping() -> Graph:
    """Two convolutions with a skip connection, and a name that is no HTML."""
    b = Builder(ODD)
    x = b.input("x", TensorType((1, 4, 6, 6)))
    weights = b.constant(np.ones((4, 4, 3, 3)) / 9, "w")
    (first,) = b.add(Conv((3, 3), padding="same"), [x, weights], ODD)
    (relu,) = b.add(Relu(), [first], "relu")
    (second,) = b.add(Conv((3, 3), padding="same"), [relu, weights], "second")
    (total,) = b.add(Add(), [second, x], "sum")
    return b.graph({"y": total})


def reported(graph: Graph, target: str = "host", request: Request = QUICK) -> Report:
    return report(Compilation(graph, Options(resolve_target(target))), request)
