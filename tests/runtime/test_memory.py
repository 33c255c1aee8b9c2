"""Calls for which there is no memory: a sentence with sizes, at once, and the model works on."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cnncc.cli import main
from cnncc.errors import CnnccError, InputError, NoMemoryError
from cnncc.runtime import memory
from cnncc.runtime.memory import allocated, available
from cnncc.runtime.model import Model

from . import toy

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def room(monkeypatch: pytest.MonkeyPatch, size: int | None, look: int = 1 << 30) -> None:
    monkeypatch.setattr(memory, "available", lambda: size)
    monkeypatch.setattr(memory, "_LOOK", look)


def test_a_copy_for_which_there_is_no_room(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    room(monkeypatch, 1 << 33)
    x = np.broadcast_to(np.float32(0), (10**9, 6))
    with pytest.raises(NoMemoryError) as caught:
        model(x)
    assert str(caught.value) == (
        "not enough memory for a copy of input 'x' of shape (1000000000, 6), which is not C-contiguous: "
        "24,000,000,000 bytes wanted, 8,589,934,592 available"
    )
    np.testing.assert_array_equal(model(toy.images(3)), toy.expected(toy.images(3)))


def test_outputs_for_which_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    room(monkeypatch, 200, look=1)
    model = Model(toy.executable())
    for call in (model, model.bind):
        with pytest.raises(NoMemoryError) as caught:
            call(toy.images(9))
        assert str(caught.value) == (
            "not enough memory for the outputs of model 'toy' for 9 image(s): 216 bytes wanted, 200 available"
        )
    assert model(toy.images(8)).shape == (8, 6)


@pytest.mark.parametrize(("n_out", "most"), [(1, 42), (2, 21)])
@pytest.mark.usefixtures("only_native")
def test_native_code_leaves_large_outputs_to_python(n_out: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks whether there is room for them, native code does not: 24 bytes an image and output."""
    room(monkeypatch, None, look=24 * 42 + 1)
    model = Model(toy.executable(n_out=n_out))
    assert np.shape(model(toy.images(most)))[-2:] == (most, 6)
    for executable, images in ((toy.executable(n_out=n_out), most + 1), (toy.executable(images=43), 43)):
        with pytest.raises(AssertionError, match="went on to Python"):
            Model(executable)(toy.images(images))


@pytest.mark.parametrize("size", [1, 24, 1000, (1 << 30) - 1, 1 << 30, 1 << 40])
@pytest.mark.parametrize("rest", [0, 1, (1 << 30) - 1, 1 << 30, 1 << 40])
def test_what_is_made_without_a_look(size: int, rest: int) -> None:
    most = memory.most_unseen(size, rest)
    assert rest + (most + 1) * size >= 1 << 30
    assert most < 0 or rest + most * size < 1 << 30
    assert memory.most_unseen(0, rest) >= 0 or rest >= 1 << 30


@pytest.mark.parametrize("count", [1 << 32, (1 << 32) + 1, 1 << 40])
def test_more_images_than_can_be_counted(model: Model, count: int) -> None:
    """2**32 + 1 images would be one image, and all other outputs what was in memory before."""
    repeated = np.broadcast_to(np.float32(0), (count, 6))
    claimed = np.lib.stride_tricks.as_strided(np.zeros(6, np.float32), (count, 6), (24, 4))  # and C-contiguous
    for call, x in product((model, model.bind, lambda x: model(x, out=x)), (repeated, claimed)):
        with pytest.raises(InputError) as caught:
            call(x)
        assert str(caught.value) == f"model 'toy' takes at most 4,294,967,295 images in a call, got {count:,}"


@pytest.mark.parametrize("size", [1 << 50, 1 << 62, 1 << 70])
@pytest.mark.parametrize("known", [True, False])
def test_a_workspace_for_which_there_is_no_room(size: int, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known:
        room(monkeypatch, None)
    with pytest.raises(
        NoMemoryError, match=rf"^not enough memory for the workspace of model 'toy': {size:,} bytes wanted"
    ):
        Model(dataclasses.replace(toy.executable(), workspace_base=size))


def test_the_command_line_says_it_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room(monkeypatch, 1000, look=1)
    assert (
        main(["run", str(EXAMPLES / "digits.py"), str(EXAMPLES / "digits" / "7.png")]) == NoMemoryError.exit_code == 1
    )
    error = capsys.readouterr().err
    assert error.startswith("cnncc: not enough memory for ") and error.count("\n") == 1 and "Traceback" not in error


LIMITED = """
import resource
import numpy as np
from cnncc.errors import NoMemoryError
from cnncc.runtime.model import Model
from tests.runtime import toy
model = Model(toy.executable(size=1))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), used + (1 << 28)))
try:
    model(np.broadcast_to(np.float32(0), (10**8, 1)))
except NoMemoryError as error:
    print(type(error).__name__)
x = np.zeros((40_000_000, 1), np.float32)
try:
    model(x)
except NoMemoryError as error:
    print(error)
print(model(toy.images(2, 1)).shape)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="not Linux")
def test_a_process_with_a_limit() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", LIMITED], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "NoMemoryError",
        "not enough memory for the outputs of model 'toy' for 40,000,000 image(s): 160,000,000 bytes wanted",
        "(2, 1)",
    ]


def test_what_is_available() -> None:
    size = available()
    assert size is None or size > 1 << 20
    assert issubclass(NoMemoryError, CnnccError)
    assert allocated(1 << 20, lambda: 3, str) == 3
