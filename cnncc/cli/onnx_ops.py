"""The operators of ONNX files as `ops` prints them: opsets, element types, inputs and attributes of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..frontends.onnx.supported import Form, Operator

FAMILIES = (
    ("float16", "float32", "float64", "bfloat16"),
    ("int8", "int16", "int32", "int64"),
    ("uint8", "uint16", "uint32", "uint64"),
    ("bool",),
)
"""Element types in the order in which they are told."""

HEADS = ("operator", "opsets", "element types", "known when compiling", "refused")


def row(operator: Operator) -> tuple[str, ...]:
    """A line of the table: the opsets, and of the last form that is taken its types, inputs and what is refused."""
    last = operator.taken[-1]
    types = "; ".join(f"{', '.join(ports)}: {names}" for names, ports in _alike(last).items())
    known = ", ".join(port.name for port in last.inputs if port.use == "known")
    return operator.name, opsets(operator), types, known, "; ".join(_refused(last))


def full(operator: Operator) -> str:
    """All of an operator, the newest form first; forms of which the same is told are one."""
    told: dict[str, tuple[int, int]] = {}
    for form in reversed(operator.forms):
        text = "".join(f"\n  {line}" for line in _told(form))
        told[text] = form.first, told.get(text, (0, form.last))[1]
    parts = [f"opset {first if first == last else f'{first}–{last}'}:{text}" for text, (first, last) in told.items()]
    return "\n\n".join([f"{operator.name} of ONNX files, opsets {opsets(operator)}", *parts])


def plain(operator: Operator) -> dict[str, Any]:
    """The same in types that JSON has."""
    return {**asdict(operator), "opsets": opsets(operator)}


def opsets(operator: Operator) -> str:
    """The opsets that are taken, as ranges: '1–10, 12–28'."""
    ranges: list[tuple[int, int]] = []
    for form in operator.taken:
        joins = ranges and ranges[-1][1] + 1 == form.first
        first = ranges.pop()[0] if joins else form.first
        ranges.append((first, form.last))
    told = ", ".join(f"{first}–{last}" for first, last in ranges)
    return f"{told} (dropped in {operator.dropped})" if operator.dropped else told


def brief(names: Sequence[str]) -> str:
    """Element types, with three or more of a family as a range: 'float32, int8–int64, bool'.

    Those of which layers never have values (of 8 bits and fewer, complex numbers, strings) are 'others'.
    """
    told: list[str] = []
    for family in FAMILIES:
        for run in _runs([name in names for name in family]):
            found = family[run.start : run.stop]
            told += [f"{found[0]}–{found[-1]}"] if len(found) > 2 and family[0] != "float16" else found
    return ", ".join(told + ["others"] * any(not any(name in family for family in FAMILIES) for name in names))


def _runs(there: Sequence[bool]) -> Iterator[range]:
    """The longest ranges of places that are all there."""
    first = 0
    for place, found in enumerate([*there, False]):
        if not found:
            if place > first:
                yield range(first, place)
            first = place + 1


def _told(form: Form) -> Iterator[str]:
    if form.why:
        yield form.why
    notes = {"arrives": "", "known": ", known when compiling", "refused": ", refused"}
    if form.inputs:
        yield "inputs: " + "; ".join(f"{port.name} ({port.kind}{notes[port.use]})" for port in form.inputs)
    for kind, names in form.types.items():
        yield f"{kind}: {brief(names)}" + (f"; not {brief(form.refused[kind])}" if form.refused[kind] else "")
    if form.attributes:
        yield "attributes: " + "; ".join(_attribute(name, values) for name, values in form.attributes.items())


def _attribute(name: str, values: Sequence[str] | None) -> str:
    return f"{name} (refused)" if values is None else f"{name} (not {_values(values)})" if values else name


def _values(values: Sequence[str]) -> str:
    """Values of an attribute: element types, or others."""
    types = {name for family in FAMILIES for name in family}
    return brief(values) if types & set(values) else ", ".join(values)


def _refused(form: Form) -> Iterator[str]:
    """Inputs, attributes, and values of attributes."""
    yield from (port.name for port in form.inputs if port.use == "refused")
    for name, values in form.attributes.items():
        if values is None:
            yield name
        elif values:
            yield f"{name}: {_values(values)}"


def _alike(form: Form) -> dict[str, list[str]]:
    """The inputs that may arrive (all, where none may) by their element types."""
    found: dict[str, list[str]] = {}
    for port in [port for port in form.inputs if port.use == "arrives"] or form.inputs:
        found.setdefault(brief(form.types.get(port.kind, (port.kind,))), []).append(port.name)
    return found
