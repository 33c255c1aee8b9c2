"""Why each layer is as it is: what it was made from, passes, kernel, candidates with their cost, bounds, decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .drawings import anchor
from .facts import Facts, Stopped
from .html import Html, Part, join, missing, pairs, table, tag
from .numbers import digits, micros, nbytes

if TYPE_CHECKING:
    from ..explain import CandidateCost, Choice, Explanation, LayerReasons, StepReasons
    from ..passes import Applied, Missed


CANDIDATES = ("candidate", "cycles", "× least", "limited by", "kernel")
MOST_CANDIDATES = 8
"""Rows that are open from the beginning."""


def layers(facts: Facts) -> Html:
    if isinstance(facts.reasons, Stopped):
        return missing(facts.reasons.why)
    times = {} if isinstance(facts.after, Stopped) else facts.after.us
    told = tag("p", f"Cycles are those of the model of core {facts.reasons.core}, for {facts.reasons.unit}.")
    blocks = [
        _layer(number, layer, times.get(layer.name), facts.reasons) for number, layer in enumerate(facts.reasons.layers)
    ]
    return join(told, blocks, _idle(facts.reasons), _gone(facts.reasons))


def _layer(number: int, layer: LayerReasons, us: float | None, reasons: Explanation) -> Html:
    time = micros(us) if us else f"{layer.cycles:,.0f} cycles" if layer.steps else "nothing to compute"
    head = tag(
        "summary",
        tag("span", layer.name, class_="name"),
        tag("span", _kernel(layer), class_="kernel"),
        tag("span", time, class_="figure"),
    )
    body = tag("div", _about(layer), _passes(layer), _choices(layer), _steps(layer), _decisions(layer), class_="body")
    return tag("details", head, body, id=anchor(number), data_layer=layer.name)


def _kernel(layer: LayerReasons) -> str:
    main = layer.main
    return main.kernel.split("; then")[0] if main else ""


def _about(layer: LayerReasons) -> Html:
    items: list[tuple[object, object]] = [("op", layer.op), ("result", ", ".join(map(str, layer.types)))]
    if layer.order:
        items.append(("in memory", layer.order))
    if layer.origins:
        items.append(("made from", ", ".join(layer.origins)))
    if layer.where:
        items.append(("written at", str(layer.where)))
    if layer.stands:
        items.append(("stands", layer.stands))
    return pairs(items)


def _passes(layer: LayerReasons) -> Html | None:
    if not layer.fired and not layer.missed:
        return None
    items = [tag("li", _fired(entry), class_="fired") for entry in layer.fired]
    items += [tag("li", tag("b", entry.pass_name), f" not: {entry.why}") for entry in layer.missed]
    return join(tag("h4", "Passes"), tag("ul", items, class_="passes"))


def _fired(entry: Applied) -> Html:
    bound = tag("div", f"bound: {entry.bound}") if entry.bound else None
    detail = f": {entry.detail}" if entry.detail else ""
    return join(tag("b", entry.pass_name), f" ({entry.tag}){detail}", tag("div", tag("code", entry.rule)), bound)


def _choices(layer: LayerReasons) -> Iterator[Html]:
    """The candidates of each comparison, the cheapest first; those beyond some in a part that opens."""
    for choice in layer.choices:
        rows = [_candidate(choice, each) for each in choice.candidates]
        more = rows[MOST_CANDIDATES:]
        rest = None
        if more:
            told = f"{len(more)} more candidate{'s' * (len(more) != 1)}"
            rest = tag("details", tag("summary", tag("span", told)), table(CANDIDATES, more, right=(1, 2)))
        shown = table(CANDIDATES, rows[:MOST_CANDIDATES], right=(1, 2))
        yield join(tag("h4", f"Candidates for {choice.what}"), tag("p", _told(choice)), shown, rest)


def _candidate(choice: Choice, each: CandidateCost) -> tuple[Part, ...]:
    return (
        tag("b", f"{each.label} ✓") if each.chosen else each.label,
        f"{each.cycles:,.0f}",
        digits(each.cycles / choice.least_cycles) if choice.least_cycles else "",
        each.limit,
        each.kernel,
    )


def _told(choice: Choice) -> str:
    return f"{choice.told[:1].upper()}{choice.told[1:]}".rstrip(".") + "."


def _steps(layer: LayerReasons) -> Html | None:
    if not layer.steps:
        return None
    heads = ("step", "kernel", "multiply-adds", "bytes", "cycles", "bound by", "at least")
    rows = [
        (
            f"{step.number} {step.name}",
            step.kernel,
            f"{step.multiplied:,}" if step.multiplied else "",
            f"{step.bytes:,}",
            f"{step.cycles:,.0f}",
            step.bound,
            f"{step.bound_cycles:,.0f}",
        )
        for step in layer.steps
    ]
    return join(tag("h4", "Steps"), table(heads, rows, right=(2, 3, 4, 6)), [_views(step) for step in layer.steps])


def _views(step: StepReasons) -> Html:
    heads = ("view", "buffer", "shape", "order", "bytes", "border")
    rows = [
        (
            view.role,
            f"{view.buffer} ({view.space})",
            f"{'×'.join(map(str, view.shape))} {view.element}",
            view.order,
            f"{view.bytes:,}",
            view.border,
        )
        for view in step.views
    ]
    parameters = ", ".join(f"{name} {value}" for name, value in step.parameters.items())
    levels = ", ".join(f"{nbytes(count)} from {level}" for level, count in step.traffic.items())
    told = "; ".join(filter(None, (parameters, levels, step.shared)))
    return join(tag("h4", f"Views of step {step.number}"), tag("p", told), table(heads, rows, right=(4,)))


def _decisions(layer: LayerReasons) -> Html | None:
    items = [tag("li", text) for text in layer.decisions]
    items += [
        tag(
            "li",
            f"buffer {each.name}: {each.bytes:,} bytes at {each.offset:,}, steps {each.first_step} to {each.last_step}",
        )
        for each in layer.buffers
    ]
    return join(tag("h4", "Memory and schedule"), tag("ul", items)) if items else None


def _idle(reasons: Explanation) -> Html | None:
    """Passes that did not run at all."""
    told: Sequence[Missed] = tuple(dict.fromkeys(reasons.idle))
    items = [tag("li", tag("b", entry.pass_name), f": {entry.why}") for entry in told]
    return join(tag("h3", "Passes that did not run"), tag("ul", items)) if items else None


def _gone(reasons: Explanation) -> Html | None:
    """What became of the layers that are no layer any more."""
    gone = [origin for origin in reasons.origins.values() if origin.how not in ("kept", "source")]
    rows = [(origin.name, origin.how, origin.by, origin.told) for origin in gone]
    if not rows:
        return None
    heads = ("as given", "became", "by", "")
    told = tag("summary", tag("span", f"{len(rows)} layers that were given and are others now"))
    shown = tag("details", told, table(heads, rows))
    return join(tag("h3", "What became of the given layers"), shown)
