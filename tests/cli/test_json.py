"""`--json`: every verb prints one document, with exactly the fields that `cnncc/cli/JSON.md` lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncc.check.model import Finding
from cnncc.cli.parser import VERBS
from cnncc.faults.against import Tensor
from cnncc.faults.blame import Blame
from cnncc.learning.history import Epoch, History
from cnncc.measure.counting import Counts, FunctionCount
from cnncc.measure.peers import PeerTiming
from cnncc.measure.tuning import Change

from .conftest import DIGITS, PICTURES, ROOT, Cli, Result
from .test_blame import plant, scaled

PAGE = ROOT / "cnncc" / "cli" / "JSON.md"
TYPES = {"text": str, "number": (int, float), "flag": bool, "list": list, "object": dict, "null": type(None)}
NO_NUMBERS = ("NaN", "Infinity", "-Infinity")


@dataclass
class Field:
    """A row's word: which types a value has, whether it may be missing, and the fields inside."""

    types: tuple[str, ...] = ()
    optional: bool = False
    inside: dict[str, Field] = field(default_factory=dict)


@cache
def page() -> dict[str, Field]:
    """The tables by their headings, each as a tree of fields."""
    found: dict[str, Field] = {}
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        rows = re.findall(r"^\| (`.+`) \| (.+?) \| (?:.*\|)$", text, re.MULTILINE)
        root = Field(("list",) if any(names.startswith("`[]") for names, _ in rows) else ("object",))
        for names, types in rows:
            for path in paths(re.findall(r"`([^`]+)`", names)):
                leaf = place(root, path)
                assert not leaf.types, f"{heading}: {names} stands there twice"
                leaf.types, leaf.optional = tuple(types.rstrip("?").split(" or ")), types.endswith("?")
        found[heading] = root
    return found


def paths(names: Sequence[str]) -> Iterator[str]:
    """A row's paths: those that begin with a dot stand beside the first, and braces hold alternatives."""
    beside = names[0].rpartition(".")[0]
    for name in names:
        yield from expanded(beside + name if name.startswith(".") else name)


def expanded(path: str) -> Iterator[str]:
    before, brace, rest = path.partition("{")
    inside, _, after = rest.partition("}")
    for word in inside.split(",") if brace else [""]:
        yield from expanded(before + word + after) if brace else [path]


def place(root: Field, path: str) -> Field:
    for word in re.findall(r"\[\]|[^.\[\]]+", path):
        root = root.inside.setdefault(word, Field())
    return root


def compare(value: Any, expected: Field, where: str, seen: set[int], *, whole: bool = True) -> None:
    """The value has the types and fields of the page, all of them if it is `whole`."""
    seen.add(id(expected))
    text_for_number = "number" in expected.types and value in NO_NUMBERS if isinstance(value, str) else False
    right = [kind for kind in expected.types if isinstance(value, TYPES[kind])]  # type: ignore[arg-type]
    assert text_for_number or (right and not (isinstance(value, bool) and "flag" not in expected.types)), (where, value)
    if isinstance(value, list) and "[]" in expected.inside:
        inner = expected.inside["[]"]
        inner.types = inner.types or ("object",)
        for part in value:
            compare(part, inner, f"{where}[]", seen, whole=whole)
    elif isinstance(value, dict):
        free = expected.inside.get("*")
        for name, part in value.items():
            assert free or name in expected.inside, f"{where}.{name} is not on the page"
            compare(part, free or expected.inside[name], f"{where}.{name}", seen, whole=whole)
        missing = {name for name, one in expected.inside.items() if not one.optional and name != "*"} - value.keys()
        assert not (whole and missing), f"{where} has no {missing}"
    elif isinstance(value, list):
        assert not any(isinstance(part, dict) for part in value), f"objects of {where} are not on the page"


def compare_kept(section: str, value: Any) -> None:
    """A document of an earlier version has only fields that the page still lists, with the types of today.

    Fields that were added since then are missing in it.
    """
    compare(value, page()[section], section, set(), whole=False)


def strict(text: str) -> Any:
    """What the text says, by the standard alone."""

    def refused(word: str) -> Any:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refused)


def unseen(root: Field, seen: set[int], path: str = "") -> Iterator[str]:
    for name, one in root.inside.items():
        where = f"{path}.{name}".replace(".[]", "[]").lstrip(".")
        if one.types and id(one) not in seen:
            yield where
        yield from unseen(one, seen, where)


@pytest.fixture
def words(tmp_path: Path) -> dict[str, list[list[object]]]:
    """Calls of each section of the page, which together show all fields but those of `ELSEWHERE`."""
    images = np.load(PICTURES / "held_out.npz")
    np.savez(tmp_path / "data.npz", x=images["images"][:64, None] / np.float32(255), y=images["labels"][:64])
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "fails.py").write_text("import sys\nsys.exit('Softmax' not in open(sys.argv[1]).read())\n")
    seven = PICTURES / "7.png"
    step = ["--step", "--batch", "1", "--train", "dense2*", "--optimiser", "adamw"]
    fitted = ["--epochs", "1", "--validation", "0.2", "--metric", "top-5", "--train", "dense2*"]
    return {
        "compile": [["-o", tmp_path / "a"], ["-o", tmp_path / "b", "--target", "cortex-m0plus", "--kinds", "o,h"]],
        "run": [
            [seven, PICTURES / "3.png", "-o", tmp_path / "y.npz"],
            [seven, tmp_path / "bad.png", "-o", tmp_path / "rows.csv"],
            [seven, "--dump", "conv1", "--dump-to", tmp_path / "dump.npz"],
        ],
        "check": [[]],
        "fit": [["--data", tmp_path / "data.npz", *fitted, "-o", tmp_path / "w.npz"]],
        "show": [*(["--stage", stage] for stage in ("graph", "passes", "plan", "memory", "asm")), step],
        "why": [[]],
        "bench": [["--seconds", "0.02", "--layers"]],
        "weights": [["-o", tmp_path / "weights"]],
        "inspect": [[]],
        "report": [["-o", tmp_path / "page.html", "--seconds", "0.01", "--no-check"]],
        "reduce": [["-o", tmp_path / "bug.py", "--predicate", tmp_path / "fails.py", "--seconds", "2"]],
    }


ELSEWHERE = {
    "compile": {"tuned"},
    "check": {"size", "rewrite[].inner[]", "kernels[].inner[]", "outputs[].inner[]", "blame", "tensors"},
    "bench": {"tuned", "against", "size"},
    "why": {"aliases.*", "idle"},
    "show": {"passes.graph.updates"},
    "inspect": {"problems", "open.*", "at.*"},
}
"""What a model of one size in a script has not, or takes long: the tests below, or those of the verb, look at it."""
MACHINE = {"machine": [[], ["--measure"]], "targets": [[]], "cache": [[], ["--clear"]], "ops": [[], ["--onnx"]]}
"""Verbs that take no model."""


def printed(result: Result) -> Any:
    assert result.code == 0, result.err
    return strict(result.out)


@pytest.mark.parametrize(
    "verb", ["compile", "run", "check", "fit", "show", "why", "report", "reduce", "bench", "weights", "inspect"]
)
def test_the_page_has_the_fields(verb: str, cli: Cli, words: dict[str, list[list[object]]]) -> None:
    seen: set[int] = set()
    for more in words[verb]:
        compare(printed(cli(verb, DIGITS, *more, "--json")), page()[verb], verb, seen)
    hidden = ELSEWHERE.get(verb, set())
    left = [path for path in unseen(page()[verb], seen) if not any(path.startswith(name) for name in hidden)]
    assert left == []


@pytest.mark.parametrize("verb", MACHINE)
def test_the_page_has_the_fields_without_a_model(verb: str, cli: Cli, relu: Any) -> None:
    seen: set[int] = set()
    cli("compile", relu("3"), "-o", relu("3").parent / "out", "--kinds", "o")  # an entry of the cache
    for more in MACHINE[verb]:
        compare(printed(cli(verb, *more, "--json")), page()[verb], verb, seen)
    assert list(unseen(page()[verb], seen)) == []


@pytest.mark.parametrize(
    ("section", "path", "kind"),
    [
        ("compile", "tuned[]", Change),
        ("bench", "tuned[]", Change),
        ("bench", "against[]", PeerTiming),
        ("check", "kernels[].inner[]", Finding),
        ("check", "blame", Blame),
        ("check", "tensors[]", Tensor),
        ("bench --target of another machine", "functions[]", FunctionCount),
        ("bench --target of another machine", "", Counts),
    ],
)
def test_the_page_has_the_fields_of_what_takes_long(section: str, path: str, kind: Any) -> None:
    listed = place(page()[section], path).inside.keys() - {"cnncc bench", "size", "model", "target", "macs"}
    assert listed == {item.name for item in fields(kind)}


def test_every_verb_has_a_section() -> None:
    assert {heading.split()[0] for heading in page()} == VERBS.keys() - {"completion"}


def test_problems_of_a_model(cli: Cli, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", 4]) for name in "xyz"]
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Bernoulli", ["y"], ["z"])]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[2:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx"
    )
    seen: set[int] = set()
    compare(printed(cli("inspect", tmp_path / "net.onnx", "--json")), page()["inspect"], "inspect", seen)
    hidden = [path for path in unseen(page()["inspect"], seen) if not path.startswith("at")]
    assert hidden == []


def test_numbers_that_json_has_not(cli: Cli, relu: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[np.nan, np.inf, 1.5]], np.float32))
    found = printed(cli("run", relu("3"), tmp_path / "x.npy", "--top", "0", "--json"))
    (output,) = found["calls"][0]["outputs"]
    assert output["values"] == [["NaN", "Infinity", 1.5]]
    assert (output["min"], output["max"], output["nan"]) == (1.5, "Infinity", 1)
    compare(found, page()["run"], "run", set())
    assert strict(History([Epoch(0, float("nan"), 0.1)]).to_json())[0]["loss"] == "NaN"


def test_large_outputs_are_left_out(cli: Cli, relu: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 1001), np.float32))
    (output,) = printed(cli("run", relu("1001"), tmp_path / "x.npy", "--json"))["calls"][0]["outputs"]
    assert output["values"] is None and output["shape"] == [1, 1001]


def test_a_failure_is_a_sentence(cli: Cli) -> None:
    result = cli("run", DIGITS, PICTURES / "7.png", "--target", "cortex-m4", "--json")
    assert (result.code, result.out) == (7, "") or (result.code == 2 and result.out == "")
    assert result.err == "cnncc: this machine cannot run model 'digits', compiled for 'cortex-m4'\n"


def test_differences_are_a_document_and_a_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "spoil", "exact", scaled("dense1.weights", 2), "fuse")
    result = cli("check", DIGITS, "--json")
    found = strict(result.out)
    compare(found, page()["check"], "check", set())
    assert result.code == 6 and result.err == f"cnncc: {found['error']}\n" and found["blame"]


def test_a_model_that_does_not_compile_has_a_report(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("from cnncc import nn\nmodel = nn.Sequential(nn.Conv(4, 3), input=(1, 2, 2))\n")
    result = cli("report", tmp_path / "bad.py", "-o", tmp_path / "page.html", "--json")
    found = strict(result.out)
    compare(found, page()["report"], "report", set())
    assert result.code == 3 and result.err == f"cnncc: {found['error']}\n"


def test_completion_is_no_document(cli: Cli) -> None:
    result = cli("completion", "bash", "--json")
    assert (result.code, result.out) == (2, "")
