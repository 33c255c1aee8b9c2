"""The reasons as JSON: `SCHEMA` counts the versions of the format, which the room's page describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ..errors import Location
from ..types import EmptyType, TensorType
from .names import Names
from .reasons import Explanation, LayerReasons, StepReasons

SCHEMA = 1
DERIVED: Mapping[type, tuple[str, ...]] = {
    StepReasons: ("bytes", "bound_cycles", "intensity"),
    LayerReasons: (
        "multiply_accumulates",
        "multiplied",
        "bytes_read",
        "bytes_written",
        "bytes",
        "weights_bytes",
        "cycles",
        "bound",
        "intensity",
    ),
}
"""Properties that stand beside the fields."""


def plain(explanation: Explanation, names: Sequence[str] = ()) -> dict[str, Any]:
    """All of an explanation; of its layers only those to which names lead, if there are some.

    Numbers, texts, lists and dicts: `json.dumps` takes it. Raises UsageError for a name that nothing has.
    """
    known = Names.of(explanation)
    asked = {layer for name in names for layer in known.layers(name)}
    told = [layer for layer in explanation.layers if not names or layer.name in asked]
    whole = {
        field.name: _plain(getattr(explanation, field.name)) for field in fields(explanation) if field.name != "layers"
    }
    return {"cnncc explanation": SCHEMA, **whole, "layers": [_plain(layer) for layer in told]}


def _plain(value: Any) -> Any:
    if isinstance(value, Location):
        return str(value)
    if isinstance(value, TensorType | EmptyType):
        return {"element": str(value.dtype), "shape": list(value.shape)}
    if is_dataclass(value):
        own = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return own | {name: _plain(getattr(value, name)) for name in DERIVED.get(type(value), ())}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value
