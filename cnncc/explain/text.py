"""The reasons as text for an engineer: sentences with numbers, and a table of candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .limits import FASTER
from .names import Names
from .reasons import CandidateCost, Choice, Explanation, LayerReasons, StepReasons

SHOWN = 8  # candidates of a choice

MEANINGS = {
    "multiply-adds": "the multiply-adds of the core",
    "loads": "the loads that it starts in a cycle",
    "latency of sums": "the latency of additions to one sum",
    "ends of tiles": "the start and the end of tiles",
    "functions": "functions that are computed by a series",
    "L2": "the second cache",
    "L3": "the third cache",
    "DRAM": "main memory",
    "changes of order": "the copies into another order around it",
    "calls": "calls of kernels",
}


def text(explanation: Explanation, names: Sequence[str] = ()) -> str:
    """All about the layers to which names lead, each once, with what became of the names; else a line for each layer.

    Raises UsageError for a name that nothing has.
    """
    known, told = Names.of(explanation), list[str]()
    layers = dict.fromkeys(layer for name in names for layer in known.layers(name))
    told += [sentence for name in names if (sentence := known.became(name))]
    told += [layer_text(explanation, explanation.layer(layer)) for layer in layers]
    return "\n\n".join(told) if names else overview(explanation)


def layer_text(explanation: Explanation, layer: LayerReasons) -> str:
    """All about one layer."""
    return "\n".join(
        [
            *_head(explanation, layer),
            *_section("Where it comes from", _origins(explanation, layer)),
            *_section("Passes that changed it", map(str, layer.fired)),
            *_section("Passes that did not, and why", (f"{entry.pass_name}: {entry.why}" for entry in layer.missed)),
            *_section("How its kernel was chosen", _choices(layer)),
            *_section("What it does, and what bounds it", _steps(explanation, layer)),
            *_section("What was decided around it", layer.decisions),
            *_section("Its memory", _memory(explanation, layer)),
        ]
    )


def _head(explanation: Explanation, layer: LayerReasons) -> Iterator[str]:
    made = f", made at {layer.where}" if layer.where else ""
    results = ", ".join(map(str, layer.types))
    order = f", in memory {layer.order}" if layer.order else ""
    yield f"Layer '{layer.name}' of '{explanation.name}' for {explanation.target}{made}"
    yield f"  {layer.op}"
    yield f"  gives {results}{order}"
    if layer.stands:
        yield f"  It needs no step of its own: {layer.stands}."
    else:
        steps = "1 step" if len(layer.steps) == 1 else f"{len(layer.steps)} steps"
        yield (
            f"  {steps}, about {layer.cycles:,.0f} cycles for {explanation.unit} by the model, {layer.share:.1%} of "
            f"all; bound by {layer.bound}"
        )


def _section(title: str, lines: Iterator[str] | Sequence[str] | map[str]) -> list[str]:
    found = [f"  {line}".rstrip() for line in lines]
    return ["", title, *found] if found else []


def _origins(explanation: Explanation, layer: LayerReasons) -> Iterator[str]:
    for name in layer.origins:
        origin = explanation.origins[name]
        yield origin.told + (f" (at {origin.where})" if origin.where and origin.where != layer.where else "")


# Candidates


def _choices(layer: LayerReasons) -> Iterator[str]:
    for number, choice in enumerate(layer.choices):
        if number:
            yield ""
        yield from _choice(choice)


def _choice(choice: Choice) -> Iterator[str]:
    chosen = choice.chosen
    yield f"'{chosen.label}', {chosen.kernel}"
    yield f"{choice.told[0].upper()}{choice.told[1:]}."
    share = choice.least_cycles / chosen.cycles if chosen.cycles else 0.0
    yield (
        f"If each lane of each multiply-add of the definition gave a result, an image would take "
        f"{choice.least_cycles:,.0f} cycles: it reaches {share:.0%} of that"
        + (", since its algorithm multiplies less." if share > 1 else ".")
    )
    if chosen.limit:
        yield (
            f"What costs it most: {MEANINGS.get(chosen.limit, chosen.limit)}. Were that {FASTER:.0f} times as fast, it "
            f"would take {chosen.without:,.0f} cycles."
        )
    yield from _candidates(choice.candidates)


def _candidates(candidates: Sequence[CandidateCost]) -> Iterator[str]:
    """A table of the cheapest, and of the chosen one."""
    shown = [one for number, one in enumerate(candidates) if number < SHOWN or one.chosen]
    width = max(len("candidate"), *(len(one.label) for one in shown))
    yield ""
    yield f"  {'candidate':{width}}  {'cycles':>13}  {'more':>7}  costs it most"
    for one in shown:
        more = f"{one.cycles / candidates[0].cycles - 1:.1%}" if one is not candidates[0] else ""
        limits = ", ".join(f"{name} {cycles:,.0f}" for name, cycles in list(one.limits.items())[:3])
        yield f"{'>' if one.chosen else ' '} {one.label:{width}}  {one.cycles:>13,.0f}  {more:>7}  {limits}"
    if left := len(candidates) - len(shown):
        yield f"  and {left} more, the last of which takes {candidates[-1].cycles:,.0f} cycles"


# Steps


def _steps(explanation: Explanation, layer: LayerReasons) -> Iterator[str]:
    for number, step in enumerate(layer.steps):
        if number:
            yield ""
        yield from _step(explanation, step)


def _step(explanation: Explanation, step: StepReasons) -> Iterator[str]:
    yield f"step {step.number}, {step.name}: {step.kernel}"
    if step.parameters:
        yield f"  with {'; '.join(f'{name} {value}' for name, value in step.parameters.items())}"
    yield f"  {_work(step)}"
    yield f"  {_bound(explanation, step)}"
    yield f"  In stage {step.stage}, {step.shared}."
    for view in step.views:
        lies = f"{view.element}{list(view.shape)} {view.order}".rstrip()
        border = f"; {view.border}" if view.border else ""
        yield f"    {view.role:8} {view.buffer} {lies}, {view.space}, {view.bytes:,} bytes{border}"
    if step.scratch_bytes:
        yield f"    scratch  {step.scratch_bytes:,} bytes of each shard"


def _work(step: StepReasons) -> str:
    """Multiply-accumulates, bytes, and their ratio."""
    moved = (
        f"reads {step.bytes_read:,} bytes, {step.weights_bytes:,} of them weights, and writes {step.bytes_written:,}"
    )
    if not step.multiply_accumulates:
        return f"It {moved}."
    other = "" if step.multiplied == step.multiply_accumulates else f" ({step.multiplied:,} by its algorithm)"
    macs = f"{step.multiply_accumulates:,} multiply-accumulates{other}"
    return f"{macs}; it {moved}: {step.intensity:.3g} operations a byte."


def _bound(explanation: Explanation, step: StepReasons) -> str:
    """The largest bound with its derivation, then the others."""
    reasons = {"multiply-adds": f"{step.multiplied:,} at {explanation.peak:.3g} a cycle", "call": "of an empty step"}
    for level in explanation.rates:
        if level in step.bounds:
            passing = step.bounds[level] * explanation.rates[level]
            reasons[level] = f"{passing:,.0f} bytes at {explanation.rates[level]:.3g} a cycle"
    others = sorted((name for name in step.bounds if name != step.bound), key=lambda name: -step.bounds[name])
    rest = ", ".join(f"{name} {step.bounds[name]:,.0f}" for name in others if step.bounds[name] >= 0.5)
    return (
        f"Bound by {step.bound}: at least {step.bound_cycles:,.0f} cycles ({reasons[step.bound]})"
        + (f"; the other bounds are {rest}" if rest else "")
        + f". The model says {step.cycles:,.0f}."
    )


# Memory


def _memory(explanation: Explanation, layer: LayerReasons) -> Iterator[str]:
    for life in layer.buffers:
        where = "of the arena" if life.space == "arena" else "of each shard's own memory"
        pieces = f", a piece for each of {life.images} images of a call," if life.images > 1 else ""
        yield (
            f"'{life.name}' has {life.bytes:,} bytes at {life.offset:,} {where}{pieces} from step {life.first_step} to "
            f"step {life.last_step}"
        )
    memory = explanation.memory
    if memory.peak_layer and memory.peak_layer in {step.name for step in layer.steps}:
        held = ", ".join(f"'{name}' {size:,}" for name, size in memory.peak_buffers)
        yield f"The most bytes of the whole model are alive here: {max(memory.alive):,} ({held})"


# All layers


def overview(explanation: Explanation) -> str:
    """A line for each layer, and a sentence each for time, memory and passes that did not run."""
    rows = [_row(layer) for layer in explanation.layers]
    heads = ("layer", "cycles", "share", "MACs", "bytes", "bound by", "why")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    core = f"by the model of the core {explanation.core}, for {explanation.unit}"
    lines = [f"'{explanation.name}' for {explanation.target}, {core}"]
    for row in (heads, *rows):
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, "<>>>><<", widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, "", *_totals(explanation)])


def _row(layer: LayerReasons) -> tuple[str, ...]:
    if layer.main is None:
        return layer.name, "", "", "", "", "", layer.stands
    kernel = layer.main.kernel.split("; then")[0]
    macs = f"{layer.multiply_accumulates:,}" if layer.multiply_accumulates else ""
    return layer.name, f"{layer.cycles:,.0f}", f"{layer.share:.1%}", macs, f"{layer.bytes:,}", layer.bound, kernel


def _totals(explanation: Explanation) -> Iterator[str]:
    memory = explanation.memory
    yield f"all steps take about {explanation.cycles:,.0f} cycles by the model"
    yield (
        f"workspace {memory.workspace_bytes:,} bytes: arena {memory.arena_bytes:,} (at least {memory.arena_bound:,}), "
        f"{memory.shard_bytes:,} for each shard; weights {memory.weights_bytes:,}"
    )
    if memory.peak_layer:
        yield f"most bytes are alive at '{memory.peak_layer}': {max(memory.alive):,}"
    yield from (f"the pass {entry.pass_name} did not run: {entry.why}" for entry in explanation.idle)
