"""The tuner with a stopwatch of our own: what it measures, chooses, remembers and gives up."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.cache import store
from cnncc.compiler import Compilation
from cnncc.errors import TargetError, UsageError
from cnncc.ir import Graph
from cnncc.measure.tuning import CANDIDATES, ROUNDS, layers_by_signature, owners, shortlist, tune
from cnncc.ops import Conv
from cnncc.plan import PlanOptions
from cnncc.plan.kernels import Candidate
from cnncc.plan.saved import save
from tests.graphs import Net, compilation

Costs = Callable[[str, str], float]
"""Ticks of a layer by signature and label."""


class Stopwatch:
    """Instead of running a variant, looks up what each of its steps costs."""

    def __init__(self, costs: Costs, interrupt_at: int = 0):
        self.costs, self.interrupt_at = costs, interrupt_at
        self.compiled: list[Compilation] = []
        self.samples = self.closed = 0

    def __call__(self, variant: Compilation) -> Stopwatch.Timer:
        self.compiled.append(variant)
        return Stopwatch.Timer(self, variant)

    class Timer:
        def __init__(self, watch: Stopwatch, variant: Compilation):
            self.watch, plan = watch, variant.plan
            self.ticks = np.array([watch.costs(s.signature, s.label) if s.signature else 1.0 for s in plan.steps])

        def sample(self) -> tuple[float, np.ndarray]:
            self.watch.samples += 1
            if self.watch.samples == self.watch.interrupt_at:
                raise KeyboardInterrupt
            return float(self.ticks.sum()), self.ticks

        def close(self) -> None:
            self.watch.closed += 1


def network() -> Graph:
    """Between a first and a last one four convolutions, of which every other ones are equal."""
    net = Net()
    y = net.input(1, 16, 14, 14)
    for kernel in (5, 3, 5, 3, 5, 3):
        y = net.apply(Conv((kernel,) * 2, padding="same"), y, net.weights(16, 16, kernel, kernel))
    return net.graph(y)


SIGNATURES = 4


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wanted(compiled: Compilation, rank: int) -> dict[str, str]:
    """The label of that rank for the two signatures that stand for two layers each."""
    layers = layers_by_signature(compiled.plan)
    assert [len(names) for names in layers.values()] == [1, 2, 2, 1]
    return {
        name: shortlist(compiled.plan.offers[name])[rank].label for name, equal in layers.items() if len(equal) == 2
    }


def variants(compiled: Compilation) -> int:
    """How many the tuner compiles to measure every candidate."""
    return max(len(shortlist(compiled.plan.offers[name])) for name in layers_by_signature(compiled.plan))


def favouring(labels: Mapping[str, str]) -> Costs:
    return lambda signature, label: 50.0 if labels.get(signature) == label else 100.0


def test_the_fastest_is_taken_and_remembered() -> None:
    base = compilation(network())
    best = wanted(base, 2)
    watch = Stopwatch(favouring(best))
    found = tune(base, timer=watch)
    assert dict(found.compilation.options.plan.choices) == best
    assert (found.measured, found.remembered, found.unreadable) == (SIGNATURES, 0, 0)
    assert {change.after for change in found.changes} == set(best.values())
    assert all(change.saved == 0.5 for change in found.changes)
    assert [len(change.layers) for change in found.changes] == [2, 2]
    assert watch.closed == len(watch.compiled)

    again = Stopwatch(favouring({}))
    second = tune(compilation(network()), timer=again)
    assert (again.compiled, second.measured, second.remembered) == ([], 0, SIGNATURES)
    assert second.compilation.options == found.compilation.options
    assert second.compilation.object == found.compilation.object
    assert second.changes == found.changes


def test_noise_changes_nothing() -> None:
    base = compilation(network())
    best = wanted(base, 1)
    found = tune(base, timer=Stopwatch(lambda s, label: 99.0 if best.get(s) == label else 100.0))
    assert (found.changes, found.compilation.options.plan.choices) == ((), ())


def test_choices_that_lose_together_are_taken_back() -> None:
    """Each alone looks better, but the program of both takes longer."""
    base = compilation(network())
    best = wanted(base, 1)
    watch = Stopwatch(favouring(best))
    ranks = variants(base)

    def timer(variant: Compilation) -> Stopwatch.Timer:
        made = watch(variant)
        if len(watch.compiled) > ranks:
            made.ticks = made.ticks + 1000.0
        return made

    found = tune(base, timer=timer)
    assert found.changes == ()
    assert found.measured == SIGNATURES


def test_one_that_loses_beside_the_others_is_taken_back_alone() -> None:
    base = compilation(network())
    best = wanted(base, 1)
    first, second = best
    watch = Stopwatch(favouring(best))
    ranks = variants(base)

    def timer(variant: Compilation) -> Stopwatch.Timer:
        if len(watch.compiled) == ranks:
            watch.costs = lambda s, label: {first: 30.0, second: 120.0}[s] if best.get(s) == label else 100.0
        return watch(variant)

    found = tune(base, timer=timer)
    assert dict(found.compilation.options.plan.choices) == {first: best[first]}


class Clock:
    """Time that passes while variants are compiled and sampled, as long as these take."""

    def __init__(self, compiling: float, sampling: float, costs: Costs):
        self.now, self.compiling, self.sampling = 0.0, compiling, sampling
        self.watch = Stopwatch(costs)

    def __call__(self) -> float:
        return self.now

    def timer(self, variant: Compilation) -> Stopwatch.Timer:
        self.now += self.compiling
        made = self.watch(variant)
        sample = made.sample

        def timed() -> tuple[float, np.ndarray]:
            self.now += self.sampling
            return sample()

        made.sample = timed  # type: ignore[method-assign]
        return made


@pytest.mark.parametrize(("compiling", "sampling"), [(1.0, 0.01), (10.0, 0.1), (0.5, 2.0), (3.0, 3.0)])
def test_time_is_bounded(compiling: float, sampling: float) -> None:
    """Only what is the first of its kind can overrun: one program, or one round over all of them."""
    base = compilation(network())
    best = wanted(base, 1)
    changed = set()
    for seconds in (0.1, 0.9, 2.5, 7.0, 15.0, 31.0, 60.0, 200.0):
        clock = Clock(compiling, sampling, favouring(best))
        found = tune(base, seconds, timer=clock.timer, clock=clock, use_cache=False)
        rounds = clock.watch.samples
        if len(clock.watch.compiled) == 1:
            assert clock.now == compiling
        elif clock.now > seconds:
            assert rounds == len(clock.watch.compiled)
            assert clock.now - rounds * sampling < seconds
        changed.add(len(found.changes))
        assert (found.measured == SIGNATURES) == (rounds > 0) and clock.watch.closed == len(clock.watch.compiled)
    assert changed == {0, 2}


def test_without_time_nothing_is_chosen(cache: Path) -> None:
    """Nor remembered: another run has another chance."""
    base = compilation(network())
    now = iter(range(10**6))
    watch = Stopwatch(favouring(wanted(base, 1)))
    found = tune(base, 0.5, timer=watch, clock=lambda: float(next(now)))
    assert (found.measured, found.changes, watch.compiled) == (0, (), [])
    assert not cache.exists()
    assert tune(base, timer=watch).measured == SIGNATURES


def test_time_is_left_for_checking() -> None:
    """Programs of nine seconds in a minute: three to choose from, and one that is checked."""
    base = compilation(network())
    clock = Clock(9.0, 0.1, favouring(wanted(base, 1)))
    tune(base, timer=clock.timer, clock=clock)
    assert [len(clock.watch.compiled), len(clock.watch.compiled[-1].options.plan.choices)] == [4, 2]
    assert 36 < clock.now < 60


def test_rounds_are_enough_and_not_more() -> None:
    base = compilation(network())
    watch = Stopwatch(favouring({}))
    tune(base, timer=watch)
    assert watch.samples == ROUNDS * len(watch.compiled)


def test_an_interrupt_keeps_what_was_measured() -> None:
    base = compilation(network())
    best = wanted(base, 1)
    ranks = variants(base)
    with pytest.raises(KeyboardInterrupt):
        tune(base, timer=Stopwatch(favouring(best), interrupt_at=ranks * 3 + 2))
    watch = Stopwatch(favouring({}))
    found = tune(compilation(network()), timer=watch)
    assert watch.compiled == []
    assert dict(found.compilation.options.plan.choices) == best


def test_an_interrupt_of_the_check_keeps_what_was_measured() -> None:
    base = compilation(network())
    best = wanted(base, 1)
    with pytest.raises(KeyboardInterrupt):
        tune(base, timer=Stopwatch(favouring(best), interrupt_at=variants(base) * ROUNDS + 2))
    found = tune(compilation(network()), timer=Stopwatch(favouring({})))
    assert (found.measured, found.remembered) == (0, SIGNATURES)
    assert dict(found.compilation.options.plan.choices) == best


def test_an_interrupt_before_the_first_round_keeps_nothing(cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tune(compilation(network()), timer=Stopwatch(favouring({}), interrupt_at=1))
    assert not cache.exists()


def test_damaged_memory_is_measured_again(cache: Path) -> None:
    tune(compilation(network()), timer=Stopwatch(favouring({})))
    files = [file for file in cache.rglob("*") if file.is_file()]
    assert len(files) == SIGNATURES
    files[0].write_bytes(b"damaged")
    watch = Stopwatch(favouring({}))
    found = tune(compilation(network()), timer=watch)
    assert (found.measured, found.remembered, found.unreadable) == (1, SIGNATURES - 1, 1)
    third = tune(compilation(network()), timer=watch)
    assert (third.measured, third.remembered, third.unreadable) == (0, SIGNATURES, 0)


def test_what_another_precision_offers_is_not_remembered() -> None:
    """Transforms that won are not there in strict mode, which measures what it has."""
    base = compilation(network())
    transforms = {
        name: offer.label for name, offers in base.plan.offers.items() for offer in offers if "winograd" in offer.label
    }
    assert len(transforms) == SIGNATURES
    tune(base, timer=Stopwatch(favouring(transforms)))
    strict = tune(compilation(network(), precision="strict"), timer=Stopwatch(favouring({})))
    assert (strict.measured, strict.remembered, strict.changes) == (SIGNATURES, 0, ())
    assert all(step.label not in transforms.values() for step in strict.compilation.plan.steps)


def test_nonsense_under_the_right_digest_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write = store.write
    monkeypatch.setattr(store, "write", lambda key, data, label: write(key, b'{"label": "x", "shares": [1]}', label))
    tune(compilation(network()), timer=Stopwatch(favouring({})))
    assert tune(compilation(network()), timer=Stopwatch(favouring({}))).unreadable == SIGNATURES


def test_without_the_cache_nothing_is_remembered(cache: Path) -> None:
    base = compilation(network())
    tune(base, timer=Stopwatch(favouring(wanted(base, 1))), use_cache=False)
    assert not cache.exists()


def test_given_choices_stay() -> None:
    base = compilation(network())
    best = wanted(base, 1)
    first, second = best
    given = base.plan.offers[first][-1].label
    found = tune(compilation(network(), choices=((first, given),)), timer=Stopwatch(favouring(best)))
    assert dict(found.compilation.options.plan.choices) == {first: given, second: best[second]}
    assert found.measured == SIGNATURES - 1


def test_other_targets_cannot_be_timed_here() -> None:
    with pytest.raises(TargetError, match="cannot tune for target 'cortex-m4' here: "):
        tune(compilation(network(), "cortex-m4"))


def test_shortlists() -> None:
    def offer(label: str, cycles: float) -> Candidate:
        return Candidate(label, cycles, None)  # type: ignore[arg-type]

    offers = [offer(f"direct {number}", 10.0 + number) for number in range(9)] + [offer("columns 1", 99.0)]
    labels = [candidate.label for candidate in shortlist(offers)]
    assert labels == [f"direct {number}" for number in range(CANDIDATES - 1)] + ["columns 1"]
    assert [candidate.label for candidate in shortlist(offers[:2])] == ["direct 0", "direct 1"]
    assert [candidate.label for candidate in shortlist([offer("b", 1), offer("a", 1)])] == ["b", "a"]


def test_copies_count_for_the_layer_that_reads_them() -> None:
    net = Net()
    x = net.input(1, 32, 12, 12)
    plan = compilation(net.graph(net.apply(Conv((3, 3)), x, net.weights(32, 32, 3, 3)))).plan
    conv = next(step.signature for step in plan.steps if step.signature)
    moves = [
        owner for step, owner in zip(plan.steps, owners(plan), strict=True) if type(step.kernel).__name__ == "Move"
    ]
    assert moves and set(moves) == {conv}


def test_a_tuned_model_computes_the_same_bits(tmp_path: Path) -> None:
    """For real, in little time; direct kernels sum in one order."""
    graph = network()
    x = np.random.default_rng(0).standard_normal((1, 16, 14, 14), np.float32)
    plain, tuned = cnncc.compile(graph), cnncc.compile(graph, tune=True, tune_seconds=0.5)
    np.testing.assert_array_equal(plain(x), tuned(x))


def test_a_saved_plan_is_given_by_its_name(tmp_path: Path) -> None:
    graph, file = network(), tmp_path / "plan.json"
    base = compilation(graph)
    chosen = PlanOptions(choices=tuple(sorted(wanted(base, 1).items())))
    save(base.varied(plan=chosen).plan, chosen, file)
    model = cnncc.compile(graph, plan=str(file), cache=False)
    assert model.executable.object == compilation(graph, choices=chosen.choices, sharing="cost").object
    with pytest.raises(UsageError, match="cannot read it: No such file or directory"):
        cnncc.compile(graph, plan=tmp_path / "none.json")


def test_a_pickled_model_keeps_what_was_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    model = cnncc.compile(network(), tune=True, tune_seconds=0.2)
    monkeypatch.setattr("cnncc.measure.tuning.tune", lambda *_, **__: pytest.fail("tuned again"))
    again = pickle.loads(pickle.dumps(model))
    assert again.executable.object == model.executable.object
