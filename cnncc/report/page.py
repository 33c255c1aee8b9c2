"""The whole page: one file with its style and its script, which asks for nothing from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from .about import about, sizes
from .drawings import drawings
from .errors import errors
from .facts import Facts, Stopped
from .html import Html, tag
from .layers import layers
from .memory import memory
from .overview import overview
from .roofline import roofline
from .times import times

SECTIONS: tuple[tuple[str, str, Callable[[Facts], Html], str], ...] = (
    ("overview", "Overview", overview, ""),
    ("graphs", "Graphs", drawings, "original"),
    ("layers", "Layers", layers, "reasons"),
    ("times", "Times", times, "manifest"),
    ("roofline", "Roofline", roofline, "reasons"),
    ("memory", "Memory", memory, "reasons"),
    ("errors", "Errors", errors, "checked"),
    ("sizes", "Sizes and ports", sizes, "manifest"),
    ("about", "Versions and options", about, ""),
)
"""Name, title and maker of each section, and the fact that it is about: where a compilation stopped before that, the
section is left out."""


def html_of(facts: Facts) -> str:
    """The report as the text of an HTML file."""
    target = f"{facts.options.target.name}, {facts.options.target.cpu}"
    head = tag("header", tag("h1", facts.name), tag("p", f"{facts.source}, compiled for {target}"))
    shown = [each for each in SECTIONS if not (facts.failure and isinstance(getattr(facts, each[3], None), Stopped))]
    links = tag("nav", [tag("a", title, href=f"#{name}") for name, title, _, _ in shown], aria_label="Contents")
    parts = [tag("section", tag("h2", title), make(facts), id=name) for name, title, make, _ in shown]
    body = tag("body", head, tag("div", links, tag("main", parts), class_="page"), _script())
    return f"<!DOCTYPE html>\n{tag('html', _head(facts.name), body, lang='en')}\n"


def _head(name: str) -> Html:
    return tag(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        tag("title", f"{name}: report of cnncc"),
        Html(f"<style>\n{_beside('style.css')}</style>"),
    )


def _script() -> Html:
    return Html(f"<script>\n{_beside('script.js')}</script>")


def _beside(name: str) -> str:
    """A file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
