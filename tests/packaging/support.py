"""Virtual environments of our own, away from the checkout and from whatever runs the tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("cnncc", "frontends", "passes", "examples", "pyproject.toml", "README.md", "LICENSE")
LINKED = ("numpy", "networkx", "llvmlite", "setuptools", "wheel", "packaging", "_distutils_hack", "pkg_resources")


def copy_sources(folder: Path) -> Path:
    """A checkout of its own: builds leave folders behind, and must not see each other's."""
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder / name)
    return folder


class Environment:
    """A fresh virtual environment that sees our dependencies and setuptools, and no other cnncc.

    They are linked from where the tests found them, so that no package index is asked; installing them is a matter
    of the README's commands, which continuous integration runs.
    """

    def __init__(self, folder: Path):
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
        for name in LINKED:
            self._link(name)

    def _link(self, name: str) -> None:
        """Show a package of another environment here, with its shared libraries and what pip knows of it."""
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            return  # later versions of setuptools do without their helpers
        elsewhere = Path(spec.origin).parent.parent
        for found in (elsewhere / name, elsewhere / f"{name}.libs", *elsewhere.glob(f"{name}-*.dist-info")):
            if found.exists():
                (self.site / found.name).symlink_to(found)

    def install(self, *arguments: str | Path) -> None:
        """The pip of whoever runs the tests, working here, offline."""
        pip: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.python,
            "--quiet",
            "--disable-pip-version-check",
        ]
        run([*pip, "install", "--no-index", "--no-build-isolation", *arguments], ROOT)

    def see(self, folders: Sequence[str]) -> None:
        """Show all packages of these folders, behind those that are installed here."""
        (self.site / "others.pth").write_text("\n".join(folders) + "\n")

    def run(self, *arguments: str | Path, cwd: Path, path: Path | None = None) -> str:
        """Standard output of `python …`, with `path` as PYTHONPATH and nothing else of our surroundings."""
        return run([self.python, *arguments], cwd, {"PYTHONPATH": str(path)} if path else {})


def run(command: Sequence[str | Path], cwd: Path, extra: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must succeed, shielded from the PYTHON… variables of the test run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    surroundings = {**kept, "PYTHONDONTWRITEBYTECODE": "1", **(extra or {})}
    done = subprocess.run(command, cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
