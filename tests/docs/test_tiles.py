"""The worked numbers of `cnncc/plan/README.md` are those of the models of cost."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cnncc.computation import Contraction
from cnncc.machine.target import TARGETS
from cnncc.plan.kernels import Candidate, Layer, direct_tiles, winograd_tiles
from cnncc.plan.kernels.winograd_phases import phases_of
from cnncc.plan.kernels.winograd_transforms import input_cycles, output_cycles
from cnncc.windows import WindowAxis

TEXT = (Path(__file__).resolve().parents[2] / "cnncc" / "plan" / "README.md").read_text(encoding="utf-8")
TARGET = replace(TARGETS["x86-64-v4"], l1=48 << 10, l2=1 << 20)
AXIS = WindowAxis(28, 3, low=1, high=1)
LAYER = Layer(Contraction((AXIS, AXIS), 64, 64, bias=True), (28, 28))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first line begins like this."""
    table = TEXT[TEXT.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table]


def candidates() -> list[Candidate]:
    return direct_tiles.candidates(TARGET, LAYER)


def test_shares_of_register_tiles():
    table = rows("| tile | tiles of a row |")
    found = {candidate.label: candidate for candidate in candidates()}
    for tile, *_, share in table:
        candidate = found[f"direct {tile.replace(' ', '')}"]
        assert f"{candidate.kernel.least_cycles(TARGET) / candidate.cycles:.0%}" == share.replace(" ", "")
    best = max(table, key=lambda row: row[-1])
    assert candidates()[0].label == f"direct {best[0].replace(' ', '')}"


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_transforms(m: int):
    (row,) = [row for row in rows("| outputs of a tile m |") if row[0] == str(m)]
    phases = phases_of((m, m), (3, 3), (1, 1), 1)
    ins, outs = input_cycles(TARGET.core, phases, 1), output_cycles(TARGET.core, phases)
    assert row[1:3] == [str((m + 2) ** 2), f"{(m + 2) ** 2 / m**2:.3g}"]
    assert row[3].removesuffix(" cycles") == f"{ins:.0f} + {outs:.0f}"


def test_winograd_is_so_many_times_faster():
    (factor,) = re.findall(r"or ([\d.]+) times faster than the 927,000 of the direct", " ".join(TEXT.split()))
    one, other = candidates()[0], winograd_tiles.candidates(TARGET, LAYER)[0]
    assert round(one.cycles, -3) == 927_000
    assert f"{one.cycles / other.cycles:.1f}" == factor


def test_numbers_of_the_core():
    for _, names, values, _ in rows("| number | field |"):
        for name, value in zip(re.findall(r"`([\w.]+)`", names), values.split(", "), strict=True):
            owner, field = (TARGET, name.split(".")[1]) if "." in name else (TARGET.core, name)
            number = getattr(owner, field) / (1024 if field in ("l1", "l2") else 1)
            assert float(value.split(" ")[0]) == number, name
