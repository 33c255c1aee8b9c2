"""Values in types that JSON has, and no number that it does not have."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import Any


def plain(value: Any) -> Any:
    """A value whose parts are dataclasses, mappings, sequences, sets, paths, numbers and texts, for `json.dumps`.

    Keys are texts, sets are sorted lists, and numbers that are not finite are `number`'s texts. What else there is
    stays as it is.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, Set):
        return sorted(map(plain, value))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(part) for part in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else number(value)


def number(value: Any) -> Any:
    """A number as JSON knows it; "NaN", "Infinity" and "-Infinity" as text, like protobuf's JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
