"""The report: whole where everything is there, and where something is missing; nothing in it comes from outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.api import open_source
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import InputError, ModelError, OutputError, PeerError, UsageError
from cnncc.measure.peers import PeerTiming
from cnncc.report import Report, Request, gather, page, report
from cnncc.report.chart import LINE, Labels, Scale, decades
from cnncc.report.facts import Facts, Peers, Stopped
from cnncc.report.html import Html, join, table, tag
from cnncc.report.numbers import digits, micros, nbytes
from cnncc.report.page import SECTIONS
from cnncc.runtime.model import Model

from .support import ODD, QUICK, Page, page_of, reported, skipping

DIGITS = "examples/digits.py"


@pytest.fixture(scope="module")
def facts() -> Facts:
    options = Options(resolve_target("host"))
    found, error = gather.facts_of(Compilation(cnncc.load_graph(DIGITS), options), QUICK)
    assert error is None
    return found


@pytest.fixture(scope="module")
def shown(facts: Facts) -> Page:
    return page_of(page.html_of(facts))


@pytest.fixture(scope="module")
def odd() -> Report:
    return reported(skipping())


def test_every_section_is_there(shown: Page) -> None:
    assert {name for name, *_ in SECTIONS} <= set(shown.ids)
    for title in ("Candidates for the layer", "Alive at the peak, at layer conv2", "Passes", "Hashes", "Calls"):
        assert title in shown.text
    assert "fold_batch_norm" in shown.text and "NumPy" in shown.text


def test_ids_are_unique_and_links_lead_to_them(shown: Page) -> None:
    assert len(shown.ids) == len(set(shown.ids))
    assert {link[0] for link in shown.links} == {"#"}
    assert {link[1:] for link in shown.links} <= set(shown.ids)


def test_every_layer_has_its_reasons(facts: Facts, shown: Page) -> None:
    assert not isinstance(facts.optimised, Stopped)
    layers = {node.name for node in facts.optimised if node.op.source is None}
    reasons = [value for name, value in shown.attributes if name == "data-layer"]
    assert layers <= set(reasons)
    assert len([value for value in shown.ids if value.startswith("layer-")]) == len(layers)
    assert isinstance(facts.reasons, Stopped) or layers == {layer.name for layer in facts.reasons.layers}


def test_nothing_comes_from_elsewhere(facts: Facts) -> None:
    html = page.html_of(facts)
    assert not re.search(r'<link|@import|url\(|\bsrc=|https?://(?!www\.w3\.org/2000/svg")', html)
    assert html.count("<script>") == html.count("</script>") == 1


def test_times_before_and_after(facts: Facts) -> None:
    before = facts.before_us()
    assert not isinstance(facts.after, Stopped) and not isinstance(facts.before, Stopped)
    assert set(before) <= {*facts.after.us, ""}
    assert sum(before.values()) == pytest.approx(sum(facts.before.us.values()))
    assert before["conv1"] >= sum(facts.before.us[name] for name in ("conv1", "relu1", "pool1"))


@pytest.mark.parametrize("which", ["digits", "odd"])
def test_pictures_are_xml(which: str, facts: Facts, odd: Report) -> None:
    html = page.html_of(facts) if which == "digits" else odd.html
    pictures = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    assert len(pictures) >= 4
    for text in pictures:
        ET.fromstring(text)


def test_names_are_escaped(odd: Report) -> None:
    found = page_of(odd.html)
    assert ODD in [value for name, value in found.attributes if name == "data-layer"]
    assert found.tags.count("script") == 1
    assert "</script>'" not in odd.html.partition("<script>")[2].partition("</script>")[0]


def test_the_same_facts_give_the_same_page(facts: Facts) -> None:
    assert page.html_of(facts) == page.html_of(facts)
    one, other = (_untimed("windows-x86-64") for _ in range(2))
    assert one == other


def _untimed(target: str) -> str:
    found, _ = gather.facts_of(Compilation(skipping(), Options(resolve_target(target))), QUICK)
    return page.html_of(replace(found, stages=()))


def test_another_machine_is_told_in_a_sentence() -> None:
    text = page_of(reported(skipping(), "macos-arm64").html).text
    assert "Times are not measured, since this machine cannot run code for the target." in text
    assert "by the model of core" in text and "cycles" in text


def test_what_was_not_asked_for() -> None:
    text = page_of(reported(skipping(), request=replace(QUICK, check=False)).html).text
    assert "Errors are not measured, since the comparison with the interpreter was left out." in text
    assert "No other engine was asked for." in text


# Models that do not compile


def test_a_layer_that_no_plan_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModelError("it is too large", node="second")

    monkeypatch.setattr("cnncc.plan.make.make_plan", refuse)
    found = reported(skipping())
    assert isinstance(found.error, ModelError)
    shown = page_of(found.html)
    assert "Stopped at stage “plan”, layer second" in shown.text
    assert "stopped here" in shown.text and "not reached" in shown.text
    assert "graphs" in shown.ids and "times" not in shown.ids
    assert "layer second: it is too large" in shown.text.replace("'", "").lower()


def test_a_fault_of_ours_is_shown_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("planted")

    monkeypatch.setattr("cnncc.passes.manager.optimise", fail)
    found = reported(skipping())
    assert "Stopped at stage “passes” Internal error: AssertionError: planted." in page_of(found.html).text
    assert isinstance(found.error, AssertionError)


def test_operators_that_are_not_supported(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in "xy")
    node = onnx.helper.make_node("Frobnicate", ["x"], ["y"], "frob")
    file = tmp_path / "odd.onnx"
    graph = onnx.helper.make_graph([node], "g", [x], [y])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), file)
    found = report(Compilation(open_source(file), Options(resolve_target("host"))), QUICK)
    text = page_of(found.html).text
    assert text.startswith("odd: report of cnncc")
    assert "Stopped at stage “read”" in text and "Frobnicate" in text
    assert isinstance(found.error, ModelError)


# Peers


def test_missing_peers_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "installed", lambda engine: False)
    found = reported(skipping(), request=Request(seconds=0.01, check=False))
    assert "No other engine is installed: python -m pip install onnxruntime openvino." in page_of(found.html).text


def test_engines_are_shown_with_those_that_are_missing(facts: Facts) -> None:
    timings = tuple(PeerTiming(name, "1.0", 1, us, us, us, 1e-7) for name, us in (("cnncc", 2.0), ("other", 4.0)))
    text = page_of(page.html_of(replace(facts, peers=Peers(timings, ("third",))))).text
    assert "cnncc 1.0 2.00 µs other 1.0 4.00 µs" in text
    assert "Not installed: third." in text


def test_an_engine_that_fails_leaves_the_others() -> None:
    def compared(engines: Sequence[str]) -> list[PeerTiming]:
        if "bad" in engines:
            raise PeerError("engine 'bad' cannot run the model: no reason")
        return [PeerTiming(name, "1.0", 1, 1.0, 1.0, 1.0, 0.0) for name in ("cnncc", *engines)]

    found = gather._able(compared, ["one", "bad", "two"], ("absent",))
    assert [timing.engine for timing in found.timings] == ["cnncc", "one", "two"]
    assert found.missing == ("absent",)
    assert found.failed == ("Engine 'bad' cannot run the model: no reason.",)
    with pytest.raises(PeerError, match="engine 'bad'"):
        gather._able(compared, ["bad"], ())


# From Python


def test_a_model_reports(tmp_path: Path) -> None:
    model = cnncc.compile(skipping())
    given = np.ones((1, 4, 6, 6), np.float32)
    found = model.report(tmp_path / "r.html", against=(), data=given, seconds=0.01, check=False)
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == found.html
    assert "A call on the given data" in page_of(found.html).text
    frame = page_of(found._repr_html_())  # type: ignore[attr-defined]
    assert dict(frame.attributes)["srcdoc"] == found.html


REFUSED: dict[str, tuple[Callable[[Model], object], type[Exception], str]] = {
    "engine": (lambda m: m.report(against="frob"), UsageError, "unknown engine 'frob'"),
    "data": (lambda m: m.report(data=np.ones((1, 4, 6, 7), np.float32)), InputError, "input 'x': expected shape"),
    "file": (lambda m: m.report("/nowhere/r.html", against=(), seconds=0.01, check=False), OutputError, "cannot write"),
    "object": (lambda m: Model(m.executable).report(), UsageError, "was made from object code alone"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_refuses(case: str) -> None:
    call, kind, told = REFUSED[case]
    with pytest.raises(kind, match=re.escape(told)):
        call(cnncc.compile(skipping()))


# Pieces


def test_elements_escape_what_they_hold() -> None:
    assert tag("p", "a<b", None, ["&", 3], class_="x", hidden=False, open=True) == '<p class="x" open>a&lt;b&amp;3</p>'
    assert tag("line", x1=3, stroke_width="1") == '<line x1="3" stroke-width="1"/>'
    assert join(Html("<b>"), ODD) == "<b>a&lt;b&gt;&amp;&quot;&#x27;&#10;&lt;/script&gt;"
    assert '<td class="right">1</td>' in table(("a", "b"), [("<", 1)], right=(1,))


NUMBERS = {
    digits: {0: "0", 1234.5: "1,234", 12.345: "12.3", 0.0123: "0.0123", 1e-7: "1.00e-07", float("inf"): "inf"},
    micros: {0.5: "0.500 µs", 999.4: "999 µs", 1500: "1.50 ms", 2.5e6: "2.50 s"},
    nbytes: {5: "5 bytes", 10239: "10,239 bytes", 20480: "20.0 KiB", 32 << 20: "32.0 MiB"},
}


@pytest.mark.parametrize("told", NUMBERS, ids=lambda f: f.__name__)
def test_numbers(told: Callable[[float], str]) -> None:
    assert {value: told(value) for value in NUMBERS[told]} == NUMBERS[told]


def test_scales() -> None:
    assert Scale(1, 100, 0, 10, log=True).at(10) == 5
    assert Scale(0, 4, 10, 0).at(1) == 7.5
    assert decades([0.2, 35.0]) == (0.1, 100.0)


def test_labels_keep_apart() -> None:
    labels = Labels(300, 100)
    found = [labels.beside("name", 150, 50 + shift) for shift in (0, 1, 2, 3, 4, 5)]
    places = [tuple(map(float, re.findall(r'[xy]="([\d.]+)"', text))) for text in found if text]
    assert 2 <= len(places) < 6
    for number, (x, y) in enumerate(places):
        assert all(abs(x - u) >= 25 or abs(y - v) >= LINE - 0.1 for u, v in places[:number])
