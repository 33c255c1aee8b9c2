"""The results of a session as Markdown: BENCHMARKS.md, and one sentence of README.md.

    python -m tests.perf.report RESULTS.jsonl --suite suite.json           (prints BENCHMARKS.md)
    python -m tests.perf.report RESULTS.jsonl --suite suite.json --short   (prints README's sentence)
    python -m tests.perf.report RESULTS.jsonl --suite suite.json --write   (writes both into this checkout)

RESULTS.jsonl is what `tests.perf.interleave` collects; suite.json maps models to {"macs": …}. Of several repeats the
median of their medians counts. The best peer of a model is the fastest other engine that computes in float32.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS = "cnncc"
OTHER_PRECISIONS = {"openvino-default"}
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
LARGE = 5_000_000  # multiply-accumulates from which several threads ought to pay
CLOSE = 1.05  # slower than the best peer by no more than this is as good as even

HOW = """\
How the figures are made:

- One machine, one session: {machine}, {cores} cores; Python {python}.
- float32, one image, static shapes; every engine reads the same ONNX file (or what its own converter makes of it) and
  is given the same input. Its output is compared with a float64 reference; what is off by more than 0.2 % of the
  largest output counts as failed.
- Each engine and model has a process of its own, pinned to as many cores as it may use threads. Converted and compiled
  models are kept; loading is not measured. A call is the engine's cheapest way to run with the input in place.
- A measurement is the median of the calls of some tenths of a second, after warming up. All engines take turns: one
  measurement each for a model, each time beginning with another one, {often}.
  The figure is the median of those.
- Peak is the multiply-add peak of one core, measured with a kernel of the emitter's all through the session:
  {peak:.0f} GFLOP/s, times the number of threads. GFLOP/s count the multiply-accumulates of the model's definition,
  twice: an algorithm that needs fewer can exceed the peak.

The session, with a harness `RUN.py` that loads each engine, and this page:

```sh
{commands}
python -m tests.perf.report RESULTS.jsonl --suite suite.json --write
```
"""


@dataclass
class Run:
    """All repeats of one engine on one model with so many threads."""

    medians: list[float] = field(default_factory=list)
    error: float = 0.0
    failure: str = ""

    @cached_property
    def us(self) -> float:
        return statistics.median(self.medians)


@dataclass
class Session:
    """What a results file holds."""

    runs: dict[tuple[str, str, int], Run]
    versions: dict[str, str]
    peaks: list[float]
    machine: Mapping[str, Any]

    @property
    def engines(self) -> list[str]:
        """Ours, then the others in order of appearance."""
        return list(dict.fromkeys([OURS, *(engine for engine, _, _ in self.runs)]))

    @property
    def peak(self) -> float:
        return statistics.median(self.peaks) if self.peaks else math.nan

    @property
    def threads(self) -> list[int]:
        return sorted({threads for _, _, threads in self.runs})

    @property
    def repeats(self) -> dict[int, list[str]]:
        """How often models were measured: for each such number the engines with that many, or more."""
        most = dict.fromkeys(self.engines, 0)
        for (engine, _, _), run in self.runs.items():
            most[engine] = max(most[engine], len(run.medians))
        return {times: [name for name in most if most[name] >= times] for times in sorted(set(most.values()) - {0})}

    def times(self, model: str, threads: int) -> dict[str, float]:
        """Microseconds of every engine that runs the model."""
        found = ((engine, self.runs.get((engine, model, threads))) for engine in self.engines)
        return {engine: run.us for engine, run in found if run and run.medians}


def read(lines: Iterable[str]) -> Session:
    """A session from JSON lines; lines of other kinds are passed over."""
    session = Session({}, {}, [], {"machine": "?", "cores": "?", "python": "?"})
    for record in map(json.loads, lines):
        if "machine" in record:
            session.machine = record
        elif "peak" in record and record["cores"] == 1 and record["peak"] in ("multiply-adds", "fp32 fma zmm"):
            session.peaks.append(record["value"])
        elif "engine" in record:
            _add(session, record)
    return session


def _add(session: Session, record: Mapping[str, Any]) -> None:
    run = session.runs.setdefault((record["engine"], record["model"], record["threads"]), Run())
    if record["status"] == "ok":
        run.medians.append(record["median_us"])
        run.error = max(run.error, record.get("error", 0.0))
        session.versions[record["engine"]] = record.get("version", "")
    else:
        run.failure = f"{record['status']}: {record.get('note') or 'error {}'.format(record.get('error'))}"


@dataclass(frozen=True)
class Result:
    """A model with so many threads: ours beside the best peer."""

    model: str
    macs: int
    times: Mapping[str, float]

    @property
    def best(self) -> str | None:
        peers = [engine for engine in self.times if engine != OURS and engine not in OTHER_PRECISIONS]
        return min(peers, key=lambda engine: self.times[engine], default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as long as ours the best peer takes."""
        if self.best is None or OURS not in self.times:
            return None
        return self.times[self.best] / self.times[OURS]

    @property
    def counts(self) -> bool:
        """A graph that computes nothing shows what a call costs, and is in no mean."""
        return self.macs > 0 and self.ratio is not None


def results(session: Session, suite: Mapping[str, Mapping[str, Any]], threads: int) -> list[Result]:
    found = [Result(model, size["macs"], session.times(model, threads)) for model, size in suite.items()]
    return [result for result in found if result.times]


def ratios(found: Iterable[Result]) -> dict[str, float]:
    """The ratio of every model that counts."""
    return {result.model: result.ratio for result in found if result.counts and result.ratio is not None}


# Markdown


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(cells: Sequence[str], left: Sequence[int] = (0,)) -> list[str]:
    return [row(cells), row("---" if number in left else "--:" for number in range(len(cells)))]


def time_text(us: float) -> str:
    return f"{us:.2f}" if us < 10 else f"{us:.1f}" if us < 100 else f"{us:,.0f}"


def full_table(session: Session, found: Sequence[Result], threads: int) -> list[str]:
    peers = [engine for engine in session.engines if engine != OURS and any(engine in r.times for r in found)]
    heads = ["model", "MMAC", OURS, *peers, "best peer", "ratio", "GFLOP/s", "of peak"]
    return [*heading(heads, (0, len(peers) + 3)), *(_full_row(session, result, peers, threads) for result in found)]


def _full_row(session: Session, result: Result, peers: Sequence[str], threads: int) -> str:
    fastest = min((t, e) for e, t in result.times.items() if e not in OTHER_PRECISIONS)[1]
    cells = [result.model, f"{result.macs / 1e6:.3g}"]
    for engine in (OURS, *peers):
        text = time_text(result.times[engine]) if engine in result.times else ""
        cells.append(f"**{text}**" if engine == fastest else text)
    cells += [result.best or "", f"{result.ratio:.2f}" if result.ratio else ""]
    if result.macs and OURS in result.times:
        rate = 2 * result.macs / result.times[OURS] / 1e3
        return row([*cells, f"{rate:.1f}", f"{rate / session.peak / threads:.0%}"])
    return row([*cells, "", ""])


def summary(found: Sequence[Result]) -> str:
    """Mean, wins and the worst model, in a sentence each."""
    known = ratios(found)
    if not known:
        return "No model was run by cnncc and another engine."
    mean = math.exp(statistics.fmean(map(math.log, known.values())))
    fastest = sum(ratio > 1 for ratio in known.values())
    worst = min(known, key=lambda model: known[model])
    slower = [model for model, ratio in known.items() if ratio * CLOSE < 1]
    tail = (
        f"more than 5 % slower than its best peer on: {', '.join(slower)}" if slower else "nowhere more than 5 % slower"
    )
    return (
        f"Geometric mean of the ratios over {len(known)} models: **{mean:.2f}**. cnncc is the fastest on "
        f"**{fastest}**, {tail}; its least ratio is {known[worst]:.2f} ({worst})."
    )


def speed_up(session: Session, found: Sequence[Result], threads: int) -> str:
    """How many times as fast as one thread cnncc is with several, where there is enough to share; and the others."""
    large = [result for result in found if result.macs > LARGE]
    gains = gains_of(session, OURS, large)
    if not gains:
        return ""
    listed = ", ".join(f"{model} {gain:.2f}" for model, gain in sorted(gains.items(), key=lambda item: item[1]))
    means = {engine: gains_of(session, engine, large).values() for engine in session.engines}
    others = ", ".join(
        f"{engine} {math.exp(statistics.fmean(map(math.log, of))):.2f}" for engine, of in means.items() if of
    )
    return (
        f"cnncc with {threads} threads over cnncc with one, on models above {LARGE / 1e6:.0f} MMAC: {listed}. "
        f"Geometric mean of that, of each engine: {others}."
    )


def gains_of(session: Session, engine: str, found: Iterable[Result]) -> dict[str, float]:
    """How many times as fast as with one thread an engine runs each of these models."""
    ones = {result.model: session.times(result.model, 1) for result in found}
    return {
        r.model: ones[r.model][engine] / r.times[engine]
        for r in found
        if {engine} <= ones[r.model].keys() & r.times.keys()
    }


def often(repeats: Mapping[int, Sequence[str]]) -> str:
    """How many times, and which engines more often than the rest."""
    words = {times: "once" if times == 1 else f"{times} times" for times in repeats}
    if not repeats:
        return "never"
    (least, _), *more = repeats.items()
    return "; ".join([words[least], *(f"{', '.join(engines)} {words[times]}" for times, engines in more)])


def commands(session: Session) -> Iterator[str]:
    """The lines that make such a session."""
    threads = ",".join(map(str, session.threads))
    for times, engines in session.repeats.items():
        yield f"python -m tests.perf.interleave RUN.py RESULTS.jsonl --threads {threads} --repeats {times} \\"
        yield f"    --engines {','.join(engines)}"


def per_engine(session: Session, found: Sequence[Result]) -> list[str]:
    """For each engine its version, models, mean ratio to ours, wins, and its worst error."""
    lines = heading(["engine", "version", "models", "time / cnncc", "faster than cnncc", "worst error"], (0, 1))
    for engine in session.engines:
        both = [r.times[engine] / r.times[OURS] for r in found if r.macs and engine in r.times and OURS in r.times]
        if both:
            mean = f"{math.exp(statistics.fmean(map(math.log, both))):.2f}"
            wins = "" if engine == OURS else str(sum(ratio < 1 for ratio in both))
            cells = [
                engine,
                session.versions.get(engine, ""),
                str(len(both)),
                mean,
                wins,
                f"{worst_error(session, engine):.1e}",
            ]
            lines.append(row(cells))
    return lines


def worst_error(session: Session, engine: str) -> float:
    """Over all models, relative to the largest output."""
    return max((run.error for (name, _, _), run in session.runs.items() if name == engine and run.medians), default=0.0)


def spread(session: Session) -> str:
    """How far the repeats of one measurement lie apart."""
    apart = [max(run.medians) / min(run.medians) - 1 for run in session.runs.values() if len(run.medians) > 1]
    if not apart:
        return "Each measurement was made once."
    apart.sort()
    return (
        f"The repeats of a measurement lie {statistics.median(apart):.0%} apart in the median, "
        f"{apart[len(apart) * 9 // 10]:.0%} at the ninth decile."
    )


def failures(session: Session) -> list[str]:
    """A line for each engine and reason, with the models that it concerns."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for (engine, model, _), run in session.runs.items():
        if not run.medians:
            reasons.setdefault((engine, run.failure), []).append(model)
    return [f"- {engine}: {why}: {', '.join(dict.fromkeys(models))}" for (engine, why), models in reasons.items()]


def page(session: Session, suite: Mapping[str, Mapping[str, Any]]) -> str:
    """BENCHMARKS.md."""
    return "\n".join(_page(session, suite)) + "\n"


def _page(session: Session, suite: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from ("# Benchmarks", "", "Microseconds for one inference; the fastest float32 engine in bold.")
    yield from ("`ratio` is the best peer's time over cnncc's: above 1 cnncc is faster.", "")
    yield HOW.format(
        **session.machine, peak=session.peak, often=often(session.repeats), commands="\n".join(commands(session))
    )
    for threads in session.threads:
        found = results(session, suite, threads)
        yield from (f"## {threads} thread{'s' * (threads > 1)}", "", summary(found), "")
        if threads > 1 and (sentence := speed_up(session, found, threads)):
            yield from (sentence, "")
        yield from (*full_table(session, found, threads), "", *per_engine(session, found), "")
    if any(engine in OTHER_PRECISIONS for engine in session.engines):
        yield from ("`openvino-default` may compute in bf16 and is never the best peer.", "")
    error = worst_error(session, OURS)
    yield f"Errors are the largest difference to the reference over its largest element; cnncc's worst is {error:.1e}."
    yield spread(session)
    if failed := failures(session):
        yield from ("", "## What did not run", "", *failed)


def short(session: Session, suite: Mapping[str, Mapping[str, Any]]) -> str:
    """README's part: one thread, one sentence."""
    found = ratios(results(session, suite, min(session.threads, default=1)))
    mean = math.exp(statistics.fmean(map(math.log, found.values())))
    least = min(found, key=lambda model: found[model])
    peers = set(session.engines) - OTHER_PRECISIONS - {OURS}
    return (
        f"**How fast:** on one core of {session.machine['machine']}, the fastest of {len(peers)} other "
        f"engines takes {mean:.2f} times as long as cnncc in the geometric mean of {len(found)} models, and at least "
        f"{found[least]:.2f} times ({least}). `python -m tests.perf.interleave` makes the figures of "
        "[BENCHMARKS.md](BENCHMARKS.md)."
    )


def replaced(document: str, text: str) -> str:
    """A document with `text` between its marks. Raises ValueError if it has none."""
    pattern = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(document):
        raise ValueError(f"no {BEGIN} … {END} in the document")
    return pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", document)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="RESULTS.jsonl")
    parser.add_argument(
        "--suite", type=Path, required=True, help="names and multiply-accumulates of the models, as JSON"
    )
    parser.add_argument("--short", action="store_true", help="print README's sentence")
    parser.add_argument("--write", action="store_true", help="write BENCHMARKS.md and README.md")
    arguments = parser.parse_args(argv)
    session = read(arguments.results.read_text().splitlines())
    suite = json.loads(arguments.suite.read_text())
    if not arguments.write:
        print((short if arguments.short else page)(session, suite), end="\n" if arguments.short else "")
        return
    _rewrite(ROOT / "BENCHMARKS.md", lambda _: page(session, suite))
    _rewrite(ROOT / "README.md", lambda text: replaced(text, short(session, suite)))


def _rewrite(file: Path, change: Callable[[str], str]) -> None:
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text(change(before), encoding="utf-8")


if __name__ == "__main__":
    main()
