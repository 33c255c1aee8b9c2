"""Every way to have cnncc: from its wheel, editable, uninstalled, and a checkout before an installed one."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from .support import ROOT, Environment, copy_sources, run

TREES = {"cnncc": "cnncc", "frontends": "cnncc/frontends", "passes": "cnncc/passes"}
MOST_BYTES = 1_300_000
"""Of the wheel: its modules take 1.1 MB, each compressed by itself, and its list of them 0.1 MB; data hardly any."""
PROBE = """
import sys
from pathlib import Path
import numpy as np
import cnncc
from cnncc import nn

x = np.load(sys.argv[1] + "/digits/held_out.npz")
images = (x["images"][:50, None] / 255).astype(np.float32)
with cnncc.compile(sys.argv[1] + "/digits.py", cache=False) as model:
    print((model(images).argmax(axis=1) == x["labels"][:50]).mean() > 0.9)
files = [Path(m.__file__).resolve() for name, m in sys.modules.items() if name.split(".")[0] == "cnncc"]
print(all(file.is_relative_to(sys.argv[2]) for file in files), len(files) > 30)
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    checkout = copy_sources(folder / "checkout")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", checkout], folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which the wheel is installed."""
    environment = Environment(tmp_path_factory.mktemp("venv") / "installed")
    environment.install(wheel)
    return environment


def probe(environment: Environment, cwd: Path, expected: Path, path: Path | None = None) -> None:
    """Compile and run the digits network; every module of cnncc must come from `expected`."""
    said = environment.run("-c", PROBE, ROOT / "examples", expected.resolve(), cwd=cwd, path=path)
    assert said.split() == ["True", "True", "True"]


def test_the_wheel_holds_all_modules_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        f"{package}/{file.relative_to(ROOT / folder).as_posix()}"
        for folder, package in TREES.items()
        for file in (ROOT / folder).rglob("*.py")
    }
    texts = {f"cnncc/firmware/project/{file.name}" for file in (ROOT / "cnncc/firmware/project").iterdir()}
    texts |= {f"cnncc/report/{name}" for name in ("script.js", "style.css")}
    assert names == wanted | texts | {"cnncc/py.typed", "cnncc/frontends/onnx/operators.json"}


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST_BYTES


def test_the_source_distribution_is_whole(dist: Path) -> None:
    (found,) = dist.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "passes/manager.py", "frontends/dsl.py"} <= names


def test_the_wheel_away_from_the_checkout(installed: Environment, tmp_path: Path) -> None:
    probe(installed, tmp_path, installed.site)
    for module in ("passes", "frontends", "tests"):
        assert (
            installed.run("-c", f"import importlib.util as u; print(u.find_spec('{module}'))", cwd=tmp_path) == "None\n"
        )


def test_both_names_of_the_command(installed: Environment, tmp_path: Path) -> None:
    script = run([installed.python.parent / "cnncc", "--version"], tmp_path)
    assert script == installed.run("-m", "cnncc", "--version", cwd=tmp_path)
    assert script.startswith("cnncc ")


def test_a_checkout_shadows_an_install(installed: Environment, tmp_path: Path) -> None:
    checkout = copy_sources(tmp_path / "checkout")
    probe(installed, tmp_path, checkout, path=checkout)
    probe(installed, checkout, checkout)


def test_an_uninstalled_checkout(tmp_path: Path) -> None:
    checkout = copy_sources(tmp_path / "checkout")
    environment = Environment(tmp_path / "venv")
    probe(environment, tmp_path, checkout, path=checkout)
    assert environment.run("-m", "cnncc", "--version", cwd=checkout).startswith("cnncc ")


def test_an_editable_install(tmp_path: Path) -> None:
    checkout = copy_sources(tmp_path / "checkout")
    environment = Environment(tmp_path / "venv")
    environment.install("--editable", checkout)
    probe(environment, tmp_path, checkout)
    (checkout / "passes" / "fresh.py").write_text("HERE = 'at once'")
    assert environment.run("-c", "from cnncc.passes.fresh import HERE; print(HERE)", cwd=tmp_path) == "at once\n"
