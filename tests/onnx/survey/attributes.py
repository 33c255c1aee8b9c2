"""The attributes of one version of an operator: which values are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import onnx
from onnx import defs, helper

from .models import NUMBERS, node, refusal, with_attribute
from .types import NAMES, elements

MODES = ("constant", "reflect", "edge", "wrap", "nearest", "linear", "bilinear", "cubic", "bicubic", "DCR", "CRD")
TEXTS: dict[str, tuple[str, ...]] = {
    "approximate": ("none", "tanh"),
    "auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
    "coordinate_transformation_mode": (
        *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"),
        *("tf_half_pixel_for_nn", "tf_crop_and_resize"),
    ),
    "direction": ("LEFT", "RIGHT"),
    "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
    "mode": MODES,
    "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    "padding_mode": ("zeros", "border", "reflection"),
    "reduction": ("none", "add", "mul", "max", "min"),
    "round_mode": ("up", "down", "nearest"),
}
"""The values of attributes that are texts; those that a version's own description does not name are left out."""

RESULTS = ("dtype", "output_dtype", "to")
"""Attributes that are the element type of the result, as a number, or up to opset 5 as its name."""

PRECISIONS = ("precision", "softmax_precision", "stash_type")
"""Attributes that are the element type in which something is computed."""

Models = list[tuple[str, onnx.ModelProto]]


def refused(schema: defs.OpSchema, models: Models) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Each attribute with the values that are refused; None if no value is taken."""
    for name, attribute in sorted(schema.attributes.items()):
        found = verdicts(schema, attribute, models)
        values = tuple(value for value, good in found.items() if not good and value)
        yield name, values if any(found.values()) or not found else None


def verdicts(schema: defs.OpSchema, attribute: defs.OpSchema.Attribute, models: Models) -> dict[str, bool]:
    """Of each value whether some model with it is taken; without those that fit no model.

    The text '' stands for all values: no model with the attribute is taken.
    """
    found: dict[str, bool] = {}
    name = attribute.name
    for _, proto in models:
        for given in node(proto, schema.name).attribute:
            if given.name == name:
                judge(found, name, shown(given), proto)
        for value, told in values(schema, attribute):
            if not found.get(told):
                judge(found, name, told, with_attribute(proto, schema.name, name, value))
    return found


def judge(found: dict[str, bool], name: str, told: str, proto: onnx.ModelProto) -> None:
    why = refusal(proto)
    key = "" if f"with attribute {name} is" in why else told
    if not why or "not supported" in why:
        found[key] = found.get(key, False) or not why


def values(schema: defs.OpSchema, attribute: defs.OpSchema.Attribute) -> list[tuple[Any, str]]:
    """Values to try, and how they are told."""
    kinds, name = defs.OpSchema.AttrType, attribute.name
    if name in (*RESULTS, *PRECISIONS):
        able = ["float", "float16", "double"] if name in PRECISIONS else results(schema)
        return [(e.upper() if attribute.type == kinds.STRING else NUMBERS[e], NAMES.get(e, e)) for e in able]
    if attribute.type == kinds.INT:
        return [(number, str(number)) for number in ((1, 2, 3) if name == "p" else (0, 1))]
    if attribute.type == kinds.FLOAT:
        return [(number, str(number)) for number in (0.5, 1.0, 2.0)]
    if attribute.type == kinds.STRING:
        described = attribute.description + str(attribute.default_value.s)
        return [(value, value) for value in TEXTS.get(name, ()) if re.search(rf"\b{value}\b", described)]
    return []


def results(schema: defs.OpSchema) -> list[str]:
    """The element types that the result may have."""
    made = {port.type_str for port in schema.outputs}
    return elements([c for c in schema.type_constraints if c.type_param_str in made][-1])


def shown(attribute: onnx.AttributeProto) -> str:
    """A value as it is told; '' for lists, tensors and graphs."""
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    return str(value) if isinstance(value, int | float) else ""
