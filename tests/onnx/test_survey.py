"""The table of operators does not lie: what it says is what the importer does, for each operator, version and type."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("onnx")

from onnx import defs

import cnncc
from cnncc.errors import ModelError
from cnncc.frontends.onnx.folding import FOLDS
from cnncc.frontends.onnx.read import NEWEST
from cnncc.frontends.onnx.supported import Form, operator_of, operators
from cnncc.frontends.onnx.table import OPERATORS

from .survey.samples import EXPERIMENTAL, versions
from .survey.trial import Version
from .survey.write import plain, surveyed

TOLD = operators()
pytestmark = pytest.mark.skipif(defs.onnx_opset_version() < NEWEST, reason="an onnx package without the newest opsets")


def told(name: str, opset: int) -> Form:
    """What the table says of an opset, as if it were said of that one alone."""
    form = next(form for form in TOLD[name].forms if form.first <= opset <= form.last)
    return dataclasses.replace(form, first=opset, last=opset)


def alive(name: str) -> list[int]:
    """Versions that the installed package knows and the standard did not drop."""
    return [v for v in versions(name) if v != TOLD[name].dropped]


def test_every_operator_of_the_importer_is_in_the_table() -> None:
    assert list(TOLD) == sorted({*OPERATORS, *FOLDS})


@pytest.mark.parametrize("name", TOLD)
def test_the_newest_form_is_what_the_importer_does(name: str) -> None:
    """Each element type and attribute that is told as taken is, and each other one of the standard is refused.

    If not, `python -m tests.docs.generated` tries everything again and writes the table.
    """
    newest = alive(name)[-1]
    assert told(name, newest) == Version(name, newest, newest).form()


@pytest.mark.tools
@pytest.mark.parametrize("name", TOLD)
def test_all_forms_are_what_the_importer_does(name: str) -> None:
    assert operator_of(name, plain(TOLD[name])) == TOLD[name] == surveyed(name)


def test_nothing_of_the_standard_is_left_untried() -> None:
    """All inputs of the newest versions are in some model but for these, and all attributes are in the table."""
    for name in sorted(set(TOLD) - set(EXPERIMENTAL)):
        schema = defs.get_schema(name, alive(name)[-1])
        form = told(name, schema.since_version)
        assert [port.name for port in form.inputs] == [port.name for port in schema.inputs], name
        assert list(form.attributes) == sorted(schema.attributes), name
        constraints = [c.type_param_str for c in schema.type_constraints]
        used = [port.type_str for port in schema.inputs]
        assert set(form.types) == {name for name in constraints if name in used}, name


@pytest.mark.parametrize("name", ["Clip", "GatherElements", "LRN", "Mod", "Where"])
def test_what_is_taken_compiles(name: str) -> None:
    version = alive(name)[-1]
    trial = Version(name, version, version)
    for constraint in trial.constraints:
        types = told(name, version).types[constraint.type_param_str]
        for element in types:
            onnx_name = "float" if element == "float32" else element
            proto = trial.with_type(trial.arriving(constraint.type_param_str)[0], constraint.type_param_str, onnx_name)
            cnncc.compile(proto, cache=False).close()


def test_one_that_is_refused_says_so() -> None:
    trial = Version("Conv", 22, 22)
    with pytest.raises(ModelError, match="an input of type float64 is not supported"):
        cnncc.load_graph(trial.with_type(trial.arriving("T")[0], "T", "double"))
