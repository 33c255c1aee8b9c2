"""`model.summary()`: output shape, parameters, multiply-accumulates and receptive field of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..shown import shown
from ..types import TensorType
from .receptive import Field, results
from .symbols import Layer, LayerCall, Parameter, Tensor

HEADINGS = ("layer", "kind", "output", "parameters", "MACs", "receptive field")


@dataclass(frozen=True)
class Row:
    """One use of a layer; `seen` is its receptive field along each spatial axis of the input, if it depends on one."""

    layer: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    macs: int
    seen: tuple[int, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        shapes = ", ".join("×".join(map(str, shape)) for shape in self.shapes)
        numbers = (f"{number:,}" if number else "" for number in (self.parameters, self.macs))
        return self.layer, self.kind, shapes, *numbers, "×".join(map(str, self.seen))


@dataclass(frozen=True)
class Summary:
    """A row for each use of a layer, and totals; `str` formats it as a table.

    MACs are multiply-accumulates for the model's own number of images. Shared parameters count once.
    """

    name: str
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return shown("summary", self)

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    def __str__(self) -> str:
        return "\n".join(_table(HEADINGS, [row.cells for row in self.rows], self.total))

    @property
    def total(self) -> tuple[str, ...]:
        """The cells of the last line."""
        return "total", "", "", f"{self.parameters:,}", f"{self.macs:,}", ""


def summary(name: str, first: Tensor, calls: Sequence[LayerCall], names: Mapping[Layer, str]) -> Summary:
    """The summary of the model `name` with these `calls` in order; receptive fields are in its `first` input."""
    fields = _fields(first, calls)
    rows, counted = [], set[Parameter]()
    for use in _uses(calls):
        own_call, last = use[0], use[-1]
        own = {value for value in own_call.inputs if isinstance(value, Parameter)} - counted
        counted |= own
        rows.append(
            Row(
                names[own_call.layer],
                " + ".join(map(_kind, use)),
                tuple(type.shape for type in last.types),
                sum(parameter.type.size for parameter in own),
                sum(call.op.cost(*_types(call)).macs for call in use),
                _seen(fields.get((last, 0))),
            )
        )
    return Summary(name, tuple(rows))


def _uses(calls: Sequence[LayerCall]) -> Iterable[Sequence[LayerCall]]:
    """Each use of a layer: its own call, with the call of its activation."""
    activations = {call.inputs[0].call: call for call in calls if call.suffix and isinstance(call.inputs[0], Tensor)}
    for call in calls:
        if not call.suffix:
            yield (call, activations[call]) if call in activations else (call,)


def _kind(call: LayerCall) -> str:
    return call.suffix.lstrip(".") or call.op.name


def _types(call: LayerCall) -> list[TensorType]:
    return [value.exact for value in call.inputs]


def _fields(first: Tensor, calls: Sequence[LayerCall]) -> Mapping[tuple[LayerCall, int], Field | None]:
    """The receptive field of every tensor in the model's first input."""
    found: dict[tuple[LayerCall, int], Field | None] = {}
    for call in calls:
        fields = [
            Field.of_input(first.exact.rank)
            if value is first
            else found[value.call, value.index]
            if isinstance(value, Tensor) and value.call
            else None
            for value in call.inputs
        ]
        made = results(call.op, _types(call), fields)
        found.update({(call, index): field for index, field in enumerate(made)})
    return found


def _seen(field: Field | None) -> tuple[int, ...]:
    """Whole elements along the spatial axes."""
    return () if field is None else field.seen[2:]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str]) -> Iterable[str]:
    """The lines of a table with columns of minimal width, numbers aligned to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, total, strict=True)]
    rule = "  ".join("─" * width for width in widths)
    yield _line(headings, widths)
    yield rule
    yield from (_line(row, widths) for row in rows)
    yield rule
    yield _line(total, widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.rjust(width) if heading in ("parameters", "MACs") else cell.ljust(width)
        for cell, width, heading in zip(cells, widths, HEADINGS, strict=True)
    )
    return "  ".join(aligned).rstrip()
