"""Stages of the compilation as data: what `show --json` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..ir import Graph, Node, Value
from ..plan.hot import hot_buffers
from ..plan.memory_picture import memory_picture
from ..plan.plan import Plan
from ..plan.text import copied_bytes, roles_of, view_order
from ..plan.views import View
from ..types import EmptyType, TensorType
from .documents import document

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..passes import Applied, Missed


def stage_document(compilation: Compilation, stage: str, after: bool, text: str | None) -> dict[str, Any]:
    """The document of a stage: its data under its name (of a graph, of that `after` the passes), or else its text."""
    facts: dict[str, Any] = {"model": compilation.graph.name, "target": compilation.options.target.name}
    if text is not None:
        shown: dict[str, Any] = {"text": text}
    elif stage == "graph":
        shown = {stage: _graph(compilation.optimised.graph if after else compilation.graph)}
    else:
        shown = {stage: _STAGES[stage](compilation)}
    return document("show", **facts, stage=stage, **shown)


def _graph(graph: Graph) -> dict[str, Any]:
    return {
        "labels": graph.labels,
        "nodes": [_node(node) for node in graph],
        "outputs": _values(graph.outputs),
        "updates": _values(graph.updates),
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "op": node.op.name,
        "spelled": str(node.op),
        "source": node.op.source,
        "inputs": list(map(_value, node.inputs)),
        "types": list(map(_type, node.types)),
    }


def _values(named: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"name": name, "value": _value(value)} for name, value in named.items()]


def _value(value: Value) -> dict[str, Any]:
    return {"node": value.node, "index": value.index}


def _type(type: TensorType | EmptyType) -> dict[str, Any]:
    return {"element": str(type.dtype), "shape": type.shape}


def _passes(compilation: Compilation) -> dict[str, Any]:
    optimised = compilation.optimised
    return {"entries": [_entry(entry) for entry in optimised.log], "graph": _graph(optimised.graph)}


def _entry(entry: Applied | Missed) -> dict[str, Any]:
    """Both kinds with the same fields; those of the other kind are empty."""
    names = "rule", "tag", "detail", "bound", "absorbed", "same", "why"
    told = {name: getattr(entry, name, None) for name in names}
    return {"pass": entry.pass_name, "layer": entry.layer, "applied": told["why"] is None, **told}


def _plan(compilation: Compilation) -> dict[str, Any]:
    plan = compilation.plan
    return {
        "images": plan.images,
        "batchable": plan.batchable,
        "stages": [{**vars(stage), "tile": stage.tile.images if stage.tile else 0} for stage in plan.stages],
        "steps": [_step(plan, number) for number in range(len(plan.steps))],
    }


def _step(plan: Plan, number: int) -> dict[str, Any]:
    step = plan.steps[number]
    sources = [_view(plan, role, view) for role, view in zip(roles_of(step), step.sources, strict=True)]
    return {
        "number": number,
        "layer": step.name,
        "kernel": step.kernel.describe(),
        "label": step.label,
        "signature": step.signature,
        "macs": step.macs,
        "copied_bytes": copied_bytes(plan, step),
        "by_images": step.by_images,
        "views": [*sources, _view(plan, "result", step.target)],
    }


def _view(plan: Plan, role: str, view: View) -> dict[str, Any]:
    buffer = plan.buffer(view)
    order = view_order(view) if view.rank > 1 else ""
    facts = {"role": role, "buffer": buffer.name, "space": buffer.space, "element": buffer.dtype.name}
    return {**facts, "shape": view.shape, "strides": view.strides, "order": order}


def _memory(compilation: Compilation) -> dict[str, Any]:
    picture = memory_picture(compilation.plan)
    told = {name: getattr(picture, name) for name in picture.__dataclass_fields__ if name != "peak_buffers"}
    return {
        "workspace_bytes": picture.workspace_bytes,
        "stack_bytes": compilation.stack_bytes,
        **told,
        "peak_buffers": [{"name": name, "bytes": size} for name, size in picture.peak_buffers],
        "hot": hot_buffers(compilation.plan),
    }


_STAGES: dict[str, Callable[[Compilation], dict[str, Any]]] = {
    "passes": _passes,
    "plan": _plan,
    "memory": _memory,
}
