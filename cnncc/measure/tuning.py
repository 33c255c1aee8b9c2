"""Choosing among the plan's candidates by measuring them.

The whole model is compiled once for each rank of candidate: the second variant takes the second candidate of every
layer, and so on. A few programs then measure all candidates of all layers, each between its real neighbours and with
the caches in their real state. The programs are profiled in turns; results are medians. The time of a copy into
another memory order is added to the layer that reads it.

The fastest candidates are then compiled together and compared with the plan of the cost model; the faster plan is
kept. The result is stored on disk for each signature, so that another run measures nothing and makes the same bytes.

Time is limited (`budget`): a variant or a check that would not end in time is left out. With time for fewer than two
variants nothing is chosen.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..cache import store
from ..cache.identity import compiler_identity
from ..compiler import Compilation
from ..errors import TargetError
from ..native import host_target
from ..terminal import log
from ..types import Array
from .budget import Budget

if TYPE_CHECKING:
    from ..plan.kernels import Candidate
    from ..plan.plan import Plan

SECONDS = 60.0
CANDIDATES = 6  # measured for each layer; at least one of each algorithm
ROUNDS = 15
CHECKS = 2
COMPILE, ROUND = "compile", "round"  # the kinds of work
COMPILING, MEASURING = 0.5, 0.8  # fractions of the time after which optional work of these kinds ends; then checks
MARGIN = 0.02  # a candidate has to be faster by this fraction; less is noise
Progress = Callable[[float, str], object]
"""Receives the progress (0 to 1), and a text for the current work."""


class Timer(Protocol):
    """A compiled variant that can be timed: `profiling.StepTimer`."""

    def sample(self) -> tuple[float, Array]:
        """(seconds of a call, ticks of each step)"""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Change:
    """Equal layers for which another candidate than the model's is taken, and their parts of the time of a call."""

    layers: tuple[str, ...]
    before: str
    after: str
    saved: float

    def __str__(self) -> str:
        return f"{', '.join(self.layers)}: {self.after} in place of {self.before}, {self.saved:.1%} less time"


@dataclass(frozen=True)
class Tuned:
    """The compilation with its choices, the changes, and the numbers of measured, known and unreadable signatures."""

    compilation: Compilation
    changes: tuple[Change, ...]
    measured: int
    remembered: int
    unreadable: int


@dataclass
class TuningRecord:
    """The result for a signature: the label to take, and each label's part of a call (1 is the model's plan)."""

    label: str
    shares: dict[str, float] = field(default_factory=dict)


def tune(
    compilation: Compilation,
    seconds: float = SECONDS,
    *,
    use_cache: bool = True,
    progress: Progress | None = None,
    timer: Callable[[Compilation], Timer] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Tuned:
    """Measure unknown signatures, on one core, within `seconds`; a KeyboardInterrupt keeps the results so far.

    Work that has begun is finished: the limit is exceeded at most by the first compilation or the first round over
    all programs. Choices of the options stay. Raises TargetError if this machine cannot run the target.
    """

    def tell(done: float, text: str) -> None:
        log("tuning: %.0f %%, %s", 100 * done, text)
        if progress is not None:
            progress(done, text)

    return Tuning(compilation, use_cache, tell, timer, Budget(seconds, clock)).run()


class Tuning:
    """One run of the tuner over one model."""

    def __init__(
        self,
        compilation: Compilation,
        use_cache: bool,
        progress: Progress,
        timer: Callable[[Compilation], Timer] | None,
        budget: Budget,
    ):
        from .profiling import StepTimer

        target = compilation.options.target
        if not target.runs_on(host_target()):
            raise TargetError(f"cannot tune for target '{target.name}' here: candidates are timed on this machine")
        self.base, self.progress, self.budget = compilation, progress, budget
        self.timer: Callable[[Compilation], Timer] = timer or StepTimer
        self.memory = TuningStore(compilation, use_cache)
        self.fixed = dict(compilation.options.plan.choices)
        self.layers = layers_by_signature(compilation.plan)
        self.offers = {name: shortlist(compilation.plan.offers[name]) for name in self.layers}
        self.defaults = {name: offers[0].label for name, offers in self.offers.items()}
        self.known: dict[str, TuningRecord] = {}
        for signature in self.layers:
            entry = self.memory.read(signature)
            there = any(entry and entry.label == offer.label for offer in compilation.plan.offers[signature])
            if entry is not None and there and signature not in self.fixed:
                self.known[signature] = entry

    def run(self) -> Tuned:
        remembered = len(self.known)
        unknown = [name for name in self.layers if name not in self.known and name not in self.fixed]
        unknown = [name for name in unknown if len(self.offers[name]) > 1]
        found: dict[str, TuningRecord] = {}
        if unknown:
            found = self.measure(unknown)
            self.known |= found
            for signature, entry in found.items():
                self.memory.write(signature, entry)
        tuned = self.variant({name: entry.label for name, entry in self.known.items()})
        return Tuned(tuned, tuple(self.changes()), len(found), remembered, self.memory.unreadable)

    def variant(self, labels: Mapping[str, str]) -> Compilation:
        """The model with these choices and the fixed ones; a label that the plan takes by itself is left out."""
        chosen = {name: label for name, label in labels.items() if label != self.defaults[name]}
        choices = tuple(sorted((chosen | self.fixed).items()))
        return self.base.varied(plan=replace(self.base.options.plan, choices=choices, source=""))

    def measure(self, unknown: Sequence[str]) -> dict[str, TuningRecord]:
        """An entry for each unknown signature, if time allows."""
        trials = Trials(self.timer)
        found: dict[str, TuningRecord] = {}
        try:
            self.compile(trials, unknown)
            self.rounds(trials, "measuring", MEASURING, COMPILE, ROUND)
            found = decide(trials, unknown, self.defaults)
            self.verify(trials, found)
        except KeyboardInterrupt:
            for signature, entry in (found or decide(trials, unknown, self.defaults)).items():
                self.memory.write(signature, entry)
            raise
        finally:
            trials.close()
        return found

    def compile(self, trials: Trials, unknown: Sequence[str]) -> None:
        """A variant for each rank: two if possible, further ones while there is time to measure and check them."""
        ranks = max(len(self.offers[name]) for name in unknown)
        for rank in range(ranks):
            if rank > 1 and not self.budget.allows(COMPILE, part=COMPILING):
                break
            self.progress(COMPILING * rank / ranks, f"compiling variant {rank + 1} of {ranks}")
            labels = {name: self.ranked(name, rank) for name in unknown}
            if not self.add(trials, {name: entry.label for name, entry in self.known.items()} | labels, labels):
                break

    def add(self, trials: Trials, labels: Mapping[str, str], measured: Mapping[str, str]) -> bool:
        """Compile one more variant, if there is time for that and for a round."""
        allowed = self.budget.allows(COMPILE, ROUND)
        if allowed:
            with self.budget.work(COMPILE):
                trials.add(self.variant(labels), measured)
        return allowed

    def ranked(self, signature: str, rank: int) -> str:
        """The label of a rank; a layer with fewer candidates takes the model's."""
        offers = self.offers[signature]
        return offers[rank if rank < len(offers) else 0].label

    def rounds(self, trials: Trials, text: str, part: float = 1.0, *after: str) -> None:
        """A round if there is time; others within a `part` of the time, while there is time for the work `after`."""
        for number in range(ROUNDS if len(trials.variants) > 1 else 0):
            if not self.budget.allows(ROUND):
                break
            if number and not (self.budget.allows(ROUND, part=part) and self.budget.allows(ROUND, *after)):
                break
            done = COMPILING + (MEASURING - COMPILING) * number / ROUNDS
            self.progress(done if text == "measuring" else MEASURING, f"{text}, round {number + 1} of {ROUNDS}")
            with self.budget.work(ROUND):
                trials.round()

    def verify(self, trials: Trials, found: dict[str, TuningRecord]) -> None:
        """Compare the choices, taken together, with the model's own plan; choices without a gain are taken back."""
        for _ in range(CHECKS):
            changed = {name: entry.label for name, entry in found.items() if entry.label != self.defaults[name]}
            if not changed:
                return
            trials.keep_first()
            if not self.add(trials, {name: entry.label for name, entry in (self.known | found).items()}, changed):
                return
            self.rounds(trials, f"checking {len(changed)} choices together")
            if not trials.sampled:
                return
            before, after = trials.seconds()
            ticks = trials.ticks()
            losing = [
                name
                for name, label in changed.items()
                if not ticks[name].get(label, 0) < ticks[name][self.defaults[name]]
            ]
            if after < before and not losing:
                return
            for name in losing or changed:
                found[name].label = self.defaults[name]

    def changes(self) -> Iterator[Change]:
        for name, entry in self.known.items():
            if entry.label != self.defaults[name]:
                saved = 1 - entry.shares.get(entry.label, 1.0)
                yield Change(self.layers[name], self.defaults[name], entry.label, saved)


class Trials:
    """Variants that are measured in turns, with the ticks of each signature in each."""

    def __init__(self, timer: Callable[[Compilation], Timer]):
        self.timer = timer
        self.variants: list[Variant] = []

    def add(self, compilation: Compilation, labels: Mapping[str, str]) -> None:
        self.variants.append(Variant(compilation.plan, self.timer(compilation), labels))

    def round(self) -> None:
        """A sample of each variant; if it is interrupted, of none."""
        found = [variant.timer.sample() for variant in self.variants]
        for variant, sample in zip(self.variants, found, strict=True):
            variant.samples.append(sample)

    def keep_first(self) -> None:
        """Forget the other variants, and all samples."""
        for variant in self.variants[1:]:
            variant.timer.close()
        del self.variants[1:]
        self.variants[0].samples.clear()

    def close(self) -> None:
        for variant in self.variants:
            variant.timer.close()

    @property
    def sampled(self) -> bool:
        """Whether these variants have been measured in a round."""
        return all(variant.samples for variant in self.variants)

    def seconds(self) -> list[float]:
        """The median time of a call of each variant."""
        return [float(np.median([seconds for seconds, _ in variant.samples])) for variant in self.variants]

    def ticks(self) -> dict[str, dict[str, float]]:
        """The ticks of a layer for each signature and label, from the first variant with this label."""
        result: dict[str, dict[str, float]] = defaultdict(dict)
        for variant in self.variants:
            for signature, ticks in variant.ticks().items():
                result[signature].setdefault(variant.labels[signature], ticks)
        return result


@dataclass
class Variant:
    """A compiled plan with the labels to be measured, and its samples so far."""

    plan: Plan
    timer: Timer
    labels: Mapping[str, str]
    samples: list[tuple[float, Array]] = field(default_factory=list)

    def ticks(self) -> dict[str, float]:
        """The median ticks of a layer for each measured signature."""
        if not self.samples:
            return {}
        spent: dict[str, float] = defaultdict(float)
        for owner, ticks in zip(
            owners(self.plan), np.median([ticks for _, ticks in self.samples], axis=0), strict=True
        ):
            spent[owner] += float(ticks)
        count = Counter(step.signature for step in self.plan.steps)
        return {name: spent[name] / count[name] for name in self.labels if count[name]}


def owners(plan: Plan) -> list[str]:
    """For each step the signature that its time is added to: for a copy its reader's, else its writer's.

    Steps that were split off a layer belong to the choice that split it.
    """
    readers = {view.buffer: step.signature for step in plan.steps if step.signature for view in step.sources}
    writers = {step.target.buffer: step.signature for step in plan.steps if step.signature}
    return [
        step.signature or readers.get(step.target.buffer) or writers.get(step.sources[0].buffer, "")
        if step.kernel.is_copy
        else step.split.signature
        if step.split
        else step.signature
        for step in plan.steps
    ]


def layers_by_signature(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The names of the layers with each signature, in order."""
    found: dict[str, list[str]] = {}
    for step in plan.steps:
        if step.signature:
            found.setdefault(step.signature, []).append(step.name)
    return {signature: tuple(names) for signature, names in found.items()}


def shortlist(offers: Sequence[Candidate], count: int = CANDIDATES) -> list[Candidate]:
    """The cheapest candidates by the model, the model's choice first, and the cheapest of each algorithm."""
    ordered = sorted(offers, key=lambda candidate: candidate.cycles)
    first_of: dict[str, Candidate] = {}
    for candidate in ordered:
        first_of.setdefault(candidate.label.split()[0], candidate)
    extra = [candidate for candidate in first_of.values() if candidate not in ordered[:count]]
    return [*ordered[: max(1, count - len(extra))], *extra]


def decide(trials: Trials, signatures: Iterable[str], defaults: Mapping[str, str]) -> dict[str, TuningRecord]:
    """The fastest label of each signature with several measured ones; the model's own if the difference is noise."""
    ticks = trials.ticks()
    found = {}
    for signature in signatures:
        measured, default = ticks.get(signature, {}), defaults[signature]
        if default not in measured or len(measured) < 2:
            continue
        shares = {label: round(spent / measured[default], 4) for label, spent in measured.items()}
        best = min(shares, key=lambda label: shares[label])
        found[signature] = TuningRecord(best if shares[best] < 1 - MARGIN else default, shares)
    return found


class TuningStore:
    """Entries on disk, by compiler, target, other options that affect candidates or measurements, and signature."""

    def __init__(self, compilation: Compilation, use_cache: bool):
        options = compilation.options
        kind = f"checked={options.checked} {options.precision} {options.plan.streaming}"
        self.prefix = f"choice 2\n{compiler_identity()}\n{options.target!r}\n{kind}\n"
        self.used, self.unreadable = use_cache, 0

    def read(self, signature: str) -> TuningRecord | None:
        """The stored entry; a damaged one counts as unreadable."""
        key = self.prefix + signature
        if not self.used or not store.exists(key):
            return None
        try:
            found: Any = json.loads(bytes(store.read(key) or b""))
            return TuningRecord(
                str(found["label"]), {str(label): float(share) for label, share in found["shares"].items()}
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            self.unreadable += 1
            return None

    def write(self, signature: str, entry: TuningRecord) -> None:
        if self.used:
            data = json.dumps({"label": entry.label, "shares": entry.shares}).encode()
            store.write(self.prefix + signature, data, f"times of {signature}")
