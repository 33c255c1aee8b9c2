"""What a notebook shows of a value: the HTML of `_repr_html_`, a function for each kind of value.

Every text is escaped, and the same value has the same HTML. A long table and a large drawing scroll in themselves;
a graph of more than `MOST_DRAWN` layers is not drawn. Nothing here asks for scripts or the network.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..drawing import draw
from ..errors import CnnccError
from ..frontends.inspection import Inspection
from ..frontends.model import Model as Network
from ..frontends.summary import HEADINGS, Summary
from ..history import History
from ..ir import Graph
from ..learning.fitting import Fitted
from ..report.html import Html, Part, missing, pairs, tag
from ..runtime.executable import NamedPort
from ..runtime.model import Model
from ..runtime.open_model import OpenModel
from .card import card, rows
from .curve import curves
from .grid import Grids, grid

__all__ = [
    "MOST_DRAWN",
    "Grids",
    "fitted",
    "graph",
    "grid",
    "history",
    "inspection",
    "model",
    "network",
    "open_model",
    "summary",
]

MOST_DRAWN = 600
"""Layers, inputs and outputs of a drawing; one of 600 takes half a second and 0.4 MB."""


def graph(value: Graph) -> Html:
    layers = [node for node in value if not node.op.source]
    return card(f"Graph '{value.name}', {len(layers):,} layers", _drawn(value))


def network(value: Network) -> Html:
    kind = type(value).__name__
    return card(f"{kind} '{value.name}'", _table(value.summary()), _drawn(value.graph))


def summary(value: Summary) -> Html:
    return card(f"Layers of '{value.name}'", _table(value))


def model(value: Model) -> Html:
    """A model of a library has no drawing; one whose source is not there any more says so."""
    executable = value.executable
    sizes = pairs(
        [
            ("target", executable.target.name),
            ("threads", value.threads),
            ("weights", f"{len(executable.weights):,} bytes"),
            ("workspace", f"{executable.workspace_bytes(value.threads):,} bytes"),
        ]
    )
    try:
        optimised = value.optimised()
        picture = None if optimised is None else _drawn(optimised)
    except CnnccError as error:
        picture = missing(f"There is no drawing: {error}")
    return card(f"Compiled model '{value.name}'", sizes, _ports(value.inputs, value.outputs), picture)


def open_model(value: OpenModel) -> Html:
    """Its sizes are shapes of the inputs, from the one that was not called for longest."""
    kept = [[", ".join(_shape(shape) for shape in shapes)] for shapes in value.sizes]
    sizes = rows(["compiled for"], kept) if kept else tag("p", "No size is compiled yet.")
    return card(f"Model '{value.name}' of open sizes", _ports(value.inputs, value.outputs), sizes)


def history(value: History) -> Html:
    return card(f"{len(value):,} epochs", *_course(value))


def fitted(value: Fitted) -> Html:
    title = f"'{value.graph.name}', trained: {len(value.weights):,} arrays in {len(value.history):,} epochs"
    return card(title, *_course(value.history), _drawn(value.graph))


def inspection(value: Inspection) -> Html:
    known = {"parameters": value.parameters, "multiply-accumulates": value.macs, "opset": value.opset}
    facts = [(name, f"{number:,}") for name, number in known.items() if number is not None]
    ports = [("input", port.name, str(port)) for port in value.inputs]
    ports += [("output", port.name, str(port)) for port in value.outputs]
    operators = [(name, f"{count:,}") for name, count in sorted(value.operators.items())]
    return card(
        f"Model '{value.name}'",
        pairs([*facts, *([("producer", value.producer)] if value.producer else [])]),
        rows(["", "name", "type"], ports),
        rows(["operator", "nodes"], operators, right=(1,)),
        [missing(f"{problem.message} ({problem.count}×)") for problem in value.problems],
    )


def _drawn(value: Graph) -> Html:
    """The drawing in a frame that scrolls, or a sentence."""
    boxes = sum(node.op.source != "constant" for node in value) + len(value.outputs)
    if boxes > MOST_DRAWN:
        return missing(f"The graph has {boxes:,} boxes: cnncc.drawing.draw(graph) draws it all the same.")
    return tag("div", Html(draw(value)), class_="canvas", tabindex=0)


def _table(value: Summary) -> Html:
    right = [HEADINGS.index("parameters"), HEADINGS.index("MACs")]
    return rows(HEADINGS, [row.cells for row in value.rows], right, total=value.total)


def _ports(inputs: tuple[NamedPort, ...], outputs: tuple[NamedPort, ...]) -> Html:
    kinds = [("input", port) for port in inputs] + [("output", port) for port in outputs]
    return rows(["", "name", "element", "shape"], [(k, p.name, p.dtype, _shape(p.shape)) for k, p in kinds])


def _shape(shape: Sequence[int | str] | None) -> str:
    return "any" if shape is None else "×".join(map(str, shape)) or "a number"


def _course(value: History) -> list[Part]:
    """Losses as lines, and a row for each epoch with what is known of it."""
    losses: dict[str, list[float | None]] = {
        "loss": [epoch.loss for epoch in value],
        "validation": [epoch.validation_loss for epoch in value],
        "accuracy": [epoch.accuracy for epoch in value],
        "validation accuracy": [epoch.validation_accuracy for epoch in value],
    }
    known = {name: numbers for name, numbers in losses.items() if any(number is not None for number in numbers)}
    cells = [
        [epoch.number + 1, *("" if number is None else f"{number:.4g}" for number in numbers)]
        for epoch, *numbers in zip(value, *known.values(), strict=True)
    ]
    shown = rows(["epoch", *known], cells, right=range(len(known) + 1))
    return [curves({name: numbers for name, numbers in known.items() if "accuracy" not in name}), shown]
