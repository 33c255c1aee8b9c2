"""No access outside any buffer, at the full width of this machine: the processor itself is the judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.graphs import compilation, runnable_targets

from .guarded import run
from .stepping import astray, updates

ROOT = Path(__file__).resolve().parents[2]


def guarded(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize(
    ("target", "kind", "each"),
    [
        ("host", "plain", 2),
        pytest.param("host", "plain", 1, marks=pytest.mark.tools),
        pytest.param("host", "checked", 1, marks=pytest.mark.tools),
        pytest.param("x86-64-v3", "plain", 1, marks=pytest.mark.tools),
    ],
)
def test_nothing_is_touched_outside(target: str, kind: str, each: int) -> None:
    if target not in runnable_targets():
        pytest.skip(f"this processor is no {target}")
    done = guarded("-m", "tests.embed.guarded", target, kind, str(each))
    last = "\n".join(done.stdout.splitlines()[-2:])
    assert done.returncode == 0, f"ended with {done.returncode} in {last}\n{done.stderr}"
    assert last.endswith("networks") and int(last.split()[-2]) > 60 // each


@pytest.mark.parametrize(("place", "offset"), [("begin", -1), ("end", 12)])
def test_guards_do_guard(place: str, offset: int) -> None:
    """One byte outside a buffer of twelve ends a process."""
    touch = f"ctypes.string_at(Buffer(12, {place == 'end'}).address + {offset}, 1)"
    done = guarded("-c", f"import ctypes\nfrom tests.embed.guarded import Buffer\nprint('here', flush=True)\n{touch}")
    assert done.stdout == "here\n" and done.returncode < 0


BEYOND = """\
from tests.embed.guarded import run
from tests.embed.stepping import astray, updates
from tests.graphs import compilation
graph, feeds = updates(16)
executable = astray(compilation(graph), writes={writes}, at_end={at_end}).build()
print("here", flush=True)
run(executable, feeds, {at_end}, 1)
"""


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("at_end", [False, True])
def test_what_goes_beyond_the_states_ends_the_process(writes: bool, at_end: bool) -> None:
    done = guarded("-c", BEYOND.format(writes=writes, at_end=at_end))
    assert done.stdout == "here\n" and done.returncode < 0


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("at_end", [False, True])
def test_what_goes_beyond_the_states_is_found_in_checked_mode(writes: bool, at_end: bool) -> None:
    graph, feeds = updates(16)
    executable = astray(compilation(graph, checked=True), writes=writes, at_end=at_end).build()
    with pytest.raises(AssertionError, match=r"error codes \[6\]"):
        run(executable, feeds, at_end, shards=1)
