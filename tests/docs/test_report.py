"""The page of benchmarks says what its results say."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.perf import interleave, report

SUITE = {"empty": {"macs": 0}, "small": {"macs": 1_000_000}, "large": {"macs": 200_000_000}}
ROOT = Path(__file__).resolve().parents[2]


def line(engine: str, model: str, us: float | None, threads: int = 1, **more: Any) -> str:
    good = {"status": "ok", "median_us": us, "error": 1e-6, "version": "1.0"}
    bad = {"status": "failed", "note": "no such op"}
    return json.dumps({"engine": engine, "model": model, "threads": threads} | (good if us else bad) | more)


LINES = [
    json.dumps({"machine": "A Machine", "cores": 2, "python": "3.11.9"}),
    *(json.dumps({"peak": "multiply-adds", "cores": 1, "value": value}) for value in (199.0, 200.0, 201.0)),
    json.dumps({"peak": "fp32 fma zmm", "cores": 2, "value": 9999.0}),
    *(line("cnncc", "small", us) for us in (10.0, 30.0, 20.0)),
    *(line("slow", "small", us) for us in (79.0, 80.0, 90.0)),
    line("quick", "small", 40.0, error=3e-5),
    line("openvino-default", "small", 5.0),
    line("cnncc", "large", 5000.0, error=2e-6),
    line("quick", "large", 4500.0),
    line("slow", "large", None),
    line("cnncc", "empty", 0.5),
    line("quick", "empty", 0.1),
    line("cnncc", "small", 15.0, threads=2),
    line("cnncc", "large", 2500.0, threads=2),
]


@pytest.fixture
def session() -> report.Session:
    return report.read(LINES)


def test_medians_of_medians(session: report.Session) -> None:
    assert session.times("small", 1) == {"cnncc": 20.0, "slow": 80.0, "quick": 40.0, "openvino-default": 5.0}
    assert (session.peak, session.threads) == (200.0, [1, 2])


def test_engines_may_be_measured_more_often_than_others(session: report.Session) -> None:
    assert session.repeats == {1: ["cnncc", "slow", "quick", "openvino-default"], 3: ["cnncc", "slow"]}
    assert report.often(session.repeats) == "once; cnncc, slow 3 times"
    assert report.often(report.read([]).repeats) == "never"
    assert [text.split()[-1] for text in report.commands(session)][1::2] == [
        "cnncc,slow,quick,openvino-default",
        "cnncc,slow",
    ]


def test_ratios_are_to_the_best_float32_peer(session: report.Session) -> None:
    found = {result.model: result for result in report.results(session, SUITE, 1)}
    assert (found["small"].best, found["small"].ratio) == ("quick", 2.0)
    assert (found["large"].best, found["large"].ratio) == ("quick", 0.9)
    assert not found["empty"].counts
    assert report.ratios(found.values()) == {"small": 2.0, "large": 0.9}


def test_the_page(session: report.Session) -> None:
    page = report.page(session, SUITE)
    assert "A Machine, 2 cores; Python 3.11.9" in page and "  200 GFLOP/s" in page
    assert "| small | 1 | **20.0** | 80.0 | 40.0 | 5.00 | quick | 2.00 | 100.0 | 50% |" in page
    assert "| large | 200 | 5,000 |  | **4,500** |  | quick | 0.90 | 80.0 | 40% |" in page
    assert "| empty | 0 | 0.50 |  | **0.10** |  | quick | 0.20 |  |  |" in page
    assert (
        "Geometric mean of the ratios over 2 models: **1.34**. cnncc is the fastest on **1**, more than 5 % slower "
        "than its best peer on: large; its least ratio is 0.90 (large)." in page
    )
    assert "| quick | 1.0 | 2 | 1.34 | 1 | 3.0e-05 |" in page
    assert "cnncc's worst is 2.0e-06" in page
    assert "- slow: failed: no such op: large" in page
    assert "--threads 1,2 --repeats 3" in page
    assert "## 2 threads\n\nNo model was run by cnncc and another engine." in page
    assert "cnncc with 2 threads over cnncc with one, on models above 5 MMAC: large 2.00." in page


def test_the_sentence_of_the_readme(session: report.Session) -> None:
    short = report.short(session, SUITE)
    assert "the fastest of 2 other engines takes 1.34 times as long as cnncc in the geometric mean of 2 mod" in short
    assert "at least 0.90 times (large)" in short


def test_the_readme_says_what_the_page_says() -> None:
    """Both are written together, from one session."""
    page, text = ((ROOT / name).read_text(encoding="utf-8") for name in ("BENCHMARKS.md", "README.md"))
    mean, least, model = re.findall(r"models: \*\*([\d.]+)\*\*.*its least ratio is ([\d.]+) \((\w+)\)", page)[0]
    assert f"takes {mean} times as long as cnncc" in text and f"at least {least} times ({model})" in text


def test_text_between_marks() -> None:
    document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.replaced(document, "new \\1") == document.replace("old", "new \\1")
    with pytest.raises(ValueError, match="no <!-- benchmarks: begin -->"):
        report.replaced("nothing", "new")


def test_readme_has_the_marks() -> None:
    assert report.replaced((ROOT / "README.md").read_text(encoding="utf-8"), "x")


HARNESS = """
import json, sys
words = sys.argv[1:]
value = lambda name: words[words.index(name) + 1]
with open(value("--results"), "a") as file:
    for engine in value("--engines").split(","):
        record = dict(engine=engine, model=value("--models"), threads=int(value("--threads")))
        record |= dict(status="ok", median_us=1.0)
        print(json.dumps(record), file=file)
"""


def test_engines_take_turns_and_a_session_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(HARNESS)
    (tmp_path / "suite.json").write_text(json.dumps({"a": {"macs": 1}, "b": {"macs": 1}}))
    results = tmp_path / "results.jsonl"
    results.write_text(line("x", "a", 1.0) + "\n")
    words = [tmp_path / "run.py", results, "--engines", "x,y", "--suite", tmp_path / "suite.json", "--repeats", "2"]
    interleave.main([*map(str, words), "--python", sys.executable])
    ran = [record for record in map(json.loads, results.read_text().splitlines()) if "engine" in record]
    order = " ".join(record["engine"] + record["model"] for record in ran)
    assert order == "xa ya yb xb ya xa xb yb"
    session = report.read(results.read_text().splitlines())
    assert session.repeats == {2: ["x", "y"]} and len(session.peaks) == 4
    assert session.machine["python"]
