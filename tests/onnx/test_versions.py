"""What the standard itself says about attributes, for the version of each operator that a case has.

The schemas of the `onnx` package name the attributes of every version, their defaults, and those that must be there.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import defs, helper

from cnncc import interpreter
from cnncc.errors import ModelError
from cnncc.frontends.onnx.read import NEWEST

from .cases import case as made
from .cases_elements import EVERY
from .making import X
from .support import Case, imported, model, node

VERSIONS = [
    made(operator, X, opset=version)
    for operator in ("Abs", "Ceil", "Elu", "Exp", "Floor", "HardSigmoid", "LeakyRelu", "Log", "Neg", "Relu", "Selu")
    for version in (1, 6, 13)
]
NOT_THEIR_DEFAULT = {"is_test"}
"""0 is training, by the text of opset 1 to 6; where it is left out, the number of outputs tells."""


def schema(case: Case) -> defs.OpSchema:
    return defs.get_schema(case.operator, case.opset)


def defaults(case: Case) -> dict[str, Any]:
    """The attributes that the case leaves out, with the standard's defaults."""
    every = schema(case).attributes
    return {
        name: helper.get_attribute_value(attribute.default_value)
        for name, attribute in every.items()
        if attribute.default_value.type and name not in {*case.attributes, *NOT_THEIR_DEFAULT}
    }


WITH_DEFAULTS = {str(case): case for case in [*EVERY, *VERSIONS] if defaults(case)}


@pytest.mark.parametrize("case", WITH_DEFAULTS.values(), ids=str)
def test_defaults_may_be_spelled_out(case: Case, tmp_path: Path, rng: np.random.Generator):
    """So every attribute of every version is read, and left out it means what the standard says."""
    spelled = dataclasses.replace(case, attributes={**case.attributes, **defaults(case)})
    feeds = case.feeds(rng)
    wanted, actual = (interpreter.run(imported(one.model, tmp_path), feeds) for one in (case, spelled))
    for name, values in wanted.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-6, atol=1e-6)


REQUIRED = {
    (case.operator, name, case.opset): case
    for case in EVERY
    for name, attribute in schema(case).attributes.items()
    if attribute.required and name in case.attributes
}


@pytest.mark.parametrize("key", REQUIRED, ids=str)
def test_what_must_be_there_is_missed(key: tuple[str, str, int], tmp_path: Path):
    operator, name, _ = key
    case = REQUIRED[key]
    less = {other: value for other, value in case.attributes.items() if other != name}
    with pytest.raises(ModelError) as error:
        imported(dataclasses.replace(case, attributes=less).model, tmp_path)
    assert f"{operator} without " in str(error.value) and name in str(error.value)


def test_attributes_of_no_version_are_refused(tmp_path: Path):
    for case in {case.operator: case for case in EVERY}.values():
        strange = dataclasses.replace(case, attributes={**case.attributes, "of_no_version": 1})
        assert "of_no_version" not in schema(case).attributes
        with pytest.raises(ModelError, match="with attribute of_no_version is not supported"):
            imported(strange.model, tmp_path)


@pytest.mark.parametrize("opset", [0, -1, NEWEST + 1, 2**40])
def test_opsets_that_nobody_has_read(opset: int, tmp_path: Path):
    """They may give operators other meanings."""
    with pytest.raises(ModelError) as error:
        imported(model([node("Relu", "x", "y")], {"x": (1, 3)}, opset=opset), tmp_path)
    assert str(error.value).endswith(f"small.onnx' is of opset {opset}; opsets 1 to {NEWEST} are supported")


def test_the_newest_opset(tmp_path: Path):
    assert list(imported(model([node("Relu", "x", "y")], {"x": (1, 3)}, opset=NEWEST), tmp_path).nodes) == ["x", "y"]
