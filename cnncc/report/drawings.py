"""The optimised graph beside the original one; a box leads to the reasons of its layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..drawing import Mark, draw
from ..ir import Graph
from .facts import Facts, Stopped
from .html import Html, join, missing, tag
from .numbers import micros, percent


def drawings(facts: Facts) -> Html:
    told = tag(
        "p",
        "Layers with their shapes; what is fused stands inside of a box, and constants are left out. ",
        _colour(facts),
        "A click tells why a layer is as it is.",
    )
    return join(told, tag("div", _optimised(facts), _original(facts), class_="pair"))


def anchor(number: int) -> str:
    """The name of a layer's place on the page."""
    return f"layer-{number}"


def _colour(facts: Facts) -> str:
    if not isinstance(facts.after, Stopped):
        return "The colour is the time, as it was measured. "
    return "" if isinstance(facts.reasons, Stopped) else "The colour is the cycles, by the model of the core. "


def _optimised(facts: Facts) -> Html:
    marks = {name: Mark(href=f"#{anchor(number)}") for name, number in facts.numbers().items()}
    if not isinstance(facts.after, Stopped):
        marks |= {name: _timed(us, facts.after.us, marks[name].href) for name, us in facts.after.us.items()}
    elif not isinstance(facts.reasons, Stopped):
        cycles = {layer.name: layer.cycles for layer in facts.reasons.layers}
        marks |= {name: _timed(count, cycles, marks[name].href, _cycles) for name, count in cycles.items()}
    return _figure("After the passes", facts.optimised, marks)


def _original(facts: Facts) -> Html:
    marks: dict[str, Mark] = {}
    if not isinstance(facts.reasons, Stopped):
        numbers = facts.numbers()
        for name, origin in facts.reasons.origins.items():
            targets = [numbers[layer] for layer in origin.layers if layer in numbers]
            marks[name] = Mark(href=f"#{anchor(targets[0])}" if targets else "")
    if not isinstance(facts.before, Stopped):
        times = facts.before.us
        marks |= {name: _timed(us, times, marks.get(name, Mark()).href) for name, us in times.items()}
    if facts.failure and facts.failure.layer:
        marks[facts.failure.layer] = Mark("stopped here", heat=1.0)
    return _figure("As it was given", facts.original, marks)


def _timed(spent: float, all: Mapping[str, float], href: str, told: Callable[[float], str] = micros) -> Mark:
    """What a layer takes, in words and as colour."""
    if not spent:
        return Mark(href=href)
    return Mark(f"{told(spent)}, {percent(spent / sum(all.values()))}", spent / max(all.values()), href)


def _cycles(count: float) -> str:
    return f"{count:,.0f} cycles"


def _figure(title: str, graph: Graph | Stopped, marks: dict[str, Mark]) -> Html:
    if isinstance(graph, Stopped):
        shown, count = missing(graph.why), ""
    else:
        layers = sum(node.op.source is None for node in graph)
        count = f"{layers} layer{'s' * (layers != 1)}"
        shown = tag("div", Html(draw(graph, marks)), class_="canvas", tabindex=0)
    return tag("figure", tag("figcaption", tag("b", title), tag("span", count)), shown)
