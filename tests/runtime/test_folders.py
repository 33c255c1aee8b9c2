"""Models over many files: order, reasons, and results that can be gone on with."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.errors import InputError, UsageError
from cnncc.folders.journal import Journal, journal_of
from cnncc.folders.mapping import mapped
from cnncc.folders.table import Table, plain
from cnncc.folders.work import Work, files_of, work_off
from cnncc.reading.inputs import read
from cnncc.runtime.model import Model
from cnncc.types import Array

FILES = 23
BAD = (3, 17)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    layers = nn.Conv(4, 3, activation="relu"), nn.Flatten(), nn.Dense(5), nn.Softmax()
    with cnncc.compile(nn.Sequential(*layers, input=(1, 6, 6), seed=3, name="small")) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Arrays, of which one is no file of NumPy, and one of another shape."""
    inner = tmp_path / "in"
    (inner / "deep").mkdir(parents=True)
    for number in range(FILES):
        np.save(inner / ("deep" if number % 2 else "") / f"{number:03}.npy", rng.random((1, 1, 6, 6), np.float32))
    (inner / "deep" / f"{BAD[0]:03}.npy").write_bytes(b"nothing")
    np.save(inner / "deep" / f"{BAD[1]:03}.npy", rng.random((1, 1, 5, 6), np.float32))
    (inner / "notes.txt").write_text("no picture")
    return inner


def silent(done: float, text: str) -> None:
    assert 0 < done <= 1 and text


def run(model: Model, folder: Path, work: Work) -> list[str]:
    """The files without an answer."""
    work.expect_possible()
    failed = work_off(model, files_of([str(folder)]), lambda path: read(path, model.inputs[0]), work, silent)
    return [Path(row["file"]).name for row in failed]


def test_a_folder_is_its_pictures_in_order(folder: Path) -> None:
    files = files_of([str(folder / "020.npy"), str(folder)])
    assert files[0].name == "020.npy" and len(files) == FILES == len(set(files))
    assert files[1:] == sorted(files[1:])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty' holds no picture and no \.npy file"):
        files_of([str(folder / "empty")])


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_answers_have_the_order_of_the_files(model: Model, folder: Path, batch: int, jobs: int) -> None:
    files = files_of([str(folder)])
    answers = list(mapped(model, files, lambda path: read(path, model.inputs[0]), batch=batch, jobs=jobs))
    assert [answer.file for answer in answers] == [str(file) for file in files]
    for file, answer in zip(files, answers, strict=True):
        if int(file.stem) in BAD:
            assert file.name in answer.error and not answer.outputs
        else:
            expected = model(np.load(file))
            assert isinstance(expected, np.ndarray)
            np.testing.assert_array_equal(answer.outputs[model.outputs[0].name], expected[0])


def test_whoever_leaves_ends_it(model: Model, folder: Path) -> None:
    seen: list[Path] = []

    def reading(path: Path) -> Array:
        seen.append(path)
        return read(path, model.inputs[0])

    answers = mapped(model, files_of([str(folder)]), reading, batch=2, jobs=1)
    next(answers)
    answers.close()
    assert len(seen) < FILES


def test_a_file_of_several_images_is_an_answer_with_its_reason(model: Model, tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.zeros((2, 1, 6, 6), np.float32))
    (answer,) = mapped(model, [tmp_path / "two.npy"], lambda path: read(path, model.inputs[0]), batch=4, jobs=1)
    assert answer.error == f"'{tmp_path / 'two.npy'}' holds 2 images, expected one"


def test_models_that_map_nothing(tmp_path: Path) -> None:
    a, b = nn.Input((2,), name="a"), nn.Input((2,), name="b")
    told = "model 'pair' has the inputs 'a', 'b': files are mapped over models with one"
    pair = cnncc.compile(nn.Model([a, b], nn.Add()(a, b), name="pair"))
    with pair, pytest.raises(UsageError, match=told):
        list(mapped(pair, [tmp_path], lambda path: np.zeros(1), batch=1, jobs=1))


@pytest.mark.parametrize("top", [0, 1, 9])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows(model: Model, folder: Path, tmp_path: Path, kind: str, top: int) -> None:
    work = Work(tmp_path / f"results.{kind}", batch=4, jobs=2, top=top)
    assert run(model, folder, work) == [f"{number:03}.npy" for number in BAD]
    assert not journal_of(work.results).exists()
    text = work.results.read_text()
    if kind == "csv":
        rows = list(csv.DictReader(text.splitlines()))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [row["file"] for row in rows] == [str(file) for file in files_of([str(folder)])]
    assert tuple(rows[0]) == Table(model, top).columns
    for row in rows:
        if row["error"]:
            assert not row["class" if top else model.outputs[0].name]
            continue
        expected = model(np.load(row["file"]))
        assert isinstance(expected, np.ndarray)
        if top:
            assert int(row["class"]) == expected.argmax() and np.float32(row["score"]) == expected.max()
        else:
            cell = row[model.outputs[0].name]
            np.testing.assert_array_equal(np.float32(json.loads(cell) if kind == "csv" else cell), expected[0])
    if top == 9:
        assert rows[0]["class_5"] and not rows[0].get("class_6")  # it has five classes


def test_parquet(model: Model, folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run(model, folder, Work(tmp_path / "results.parquet", top=0))
    rows = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    run(model, folder, Work(tmp_path / "results.jsonl", top=0))
    assert rows == [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_an_interrupted_run_goes_on(model: Model, folder: Path, tmp_path: Path, cut: int) -> None:
    whole, broken = Work(tmp_path / "whole.csv", batch=2), Work(tmp_path / "broken.csv", batch=2, resume=True)
    run(model, folder, whole)

    def interrupted(done: float, text: str) -> None:
        if done > 0.5:
            raise KeyboardInterrupt

    read_again: list[Path] = []

    def reading(path: Path) -> Array:
        read_again.append(path)
        return read(path, model.inputs[0])

    files = files_of([str(folder)])
    with pytest.raises(KeyboardInterrupt):
        work_off(model, files, reading, broken, interrupted)
    part = journal_of(broken.results)
    part.write_bytes(part.read_bytes()[: -cut or None])
    finished = part.read_bytes().count(b"\n") - 1
    assert not broken.results.exists() and finished >= FILES // 2 - 1
    with pytest.raises(
        UsageError, match=r"broken\.csv\.part' has the rows of a run that did not end: --resume goes on"
    ):
        replace(broken, resume=False).expect_possible()
    read_again.clear()
    work_off(model, files, reading, broken, silent)
    assert len(read_again) <= FILES - finished + len(BAD)
    assert broken.results.read_text() == whole.results.read_text() and not part.exists()


def test_another_models_rows_are_refused(model: Model, folder: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "results.csv", resume=True)
    Journal(work.results, {"model": "other"}, resume=False).__exit__()
    with pytest.raises(UsageError, match=r"was begun with model other, this is model small, columns file class score"):
        run(model, folder, work)
    assert run(model, folder, replace(work, force=True))


def test_results_that_exist_stay(model: Model, folder: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "results.csv")
    run(model, folder, work)
    with pytest.raises(UsageError, match=r"results\.csv' exists: --force replaces it"):
        run(model, folder, work)
    run(model, folder, replace(work, force=True))


def test_no_file_can_be_read(model: Model, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("nothing")
    with pytest.raises(InputError, match=r"none of 1 files could be read: '.*a\.npy' is not a \.npy array"):
        run(model, tmp_path, Work(tmp_path / "results.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_map(model: Model, folder: Path) -> None:
    answers = list(cnncc.map(model, folder, batch=5, jobs=2))
    again = list(cnncc.map(model, [str(file) for file in files_of([str(folder)])]))
    assert [answer.file for answer in answers] == [answer.file for answer in again]
    assert sum(bool(answer.error) for answer in answers) == len(BAD)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"batch": 0}, "batch=0: expected a whole number of at least 1"),
        ({"jobs": True}, "jobs=True: expected a whole number of at least 1"),
        ({"model": "digits.py"}, "map takes a compiled model, as cnncc.compile gives it, got str"),
    ],
)
def test_mistakes_of_map(model: Model, folder: Path, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        cnncc.map(**{"model": model, "files": folder, **wrong})


def test_numbers_that_json_has_not() -> None:
    array = np.array([[1.5, np.nan], [np.inf, -np.inf]], np.float32)
    assert plain(array) == [[1.5, "NaN"], ["Infinity", "-Infinity"]]
    assert plain(np.array([7])) == 7 and plain(np.float32(0.5).reshape(())) == 0.5
