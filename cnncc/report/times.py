"""Times: whole calls beside other engines, and each layer before and after the passes, as bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .drawings import anchor
from .facts import Calls, Facts, Stopped
from .html import Html, join, missing, table, tag
from .numbers import micros, percent

Bar = tuple[str, float, str]
"""Its class, its length, and what is told beside it."""


def times(facts: Facts) -> Html:
    if isinstance(facts.calls, Stopped):
        return join(missing(facts.calls.why), _counted(facts))
    return join(_calls(facts, facts.calls), _engines(facts), _layers(facts))


def bars(rows: Iterable[tuple[str, str, Sequence[Bar]]], longest: float) -> Html:
    """Rows of a name, a place that it leads to, and its bars, which are parts of the longest."""
    shown = []
    for name, href, found in rows:
        label = tag("a", name, href=href) if href else tag("span", name)
        lines = [
            tag(
                "div",
                tag("i", class_=kind, style=f"--part:{length / (longest or 1.0):.4f}"),
                tag("span", told),
                class_="bar",
            )
            for kind, length, told in found
        ]
        shown.append(tag("div", tag("div", label, class_="label", title=name), tag("div", lines), class_="row"))
    return tag("div", shown, class_="bars")


def _calls(facts: Facts, calls: Calls) -> Html:
    heads = ("threads", "median", "10th percentile", "90th percentile", "GFLOP/s", "of peak")
    rows = [
        (t.threads, micros(t.median_us), micros(t.p10_us), micros(t.p90_us), f"{t.gflops:.2f}", percent(t.peak_share))
        for t in calls.timings
    ]
    told = tag(
        "p",
        f"A call on {facts.inputs}; the peak of one core is {calls.peak:.1f} GFLOP/s, measured in turns. "
        "GFLOP/s count the operations of the definition, of which an algorithm may need fewer.",
    )
    return join(tag("h3", "Calls"), told, table(heads, [[*map(str, row)] for row in rows], right=range(6)))


def _engines(facts: Facts) -> Html:
    head = tag("h3", "Beside other engines")
    if isinstance(facts.peers, Stopped):
        return join(head, missing(facts.peers.why))
    rows = [
        (
            f"{each.engine} {each.version}" + (f", {each.threads} threads" if each.threads > 1 else ""),
            "",
            [("ours" if each.engine == "cnncc" else "theirs", each.median_us, micros(each.median_us))],
        )
        for each in facts.peers.timings
    ]
    worst = max(each.difference for each in facts.peers.timings)
    told = f"Each in a process of its own, in turns. Outputs differ by at most {worst:.1e} of the largest element."
    if facts.peers.missing:
        told += f" Not installed: {', '.join(facts.peers.missing)}."
    told = " ".join((told, *facts.peers.failed))
    return join(head, tag("p", told), bars(rows, max(each.median_us for each in facts.peers.timings)))


def _counted(facts: Facts) -> Html:
    """Instructions and cycles of code for another machine."""
    if isinstance(facts.counts, Stopped):
        return missing(facts.counts.why)
    counts = facts.counts
    timed = (
        "" if counts.cycles is None else f" and {counts.cycles:,.0f} cycles by the core's table, without wait states"
    )
    told = f"{counts.instructions:,} instructions a call{timed}; counted under {counts.emulator}."
    rows = [
        (", ".join(each.steps) or each.name, "", [("ours", each.instructions, f"{each.instructions:,} instructions")])
        for each in counts.functions
    ]
    longest = max((each.instructions for each in counts.functions), default=1)
    return join(tag("h3", "Instructions"), tag("p", told), bars(rows, longest))


def _layers(facts: Facts) -> Html | None:
    if isinstance(facts.after, Stopped) or isinstance(facts.reasons, Stopped):
        return None
    after, before, numbers = facts.after.us, facts.before_us(), facts.numbers()
    whole = sum(after.values())
    rows = []
    for name, us in after.items():
        if not us and not before.get(name):
            continue
        found: list[Bar] = [("ours", us, f"{micros(us)}, {percent(us / whole)}")]
        if name in before:
            found.append(("before", before[name], f"{micros(before[name])} before"))
        rows.append((name, f"#{anchor(numbers[name])}", found))
    if gone := before.get("", 0.0):
        rows.append(("layers of which nothing is left", "", [("before", gone, f"{micros(gone)} before")]))
    longest = max((bar[1] for _, _, found in rows for bar in found), default=1.0)
    return join(tag("h3", "Layers"), tag("p", _legend(facts, whole)), bars(rows, longest))


def _legend(facts: Facts, whole: float) -> Html:
    if isinstance(facts.before, Stopped):
        before: object = f" Times before the passes are missing: {facts.before.why}"
    else:
        unfused = sum(facts.before.us.values())
        before = join(
            tag("span", " ", class_="key before"),
            f"the given layers that it was made from, compiled without passes ({micros(unfused)} in all). ",
        )
    return join(tag("span", " ", class_="key ours"), f"time of the layer ({micros(whole)} in all) ", before)
