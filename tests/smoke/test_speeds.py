"""Which tests run at which speed."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests import speeds

FOLDERS = {path.parent.name for path in speeds.TESTS.glob("*/test_*.py")} - {"perf"}


def test_all_rooms_are_in_fast() -> None:
    assert set(speeds.FAST) == FOLDERS
    named = {speeds.TESTS / folder / f"test_{name}.py" for folder, row in speeds.FAST.items() for name in row.split()}
    assert {path for path in named if not path.is_file()} == set()


@pytest.mark.parametrize("sizes", [(7,), (3, 3), (90, 5), (4, 2, 6), (1, 1, 1)])
def test_every_value_is_covered_by_few_cases(sizes: tuple[int, ...]) -> None:
    cases = list(product(*map(range, sizes)))
    kept = speeds.covering(cases, lambda case: frozenset(enumerate(case)))
    assert len(kept) == len(set(kept)) <= sum(sizes)
    assert {pair for case in kept for pair in enumerate(case)} == {pair for case in cases for pair in enumerate(case)}
    assert kept == speeds.covering(cases, lambda case: frozenset(enumerate(case)))


def test_values_meet_others_than_the_first() -> None:
    """Of 90 ops in 5 ways each way has its share."""
    kept = speeds.covering(list(product(range(90), range(5))), lambda case: frozenset(enumerate(case)))
    assert all(sum(how == way for _, how in kept) >= 9 for way in range(5))


def test_a_case_without_parameters_is_kept() -> None:
    assert speeds.covering(["only"], lambda _: frozenset()) == ["only"]


CASES = """
import pytest

@pytest.mark.parametrize("target", ["host", "x86-64-v2", "x86-64-v3", "aarch64"])
def test_levels(target): pass

@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m7", "cortex-m3"])
def test_alike(target): pass

@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4"])
def test_named(target): pass

@pytest.mark.tools
def test_emulator(): pass

@pytest.mark.combinations
@pytest.mark.parametrize("a", [1, 2, 3])
@pytest.mark.parametrize("b, c", [(1, 1), (2, 2), (1, 2)])
def test_many(a, b, c): pass
"""


def test_the_default_and_tools_are_everything(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "smoke"
    folder.mkdir(parents=True)
    (folder / "test_imports.py").write_text(CASES)
    (tmp_path / "pyproject.toml").write_bytes((speeds.TESTS.parent / "pyproject.toml").read_bytes())
    (tmp_path / "tests" / "conftest.py").write_text("from cnncc_speeds import *\n")
    text = Path(speeds.__file__).read_text()
    (tmp_path / "cnncc_speeds.py").write_text(
        text.replace("TESTS = Path(__file__).parent", f"TESTS = Path({str(tmp_path / 'tests')!r})")
        + "\ndef pytest_collection_modifyitems(items):\n    mark(items)\n"
    )

    def collected(*words: str) -> set[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", *words]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_ADDOPTS": ""}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return {line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line}

    default, tools, fast = collected(), collected("-m", "tools"), collected("-m", "fast")
    assert not default & tools
    assert default | tools == collected("-m", "")
    assert {name for name in tools if "many" not in name} == {
        *("test_levels[x86-64-v3]", "test_alike[cortex-m7]", "test_emulator")
    }
    assert 3 <= sum("many" in name for name in default) <= 5
    assert {name for name in fast if "many" not in name} == {"test_levels[host]"}
    assert fast < default
