"""Files as one version of cnncc writes them, which later versions have to read, or refuse in a known sentence.

    PYTHONSAFEPATH=1 python tests/compatibility/make.py FOLDER

writes those of the cnncc that is imported: run it in the folder of an earlier one, which `git archive` unpacks. The
script needs nothing of the tests, and takes what that version has; bytes are written as base64.
"""

from __future__ import annotations

import base64
import contextlib
import inspect
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, os.getcwd())

TINY = """from cnncc import nn

layers = nn.Conv(4, 3, name="conv"), nn.ReLU(name="relu"), nn.Flatten(name="flat"), nn.Dense(3, name="dense")
model = nn.Sequential(*layers, input=(1, 6, 6), seed=0, name="tiny")
"""
TARGET = "x86-64-v2"
TEXTS, BYTES = ("tiny.h", "tiny.json", "plan.json", "names.json"), (".npz", ".npy", ".o")
MADE = ("Model", "OpenModel")  # by functions, and not by users
TRAINING: dict[str, Any] = {"epochs": 2, "batch": 8}
DOCUMENTS = {
    "run": ["run", "tiny.py", "x.npy"],
    "check": ["check", "tiny.py", "--target", TARGET],
    "inspect": ["inspect", "tiny.py"],
    "show": ["show", "tiny.py", "--stage", "plan", "--target", TARGET],
    "why": ["why", "tiny.py", "conv", "--target", TARGET],
    "compile": ["compile", "tiny.py", "-o", ".", "--target", TARGET, "--kinds", "o,h"],
}


def command(*words: str) -> tuple[int, str]:
    """Exit code and standard output of `cnncc …`."""
    from cnncc.cli import main

    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(io.StringIO()):
        return main(words), told.getvalue()


def data() -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Images and classes that need no generator of random numbers."""
    x = np.sin(np.arange(24 * 36)).astype(np.float32).reshape(24, 1, 6, 6)
    return x, np.arange(24) % 3


def interrupted(*_: object) -> None:
    """Training that ends after its first epoch, with a checkpoint."""
    raise KeyboardInterrupt


def make() -> None:
    """Write everything to the current folder."""
    import cnncc

    Path("tiny.py").write_text(TINY)
    command("compile", "tiny.py", "-o", ".", "--target", TARGET, "--kinds", "o,h,json", "--save-plan", "plan.json")
    x, y = data()
    np.save("x.npy", x[:2])
    np.save("y.npy", cnncc.interpret("tiny.py", x[:2]))
    names: dict[str, Any] = {}
    exec(TINY, names)
    network = names["model"]
    if hasattr(network, "fit"):
        network.save("weights.npz")
        with contextlib.suppress(KeyboardInterrupt):
            network.fit(x, y, **TRAINING, checkpoint="checkpoint.npz", progress=interrupted, cache=False)
    for name, words in DOCUMENTS.items():
        code, told = command(*words, "--json")
        if code == 0:
            Path(f"{name}.document.json").write_text(told.replace(f"{Path.cwd()}{os.sep}", ""))
    if hasattr(cnncc, "__all__"):
        Path("names.json").write_text(json.dumps(public(), indent=1) + "\n")


def public() -> dict[str, list[str]]:
    """The public names, and what those that are called take."""
    import cnncc
    from cnncc import learn, nn

    found = {}
    for module in (cnncc, nn, learn):
        for name in module.__all__:
            value = getattr(module, name)
            with contextlib.suppress(TypeError, ValueError):  # no arguments to speak of
                taken = list(inspect.signature(value).parameters)
                found[f"{module.__name__}.{name}"] = [] if name in MADE else taken
    return found


def keep(folder: Path) -> None:
    """Make all in a folder of its own, and copy what is kept as text."""
    os.environ["CNNCC_CACHE"] = "off"
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, contextlib.chdir(made):
        make()
        for file in sorted(Path().iterdir()):
            if file.suffix in BYTES:
                text = base64.encodebytes(file.read_bytes()).decode()
                (folder / f"{file.name}.base64").write_text(text)
            elif file.name in TEXTS or file.name.endswith(".document.json"):
                (folder / file.name).write_text(file.read_text())


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
