"""The journeys of `examples/journeys` run as their readers begin: from the built wheel, in a fresh environment.

Nothing of the checkout is there but the examples. What a page installs beside the wheel is seen where the tests see it,
so that no package index is asked; a page that wants more than the tests install runs with the tools, where that is
there.
"""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from tests.packaging.support import ROOT, Environment, copy_sources, run

from .blocks import blocks
from .running import Place

PAGES = {page.stem: page for page in sorted((ROOT / "examples" / "journeys").glob("*.md"))}
SCREEN = 50  # lines
INSTALL = re.compile(r"^pip install --find-links dist (.*)$", re.MULTILINE)
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def packages(requirements: list[str]) -> set[str]:
    """The names of what is required, without versions."""
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


def wanted(page: Path) -> set[str]:
    """The packages that a page installs beside cnncc, by its first block."""
    (line,) = INSTALL.findall(blocks(page)[0].text)
    ours, *others = shlex.split(line)
    _, *extras = re.findall(r"[\w-]+", ours)  # cnncc[extra,extra]
    return packages(others).union(*(packages(EXTRAS[extra]) for extra in extras))


def journey(name: str) -> object:
    beyond = wanted(PAGES[name]) - packages(EXTRAS["test"])
    return pytest.param(name, marks=pytest.mark.tools) if beyond else name


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel, in front of all packages that the tests see."""
    folder = tmp_path_factory.mktemp("journeys")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    run([*build, "--wheel-dir", folder / "dist", copy_sources(folder / "checkout")], folder)
    environment = Environment(folder / "environment")
    environment.install(*(folder / "dist").glob("cnncc-*.whl"))
    environment.see([entry for entry in sys.path if entry.endswith("-packages")])
    found = environment.run("-c", "import cnncc; print(cnncc.__file__)", cwd=folder).strip()
    assert Path(found).is_relative_to(environment.site)
    return environment


@pytest.mark.parametrize("name", [journey(name) for name in PAGES])
def test_journeys(name: str, installed: Environment, tmp_path: Path) -> None:
    for package in sorted(wanted(PAGES[name])):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{PAGES[name].name} installs {package}, which is not here")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    Place(tmp_path, installed.python.parent).run_all(PAGES[name].name, blocks(PAGES[name]))


@pytest.mark.parametrize("name", PAGES)
def test_journeys_fit_a_screen(name: str) -> None:
    assert len(PAGES[name].read_text(encoding="utf-8").splitlines()) <= SCREEN
