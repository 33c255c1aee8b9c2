"""The table of attributes at their edges: a row for every attribute of every op, made from how it is declared.

Each value is refused by the type rule, or the op then computes what its definition says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.op import REGISTRY, Op, Sample

INF, NAN = math.inf, math.nan
WRONG: tuple[Any, ...] = ("1", 1j, {}, None, True, [1.0])
NUMBERS = (
    *(float(np.float32(x)) for x in (-INF, -3e38, -2, -1, -0.5, -1e-40, -0.0, 0, 1e-45, 1e-40, 0.5, 1, 3e38, INF, NAN)),
    2,
)
BEYOND = (1e39, -1e39, 1e-50, 10**400)
WHOLE = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 2**31, 2**63, 10**30, 1.0, NAN, False, (1,), ())
TUPLES = (
    *((), (0,), (1,), (-1,), (3,), (1, 1), (0, 1), (1, 0), (-1, 0), (2, 2), (3, 2), (9, 9), (0, 0), (2**31,) * 2),
    *((2**63,) * 2, (1.0, 1.0), (True, True), ("a", "b"), (None, None), (NAN, NAN), (1, 1, 1), (0, 1, 2, 3), "11", 1),
    *((3, 2, 1, 0), (0, 1, 2, 2), (1, 1, 1, 1), (-1, -1), (10**30, 1)),
)
PAIRS = (
    *(((0, 0),) * 4, ((0, 0), (0, 0), (1, 1), (2, 0)), ((-1, 0),) * 4, ((-9, 0),) * 4, ((0, 0),) * 3, ((1, 2), (3, 4))),
    *(((True, True),) * 4, ((1.5, 1),) * 4, ((1,),) * 4, (1, 1, 1, 1), (((0, 0),) * 3 + ((2**40, 0),))),
)
PADDINGS = ("valid", "same", "full", "none", "", 0, 1, 7, -1, 2**40, ((1, 0), (0, 1)), ((5, 5), (5, 5)), ((1,), (1,)))
SCALES = (*((value,) * 2 for value in (*NUMBERS, *BEYOND, "1", None, True)), (1.0,), (2.0, 0.5))
TEXTS = (
    "",
    "none",
    "int32",
    "max",
    "average",
    "DCR",
    "CRD",
    "linear",
    "cubic",
    "nearest",
    "floor",
    "asymmetric",
    "reflect",
    0,
)
EDGES: dict[str, tuple[Any, ...]] = {
    "float": (*NUMBERS, *BEYOND, *WRONG),
    "int": (*WHOLE, *WRONG),
    "bool": (True, False, 0, 1, 2.0, "1", None),
    "str": (*TEXTS, *WRONG),
    "Any": (*WHOLE, *TUPLES, *WRONG, ((0, 1), (1, 0)), ((0, 1), (1,))),
    "Padding": (*PADDINGS, *TUPLES, *WRONG),
    "tuple[int, ...]": (*TUPLES, *WRONG),
    "tuple[float, ...]": (*SCALES, *TUPLES, *WRONG),
    "tuple[tuple[int, int], ...]": (*PAIRS, *TUPLES, *WRONG),
}
"""Values for each way to declare an attribute."""

TOO_LONG = {("LRN", "size"): (2**31, 2**63, 10**30)}
"""Values for which naive loops would take years."""

LARGEST = 1500
"""Elements of results that are looked at."""


def rows() -> Iterator[tuple[type[Op], str]]:
    """Every attribute of every op."""
    for op in REGISTRY.values():
        if next(iter(op.samples()), None) is not None:
            yield from ((op, field.name) for field in fields(op))


def edges(op: type[Op], attribute: str) -> list[Any]:
    """The values to be tried, for all ways in which it is declared."""
    (kinds,) = (str(field.type).split(" | ") for field in fields(op) if field.name == attribute)
    kinds = ["str" if kind.startswith("Literal") else kind for kind in kinds]
    values = [value for kind in kinds if kind != "None" for value in EDGES[kind]]
    return list({repr(value): value for value in values}.values())


def accepted(op: type[Op], attribute: str) -> Iterator[tuple[Any, Sample]]:
    """The values that the type rule takes, with the first sample that each fits; all others raise ShapeError."""
    for value in edges(op, attribute):
        for sample in op.samples():
            changed = replace(sample.op, **{attribute: value})
            try:
                results = changed.infer(*sample.types)
            except ShapeError as error:
                assert str(error)
                continue
            small = sum(type.size for type in results) <= LARGEST
            if small and value not in TOO_LONG.get((op.__name__, attribute), ()):
                yield value, replace(sample, op=changed)
            break


each_row = pytest.mark.parametrize(("op", "attribute"), list(rows()), ids=[f"{op.__name__}.{a}" for op, a in rows()])

SPECIAL = np.array(
    [
        *(NAN, INF, -INF, 0.0, -0.0, 1e-40, -1e-40, 1e-20, -1e-20, 3e38, -3e38, 1e20, -1e20, 1e4, -1e4),
        *(88.8, -88.8, 104, -104, 0.5, -0.5, 1, -1, 2, -2, 2.5, -2.5, 3, -3, 6, 0.1, -0.1),
    ],
    np.float32,
)
"""What element-wise ops are given."""
