"""Training from beginning to end: what it keeps, how it is resumed, what stops it, and what it refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import learn, nn
from cnncc.errors import CnnccError, InputError, LearningError, OutputError, UsageError
from cnncc.learning import checkpoint
from cnncc.learning.schedules import Progress, Schedule
from cnncc.learning.step import Step
from cnncc.types import Array

from .networks import examples, small

X, Y = examples()


def quiet(text: str) -> None:
    """Progress that nobody reads."""


def fitted(network: nn.Model, **how: Any) -> learn.History:
    history: learn.History = network.fit(X, Y, **{"epochs": 3, "batch": 16, "progress": quiet, "seed": 1, **how})
    return history


def assert_same(one: nn.Model, other: nn.Model) -> None:
    for name, array in one.weights.items():
        np.testing.assert_array_equal(other.weights[name], array, err_msg=name)


def test_a_network_learns() -> None:
    network = small(dropout=0.1)
    history = fitted(network, epochs=40, optimiser=learn.AdamW(0.01), schedule="cosine", validation=examples(64, 7))
    assert len(history) == 40 and history[-1].loss < history[0].loss / 2
    x, y = examples(64, 7)
    accuracy = (cnncc.compile(network)(x).argmax(1) == y).mean()
    assert accuracy == history.best.validation_accuracy > 0.6
    assert json.loads(history.to_json())[3]["number"] == 3


def test_the_best_weights_are_kept() -> None:
    """The validation data are of another network, so learning makes them worse."""
    x, y = examples(64, 3)
    strangers = x, (y + 1) % 4
    kept, last, first = small(), small(), small()
    history = fitted(kept, epochs=6, validation=strangers, optimiser=learn.SGD(0.2))
    fitted(last, epochs=6, validation=strangers, optimiser=learn.SGD(0.2), keep="last")
    best = history.best.number
    assert best < 5
    fitted(first, epochs=6, validation=strangers, optimiser=learn.SGD(0.2), callbacks=Until(best), keep="last")
    assert_same(first, kept)
    assert not np.array_equal(kept.weights["head.weights"], last.weights["head.weights"])


class Until:
    """A callback that stops after an epoch."""

    def __init__(self, last: int):
        self.last = last

    def __call__(self, epoch: learn.Epoch) -> str | None:
        return "stop" if epoch.number == self.last else None


def test_patience() -> None:
    network = small()
    history = fitted(
        network, epochs=30, validation=(X[:16], (Y[:16] + 1) % 4), stop=learn.Patience(3), optimiser=learn.SGD(0.2)
    )
    assert len(history) - 1 - history.best.number == 3


def test_a_graph_and_a_share_for_validation() -> None:
    graph = small().graph
    result = cnncc.fit(graph, X, Y, epochs=2, batch=16, validation=0.25, progress=quiet)
    assert result.history[0].validation_loss is not None
    with result.compile() as model:
        np.testing.assert_allclose(model(X), cnncc.interpret(result.graph, X), rtol=1e-4, atol=1e-5)
    assert graph.constant(graph["conv"].inputs[1]) is not None  # the graph that was given stays
    changed = result.graph.constant(result.graph["conv"].inputs[1])
    np.testing.assert_array_equal(changed, result.weights["conv.weights"])


class Stops:
    """Raises Ctrl-C in a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int):
        self.left, run = at, Step.run

        def counted(step: Step, *arguments: Any) -> float:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            return run(step, *arguments)

        monkeypatch.setattr(Step, "run", counted)


@pytest.mark.parametrize("at", [0, 3, 6, 11])
@pytest.mark.parametrize("schedule", [learn.Plateau(1, warmup=0.5), learn.OneCycle()], ids=["plateau", "one cycle"])
def test_resumed_training_equals_uninterrupted(at: int, schedule: Schedule, tmp_path: Path) -> None:
    """Dropout, augmentation, shuffling, statistics and moments included."""
    how: dict[str, Any] = {
        "optimiser": "adamw",
        "schedule": schedule,
        "augment": (learn.Shift(1), learn.Flip()),
        "validation": 0.2,
        "keep": "last",
    }
    whole, parts = small(), small()
    history = fitted(whole, **how)
    with pytest.MonkeyPatch.context() as patch:
        Stops(patch, at)
        with pytest.raises(KeyboardInterrupt):
            fitted(parts, checkpoint=tmp_path / "c.npz", **how)
    again = small()
    resumed = fitted(again, checkpoint=tmp_path / "c.npz", resume=True, threads=2, **how)
    assert_same(whole, again)
    assert [(e.loss, e.validation_loss, e.rate) for e in history] == [
        (e.loss, e.validation_loss, e.rate) for e in resumed
    ]


def test_an_interrupted_network_has_the_last_finished_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = small()
    Stops(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        fitted(network, checkpoint=tmp_path / "c.npz")
    step = Step(small(), batch=16, seed=1)
    states = step.model.executable.states
    with np.load(tmp_path / "c.npz") as archive:
        step.block[:] = checkpoint._block(archive["state"], states, step.block.size)
    np.testing.assert_array_equal(network.weights["head.weights"], step.state["head.weights"])
    assert not np.array_equal(network.weights["head.weights"], small().weights["head.weights"])


def test_the_first_value_that_is_not_finite_is_named() -> None:
    """The steps since the last good state run again."""
    network = nn.Sequential(nn.Dense(8), nn.Dense(4), input=(36,), seed=0)
    x, truth = X.reshape(len(X), 36).copy(), np.ones((len(X), 4), np.float32)
    with pytest.raises(LearningError, match=r"the first value that .* is that of layer 'dense2' \(at .*test_fit.py:"):
        network.fit(x, truth, batch=16, optimiser=learn.SGD(1e20), progress=quiet, loss=squares)
    x[90] = np.inf
    with pytest.raises(LearningError, match="the first value that is not finite is that of input 'input'"):
        network.fit(x, truth, batch=16, progress=quiet, loss=squares)


def squares(prediction: Any, wanted: Any) -> Any:
    return (prediction - wanted) * prediction


def test_a_loss_that_is_no_number_ends_training() -> None:
    network = small()
    with pytest.raises(
        LearningError, match=r"in step \d+ \(epoch \d\), at a rate of 1e\+20.*: a lower rate, a warm-up"
    ) as told:
        fitted(network, optimiser=learn.SGD(1e20))
    assert told.value.exit_code == 8
    assert all(np.isfinite(array).all() for array in network.weights.values())


SCHEDULES: list[tuple[Schedule, list[float]]] = [
    (learn.Constant(), [1] * 8),
    (learn.Constant(warmup=2), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
    (learn.Steps(2, 0.5), [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
    (learn.Cosine(), [(1 + np.cos(np.pi * k / 8)) / 2 for k in range(8)]),
    (learn.Cosine(last=0.5), [0.5 + (1 + np.cos(np.pi * k / 8)) / 4 for k in range(8)]),
    (learn.OneCycle(0.5, 0.0, 0.0), [(1 - np.cos(np.pi * k / 4)) / 2 for k in range(8)]),
]


@pytest.mark.parametrize(("schedule", "factors"), SCHEDULES, ids=lambda case: str(case)[:30])
def test_schedules(schedule: Schedule, factors: list[float]) -> None:
    np.testing.assert_allclose([schedule(Progress(k, 8, 2)) for k in range(8)], factors, atol=1e-12)


def test_a_plateau_lowers_the_rate() -> None:
    plateau = learn.Plateau(2, 0.5)
    values = [3.0, 2.0, 2.0, 2.5, 1.0, 1.1, 1.2, 1.3, 1.4]
    found = [plateau(Progress(2 * k, 100, 2, values[:k])) for k in range(len(values) + 1)]
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_schedule_may_be_a_function() -> None:
    history = fitted(small(), schedule=lambda progress: 0.5**progress.epoch, optimiser=learn.SGD(0.1))
    assert [epoch.rate for epoch in history] == [0.1, 0.05, 0.025]


def images(*shape: int) -> Array:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1


def test_shifts_move_whole_images() -> None:
    x = images(40, 2, 4, 5)
    for before, after in zip(x, learn.Shift(2)(x, np.random.default_rng(0)), strict=True):
        wide = np.pad(before, ((0, 0), (2, 2), (2, 2)))
        windows = [wide[:, i : i + 4, j : j + 5] for i in range(5) for j in range(5)]
        assert any(np.array_equal(after, window) for window in windows)


def test_flips_mirror_about_half() -> None:
    x = images(400, 1, 3, 4)
    mirrored = [
        np.array_equal(a, b[..., ::-1]) for a, b in zip(learn.Flip()(x, np.random.default_rng(0)), x, strict=True)
    ]
    assert 150 < sum(mirrored) < 250


def test_crops_keep_order() -> None:
    x = images(30, 1, 6, 9)
    found = learn.Crop(0.5)(x, np.random.default_rng(0))
    assert found.shape == x.shape and (np.diff(found, axis=2) >= 0).all() and (np.diff(found, axis=3) >= 0).all()
    np.testing.assert_array_equal(learn.Crop(1.0)(x, np.random.default_rng(0)), x)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"epochs": 0}, UsageError, "epochs=0: expected a whole number of at least 1"),
        ({"batch": 200}, UsageError, "a batch of 200 images is larger than the data, which are 96"),
        ({"validation": 1.5}, UsageError, r"validation=1.5: expected a share between 0 and 1, or \(x, y\)"),
        ({"validation": (X[:3], Y[:2])}, InputError, "x and y must have the same number of examples"),
        ({"keep": "all"}, UsageError, "keep='all': expected 'best' or 'last'"),
        ({"schedule": "linear"}, UsageError, "unknown schedule 'linear': expected 'constant' or 'step' or"),
        ({"schedule": 3}, UsageError, "schedule=3: expected a name or a function of how far training is"),
        ({"stop": 0}, UsageError, r"Patience\(0\): expected a whole number of epochs from 1 on"),
        ({"resume": True}, UsageError, "resume=True needs the path of a checkpoint"),
        ({"augment": lambda x, random: x[:, :, 1:]}, UsageError, r"augmentation .* made \(16, 1, 5, 6\) of images of"),
        ({"checkpoint": "/no/such/folder/c.npz"}, OutputError, "cannot write checkpoint '/no/such/folder/c.npz'"),
        ({"clip": -1.0}, UsageError, "clip=-1.0: expected a positive, finite number"),
        ({"validation": (X, Y, Y)}, UsageError, r"validation=tuple: expected a share between 0 and 1, or \(x, y\)"),
        ({"optimiser": 3}, UsageError, r"optimiser=3: expected a name, or an object such as learn.SGD\(0.05\)"),
        ({"schedule": lambda progress: -1.0}, UsageError, "the schedule gave -1.0 in step 1: expected a finite number"),
        ({"schedule": lambda progress: "x"}, UsageError, "the schedule gave 'x' in step 1: expected a finite number"),
        ({"train": 3}, UsageError, "train=3: expected patterns for names of parameters"),
        ({"train": []}, UsageError, r"train=\[\]: expected patterns for names of parameters"),
        ({"progress": 3}, UsageError, "progress=3: expected a function of a line"),
        ({"seed": -1}, UsageError, "seed=-1: expected a whole number of at least 0"),
        ({"stop": "soon"}, UsageError, r"Patience\('soon'\): expected a whole number of epochs from 1 on"),
        ({"callbacks": [print, 3]}, UsageError, "callbacks=.*: expected a function or several"),
        ({"augment": "flip"}, UsageError, "augment='flip': expected a function or several"),
        ({"checkpoint": 3}, UsageError, "checkpoint=3: expected the path of a file"),
        ({"loss": 3}, UsageError, "loss=3: expected a name, an object of cnncc.learn, or a function of layers"),
        ({"loss": lambda p, w: 3.0}, UsageError, "the loss <lambda> must return a layer's value, got 3.0"),
        ({"metrics": "f1"}, UsageError, "unknown metric 'f1': expected 'accuracy', 'top-5'"),
        ({"metrics": "top-0"}, UsageError, "k=0: expected a whole number of at least 1"),
        ({"metrics": (learn.TopK(2), "top-2")}, UsageError, "two metrics are called 'top-2'"),
        ({"metrics": [3]}, UsageError, "metric 3: expected a name or a function of a prediction and what was wanted"),
        ({"metrics": "top-2"}, UsageError, "metric 'top-2' is found from validation data, and there are none"),
        ({"metrics": "top-4", "validation": 0.5}, UsageError, "metric 'top-4' of 4 classes is 1 always"),
    ],
)
def test_arguments_that_make_no_sense(how: dict[str, Any], error: type[CnnccError], message: str) -> None:
    network = small()
    with pytest.raises(error, match=message):
        fitted(network, **how)
    assert_same(small(), network)


@pytest.fixture
def standing(tmp_path: Path) -> Iterator[Path]:
    fitted(small(), epochs=1, validation=(X, Y), checkpoint=tmp_path / "c.npz")
    yield tmp_path / "c.npz"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"seed": 2}, "is of another training: not the same seed"),
        ({"batch": 8}, "is of another training: not the same model, loss, optimiser or batch"),
        ({"optimiser": "adamw"}, "is of another training: not the same model, loss, optimiser or batch"),
        ({"validation": 0.5}, "is of another training: not the same data"),
        ({"validation": (X, (Y + 1) % 4)}, "is of another training: not the same data"),
        ({"epochs": 2}, "is of another training: not the same number of epochs"),
        ({"schedule": "cosine"}, "is of another training: not the same schedule or augmentation"),
    ],
)
def test_checkpoints_of_another_training(standing: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fitted(small(), **{"epochs": 1, "validation": (X, Y), "checkpoint": standing, "resume": True, **how})


def test_damaged_checkpoints(standing: Path) -> None:
    whole = standing.read_bytes()
    rng = np.random.default_rng(0)
    for damaged in (b"", whole[:100], whole[:-200], b"x" * 500, *(spoiled(whole, rng) for _ in range(20))):
        standing.write_bytes(damaged)
        try:
            fitted(small(), epochs=1, validation=(X, Y), checkpoint=standing, resume=True)
        except (InputError, UsageError) as error:
            assert "damaged" in error.message or "another training" in error.message or "version" in error.message
    os.remove(standing)
    with pytest.raises(InputError, match=r"checkpoint '.*' does not exist"):
        fitted(small(), epochs=1, checkpoint=standing, resume=True)


def spoiled(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def test_a_schedule_that_is_a_function_is_known_again(tmp_path: Path) -> None:
    """Not by its address, which is another one in another process."""
    for number in range(2):
        schedules = [lambda progress: 0.5**progress.epoch for _ in range(2)]
        history = fitted(small(), schedule=schedules[number], checkpoint=tmp_path / "c.npz", resume=number > 0)
    assert len(history) == 3


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1], [2, 3]] * 48, Y, "x of input 'input' is no array"),
        (X, [[1], [2, 3]] * 48, "y is no array"),
        (X, 2, r"y must have the shape \(N\), got \(\)"),
        (1e300 * X.astype(np.float64), Y, r"x of input 'input' holds .*e\+299 in example 0, which is beyond float32"),
    ],
    ids=["x", "y", "number", "beyond"],
)
def test_data_that_are_none(x: Any, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small().fit(x, y, epochs=1, progress=quiet)


def test_a_checkpoint_is_whole_or_the_old_one(standing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = standing.read_bytes()

    def full(*arrays: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", full)
    with pytest.raises(OutputError, match=r"cannot write checkpoint .*: No space left on device"):
        fitted(small(), epochs=1, checkpoint=standing)
    assert standing.read_bytes() == before and len(os.listdir(standing.parent)) == 1
