"""--minimise, --memory and --flash: the plan within a budget, or a sentence that tells what takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnncc import cli

SCRIPT = """\
from cnncc import nn

x = nn.Input((3, 16, 16), name="x")
a = nn.Conv(8, 3, padding="same", activation="relu")(x)
b = nn.Conv(8, 3, padding="same", activation="relu")(a)
y = nn.Conv(8, 3, padding="same")(b)
y = nn.ReLU()(nn.Add()(y, a))
model = nn.Model(x, nn.Dense(4)(nn.Flatten()(nn.GlobalAveragePool()(y))), name="net", seed=0)
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(SCRIPT)
    return str(tmp_path / "net.py")


def compiled(script: str, *more: str) -> dict[str, int]:
    """The manifest's numbers for cortex-m4."""
    folder = Path(script).parent / "build"
    arguments = ["compile", script, "-o", str(folder), "--target", "cortex-m4", "--kinds", "o,h,json", "--no-cache"]
    assert cli.main([*arguments, *more]) == 0
    found: dict[str, int] = json.loads((folder / "net.json").read_text())
    header = (folder / "net.h").read_text()
    for part in ("workspace", "stack", "weights", "code"):
        assert f"#define NET_{part.upper()}_BYTES {found[part + '_bytes']}" in header
    return found


def test_the_fastest_plan_that_fits(script: str) -> None:
    default, least = compiled(script), compiled(script, "--minimise", "memory")["workspace_bytes"]
    fast, stack = default["workspace_bytes"], default["stack_bytes"]
    assert least < fast and 0 < stack < 1000
    assert compiled(script, "--memory", str(fast + stack))["workspace_bytes"] == fast
    assert compiled(script, "--memory", str(fast + stack - 1))["workspace_bytes"] == least
    assert compiled(script, "--memory", "64K", "--flash", "1M")["workspace_bytes"] == fast


@pytest.mark.parametrize(
    ("option", "size", "message"),
    [
        ("--memory", "4K", "takes at least "),
        ("--flash", "2K", "bytes of code and "),
    ],
)
def test_what_does_not_fit(
    script: str, capsys: pytest.CaptureFixture[str], option: str, size: str, message: str
) -> None:
    folder = Path(script).parent / "build"
    arguments = ["compile", script, "-o", str(folder), "--target", "cortex-m4", "--no-cache", option, size]
    assert cli.main(arguments) == 3
    told = capsys.readouterr().err
    assert message in told and f"and {option} allows " in told and told.count("\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize("size", ["", "K", "0", "-1", "1.5K", "32Q"])
def test_sizes_that_are_none(script: str, capsys: pytest.CaptureFixture[str], size: str) -> None:
    assert cli.main(["compile", script, "-o", "build", f"--memory={size}"]) == 2
    assert "is not a whole number of at least 1" in capsys.readouterr().err
